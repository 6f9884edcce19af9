"""What is in a file, and which of its frames are looked at."""

from dataclasses import dataclass

from bonaface.core.errors import InputError


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What is in a picture or video file.

    `codec` is FFmpeg's name, or "picture". `frames` counts the frames that are shown; they are numbered from 0 in the
    order of showing, whatever the time between them. `width` and `height` are the upright frame's, in pixels.
    `rotation` is the turn in degrees counter-clockwise (0, 90, 180, 270) that a video asks a player to make, and
    `mirrored` says whether it asks for a mirror image; reading does both. `fps` is the mean rate, 0 if unknown.
    `keyframes` are the numbers of the frames that are marked as ones at which a decoder can
    start. `damage` says how the file is cut off or shorter than it says, and is empty where all is well.
    """

    codec: str
    frames: int
    width: int
    height: int
    rotation: int
    mirrored: bool
    fps: float
    keyframes: tuple[int, ...]
    damage: str = ""


def evenly_spaced(total: int, n: int) -> tuple[int, ...]:
    """Return `n` of the numbers from 0 to `total` - 1, in the middle of `n` equal parts; all if there are no more.

    Raises:
        InputError: `n` is below 1.
    """
    if n < 1:
        raise InputError(f"the number of frames must be at least 1, got {n}")
    if total <= n:
        return tuple(range(total))
    return tuple((2 * i + 1) * total // (2 * n) for i in range(n))
