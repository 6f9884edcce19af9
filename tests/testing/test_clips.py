import numpy as np
import pytest

from bonaface.core.errors import UnknownNameError
from bonaface.media.video import probe
from bonaface.testing.clips import encode_clip

GREYS = [np.full((64, 96, 3), 60 + 10 * i, np.uint8) for i in range(4)]


@pytest.mark.parametrize(
    ("suffix", "codec", "name"),
    [
        (".avi", "", "mpeg4"),
        (".mkv", "", "h264"),
        (".mov", "mjpeg", "mjpeg"),
        (".mp4", "libx265", "hevc"),
        (".webm", "", "vp9"),
    ],
)
def test_containers_and_codecs(suffix: str, codec: str, name: str) -> None:
    info = probe(encode_clip(GREYS, suffix, codec=codec, fps=10))
    assert (info.codec, info.frames, info.width, info.height, info.fps) == (name, 4, 96, 64, 10)


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mov", ".mp4", ".webm"])
def test_same_pictures_give_the_same_bytes(suffix: str) -> None:
    assert encode_clip(GREYS, suffix) == encode_clip(GREYS, suffix)


def test_rejects_an_unknown_suffix() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown video suffix '\.gif'"):
        encode_clip(GREYS, ".gif")
