import io
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bonaface.media.frames import open_media, probe_media
from bonaface.media.info import evenly_spaced
from bonaface.media.source import MediaError
from bonaface.testing.clips import encode_clip

SHADES = range(0, 240, 20)
PICTURES = [Image.new("RGB", (16, 12), (shade, 30, 30)) for shade in SHADES]


def encoded(form: str, pictures: list[Image.Image], **options: object) -> bytes:
    file = io.BytesIO()
    first, *others = pictures
    first.save(file, form, save_all=True, append_images=others, **options)
    return file.getvalue()


def test_a_picture_is_its_only_frame(tmp_path: Path) -> None:
    Image.new("RGB", (4, 3), (9, 8, 7)).save(tmp_path / "a.mp4", "PNG")  # whatever it is called
    media = open_media(tmp_path / "a.mp4", 20)
    ((index, picture),) = media.frames
    assert (media.moving, index, picture.shape) == (False, 0, (3, 4, 3))
    assert (picture == (9, 8, 7)).all()


def test_a_video_is_its_frames_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encode_clip([np.asarray(picture) for picture in PICTURES], ".mp4"))
    media = open_media(tmp_path / "a.jpg", 3)
    assert media.moving
    assert tuple(index for index, _ in media.frames) == evenly_spaced(len(PICTURES), 3)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "AVIF"])
@pytest.mark.parametrize("n", [1, 5, 100])
def test_an_animation_is_a_videos_frames(form: str, n: int) -> None:
    media = open_media(encoded(form, PICTURES, **({"lossless": True} if form == "WEBP" else {})), n)
    assert media.moving
    frames = list(media.frames)
    assert tuple(index for index, _ in frames) == evenly_spaced(len(PICTURES), n)
    for index, picture in frames:
        assert picture.shape == (12, 16, 3)
        np.testing.assert_allclose(picture[6, 8], (SHADES[index], 30, 30), atol=6)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_pngs_picture_for_those_who_know_no_animation_is_no_frame(count: int) -> None:
    """APNG 1.0: what comes before the first fcTL chunk is no part of the animation."""
    data = encoded("PNG", PICTURES[: count + 1], default_image=True)
    assert data.index(b"IDAT") < data.index(b"fcTL")
    assert probe_media(data).frames == int.from_bytes(data[data.index(b"acTL") + 4 :][:4], "big") == count
    frames = list(open_media(data, 100).frames)
    assert [index for index, _ in frames] == list(range(count))
    for index, picture in frames:
        np.testing.assert_allclose(picture[6, 8], (SHADES[index + 1], 30, 30), atol=6)


@pytest.mark.parametrize("form", ["TIFF", "MPO"])
def test_pages_and_second_pictures_are_not_frames(form: str) -> None:
    media = open_media(encoded(form, PICTURES), 5)
    assert not media.moving
    ((_, picture),) = media.frames
    np.testing.assert_allclose(picture[6, 8], (0, 30, 30), atol=6)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_an_animation_of_one_frame_is_a_picture(form: str) -> None:
    assert not open_media(encoded(form, PICTURES[:1]), 5).moving


def test_reports_a_truncated_animation() -> None:
    data = encoded("GIF", PICTURES)
    with pytest.raises(MediaError, match=r"damaged|expected a picture"):
        list(open_media(data[: len(data) // 2], 100).frames)


def test_rejects_missing_and_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "locked.jpg").write_bytes(b"x")
    for path, says in {
        tmp_path / "gone.jpg": "there is no such file",
        tmp_path: "expected a picture or video file, got a folder",
        Path("/dev/zero"): "expected a picture or video file, got a device",
        Path("a\0b"): "cannot be opened",
    }.items():
        with pytest.raises(MediaError, match=says):
            open_media(path, 1)


def test_gives_up_a_pipe_without_a_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bonaface.media.source._PATIENCE", 0.2)
    os.mkfifo(tmp_path / "pipe")
    start = time.monotonic()
    with pytest.raises(MediaError, match="nothing has come out of this pipe"):
        open_media(tmp_path / "pipe", 1)
    assert time.monotonic() - start < 2
