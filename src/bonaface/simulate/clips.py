"""Short videos as bytes: the same bytes for the same frames, on any number of processes."""

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import InputError

if TYPE_CHECKING:
    from av.video.stream import VideoStream


def encode(pictures: Iterable[NDArray[np.uint8]], suffix: str, fps: int, quality: int) -> bytes:
    """Encode `pictures`, (H, W, 3) uint8 RGB of one size with even sides, as an H.264 video in .avi or .mov.

    One thread and FFmpeg's bit-exact mode keep date, version and thread order out of the bytes. `quality` is a JPEG
    quality, which is converted to the constant rate factor of a similar quality.

    Raises:
        InputError: a side is odd, or there is no picture.
    """
    import av  # takes a tenth of a second, which making pictures need not spend

    factor = str(round(np.interp(quality, [40, 75, 95], [33, 26, 19])))
    file, stream = io.BytesIO(), None
    with av.open(file, "w", format=suffix.removeprefix("."), options={"fflags": "+bitexact"}) as container:
        for number, picture in enumerate(pictures):
            if stream is None:
                stream = container.add_stream("libx264", rate=fps)
                _set_up(stream, picture.shape, factor)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        if stream is None:
            raise InputError("a video needs at least one picture")
        container.mux(stream.encode(None))
    return file.getvalue()


def _set_up(stream: "VideoStream", shape: tuple[int, ...], factor: str) -> None:
    height, width = shape[:2]
    if height % 2 or width % 2:
        raise InputError(f"a video's sides must be even, got {width} x {height}")
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.thread_count = 1
    # No B-frames, as AVI has no times of showing. No macroblock tree, as x264's reads uninitialised memory where the
    # width is not a multiple of 32, and one video in twenty gets other bytes.
    stream.options = {"preset": "veryfast", "crf": factor, "bf": "0", "mbtree": "0"}
    stream.codec_context.flags |= 1 << 23  # AV_CODEC_FLAG_BITEXACT
