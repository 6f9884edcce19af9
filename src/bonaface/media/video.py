"""Videos: what is in a file, and N evenly spaced frames of it (PyAV).

A file is scanned first: its packets are read and none is decoded. That takes milliseconds and tells exactly
how many frames there are, in which order they are shown and at which of them a decoder can start
(keyframes). That decides what has to be decoded: packets that come before the last keyframe ahead of
a wanted frame are skipped, as the decoder starts afresh there, and of the others those are left out that
no frame refers to. Each decoded frame carries the number of its packet, so that a frame's number and its
pixels are the same however it was reached. (A seek of the container would save no more than the reading
of the skipped packets, and every container seeks to a different point.)
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorTrc
from av.video.stream import VideoStream
from numpy.typing import NDArray

from bonaface.media.info import MediaInfo, evenly_spaced
from bonaface.media.source import MediaError

MAX_PIXELS = 8192 * 4608  # a little over 8K; larger frames are refused before anything is decoded

# FFmpeg decodes up to 20 frames when it opens a file, to guess what the packets tell anyway. With no decoder
# allowed it does not (1080p H.264: 1 ms instead of 120); frames are decoded by a decoder of our own.
_NO_GUESSING = {"codec_whitelist": "none"}

# The codecs whose standards promise that no frame at all refers to one marked as unreferenced (HEVC's mark
# holds for one temporal layer alone).
_MARKS_UNREFERENCED = frozenset({"h264", "mpeg4", "mpeg2video", "mpeg1video"})

# The most frames that a decoder may hold back (ITU-T H.264, A.3.1). FFmpeg's H.264 decoder takes a larger number, and
# then ends the whole program.
_MAX_DELAY = 16

_BEFORE_ALL = -(2**63)  # the time that FFmpeg takes for none

# How many times as wide as high a pixel may be, or as high as wide: recordings go up to 2.
_MAX_STRETCH = 4

# By how much a file may be shorter than it says: recorders miscount a little, and sound outlasts the picture.
_SLACK_FRAMES, _SLACK_SHARE, _SLACK_SECONDS = 2, 0.02, 0.5


class VideoError(MediaError):
    """A file that is not a video, or from which no frame can be read."""


def probe(source: Path | bytes) -> MediaInfo:
    """Return what is in the video `source`, a file or its bytes; all packets are read, the first frame is decoded.

    Raises:
        VideoError: the file is missing, empty, no video, without a video stream, of an unknown codec or over
            `MAX_PIXELS`, or no frame of it can be decoded.
    """
    scan = _scan(source)
    first = next(_frames(source, scan, range(len(scan.shown)), threads=1), None)
    if first is None:
        raise VideoError(
            f"{_name(source)}: none of its {len(scan.shown)} frames can be decoded; copy it again"
        )
    frame, (width, height) = first[1], _size(source, *first[1:])
    a, b, c, d = _matrix(frame)
    if abs(b) > abs(a):
        width, height = height, width
    number = {packet: i for i, packet in enumerate(scan.shown)}
    return MediaInfo(
        codec=scan.codec,
        frames=len(scan.shown),
        width=width,
        height=height,
        rotation=frame.rotation % 360,
        mirrored=a * d < b * c,
        fps=scan.fps,
        keyframes=tuple(sorted(number[packet] for packet in scan.keyframes if packet in number)),
        damage=scan.damage,
    )


def read_frames(source: Path | bytes, n: int, threads: int = 1) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield `n` evenly spaced frames of the video `source` (see `evenly_spaced`), each with its number, in order.

    A frame is (H, W, 3) uint8 RGB, turned upright and stretched to square pixels as the file asks (docs/media.md); one
    is held at a time. If the file is cut off, the frames that it has are spaced evenly; a frame that cannot be decoded
    is left out and not replaced. Both are reported by an error after the last frame.

    Args:
        source: the file, or its bytes.
        n: how many frames; all of them where the video has fewer.
        threads: how many threads decode; 0 takes one for each core.

    Raises:
        VideoError: as `probe`, when the first frame is asked for; or the file is damaged, after all frames that can
            be decoded.
        InputError: `n` is below 1.
    """
    scan = _scan(source)
    wanted = evenly_spaced(len(scan.shown), n)
    count = 0
    for number, frame, stretch in _frames(source, scan, wanted, threads):
        count += 1
        width, height = _size(source, frame, stretch)
        # one thread converts a frame in a third of the processor time that several need
        picture: NDArray[Any] = frame.to_ndarray(format="rgb24", width=width, height=height, threads=1)
        yield number, np.ascontiguousarray(_upright(picture, frame))
    if count < len(wanted):
        raise VideoError(f"{_name(source)}: {len(wanted) - count} of {len(wanted)} frames cannot be decoded")
    if scan.damage:
        raise VideoError(f"{_name(source)}: {scan.damage}")


@dataclass(frozen=True)
class _Scan:
    """A file's packets, numbered from 0 as they lie in the file.

    `times` are the packets' times of showing, with how often the file's clock has stepped back before; `shown` the
    packets whose frames are shown, in that order; `keyframes` the packets marked as ones at which a decoder can start,
    ascending. `delay` is how many frames a decoder must hold back to put them out in that order. `timed` is False where
    the file does not tell the order: then only the length of `shown` is right, and frames are counted as the decoder
    puts them out.
    """

    codec: str
    fps: float
    times: Sequence[tuple[int, int]]
    shown: Sequence[int]
    keyframes: Sequence[int]
    delay: int
    timed: bool
    damage: str


@dataclass(frozen=True, slots=True)
class _Run:
    """Packets `first` to `last` (both included), decoded by a decoder that starts afresh at `first`."""

    first: int
    last: int


def _scan(source: Path | bytes) -> _Scan:
    times: list[tuple[int, int]] = []
    told: list[int] = []
    in_order = True
    keyframes: list[int] = []
    whole: set[int] = set()
    damage = ""
    with _open(source) as container:
        stream = _video_stream(container, source)
        clock = _Clock(container)
        try:
            for number, packet in enumerate(_packets(container, stream)):
                times.append(clock.time(packet, number))
                told += [time for time in (packet.pts, packet.dts) if time is not None][:1]
                # numbers, and times of decoding, say nothing of the order among times of showing
                in_order = in_order and packet.pts is not None
                if packet.is_keyframe:
                    keyframes.append(number)
                if not packet.is_corrupt and not (packet.is_discard and not clock.stepped_back):
                    whole.add(number)
        except (FFmpegError, OSError) as error:
            damage = f"reading stops after {len(times)} frames ({_reason(error)})"
        if not whole:
            raise VideoError(f"{_name(source)}: expected a video, but there is no frame in it; copy it again")
        order = sorted(range(len(times)), key=times.__getitem__)
        delay = max(number - i for i, number in enumerate(order))
        return _Scan(
            codec=stream.codec_context.name,
            fps=float(stream.average_rate or 0),
            times=times,
            shown=[number for number in order if number in whole],
            keyframes=keyframes,
            delay=delay,
            timed=in_order and delay <= _MAX_DELAY and not _hides_order(container, stream),
            damage=damage or _shortfall(container, stream, len(times), told),
        )


class _Clock:
    """Tells when the frames of a file's packets, given in order, are shown.

    Where the times at which packets are decoded step back, two recordings were appended, or the recorder's clock was
    set: what follows is shown behind what came before. Matroska has no such times; there keyframes tell.
    """

    def __init__(self, container: InputContainer) -> None:
        self._by_keyframes = "matroska" in container.format.name
        self._steps = 0
        self._last: int | None = None

    def time(self, packet: "Packet[VideoStream]", number: int) -> tuple[int, int]:
        """Return how often the clock has stepped back, and the time in the stream's time base, if the file gives it."""
        tells = packet.pts if self._by_keyframes else packet.dts
        if tells is None and packet.is_discard:
            tells = _BEFORE_ALL
        if tells is not None and (packet.is_keyframe or not self._by_keyframes):
            self._steps += self._last is not None and tells < self._last
            self._last = tells
        times = (time for time in (packet.pts, packet.dts, number) if time is not None)
        return self._steps, next(times)

    @property
    def stepped_back(self) -> bool:
        """Return whether the clock has stepped back before the last packet, or at it.

        FFmpeg marks what it leaves out for that, in a fragmented MP4 file, as it marks what an edit list leaves out.
        With an edit list the clock never steps back.
        """
        return self._steps > 0


def _frames(
    source: Path | bytes, scan: _Scan, wanted: Sequence[int], threads: int
) -> Iterator[tuple[int, VideoFrame, Fraction]]:
    """Yield the frames with the numbers `wanted` (ascending) that can be decoded, in order, with their pixel aspect."""
    every = [_Run(0, len(scan.times) - 1)]
    if not scan.timed:
        numbers = set(wanted)
        for number, (_, frame, stretch) in enumerate(
            _decode(source, scan, every, threads, set(range(len(scan.times))))
        ):
            if number in numbers:
                yield number, frame, stretch
        return
    left = list(wanted)
    for runs in (_plan(scan, left), every):
        # A falsely marked keyframe, or a damaged stream, loses frames: then the rest is decoded from the start.
        packets = {scan.shown[number]: number for number in left}
        for packet, frame, stretch in _decode(source, scan, runs, threads, set(packets)):
            if runs is not every and packets[packet] != left[0]:
                break
            yield packets[packet], frame, stretch
            left = [number for number in left if number > packets[packet]]
        if not left:
            return


def _plan(scan: _Scan, wanted: Sequence[int]) -> list[_Run]:
    """Return the packets to decode for the frames `wanted` (ascending), in runs that each start at a keyframe."""
    runs: list[_Run] = []
    start, ahead = 0, iter([*scan.keyframes, len(scan.times)])
    keyframe = next(ahead)
    for number in wanted:
        packet = scan.shown[number]
        # Frames that are shown before a keyframe but stored behind it (open groups) need the group before it.
        while keyframe <= packet and scan.times[keyframe] <= scan.times[packet]:
            start, keyframe = keyframe, next(ahead)
        if runs and start <= runs[-1].last:
            runs[-1] = _Run(runs[-1].first, max(runs[-1].last, packet))
        else:
            runs.append(_Run(start, packet))
    return runs


def _decode(
    source: Path | bytes, scan: _Scan, runs: Sequence[_Run], threads: int, wanted: set[int]
) -> Iterator[tuple[int, VideoFrame, Fraction]]:
    """Yield the frames of the packets `wanted` from decoding `runs`, in the decoder's order, with their pixel aspect.

    The pixel aspect is a pixel's width over its height. A run gives nothing before the frame of its first packet, and
    nothing at all where that is no keyframe, whatever its packet is marked as: of H.263 and H.261 in AVI every
    packet is marked, and decoders that start at any of them put out grey remains without a word.
    """
    with _open(source) as container:
        stream = _video_stream(container, source)
        decoder = _decoder(stream, scan, threads)
        ahead = iter(runs)
        run = next(ahead)
        sound = run.first == 0  # where a file begins, there is nothing that a decoder could lack
        for number, packet in enumerate(_packets(container, stream)):
            if number < run.first:
                continue
            unneeded = number not in wanted and number != run.first and scan.codec in _MARKS_UNREFERENCED
            decoder.skip_frame = "NONREF" if unneeded else "DEFAULT"
            if packet.is_discard and number in wanted:
                packet = _unmarked(packet)
            # PyAV identifies it by `id`: a plain int, which is shared, would be lost
            packet.opaque = [number]
            frames = _send(decoder, packet)
            if number == run.last:
                frames += _send(decoder, None)
                decoder.flush_buffers()
                decoder.reorder_depth = max(decoder.reorder_depth, scan.delay)
            for frame in frames:
                origin = _origin(frame)
                sound = sound or (origin == run.first and frame.key_frame)
                if sound and origin in wanted and not frame.is_corrupt:
                    yield (
                        origin,
                        frame,
                        stream.sample_aspect_ratio or decoder.sample_aspect_ratio or Fraction(1),
                    )
            if number == run.last:
                if (following := next(ahead, None)) is None:
                    return
                run, sound = following, False


def _decoder(stream: VideoStream, scan: _Scan, threads: int) -> VideoCodecContext:
    decoder = stream.codec_context
    decoder.thread_type = "AUTO"
    decoder.thread_count = threads
    decoder.copy_opaque = True
    if scan.timed:
        # otherwise the decoder learns the delay from frames that it drops
        decoder.reorder_depth = max(decoder.reorder_depth, scan.delay)
    else:
        decoder.options = {"strict": "strict"}  # H.264: the largest delay that its level allows
    return decoder


def _unmarked(packet: "Packet[VideoStream]") -> "Packet[VideoStream]":
    """Return `packet` without its mark of one that is not to be shown, whose frame a decoder would keep to itself."""
    plain: Packet[Any] = Packet(bytes(packet))
    plain.pts, plain.dts, plain.time_base = packet.pts, packet.dts, packet.time_base
    plain.is_keyframe = packet.is_keyframe
    for data in packet.iter_sidedata():
        plain.set_sidedata(data)
    return plain


def _send(decoder: VideoCodecContext, packet: "Packet[VideoStream] | None") -> list[VideoFrame]:
    try:
        return decoder.decode(packet)
    except FFmpegError:
        return []  # a damaged packet: callers notice that its frame is missing


def _origin(frame: VideoFrame) -> int:
    """Return the number of the packet that the frame came from, -1 if unknown."""
    return frame.opaque[0] if isinstance(frame.opaque, list) else -1


def _open(source: Path | bytes) -> InputContainer:
    name = _name(source)
    if isinstance(source, Path) and not source.is_file():
        raise VideoError(f"{name}: expected a video file, but there is none")
    try:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
    except OSError as error:
        raise VideoError(f"{name}: cannot be opened ({error})") from error
    if not size:
        raise VideoError(f"{name}: expected a video, but the file is empty (0 bytes); copy it again")
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else str(source)
        return av.open(file, "r", options=_NO_GUESSING, metadata_errors="replace")
    except (FFmpegError, OSError) as error:
        raise VideoError(
            f"{name}: expected a video, but this is not one, or it was cut off ({_reason(error)}); copy it again"
        ) from error


def _video_stream(container: InputContainer, source: Path | bytes) -> VideoStream:
    """Return the first video stream, not counting the cover of a song, which is a stream of one picture."""
    videos = [
        stream for stream in container.streams.video if Disposition.attached_pic not in stream.disposition
    ]
    if not videos:
        kinds = " and ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise VideoError(f"{_name(source)}: expected a video, but the file holds {kinds} alone")
    stream = videos[0]
    if stream.codec_context is None:
        raise VideoError(
            f"{_name(source)}: its codec is not known to this build of FFmpeg; convert it to H.264"
        )
    if stream.width * stream.height > MAX_PIXELS:
        raise VideoError(
            f"{_name(source)}: its frames have {stream.width} x {stream.height} pixels, more than "
            f"{MAX_PIXELS} in all; scale it down"
        )
    return stream


def _packets(container: InputContainer, stream: VideoStream) -> "Iterator[Packet[VideoStream]]":
    """Return the packets that hold a frame (an AVI file marks a dropped frame with an empty one)."""
    return (packet for packet in container.demux(stream) if packet.size)


def _hides_order(container: InputContainer, stream: VideoStream) -> bool:
    """Return whether the file does not tell in which order its frames are shown, though all packets have times.

    AVI has no times of showing, MPEG program streams have them not for every frame. Those that FFmpeg fills in are
    wrong for H.264 with B-frames, and for MPEG-1, of which it does not see without decoding that there are any.
    """
    decoder, form = stream.codec_context, container.format.name
    if decoder.name == "mpeg1video":
        return form in ("avi", "mpeg", "mpegvideo")
    return form == "avi" and decoder.name == "h264" and decoder.has_b_frames


def _shortfall(container: InputContainer, stream: VideoStream, count: int, told: Sequence[int]) -> str:
    """Return a sentence if the file holds less than it says, else an empty text.

    It has `count` packets, and of those that have a time `told` is that.
    """
    if stream.frames:
        # The index of an MP4 file holds what its edit list leaves in; its head counts all.
        said = (
            min(stream.frames, len(stream.index_entries)) if "mp4" in container.format.name else stream.frames
        )
        allowed = max(_SLACK_FRAMES, said * _SLACK_SHARE)
        return f"it says that it has {said} frames and has {count}" if said - count > allowed else ""
    if not container.duration or not stream.time_base or not told:
        return ""
    length = container.duration / av.time_base
    # Matroska counts its length from 0, wherever its first frame is; the others count from there.
    first = 0 if "matroska" in container.format.name else min(told)
    held = float((max(told) - first) * stream.time_base)
    if held >= length - _SLACK_SECONDS:
        return ""
    return f"it says that it lasts {length:.1f} s and ends after {held:.1f} s"


def _size(source: Path | bytes, frame: VideoFrame, stretch: Fraction) -> tuple[int, int]:
    """Return the frame's width and height in square pixels, before it is turned.

    Raises:
        VideoError: the frame, unlike the file's head, has too many pixels, or pixels of a strange shape; or its light
            is coded for high dynamic range (PQ, SMPTE ST 2084), for which 8 bits have no agreed picture.
    """
    if frame.color_trc == ColorTrc.SMPTE2084:
        raise VideoError(
            f"{_name(source)}: its frames are of high dynamic range (PQ), which has no agreed 8-bit RGB; record or "
            "convert it to SDR (BT.709)"
        )
    if not 1 / _MAX_STRETCH <= stretch <= _MAX_STRETCH:
        raise VideoError(
            f"{_name(source)}: it says that its pixels are {float(stretch):g} times as wide as high, and at most "
            f"{_MAX_STRETCH} times is believed; convert it to square pixels"
        )
    # stretched and never squeezed, so that no pixel is lost
    width = round(frame.width * max(stretch, Fraction(1)))
    height = round(frame.height / min(stretch, Fraction(1)))
    if width * height > MAX_PIXELS:
        raise VideoError(
            f"{_name(source)}: a frame has {width} x {height} pixels, more than {MAX_PIXELS} in all; scale it down"
        )
    return width, height


def _matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """Return the display matrix a, b, c, d: the pixel (x, y) is shown at (a x + c y, b x + d y), up to shift and
    scale.
    """
    side_data: Mapping[str, Any] = frame.side_data
    if "DISPLAYMATRIX" not in side_data:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(side_data["DISPLAYMATRIX"], np.int32)[:5].tolist()
    return a, b, c, d


def _upright(picture: NDArray[np.uint8], frame: VideoFrame) -> NDArray[np.uint8]:
    """Return `picture` (H, W, C) turned and mirrored as the display matrix asks, to the nearest quarter turn."""
    a, b, c, d = _matrix(frame)
    if abs(b) > abs(a):
        picture, a, d = picture.transpose(1, 0, 2), c, b
    return picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _name(source: Path | bytes) -> str:
    return str(source) if isinstance(source, Path) else "the video"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
