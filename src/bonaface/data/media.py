"""Which files are pictures and which are videos, by their names' ends."""

from pathlib import PurePath

PICTURE_SUFFIXES = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".png",
        ".bmp",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".gif",
        ".jp2",
        ".avif",
        ".mpo",
    }
)
VIDEO_SUFFIXES = frozenset({".avi", ".mov", ".mp4", ".m4v", ".mkv", ".webm", ".mpg", ".mpeg"})


def is_video(path: PurePath | str) -> bool:
    """Whether the file's name ends as a video's does; anything else is read as a picture."""
    return PurePath(path).suffix.lower() in VIDEO_SUFFIXES


def is_media(path: PurePath | str) -> bool:
    """Whether the file's name ends as a picture's or a video's does."""
    return PurePath(path).suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES
