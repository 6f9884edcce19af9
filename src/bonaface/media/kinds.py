"""Which files are pictures and which are videos, by their names' ends."""

import os

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".gif", ".jp2", ".avif"}
)
VIDEO_SUFFIXES = frozenset({".avi", ".mov", ".mp4", ".m4v", ".mkv", ".webm", ".mpg", ".mpeg"})
_MEDIA_SUFFIXES = PICTURE_SUFFIXES | VIDEO_SUFFIXES


def is_video(path: os.PathLike[str] | str) -> bool:
    """Whether the file's name ends as a video's does; anything else is read as a picture."""
    return _suffix(path) in VIDEO_SUFFIXES


def is_media(path: os.PathLike[str] | str) -> bool:
    """Whether the file's name ends as a picture's or a video's does."""
    return _suffix(path) in _MEDIA_SUFFIXES


def _suffix(path: os.PathLike[str] | str) -> str:
    return os.path.splitext(path)[1].lower()  # noqa: PTH122 - five times as fast, a million times
