"""Which files are pictures and which are videos: by their content, else by their names' suffix."""

import os
import re
import stat
from enum import StrEnum
from pathlib import Path

from bonaface.core.paths import is_remote

PICTURE_SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".gif",
        ".jp2", ".avif", ".heic", ".heif",
    }
)  # fmt: skip
VIDEO_SUFFIXES = frozenset(
    {
        ".avi", ".mov", ".mp4", ".m4v", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".3gp", ".3g2",
        ".wmv", ".flv", ".ogv", ".vob",
    }
)  # fmt: skip
_MEDIA_SUFFIXES = PICTURE_SUFFIXES | VIDEO_SUFFIXES

HEAD = 4096  # bytes of a file that tell its kind

# How a file begins. Formats that we do not read are here as well, so that such a file is reported and not ignored.
# Marks that are letters alone take in a byte behind them that no text has.
_PICTURES = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+",
    b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n",
    b"8BPS\x00", b"FUJIFILMCCD-RAW", b"IIRO\x08\x00", b"IIRS\x08\x00", b"IIU\x00", b"\x00\x00\x01\x00",
    b"qoif\x00", b"\x76\x2f\x31\x01", b"#?RADIANCE",
)  # fmt: skip
_VIDEOS = (
    b"\x1a\x45\xdf\xa3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"FLV\x01", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    b"YUV4MPEG2 ", b"DKIF\x00", b".RMF\x00", b"\x06\x0e\x2b\x34",
)  # fmt: skip
_STILL_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis", b"crx ")
_SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ", b"F4A ")
_MOVIE_BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"moof", b"styp")
_LARGE = b"mdat"  # the frames, which may be more than 16 MiB
_NETPBM = re.compile(rb"P[1-6]\s+(#|\d+\s+[#\d])")  # width and height, or a comment before them
_TS, _M2TS = 188, 192  # bytes of a packet of an MPEG transport stream, and of a Blu-ray's


class Kind(StrEnum):
    """What a file holds."""

    PICTURE = "picture"
    VIDEO = "video"


def sniff(head: bytes) -> Kind | None:
    """Return the kind of a file that begins with `head` (`HEAD` bytes are enough); None if neither picture nor
    video.
    """
    if head.startswith(_PICTURES) or _is_webp(head) or _is_bitmap(head) or _NETPBM.match(head):
        return Kind.PICTURE
    if _is_box(head, (b"ftyp",)):
        brand = head[8:12]
        return None if brand in _SOUND_BRANDS else Kind.PICTURE if brand in _STILL_BRANDS else Kind.VIDEO
    if head.startswith(_VIDEOS) or _is_box(head, _MOVIE_BOXES) or _is_avi(head) or _is_transport_stream(head):
        return Kind.VIDEO
    if head.startswith(b"OggS") and (b"\x80theora" in head or b"OVP80" in head):
        return Kind.VIDEO
    return None


def content_kind(path: Path) -> Kind | None:
    """Return the kind of the file `path` by its content; None if it is neither or cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading from a pipe would consume its bytes, or block
            return None
        with path.open("rb") as file:
            return sniff(file.read(HEAD))
    except (OSError, ValueError):
        return None


def kind_of(source: Path | bytes) -> Kind:
    """Return the kind of `source`, a file or its bytes: by its content, else by its name's suffix, else a picture.

    Whatever it is, one of the two readers is asked, and its error says what is wrong.
    """
    if isinstance(source, bytes):
        return sniff(source[:HEAD]) or Kind.PICTURE
    return content_kind(source) or (Kind.VIDEO if is_video(source) else Kind.PICTURE)


def is_video(path: os.PathLike[str] | str) -> bool:
    """Return whether the file's name has a video's suffix, without opening the file; `kind_of` looks inside."""
    return _suffix(path) in VIDEO_SUFFIXES


def is_media(path: Path) -> bool:
    """Return whether a file in a folder is to be judged: a picture or a video by its name or its content.

    A file that is named like a picture but holds something else counts too, and is reported as unreadable. At a URL
    the name alone decides, as each look at the content would be a request over the network.
    """
    return _suffix(path) in _MEDIA_SUFFIXES or (not is_remote(path) and content_kind(path) is not None)


def _is_webp(head: bytes) -> bool:
    return head.startswith(b"RIFF") and head[8:12] == b"WEBP"


def _is_box(head: bytes, names: tuple[bytes, ...]) -> bool:
    """Return whether `head` starts with an MP4 box of one of `names`: its size, below 16 MiB for all but one, and its
    name.

    A text may have the names too: "The free licence".
    """
    return head[4:8] in names and (head[0] == 0 or head[4:8] == _LARGE)


def _is_avi(head: bytes) -> bool:
    return head.startswith((b"RIFF", b"ON2 ")) and head[8:11] == b"AVI"


def _is_bitmap(head: bytes) -> bool:
    """Return whether `head` starts with BM and has the size of one of the known headers."""
    return head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in (
        12,
        16,
        40,
        52,
        56,
        64,
        108,
        124,
    )


def _is_transport_stream(head: bytes) -> bool:
    return any(
        len(head) > 4 * step and all(head[start + i * step] == 0x47 for i in range(4))
        for start, step in ((0, _TS), (4, _M2TS))
    )


def _suffix(path: os.PathLike[str] | str) -> str:
    return os.path.splitext(str(path))[1].lower()  # noqa: PTH122 - five times as fast, a million times
