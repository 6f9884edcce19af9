import io

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from bonaface.core.errors import InputError
from bonaface.simulate.clips import encode
from bonaface.simulate.light import clouds


def frames(count: int = 4, size: tuple[int, int] = (48, 64)) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    base = rng.integers(60, 200, (*size, 3)).repeat(1, 0).astype(np.uint8)
    return [np.roll(base, shift, 1) for shift in range(count)]


@pytest.mark.parametrize("suffix", [".avi", ".mov"])
def test_encoded_frames_are_decoded_again(suffix: str) -> None:
    flat = [np.full((48, 64, 3), level, np.uint8) for level in (50, 120, 200)]
    with av.open(io.BytesIO(encode(flat, suffix, 10, 95))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, float(stream.average_rate)) == ("h264", 10.0)
        levels = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)]
    assert levels == pytest.approx([50, 120, 200], abs=3)


@pytest.mark.parametrize("suffix", [".avi", ".mov"])
def test_the_same_frames_are_the_same_bytes(suffix: str) -> None:
    assert encode(frames(), suffix, 10, 90) == encode(frames(), suffix, 10, 90)


def test_bytes_do_not_depend_on_uninitialised_memory() -> None:
    # x264's macroblock tree would: of these frames about one encoding in thirty then comes out otherwise
    rng = np.random.default_rng(0)
    base = (128 + 40 * clouds((64, 272), 24.0, rng)).clip(0, 255).astype(np.uint8)
    film = [np.stack([np.roll(base, shift, 1)] * 3, axis=-1) for shift in range(3)]
    seen = set()
    for _ in range(40):
        leftovers = [
            np.full(int(rng.integers(16, 600_000)), rng.integers(255), np.uint8)
            for _ in range(int(rng.integers(1, 60)))
        ]
        del leftovers[::2]
        seen.add(encode(film, ".avi", 10, 88))
    assert len(seen) == 1
    assert b"mbtree=0" in seen.pop()


def test_higher_quality_gives_more_bytes() -> None:
    assert len(encode(frames(), ".avi", 10, 95)) > 1.2 * len(encode(frames(), ".avi", 10, 45))


def test_rejects_bad_frames() -> None:
    with pytest.raises(InputError, match="even, got 63 x 48"):
        encode([np.zeros((48, 63, 3), np.uint8)], ".avi", 10, 90)
    with pytest.raises(InputError, match="at least one"):
        encode([], ".avi", 10, 90)
