import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bonaface.media.kinds import PICTURE_SUFFIXES, Kind, content_kind, is_media, is_video, kind_of, sniff
from bonaface.media.picture import FORMATS
from bonaface.testing.clips import encode_clip

PICTURE = np.zeros((16, 16, 3), np.uint8)


def picture(form: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "media", "video"),
    [
        ("a.jpg", True, False),
        ("a/b.PNG", True, False),
        ("a.b.MOV", True, True),
        ("a.webm", True, True),
        ("a.jfif", True, False),
        ("a.ts", True, True),
        ("a.txt", False, False),
        ("mov", False, False),
        ("Thumbs.db", False, False),
    ],
)
def test_kind_by_suffix(name: str, media: bool, video: bool) -> None:
    assert is_media(Path(name)) is media
    assert is_video(name) is is_video(Path(name)) is video


def test_pictures_are_those_that_can_be_read() -> None:
    Image.init()
    assert {Image.EXTENSION.get(suffix, "HEIF") for suffix in PICTURE_SUFFIXES} <= {*FORMATS, "HEIF"}


@pytest.mark.parametrize(
    "form", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "PPM", "TIFF", "JPEG2000", "AVIF", "ICO", "MPO"]
)
def test_pictures_are_known_by_their_content(form: str, tmp_path: Path) -> None:
    path = tmp_path / "file.dat"
    path.write_bytes(picture(form))
    assert content_kind(path) is kind_of(path.read_bytes()) is kind_of(path) is Kind.PICTURE
    assert is_media(path)


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mov", ".mp4", ".webm"])
def test_videos_are_known_by_their_content(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "face.jpg"
    path.write_bytes(encode_clip([PICTURE] * 2, suffix))
    assert content_kind(path) is kind_of(path) is Kind.VIDEO


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x00\x00\x00\x1cftypheic", Kind.PICTURE),
        (b"\x00\x00\x00\x1cftypM4A ", None),
        (b"\x00\x00\x00\x08wide\x00\x00\x00\x00mdat", Kind.VIDEO),
        (b"FLV\x01\x05", Kind.VIDEO),
        (b"\x00\x00\x01\xba!", Kind.VIDEO),
        (b"8BPS\x00\x01", Kind.PICTURE),
        ((b"\x47" + bytes(187)) * 6, Kind.VIDEO),
        ((bytes(4) + b"\x47" + bytes(187)) * 6, Kind.VIDEO),
        (b"OggS" + bytes(24) + b"\x80theora", Kind.VIDEO),
        (b"OggS" + bytes(24) + b"\x01vorbis", None),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", None),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", None),  # Thumbs.db
        (b"\x00\x05\x16\x07", None),  # ._photo.jpg of macOS
        (b"BM is how this text begins, and no bitmap does", None),
        (b"P3 is what a text may begin with as well", None),
        (b"P1 ann\nP2 bob\n", None),
        (b"P2 2 people\n", None),
        (b"P6\n# by a camera\n4 3 255\n", Kind.PICTURE),
        (b"P5\t 640\r\n#\n480 255\n", Kind.PICTURE),
        (b"P2 3 1 65535 0 40000 65535", Kind.PICTURE),
        (b"The free licence of these pictures", None),
        (b"You skip them", None),
        (b"How wide it is", None),
        (b"The ftyp box", None),
        (b"\x00\x00\x10\x00free", Kind.VIDEO),
        (b"\x00\x00\x00\x01mdat" + (1 << 40).to_bytes(8, "big"), Kind.VIDEO),
        (b"\x54\x68\x65\x20mdat", Kind.VIDEO),  # 1.3 GiB of frames
        (b"IIROC is a regulator", None),
        (b"8BPS is how a PSD begins", None),
        (b"DKIF is how an IVF begins", None),
        (b"IIRO\x08\x00\x00\x00", Kind.PICTURE),
        (b"DKIF\x00\x00\x20\x00VP80", Kind.VIDEO),
        (b"PK\x03\x04", None),
        (b"%PDF-1.7", None),
        (b"G" * 4, None),
        (b"", None),
    ],
)
def test_unknown_contents_have_no_kind(head: bytes, kind: Kind | None) -> None:
    assert sniff(head) is kind


@pytest.mark.parametrize("name", ["face.jpg", "clip.mp4"])
def test_suffix_decides_if_the_content_is_unknown(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    for content in (b"", b"nothing"):
        path.write_bytes(content)
        assert content_kind(path) is None
        assert kind_of(path) is (Kind.VIDEO if name == "clip.mp4" else Kind.PICTURE)
        assert is_media(path)


def test_pipes_and_folders_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "gone", Path("/dev/zero"), Path("a\0b")):
        assert content_kind(path) is None
        assert not is_media(path)


def test_a_size_of_a_header_makes_a_bitmap() -> None:
    assert sniff(b"BM" + bytes(12) + struct.pack("<I", 40)) is Kind.PICTURE
    assert sniff(b"BM" + bytes(12) + struct.pack("<I", 41)) is None
