import io
import os
from contextlib import suppress
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from bonaface.core.errors import InputError
from bonaface.media import video
from bonaface.media.info import evenly_spaced
from bonaface.media.video import VideoError, probe, read_frames
from bonaface.testing.clips import encode_clip

WIDTH, HEIGHT, BITS = 96, 64, 6
FRAMES = 45


def numbered(number: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Return a picture that shows its number in black and white bars under a grey one, so that it can be read again."""
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    bars = np.repeat(np.array(bits, np.uint8) * 200 + 28, width // BITS)
    picture = np.broadcast_to(bars[None, :, None], (height, width, 3)).copy()
    picture[: height // 4] = 110
    return picture


def number_of(picture: NDArray[np.uint8]) -> int:
    height, width = picture.shape[:2]
    bars = picture[height // 2 :].reshape(height - height // 2, BITS, width // BITS, 3).mean((0, 2, 3))
    return sum(int(bar > 128) << bit for bit, bar in enumerate(bars))


def clip(suffix: str, codec: str = "", frames: int = FRAMES, **arguments: Any) -> bytes:
    return encode_clip(map(numbered, range(frames)), suffix, codec=codec, **arguments)


B_FRAMES = {"preset": "medium", "g": "12", "bf": "3"}
KINDS = {
    "h264.mp4": (".mp4", "libx264", B_FRAMES),
    "h264-no-b.mp4": (".mp4", "libx264", {"g": "12"}),
    "h264-open-gop.mov": (".mov", "libx264", {**B_FRAMES, "x264-params": "open-gop=1"}),
    "h264-intra-refresh.mp4": (".mp4", "libx264", {**B_FRAMES, "x264-params": "intra-refresh=1"}),
    "h264.mkv": (".mkv", "libx264", B_FRAMES),
    "h264.avi": (".avi", "libx264", B_FRAMES),  # AVI does not tell the order of B-frames
    "h264-no-b.avi": (".avi", "libx264", {"g": "12"}),
    "hevc.mp4": (".mp4", "libx265", {"x265-params": "keyint=12:bframes=3:log-level=none"}),
    "hevc-open-gop.mov": (".mov", "libx265", {"x265-params": "keyint=12:open-gop=1:log-level=none"}),
    "mjpeg.avi": (".avi", "mjpeg", {}),
    "mjpeg.mov": (".mov", "mjpeg", {}),
    "mpeg4.avi": (".avi", "mpeg4", {"g": "12", "bf": "2"}),
    "vp9.webm": (".webm", "libvpx-vp9", {"g": "12"}),
    "vp9-hidden-frames.webm": (
        ".webm",
        "libvpx-vp9",
        {"g": "30", "auto-alt-ref": "1", "lag-in-frames": "16"},
    ),
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> tuple[str, bytes]:
    suffix, codec, options = KINDS[request.param]
    return request.param, clip(suffix, codec, options=options)


def decoded_in_sequence(file: bytes) -> list[NDArray[np.uint8]]:
    """Return every frame, as PyAV's own loop decodes them."""
    with av.open(io.BytesIO(file), "r") as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]  # type: ignore[misc]


def test_numbers_and_pixels_are_those_of_decoding_in_sequence(kind: tuple[str, bytes]) -> None:
    every = decoded_in_sequence(kind[1])
    assert [number_of(picture) for picture in every] == list(range(FRAMES))
    for n, threads in ((1, 1), (4, 1), (4, 2), (20, 1), (100, 1), (100, 2)):
        frames = list(read_frames(kind[1], n, threads=threads))
        assert tuple(number for number, _ in frames) == evenly_spaced(FRAMES, n)
        for number, picture in frames:
            assert number_of(picture) == number
            np.testing.assert_array_equal(picture, every[number])


def test_probe(kind: tuple[str, bytes]) -> None:
    info = probe(kind[1])
    assert (info.frames, info.width, info.height) == (FRAMES, WIDTH, HEIGHT)
    assert info.codec == kind[0].replace("-", ".").split(".")[0]
    assert (info.rotation, info.mirrored, info.fps, info.damage) == (0, False, 25, "")
    assert info.keyframes[0] == 0
    if info.codec == "mjpeg":
        assert info.keyframes == tuple(range(FRAMES))
    elif "hidden" not in kind[0]:
        assert 4 <= len(info.keyframes) <= 10


def test_only_groups_with_a_wanted_frame_are_decoded() -> None:
    scan = video._scan(clip(".mp4", "libx264", options={"g": "10"}))
    runs = video._plan(scan, (3, 7, 22, 38))
    assert [(run.first, run.last) for run in runs] == [(0, 7), (20, 22), (30, 38)]
    assert video._plan(scan, (5, 10)) == [video._Run(0, 5), video._Run(10, 10)]


def test_frames_shown_before_a_keyframe_but_stored_behind_it_need_the_group_before() -> None:
    # packets 0 to 5, shown 0 2 1 | 5 3 4: the keyframe 3 is stored before two frames that are shown before it
    scan = video._Scan(
        codec="hevc", fps=25, times=[(0, t) for t in (0, 2, 1, 5, 3, 4)], shown=[0, 2, 1, 4, 5, 3], keyframes=[0, 3],
        delay=2, timed=True, damage="",
    )  # fmt: skip
    assert video._plan(scan, (4,)) == [video._Run(0, 5)]
    assert video._plan(scan, (5,)) == [video._Run(3, 3)]
    assert video._plan(scan, (0, 5)) == [video._Run(0, 0), video._Run(3, 3)]


def test_the_planned_packets_are_enough(kind: tuple[str, bytes]) -> None:
    """The fallback of decoding everything is only for files with falsely marked keyframes."""
    scan = video._scan(kind[1])
    if not scan.timed or "intra-refresh" in kind[0]:
        return  # nothing is planned for the one, and the other has keyframes that are none
    for wanted in (evenly_spaced(FRAMES, 4), evenly_spaced(FRAMES, 20)):
        packets = [scan.shown[number] for number in wanted]
        decoded = video._decode(kind[1], scan, video._plan(scan, wanted), 1, set(packets))
        assert [packet for packet, *_ in decoded] == packets


def without_reordering_told(file: bytes) -> bytes:
    """The H.264 file with its sequence's VUI cut off, in which the encoder tells how far frames are out of order.

    ITU-T H.264, 7.3.2.1.1; main profile. Cameras often leave it out.
    """
    start = file.index(b"\x67\x4d")  # the sequence parameter set in the file's header
    size = int.from_bytes(file[start - 2 : start], "big")
    bits = "".join(f"{byte:08b}" for byte in file[start : start + size])
    at = 32

    def golomb() -> int:
        nonlocal at
        zeros = bits.index("1", at) - at
        value = int(bits[at + zeros : at + 2 * zeros + 1], 2) - 1
        at += 2 * zeros + 1
        return value

    golomb(), golomb()  # its number, frame numbers
    assert golomb() == 0  # the kind of order count
    golomb(), golomb()  # order counts, reference frames
    at += 1
    golomb(), golomb()  # width and height
    assert bits[at] == "1"  # whole frames
    at += 2
    if bits[at] == "1":
        pytest.fail("the picture is cropped: choose sides that are multiples of 16")
    at += 1
    assert bits[at] == "1"
    cut = bits[:at] + "01"  # no VUI, and the end
    cut = cut.ljust(8 * size, "0")
    return file[:start] + int(cut, 2).to_bytes(size, "big") + file[start + size :]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_reordered_frames_of_an_avi_are_not_lost(suffix: str) -> None:
    file = clip(suffix, "libx264", options={**B_FRAMES, "profile": "main", "bf": "5", "b-pyramid": "normal"})
    silent = without_reordering_told(file)
    for n in (5, 20, 100):
        assert read(silent, n) == (list(evenly_spaced(FRAMES, n)), "")
    test_the_planned_packets_are_enough(("silent", silent))


@given(total=st.integers(0, 5000), n=st.integers(1, 300))
def test_evenly_spaced(total: int, n: int) -> None:
    numbers = evenly_spaced(total, n)
    assert len(numbers) == min(n, total)
    assert list(numbers) == sorted(set(numbers))
    assert all(0 <= number < total for number in numbers)
    assert all(abs((b - a) - max(1, total / n)) < 1 for a, b in pairwise(numbers))
    if total > n:  # as much before the first as behind the last
        assert abs(numbers[0] - (total - 1 - numbers[-1])) <= 1


def test_evenly_spaced_by_hand() -> None:
    assert evenly_spaced(300, 20)[:3] == (7, 22, 37)
    assert evenly_spaced(10, 1) == (5,)
    assert evenly_spaced(3, 20) == (0, 1, 2)
    with pytest.raises(InputError, match="at least 1, got 0"):
        evenly_spaced(10, 0)


def test_frames_are_numbered_by_order_whatever_the_rate() -> None:
    times = [i * i for i in range(FRAMES)]  # ever slower
    file = clip(".mp4", "libx264", times=times, options=B_FRAMES)
    frames = list(read_frames(file, 9))
    assert tuple(number for number, _ in frames) == evenly_spaced(FRAMES, 9)
    assert [number_of(picture) for _, picture in frames] == list(evenly_spaced(FRAMES, 9))
    assert probe(file).frames == FRAMES


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_frames_are_turned_upright(suffix: str, rotation: int) -> None:
    file = clip(suffix, frames=3, rotation=rotation)
    info = probe(file)
    assert (info.rotation, info.width, info.height) == (rotation, WIDTH, HEIGHT)
    frames = list(read_frames(file, 3))
    assert [picture.shape for _, picture in frames] == [(HEIGHT, WIDTH, 3)] * 3
    assert [number_of(picture) for _, picture in frames] == [0, 1, 2]
    assert all(picture.flags.c_contiguous for _, picture in frames)


@pytest.mark.parametrize(("degrees", "across"), [(0, True), (90, True), (180, False), (270, False)])
def test_mirror_images_are_mirrored_back(degrees: int, across: bool) -> None:
    file = io.BytesIO()
    left, top = np.full((HEIGHT, WIDTH, 3), 30, np.uint8), np.full((HEIGHT, WIDTH, 3), 30, np.uint8)
    left[:, : WIDTH // 2] = 220
    top[: HEIGHT // 2] = 220
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.set_display_rotation(degrees, hflip=True)
        for picture in (left, top):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    info = probe(file.getvalue())
    assert info.mirrored
    pictures = [picture for _, picture in read_frames(file.getvalue(), 2)]
    # turned counter-clockwise first, then mirrored from left to right
    wanted = [np.rot90(picture, degrees // 90)[:, ::-1] for picture in (left, top)]
    for picture, right in zip(pictures, wanted, strict=True):
        assert picture.shape == right.shape == (info.height, info.width, 3)
        assert np.abs(picture.astype(int) - right).mean() < 8


def test_frames_of_4k() -> None:
    file = encode_clip([numbered(i, 3840, 2160) for i in range(2)], ".mp4", options={"preset": "ultrafast"})
    frames = list(read_frames(file, 2))
    assert [picture.shape for _, picture in frames] == [(2160, 3840, 3)] * 2
    assert [number_of(picture) for _, picture in frames] == [0, 1]


def test_a_video_and_its_bytes_give_the_same_frames(tmp_path: Path) -> None:
    file = clip(".mp4", frames=5)
    path = tmp_path / "straße 1.mp4"
    path.write_bytes(file)
    assert probe(path) == probe(file)
    for one, other in zip(read_frames(path, 3), read_frames(file, 3), strict=True):
        assert one[0] == other[0]
        np.testing.assert_array_equal(one[1], other[1])


def read(source: Path | bytes, n: int) -> tuple[list[int], str]:
    """Return the numbers that the frames show, and the error after the last one."""
    numbers: list[int] = []
    try:
        for number, picture in read_frames(source, n):
            assert number_of(picture) == number
            numbers.append(number)
    except VideoError as error:
        return numbers, str(error)
    return numbers, ""


def fast_start(path: Path, pictures: list[NDArray[np.uint8]]) -> bytes:
    """Return an MP4 file whose index comes first, so that a part of it can be read."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=25, options=B_FRAMES)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path.read_bytes()


@pytest.mark.parametrize("suffix", [".avi", ".webm", ".mkv", ".mp4"])
def test_a_truncated_video_gives_its_frames_and_an_error(
    suffix: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (FRAMES, HEIGHT // 4, WIDTH, 3), np.uint8)
    pictures = [numbered(i) for i in range(FRAMES)]
    for picture, grains in zip(pictures, noise, strict=True):
        picture[: HEIGHT // 4] = grains  # so that the frames are most of the file
    file = fast_start(tmp_path / "fast.mp4", pictures) if suffix == ".mp4" else encode_clip(pictures, suffix)
    path = tmp_path / f"half{suffix}"
    path.write_bytes(file[: len(file) * 6 // 10])
    numbers, says = read(path, 100)
    assert 10 <= len(numbers) < 35
    assert numbers == sorted(numbers)
    assert str(path) in says
    assert "it says that it" in says or "reading stops after" in says
    info = probe(path)
    assert info.frames >= len(numbers)
    assert info.damage in says
    some, says = read(path, 5)
    assert (len(some), bool(says)) == (5, True)
    assert capfd.readouterr() == ("", "")


def test_rejects_a_video_with_a_truncated_index(tmp_path: Path) -> None:
    path = tmp_path / "half.mp4"
    file = clip(".mp4")
    path.write_bytes(file[: len(file) // 2])
    for attempt in (lambda: probe(path), lambda: list(read_frames(path, 5))):
        with pytest.raises(
            VideoError,
            match=r"half\.mp4: expected a video, but this is not one, or it was cut off .*; copy it",
        ):
            attempt()


def test_rejects_files_that_are_not_videos(tmp_path: Path) -> None:
    cases = {
        "missing.mp4": "expected a video file, but there is none",
        "folder.mp4": "expected a video file, but there is none",
        "empty.mp4": r"the file is empty \(0 bytes\)",
        "text.mp4": "this is not one, or it was cut off",
        "noise.avi": "this is not one, or it was cut off",
        "sound.mp4": "the file holds audio alone",
        "cover.mp4": "the file holds audio and video alone",
    }
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    (tmp_path / "noise.avi").write_bytes(np.random.default_rng(0).bytes(20_000))
    (tmp_path / "sound.mp4").write_bytes(sound())
    (tmp_path / "cover.mp4").write_bytes(sound(cover=True))
    for name, says in cases.items():
        for attempt in (lambda path: probe(path), lambda path: next(read_frames(path, 5))):
            with pytest.raises(VideoError, match=says) as caught:
                attempt(tmp_path / name)
            assert name in str(caught.value)


def sound(cover: bool = False) -> bytes:
    """Return a second of silence, with a picture of the record's sleeve if `cover`."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        picture = container.add_stream("mjpeg", rate=1) if cover else None
        if picture:
            picture.width, picture.height, picture.pix_fmt = 64, 64, "yuvj420p"
            picture.disposition = Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if picture:
            container.mux(
                picture.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24"))
            )
    return file.getvalue()


def test_too_many_pixels_are_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "MAX_PIXELS", WIDTH * HEIGHT - 1)
    with pytest.raises(VideoError, match="its frames have 96 x 64 pixels"):
        probe(clip(".mp4", frames=2))


def test_detects_falsely_marked_keyframes() -> None:
    """Without its table of keyframes every packet of an MP4 file is marked as one."""
    file = clip(".mp4", "libx264", options=B_FRAMES)
    assert file.count(b"stss") == 1
    assert read(file.replace(b"stss", b"free"), 7) == (list(evenly_spaced(FRAMES, 7)), "")


def test_a_damaged_frame_is_left_out_and_reported() -> None:
    """Of a Motion JPEG file with one picture zeroed out, the others are unchanged."""
    file = clip(".avi", "mjpeg")
    pictures = [i for i in range(len(file)) if file.startswith(b"\xff\xd8\xff", i)]
    assert len(pictures) == FRAMES
    wiped = file[: pictures[8]] + bytes(pictures[9] - pictures[8] - 8) + file[pictures[9] - 8 :]
    numbers, says = read(wiped, 100)
    assert numbers == [i for i in range(FRAMES) if i != 8]
    assert "1 of 45 frames cannot be decoded" in says
    assert read(wiped, 3) == (list(evenly_spaced(FRAMES, 3)), "")


def test_an_incomplete_frame_is_left_out_and_reported() -> None:
    """The decoder would fill the missing part with a guess, which the camera did not see."""
    noise = np.random.default_rng(0).integers(0, 256, (12, HEIGHT // 2, WIDTH, 3), np.uint8)
    pictures = [numbered(i) for i in range(12)]
    for picture, grains in zip(pictures, noise, strict=True):
        picture[: HEIGHT // 2] = grains
    file = encode_clip(pictures, ".mp4", codec="libx264", options={"g": "1"})
    with av.open(io.BytesIO(file)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][7]
        middle, length = (packet.pos or 0) + packet.size // 3, packet.size // 3
    holed = file[:middle] + b"\xff" * length + file[middle + length :]
    assert read(holed, 100) == (
        [i for i in range(12) if i != 7],
        "the video: 1 of 12 frames cannot be decoded",
    )


@cache
def whole(kind: str) -> bytes:
    """Return a clip of a kind, coded once: the next time its length may differ, by which Hypothesis draws."""
    suffix, codec, options = KINDS[kind]
    return clip(suffix, codec, frames=12, options=options)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_damage_anywhere_gives_frames_or_a_video_error(data: st.DataObject) -> None:
    file = bytearray(whole(data.draw(st.sampled_from(("h264.mp4", "mpeg4.avi", "vp9.webm", "hevc.mp4")))))
    for _ in range(data.draw(st.integers(1, 20))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    file = file[: data.draw(st.integers(1, len(file)))]
    for attempt in (lambda: probe(bytes(file)), lambda: list(read_frames(bytes(file), 4))):
        with suppress(VideoError):
            attempt()


def recorded(
    form: str, numbers: range, *, start: int = 0, muxer: dict[str, str] | None = None, **stream: object
) -> bytes:
    """Return a video of `numbers` in the container `form`, from frame time `start` on, with attributes of the
    stream.
    """
    file = io.BytesIO()
    codec = str(stream.pop("codec", "libx264"))
    encoder: Any = stream.pop("encoder", B_FRAMES if codec == "libx264" else {})
    with av.open(file, "w", format=form, options=muxer or {}) as container:
        added: Any = container.add_stream(codec, rate=25, options=encoder)
        added.width, added.height, added.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for name, value in stream.items():
            setattr(added.codec_context, name, value)
        for time, number in enumerate(numbers, start=start):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            frame.pts = time
            container.mux(added.encode(frame))
        container.mux(added.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(
    ("form", "codec"), [("avi", "h263p"), ("avi", "h261"), ("h261", "h261"), ("h263", "h263")]
)
def test_a_keyframe_is_one_that_the_decoder_takes_for_one(form: str, codec: str) -> None:
    """In AVI and raw files every packet of H.263 and H.261 is marked, and a decoder starts at any of them."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=25, options={"g": "12"})
        stream.width, stream.height, stream.pix_fmt = 176, 144, "yuv420p"
        for number in range(FRAMES):
            picture = np.asarray(Image.fromarray(numbered(number)).resize((176, 144)))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(io.BytesIO(file.getvalue()), "r") as container:
        marked = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert all(marked)
    every = [
        np.asarray(Image.fromarray(picture).resize((WIDTH, HEIGHT)))
        for picture in decoded_in_sequence(file.getvalue())
    ]
    for n in (1, 4, 100):
        frames = list(read_frames(file.getvalue(), n))
        assert tuple(number for number, _ in frames) == evenly_spaced(len(every), n)
        for number, picture in frames:
            same = np.asarray(Image.fromarray(picture).resize((WIDTH, HEIGHT)))
            np.testing.assert_allclose(same, every[number], atol=40)  # pixels of H.263 in AVI are not square


class TestClock:
    """What a file says of the time of its frames. A decoder that is told to hold back more than 16 frames ends the
    whole program, so these tests end with it where that is allowed."""

    @pytest.mark.parametrize("b_frames", ["0", "3"])
    @pytest.mark.parametrize("lengths", [(20, 20), (20, 5), (5, 20, 15), (17, 18)])
    def test_recordings_that_were_appended_follow_each_other(
        self, lengths: tuple[int, ...], b_frames: str
    ) -> None:
        starts = np.cumsum([0, *lengths])
        parts = [range(a, b) for a, b in pairwise(starts.tolist())]
        file = b"".join(recorded("mpegts", part, encoder={**B_FRAMES, "bf": b_frames}) for part in parts)
        shown = [number_of(picture) for _, picture in read_frames(file, 100)]
        # the packet at a seam counts as damaged: its sequence number is not the next
        assert shown == sorted(shown)
        assert len(parts) - 1 >= sum(lengths) - len(shown) >= 0
        assert probe(file).frames == len(shown)
        some = [number_of(picture) for _, picture in read_frames(file, 7)]
        assert some == [shown[number] for number in evenly_spaced(len(shown), 7)]

    @pytest.mark.parametrize(
        "clock",
        [
            (0, 6144, 0),
            (10**5, 0, 6144),
            (0, 2**62, 5),
            (0, 2**63, 2**63 + 9),
            (0, 0, 0),
            (0, 10**7, 2 * 10**7),
        ],
    )
    def test_fragments_whose_clock_jumps_stay_in_their_order(self, clock: tuple[int, ...]) -> None:
        options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
        file = bytearray(recorded("mp4", range(36), muxer=options, encoder={**B_FRAMES, "sc_threshold": "0"}))
        boxes = [i for i in range(len(file)) if file.startswith(b"tfdt", i)]
        assert len(boxes) == 3
        for box, time in zip(boxes, clock, strict=True):
            file[box + 8 : box + 16] = time.to_bytes(8, "big")
        # FFmpeg takes a fragment that is shown before the last for one that is not to be shown
        assert read(bytes(file), 100) == (list(range(36)), "")
        assert probe(bytes(file)).frames == 36
        some = [number_of(picture) for _, picture in read_frames(bytes(file), 7)]
        assert some == list(evenly_spaced(36, 7))

    def test_a_recording_appended_to_a_fragmented_one_is_seen(self) -> None:
        """As ``cat`` does it: FFmpeg would show nothing of an attack behind a genuine recording."""
        options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
        first, second = (
            recorded("mp4", part, muxer=options, encoder=B_FRAMES) for part in (range(20), range(20, 32))
        )
        assert read(first + second, 100) == (list(range(32)), "")

    def test_times_without_any_order_are_left_to_the_decoder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each frame is to be shown before all frames that precede it in the file, at rising decoding times."""
        monkeypatch.setattr(video._Clock, "time", lambda self, packet, number: (0, -number))
        file = recorded("mp4", range(FRAMES))
        assert video._scan(file).delay == FRAMES - 1
        assert [number_of(picture) for _, picture in read_frames(file, 100)] == list(range(FRAMES))

    @pytest.mark.parametrize("frames", [2, 5, FRAMES])
    @pytest.mark.parametrize(
        ("form", "codec", "encoder"),
        [
            ("mpeg", "libx264", {"bf": "0"}),  # the first frame has a time, the next ones have none
            ("mpeg", "libx264", B_FRAMES),
            ("h264", "libx264", B_FRAMES),  # no frame has a time
            ("hevc", "libx265", {"x265-params": "keyint=12:bframes=3:log-level=none"}),
            ("mpeg", "mpeg1video", {"bf": "2"}),
            ("mpeg1video", "mpeg1video", {"bf": "2"}),
            ("avi", "mpeg1video", {"bf": "2"}),
            ("matroska", "mpeg1video", {"bf": "2"}),
            ("mpeg", "mpeg2video", {"bf": "2"}),
            ("mpeg2video", "mpeg2video", {"bf": "2"}),
        ],
    )
    def test_frames_without_times_come_in_the_decoders_order(
        self, form: str, codec: str, encoder: dict[str, str], frames: int
    ) -> None:
        file = recorded(form, range(frames), codec=codec, encoder=encoder)
        assert [number_of(picture) for picture in decoded_in_sequence(file)] == list(range(frames))
        for n in (1, 7, 100):
            assert read(file, n) == (list(evenly_spaced(frames, n)), "")
        assert probe(file).damage == ""

    @pytest.mark.parametrize(
        ("form", "codec"), [("webm", "libvpx-vp9"), ("matroska", "libx264"), ("mp4", "libx264")]
    )
    @pytest.mark.parametrize("start", [75, 25 * 3600])
    def test_a_file_may_begin_later_than_0(self, form: str, codec: str, start: int) -> None:
        file = recorded(form, range(FRAMES), start=start, codec=codec)
        assert read(file, 100) == (list(range(FRAMES)), "")
        assert probe(file).damage == ""

    def test_reports_a_truncated_file_that_begins_late(self) -> None:
        file = recorded("matroska", range(FRAMES), start=75, encoder={"bf": "0"})
        assert "it says that it lasts 4.8 s and ends after" in read(file[: len(file) // 2], 100)[1]

    def test_what_an_edit_list_leaves_out_is_not_shown(self) -> None:
        file = bytearray(recorded("mp4", range(FRAMES), encoder={"g": "5", "bf": "0"}))
        at = file.index(b"elst")
        count, length, start = (int.from_bytes(file[at + i : at + i + 4], "big") for i in (8, 12, 16))
        assert (count, start) == (1, 0)
        file[at + 12 : at + 20] = (length // 3).to_bytes(4, "big") + (512 * 10).to_bytes(
            4, "big"
        )  # from frame 10
        shown = [number_of(picture) for _, picture in read_frames(bytes(file), 100)]
        assert shown == list(range(10, 25))


class TestPixels:
    """The shape and colour of pixels as a file gives them."""

    @pytest.mark.parametrize("form", ["mp4", "matroska", "avi"])
    @pytest.mark.parametrize(
        ("ratio", "size"), [((2, 1), (192, 64)), ((1, 2), (96, 128)), ((16, 15), (102, 64))]
    )
    def test_pixels_that_are_not_square_are_stretched(
        self, form: str, ratio: tuple[int, int], size: tuple[int, int]
    ) -> None:
        file = recorded(form, range(5), encoder={"bf": "0"}, sample_aspect_ratio=Fraction(*ratio))
        info = probe(file)
        assert (info.width, info.height) == size
        for number, picture in read_frames(file, 5):
            assert picture.shape == (size[1], size[0], 3)
            assert number_of(np.asarray(Image.fromarray(picture).resize((WIDTH, HEIGHT)))) == number

    def test_stretched_before_they_are_turned(self) -> None:
        file = io.BytesIO()
        with av.open(file, "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            stream.codec_context.sample_aspect_ratio = Fraction(2)
            stream.set_display_rotation(90)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(5), format="rgb24")))
            container.mux(stream.encode(None))
        info = probe(file.getvalue())
        assert (info.width, info.height) == (64, 192)
        assert next(read_frames(file.getvalue(), 1))[1].shape == (192, 64, 3)

    @pytest.mark.parametrize("ratio", [Fraction(5), Fraction(1, 20)])
    def test_pixels_of_a_strange_shape_are_refused(self, ratio: Fraction) -> None:
        file = recorded("mp4", range(3), sample_aspect_ratio=ratio)
        for attempt in (lambda: probe(file), lambda: list(read_frames(file, 2))):
            with pytest.raises(VideoError, match=rf"its pixels are {float(ratio):g} times as wide as high"):
                attempt()

    @pytest.mark.parametrize("matrix", [1, 5, 9])  # BT.709, BT.601, BT.2020 (ITU-T H.273, table 4)
    @pytest.mark.parametrize("full", [False, True])
    def test_the_matrix_and_range_of_the_colours_are_those_that_the_file_names(
        self, matrix: int, full: bool
    ) -> None:
        red, green, blue = 200, 60, 30
        kr, kb = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}[matrix]
        luma = kr * red + (1 - kr - kb) * green + kb * blue
        chroma = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
        scale, base = ((1, 1), 0) if full else ((219 / 255, 224 / 255), 16)
        planes = [luma * scale[0] + base, *(part * scale[1] + 128 for part in chroma)]
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane, value in zip(frame.planes, planes, strict=True):
            plane.update(bytes([round(value)]) * plane.buffer_size)
        file = io.BytesIO()
        with av.open(file, "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if full else 1
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        ((_, picture),) = read_frames(file.getvalue(), 1)
        np.testing.assert_allclose(picture[HEIGHT // 2, WIDTH // 2], (red, green, blue), atol=3)

    def test_10_bits_are_scaled_to_8(self) -> None:
        file = io.BytesIO()
        with av.open(file, "w", format="mp4") as container:
            stream = container.add_stream("libx265", rate=25, options={"x265-params": "log-level=none:crf=1"})
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p10le"
            for number in range(3):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(number), format="rgb24")))
            container.mux(stream.encode(None))
        for number, picture in read_frames(file.getvalue(), 3):
            assert np.abs(picture.astype(int) - numbered(number)).max() < 12

    def test_high_dynamic_range_is_refused(self) -> None:
        file = recorded("mp4", range(3), color_trc=16)
        for attempt in (lambda: probe(file), lambda: list(read_frames(file, 2))):
            with pytest.raises(VideoError, match=r"high dynamic range \(PQ\).*; record or convert it to SDR"):
                attempt()

    def test_a_frame_larger_than_the_head_says_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        small, large = (
            recorded("mpegts", range(2)),
            encode_large_ts(),
        )
        monkeypatch.setattr(video, "MAX_PIXELS", WIDTH * HEIGHT)
        with pytest.raises(VideoError, match="a frame has 192 x 128 pixels, more than"):
            list(read_frames(small + large, 100))


def encode_large_ts() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 2 * WIDTH, 2 * HEIGHT, "yuv420p"
        for number in range(3):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(numbered(number, 192, 128), format="rgb24"))
            )
        container.mux(stream.encode(None))
    return file.getvalue()


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_memory_and_open_files_stay_flat(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(encode_clip([numbered(i, 384, 256) for i in range(8)], ".mp4"))

    def open_files() -> list[str]:
        return [str(file.readlink()) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]

    def read_many(times: int) -> None:
        for _ in range(times):
            assert sum(1 for _ in read_frames(path, 4)) == 4
            next(read_frames(path, 4))  # given up half way
            probe(path)

    read_many(100)  # until then the memory of FFmpeg's threads grows, by 15 MiB on some machines
    before, open_before = resident(), open_files()
    read_many(100)  # a frame leaked each time would be 28 MiB
    assert resident() - before < 10
    # One left open each time would be 200 more; other threads of the process open a few of theirs.
    assert len(open_files()) < len(open_before) + 50
    assert str(path) not in open_files()
