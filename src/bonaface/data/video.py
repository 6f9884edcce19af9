"""Videos: what is in a file, and N evenly spaced frames of it (PyAV).

A file is first scanned: its packets are read and none is decoded, which takes milliseconds and tells exactly how many
frames there are, in which order they are shown and which of them stand alone (keyframes). From that follows, file by
file, what has to be decoded for the frames that are wanted: whole groups of pictures that hold none of them are passed
over, the decoder starting afresh at the next keyframe, and in the others frames that nothing refers to are left out.
Every decoded frame carries the number of the packet that it came from, so a frame's index is the same, and so are its
pixels, whichever way it was reached. (Jumping in the container with a seek would save the reading alone, and lands
somewhere else in every container.)
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from bonaface.core.errors import BonafaceError, InputError

SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")
MAX_PIXELS = 8192 * 4608  # a frame of 8K and a bit; more is refused before anything is decoded

# Opening a file makes FFmpeg decode up to 20 frames to guess what the packets and their parser tell anyway; with no
# decoder allowed it does not (1080p H.264: 0.8 ms instead of 120). Decoding is done with a decoder of our own.
_NO_GUESSING = {"codec_whitelist": "none"}

# Codecs whose standard promises that a frame marked as unreferenced is referred to by no frame at all. HEVC's mark
# is for one temporal layer only.
_SKIP_UNREFERENCED = ("h264", "mpeg4", "mpeg2video", "mpeg1video")


class VideoError(BonafaceError):
    """A file that is no video, or of which no frame can be read."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is in a video file.

    `frames` counts the frames that can be shown; frame numbers run from 0 in the order in which they are shown, whatever the
    time between them. `width` and `height` are those of the upright frame, in pixels. `rotation` is the turn, in degrees
    counter-clockwise (0, 90, 180, 270), that the file asks a player to make and that `read_frames` makes; `mirrored` says that
    the file asks for a mirror image as well. `fps` is the mean rate (0 if unknown). `keyframes` are the frame numbers
    that can be decoded without another. `damage` is a sentence where the file is shorter than it says or broken; empty
    where all is well.
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


def is_video(path: PurePath | str) -> bool:
    """Whether the file's name ends like a video's (`SUFFIXES`); nothing is opened."""
    return PurePath(path).suffix.lower() in SUFFIXES


def evenly_spaced(total: int, n: int) -> tuple[int, ...]:
    """`n` of the numbers 0 ... `total` - 1: those in the middle of `n` equal parts; all of them if there are no more.

    Raises:
        InputError: `n` is below 1.
    """
    if n < 1:
        raise InputError(f"the number of frames must be at least 1, got {n}")
    if total <= n:
        return tuple(range(total))
    return tuple((2 * i + 1) * total // (2 * n) for i in range(n))


def probe(source: Path | bytes) -> VideoInfo:
    """What is in the video file (or the bytes of one) `source`: a scan of its packets and the first frame decoded.

    Raises:
        VideoError: the file is missing, empty, no video, without a video stream, or of a codec that is not known.
    """
    scan = _scan(source)
    first = next(_decode(source, scan, scan.order[:1], threads=1), None) or next(
        _decode(source, scan, scan.order, threads=1, everything=True), None
    )
    if first is None:
        raise VideoError(f"{_name(source)}: none of its {len(scan.order)} frames can be decoded")
    frame = first[1]
    a, b, c, d = _matrix(frame)
    height, width = _upright(np.empty((frame.height, frame.width), bool), frame).shape
    rank = {packet: index for index, packet in enumerate(scan.order)}
    return VideoInfo(
        codec=scan.codec,
        frames=len(scan.order),
        width=width,
        height=height,
        rotation=frame.rotation % 360,
        mirrored=a * d - b * c < 0,
        fps=scan.fps,
        keyframes=tuple(sorted(rank[packet] for packet in scan.keyframes if packet in rank)),
        damage=scan.damage,
    )


def read_frames(source: Path | bytes, n: int, threads: int = 1) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """`n` evenly spaced frames of the video `source` (`evenly_spaced`), in order, each with its frame number.

    A frame is (H, W, 3) uint8 RGB, turned upright as the file asks. A damaged frame is left out, never replaced by
    another: compare the numbers with `evenly_spaced(probe(source).frames, n)`. One frame is held at a time.

    Args:
        source: the file, or its bytes.
        n: how many frames; all of them where the video has fewer.
        threads: how many threads decode; 0 takes one for each core.

    Raises:
        VideoError: as `probe`, or none of the frames can be decoded.
        InputError: `n` is below 1.
    """
    scan = _scan(source)
    wanted = [scan.order[index] for index in evenly_spaced(len(scan.order), n)]
    rank = {packet: index for index, packet in enumerate(scan.order)}
    got = 0
    for packet, frame in _in_order(source, scan, wanted, threads):
        got += 1
        yield rank[packet], np.ascontiguousarray(_upright(frame.to_ndarray(format="rgb24"), frame))
    if not got:
        raise VideoError(f"{_name(source)}: none of the {len(wanted)} frames that are wanted can be decoded")


@dataclass(frozen=True)
class _Scan:
    """A file's packets, numbered from 0 as they lie in the file.

    `pts` has each packet's time of presentation. `order` lists the packets whose frames are shown, in the order of
    showing; `keyframes` those that a decoder can start at, ascending.
    """

    codec: str
    fps: float
    pts: tuple[int, ...]
    order: tuple[int, ...]
    keyframes: tuple[int, ...]
    damage: str


def _open(source: Path | bytes) -> InputContainer:
    name = _name(source)
    size = len(source) if isinstance(source, bytes) else source.stat().st_size if source.is_file() else None
    if size is None:
        raise VideoError(f"{name}: expected a video file, but there is none")
    if size == 0:
        raise VideoError(f"{name}: expected a video, but the file is empty (0 bytes); copy it again")
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else str(source)
        return av.open(file, options=_NO_GUESSING, metadata_errors="replace")
    except (FFmpegError, OSError, ValueError) as error:
        raise VideoError(
            f"{name}: expected a video, but it cannot be opened ({_reason(error)}); "
            f"it is no video or was cut off, so copy it again"
        ) from error


def _stream(container: InputContainer, name: str) -> VideoStream:
    # a song's cover is a video stream of one picture
    streams = [stream for stream in container.streams.video if not stream.disposition.value & _COVER]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise VideoError(f"{name}: expected a video stream, but the file holds {kinds} alone")
    stream = streams[0]
    if stream.codec_context is None:
        raise VideoError(f"{name}: its video codec is not known to this build of FFmpeg; convert it to H.264")
    if stream.width * stream.height > MAX_PIXELS:
        raise VideoError(
            f"{name}: frames of {stream.width} x {stream.height} pixels are over the limit of {MAX_PIXELS} pixels"
        )
    return stream


_COVER = av.stream.Disposition.attached_pic.value


def _scan(source: Path | bytes) -> _Scan:
    name = _name(source)
    with _open(source) as container:
        stream = _stream(container, name)
        pts, shown, keyframes, damage = [], [], [], ""
        try:
            for number, packet in enumerate(_packets(container, stream)):
                time = packet.pts if packet.pts is not None else packet.dts
                pts.append(number if time is None else time)
                if packet.is_keyframe:
                    keyframes.append(number)
                if not packet.is_discard and not packet.is_corrupt:
                    shown.append(number)
        except (FFmpegError, OSError) as error:
            damage = f"reading stops after {len(pts)} frames ({_reason(error)})"
        if not shown:
            raise VideoError(
                f"{name}: expected a video, but it has no frame; it was cut off, so copy it again"
            )
        order = sorted(shown, key=lambda number: pts[number])
        return _Scan(
            codec=stream.codec_context.name,
            fps=float(stream.average_rate or 0),
            pts=tuple(pts),
            order=tuple(order),
            keyframes=tuple(keyframes),
            damage=damage or _shortfall(container, stream, pts, len(shown)),
        )
