"""The frames of a file, whatever it holds: one of a picture, some of a video or an animation."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bonaface.media.info import MediaInfo
from bonaface.media.kinds import Kind, kind_of
from bonaface.media.picture import count_frames, is_animated, read_animation, read_picture
from bonaface.media.source import settled

Frames = Iterator[tuple[int, NDArray[np.uint8]]]


@dataclass(frozen=True)
class Media:
    """The frames read from a file: `frames` yields each frame's number and its pixels, (H, W, 3) uint8 RGB, upright.

    `moving` tells a video or an animation from a picture, whose only frame is number 0. `frames` raises `MediaError`
    where reading fails, after what could be read.
    """

    moving: bool
    frames: Frames


def open_media(source: Path | bytes, n: int) -> Media:
    """Open a picture, an animation or a video, of which `n` evenly spaced frames are read.

    Raises:
        MediaError: there is no such file, or it is neither. What is wrong inside is found when frames are read.
    """
    source = settled(source)
    if kind_of(source) is Kind.VIDEO:
        from bonaface.media.video import (
            read_frames,  # PyAV takes a tenth of a second, which a picture need not spend
        )

        return Media(True, read_frames(source, n))
    if is_animated(source):
        return Media(True, read_animation(source, n))
    return Media(False, _only(source))


def probe_media(source: Path | bytes) -> MediaInfo:
    """Return what is in a picture, an animation or a video; the picture or the first frame is decoded.

    Raises:
        MediaError: it cannot be read.
    """
    source = settled(source)
    if kind_of(source) is Kind.VIDEO:
        from bonaface.media.video import probe

        return probe(source)
    frames = count_frames(source) if is_animated(source) else 1
    height, width = read_picture(source).shape[:2]
    return MediaInfo("picture", frames, width, height, 0, False, 0.0, (0,))


def _only(source: Path | bytes) -> Frames:
    yield 0, read_picture(source)
