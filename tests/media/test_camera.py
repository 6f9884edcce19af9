"""A camera, for which a video stands in: no test machine has one."""

import re
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from bonaface.core.errors import InputError
from bonaface.media import camera as cameras
from bonaface.media.camera import Camera, decoded
from bonaface.media.source import MediaError
from bonaface.testing.clips import encode_clip


def clip(path: Path, frames: int) -> str:
    """A video whose frames get lighter."""
    shades = np.linspace(20, 230, frames).astype(np.uint8)
    path.write_bytes(encode_clip([np.full((64, 64, 3), shade, np.uint8) for shade in shades], ".mp4"))
    return str(path)


def test_a_slow_reader_gets_the_newest_frame_and_leaves_others_out(tmp_path: Path) -> None:
    seen = []
    with Camera(clip(tmp_path / "a.mp4", 40)) as camera:
        for picture in camera.frames():
            seen.append(float(picture.mean()))
            assert picture.shape == (64, 64, 3)
            assert picture.dtype == np.uint8
            time.sleep(0.15)
    assert 3 <= len(seen) < 40
    assert seen == sorted(seen)
    assert seen[-1] > 200, "the last frame is seen"


def test_plays_a_video_at_its_own_speed(tmp_path: Path) -> None:
    """40 frames at the 25 a second of `encode_clip`."""
    begun = time.monotonic()
    with Camera(clip(tmp_path / "a.mp4", 40)) as camera:
        count = sum(1 for _ in camera.frames())
    assert time.monotonic() - begun > 1.0
    assert count <= 40


def test_a_damaged_packet_costs_its_own_frame_alone(tmp_path: Path) -> None:
    """Motion JPEG: each packet is a picture, whose markers are overwritten."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = bytearray(encode_clip([noise] * 20, ".avi", codec="mjpeg"))
    starts = [match.start() for match in re.finditer(rb"\xff\xd8\xff", data)]
    assert len(starts) == 20
    for start in starts[5:15]:
        data[start : start + 500] = bytes(500)
    (tmp_path / "bad.avi").write_bytes(data)
    with av.open(tmp_path / "bad.avi") as container:
        assert sum(1 for _ in decoded(container)) == 10


def test_can_be_left_in_the_middle(tmp_path: Path) -> None:
    with Camera(clip(tmp_path / "a.mp4", 400)) as camera:
        next(camera.frames())
        begun = time.monotonic()
    assert time.monotonic() - begun < 5


def test_says_when_no_frame_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cameras, "_PATIENCE", 0.2)
    camera = Camera(clip(tmp_path / "a.mp4", 4))  # not entered: nobody reads
    with pytest.raises(MediaError, match=r"no frame has come for 0 s; plug it in again"):
        next(camera.frames())
    camera._container.close()


@pytest.mark.parametrize("device", ["63", "/dev/video63", "no such thing"])
def test_says_that_there_is_no_such_camera(device: str) -> None:
    with pytest.raises(InputError, match=rf"^camera {device}: it cannot be opened .* plugged in"):
        Camera(device)


def test_says_that_a_file_has_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no video")
    with pytest.raises(InputError, match="it cannot be opened"):
        Camera(str(path))


@pytest.mark.parametrize(
    ("system", "device", "address"),
    [
        ("linux", "0", ("/dev/video0", "v4l2")),
        ("linux", "/dev/video2", ("/dev/video2", "v4l2")),
        ("darwin", "1", ("1", "avfoundation")),
        ("win32", "Integrated Camera", ("video=Integrated Camera", "dshow")),
    ],
)
def test_names_cameras_as_ffmpeg_does(
    system: str, device: str, address: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    assert cameras._address(device) == address


def test_windows_wants_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(InputError, match="give the camera's name"):
        cameras._address("0")
