"""Time reading N of a video's frames against other ways to the same frames, and opening a set's protocol.

    python benchmarks/video_speed.py [--rounds 5] [--clip VIDEO ...]

20 of 300 frames of 1080p H.264 clips (12 Mbit/s, made here: a moving texture with a camera's noise) with a keyframe
every 30 and every 250 frames. Each way uses one thread and gives RGB arrays; the ways take turns, so that all meet
the same load. Printed is the processor time of the best round, in milliseconds, and its ratio to `read_frames`.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from bonaface.datasets.protocols import find_protocol, split_rows
from bonaface.datasets.registry import open_dataset
from bonaface.media.info import evenly_spaced
from bonaface.media.video import probe, read_frames
from bonaface.testing import make_layout

WANTED = 20
WIDTH, HEIGHT, FRAMES, RATE = 1920, 1080, 300, 30


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--clip", type=Path, action="append", help="measure this video instead")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure_protocol(Path(folder) / "oulu-npu", options.rounds)
        for name, clip in clips(Path(folder), options.clip):
            measure_clip(name, clip, options.rounds)


def measure_protocol(root: Path, rounds: int) -> None:
    make_layout("oulu-npu", root, full=True)

    def opened() -> int:
        dataset = open_dataset("oulu-npu")
        return len(split_rows(dataset.read(root), find_protocol(dataset.protocols, "4"), "3").train)

    best = min(timed(opened)[0] for _ in range(rounds))
    print(f"protocol 4, fold 3 of a complete OULU-NPU with its lists (4,950 rows): {best:.0f} ms")


def measure_clip(name: str, clip: Path, rounds: int) -> None:
    info = probe(clip)
    print(
        f"\n{name}: {info.codec}, {info.frames} frames of {info.width} x {info.height}, "
        f"{len(info.keyframes)} keyframes, {clip.stat().st_size / 1e6:.1f} MB"
    )
    best: dict[str, float] = {}
    for _ in range(rounds):
        for way, (run, frames) in ways(clip, info.frames).items():
            spent, got = timed(run)
            if got != frames:
                raise SystemExit(f"{way}: expected {frames} frames, got {got}")
            best[way] = min(best.get(way, spent), spent)
    ours = best["read_frames"]
    for way, spent in best.items():
        print(f"  {way:40s} {spent:7.0f} ms  {WANTED / spent * 1000:6.1f} frames/s  {spent / ours:5.2f}")


def ways(clip: Path, total: int) -> dict[str, tuple[Callable[[], int], int]]:
    """Return each way to the frames and how many it gives."""
    wanted = set(evenly_spaced(total, WANTED))
    every: dict[str, tuple[Callable[[], int], int]] = {
        "read_frames": (lambda: sum(1 for _ in read_frames(clip, WANTED)), WANTED),
        "PyAV, all decoded, 20 converted": (lambda: in_sequence(clip, wanted), WANTED),
        "PyAV, all decoded and converted": (lambda: in_sequence(clip, set(range(total))), total),
        "PyAV, a seek for each frame": (lambda: by_seeking(clip, sorted(wanted)), WANTED),
    }
    try:
        import cv2
    except ImportError:
        print("  (opencv-python-headless is not installed: not compared)")
        return every
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "threads;1"

    def opencv(converted: set[int]) -> int:
        capture = cv2.VideoCapture(str(clip), cv2.CAP_FFMPEG)
        got = 0
        for number in range(total):
            capture.grab()
            if number in converted:
                got += capture.retrieve()[0]
        return got

    every["OpenCV, all decoded, 20 converted"] = (lambda: opencv(wanted), WANTED)
    every["OpenCV, all decoded and converted"] = (lambda: opencv(set(range(total))), total)
    return every


def in_sequence(clip: Path, wanted: set[int]) -> int:
    got = 0
    with av.open(str(clip)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                got += frame.to_ndarray(format="rgb24").ndim == 3
    return got


def by_seeking(clip: Path, wanted: list[int]) -> int:
    got = 0
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        step = round(1 / (float(stream.average_rate or RATE) * float(stream.time_base or 1)))
        for number in wanted:
            container.seek(number * step, stream=stream)
            for frame in container.decode(stream):
                if frame.pts is not None and frame.pts >= number * step:
                    got += frame.to_ndarray(format="rgb24").ndim == 3
                    break
    return got


def timed(run: Callable[[], int]) -> tuple[float, int]:
    """Return milliseconds of processor time, and what was returned."""
    start = time.process_time()
    result = run()
    return (time.process_time() - start) * 1000, result


def clips(folder: Path, given: list[Path] | None) -> Iterator[tuple[str, Path]]:
    if given:
        yield from ((path.name, path) for path in given)
        return
    for gop, b_frames in ((30, 0), (250, 0), (250, 3)):
        path = folder / f"{gop}-{b_frames}.mp4"
        make_clip(path, gop, b_frames, moving())
        yield f"a keyframe every {gop} frames, {'with' if b_frames else 'without'} B-frames", path


def make_clip(path: Path, gop: int, b_frames: int, pictures: Iterable[NDArray[np.uint8]]) -> None:
    options = {"preset": "veryfast", "g": str(gop), "bf": str(b_frames)}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 12_000_000
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def moving() -> Iterator[NDArray[np.uint8]]:
    """Yield a texture that sways, with new noise in every frame."""
    rng = np.random.default_rng(0)
    margin = 128
    coarse = rng.integers(0, 200, ((HEIGHT + margin) // 8, (WIDTH + margin) // 8, 3), np.uint8)
    texture = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
    for i in range(FRAMES):
        x, y = round(margin / 2 * (1 + np.sin(i / 25))), round(margin / 2 * (1 + np.cos(i / 31)))
        yield texture[y : y + HEIGHT, x : x + WIDTH] + rng.integers(0, 12, (HEIGHT, WIDTH, 1), np.uint8)


if __name__ == "__main__":
    main()
