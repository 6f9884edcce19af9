import io

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bonaface.store import png
from bonaface.store.png import read_png, write_png


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_pillow_and_ffmpeg_read_the_same_pixels(height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    data = write_png(image)
    with Image.open(io.BytesIO(data)) as read:
        assert (read.format, read.mode) == ("PNG", "RGB")
        np.testing.assert_array_equal(np.asarray(read), image)
    with av.open(io.BytesIO(data), "r") as ffmpeg:
        (frame,) = ffmpeg.decode(video=0)
    np.testing.assert_array_equal(frame.to_ndarray(format="rgb24"), image)
    again = read_png(data, 1024)
    np.testing.assert_array_equal(again, image)
    assert again.flags.c_contiguous
    assert write_png(image) == data


@pytest.mark.parametrize("view", ["flipped", "cut", "read-only"])
def test_any_memory_layout(view: str) -> None:
    whole = np.arange(20 * 30 * 3, dtype=np.uint32).astype(np.uint8).reshape(20, 30, 3)
    image = {"flipped": whole[::-1, ::-1], "cut": whole[3:9, 5:20], "read-only": whole}[view]
    image.flags.writeable = view != "read-only"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(write_png(image)))), image)


def test_smooth_pictures_become_smaller() -> None:
    y, x = np.mgrid[0:200, 0:200]
    smooth = np.stack([y, x, (x + y) // 2], axis=-1).astype(np.uint8)
    assert len(write_png(smooth)) < smooth.size / 20


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGB", "PNG", {}),
        ("RGB", "PNG", {"compress_level": 0}),
        ("L", "PNG", {}),
        ("P", "PNG", {}),
        ("RGB", "WEBP", {"lossless": True}),
    ],
)
def test_reads_png_files_of_other_writers(mode: str, kind: str, options: dict) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (150, 210, 3), dtype=np.uint8)
    image = Image.fromarray(noise).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    np.testing.assert_array_equal(read_png(buffer.getvalue(), 1024), np.asarray(image.convert("RGB")))


def test_our_own_files_need_no_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "_by_pillow", None)
    image = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read_png(write_png(image), 1024), image)


@pytest.mark.parametrize("length", [0, 20, 60, 3000])
def test_rejects_a_truncated_file(length: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    with pytest.raises(OSError, match=r"identify|[Tt]runcated|broken"):
        read_png(write_png(image)[:length], 1024)
