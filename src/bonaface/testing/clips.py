"""Small videos, made with PyAV, for stand-ins and tests."""

import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import UnknownNameError

if TYPE_CHECKING:
    from av.video.stream import VideoStream

# suffix: container, and the codec that it has where none is named
_CONTAINERS = {
    ".avi": ("avi", "mpeg4"),
    ".mkv": ("matroska", "libx264"),
    ".mov": ("mov", "libx264"),
    ".mp4": ("mp4", "libx264"),
    ".webm": ("webm", "libvpx-vp9"),
}
_QUICK = {
    "libx264": {"preset": "ultrafast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}


def encode_clip(
    pictures: Iterable[NDArray[np.uint8]],
    suffix: str,
    *,
    codec: str = "",
    fps: int = 25,
    rotation: int = 0,
    times: Iterable[int] | None = None,
    options: Mapping[str, str] | None = None,
) -> bytes:
    """Encode `pictures`, (H, W, 3) uint8 RGB with even sides, at least one, and return the bytes of the video.

    Args:
        suffix: .avi, .mkv, .mov, .mp4 or .webm.
        codec: FFmpeg's name of an encoder; what is usual in the container where it is left out.
        fps: pictures a second.
        rotation: degrees counter-clockwise (0, 90, 180, 270) by which a player is asked to turn the frames; they
            are stored the other way about, so that `pictures` are what is seen. Only .mov and .mp4 can ask.
        times: when each picture is shown, in units of 1 / `fps`, ascending; one after the other where left out.
        options: of the encoder, beside those that make it quick.

    Raises:
        UnknownNameError: `suffix` is another.
    """
    import av  # a tenth of a second, which those who only want a layout need not spend

    if suffix not in _CONTAINERS:
        raise UnknownNameError("video suffix", suffix, _CONTAINERS)
    format_name, usual = _CONTAINERS[suffix]
    codec = codec or usual
    stored = [np.ascontiguousarray(np.rot90(picture, -rotation // 90)) for picture in pictures]
    file = io.BytesIO()
    # otherwise Matroska and WebM files carry a random number, of a length that varies
    with av.open(file, "w", format=format_name, options={"fflags": "+bitexact"}) as container:
        added = container.add_stream(codec, rate=fps, options={**_QUICK.get(codec, {}), **(options or {})})
        stream = cast("VideoStream", added)
        stream.height, stream.width = stored[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.thread_count = 1  # the same bytes on every machine
        if rotation:
            stream.set_display_rotation(rotation)
        for picture, time in zip(stored, times or range(len(stored)), strict=False):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = time
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()
