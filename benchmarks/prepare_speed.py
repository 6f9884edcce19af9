"""Measure presentations a second of `prepare`, against decoding and detecting alone with as many processes.

    python benchmarks/prepare_speed.py                       drawn faces, 640 x 480 JPEG
    python benchmarks/prepare_speed.py FOLDER --count 600    some of the pictures and videos below a folder
    python benchmarks/prepare_speed.py --gop 30 --count 32   1080p H.264 clips of 300 frames, a keyframe every 30
    python benchmarks/prepare_speed.py --gop 30 --count 2 --rounds 0    where a clip's time goes, and nothing else
    ... --ray                                                and `prepare --engine ray`, with Ray's start and without

All do the same files in the same shards, in processes started for each round, by turns. With --gop also what decoding
every frame takes, by PyAV and by OpenCV, and where a clip's time goes. On a machine that others use too, processor time
says more than the clock.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonaface.core.machine import usable_cores
from bonaface.core.records import Presentation
from bonaface.datasets.table import PresentationTable
from bonaface.face.crop import context_crop
from bonaface.face.detect import Detector
from bonaface.face.track import Tracker
from bonaface.jobs.local import run_jobs
from bonaface.media.frames import open_media
from bonaface.media.kinds import is_media
from bonaface.store.crop_store import PrepareSettings
from bonaface.store.png import write_png
from bonaface.store.prepare import prepare
from bonaface.store.shard_writer import Shard, shards
from bonaface.testing.portrait import drawn_portrait
from video_speed import make_clip, moving


@dataclass(frozen=True)
class Reference:
    """Decodes and detects, and keeps nothing."""

    root: Path
    detector: Detector
    frames: int

    def __call__(self, shard: Shard, progress: Callable[[int], None]) -> None:
        """Look at every frame of `shard`."""
        for i, row in enumerate(shard.rows):
            for _, picture in open_media(self.root / row.path, self.frames).frames:
                self.detector.detect(picture)
            progress(i + 1)


@dataclass(frozen=True)
class PlainDecode:
    """Decodes every frame of every video with one thread, and converts none."""

    root: Path
    library: str

    def __call__(self, shard: Shard, progress: Callable[[int], None]) -> None:
        """Decode the videos of `shard`."""
        for i, row in enumerate(shard.rows):
            by_opencv(self.root / row.path) if self.library == "OpenCV" else by_pyav(self.root / row.path)
            progress(i + 1)


def by_pyav(path: Path) -> None:
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for _ in container.decode(video=0):
            pass


def by_opencv(path: Path) -> None:
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "threads;1"
    import cv2

    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    while capture.grab():
        pass


def main() -> None:
    """Measure all by turns and print every round, the medians, the best rounds and the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--count", type=int, default=400, help="presentations")
    parser.add_argument("--gop", type=int, help="make clips with a keyframe every so many frames")
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--workers", type=int, default=usable_cores())
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "made"
        root = given.folder or (
            clips(made, given.gop, given.count) if given.gop else drawn(made, given.count)
        )
        table = table_of(root, given.count)
        measured: dict[str, list[Round]] = {}
        for number in range(given.rounds):
            for name, work in ways(root, table, Path(scratch) / f"{number}", given).items():
                measured.setdefault(name, []).append(measure(work, len(table)))
                print(f"round {number + 1}, {name}: {measured[name][-1]}", flush=True)
        if measured:
            report(measured)
        if given.gop:
            stages(root, table)


def ways(
    root: Path, table: PresentationTable, scratch: Path, given: argparse.Namespace
) -> dict[str, Callable[[], object]]:
    # small shards: the last ones keep all workers busy
    settings = PrepareSettings(frames_per_shard=40 if given.gop else 16)
    every = shards(table.rows, settings)
    detector = Detector(settings.longer_side, threads=1, min_score=settings.min_score)
    jobs = partial(run_jobs, jobs=every, workers=given.workers)
    make = partial(prepare, table, root, settings=settings, workers=given.workers)
    found: dict[str, Callable[[], object]] = {
        "decode + detect": partial(jobs, Reference(root, detector, settings.frames)),
        "prepare": partial(make, scratch / "local"),
    }
    if given.gop:
        found["every frame decoded, PyAV"] = partial(jobs, PlainDecode(root, "PyAV"))
        found["every frame decoded, OpenCV"] = partial(jobs, PlainDecode(root, "OpenCV"))
    if given.ray:
        found["prepare, Ray started for it"] = partial(make, scratch / "ray", engine="ray")
        found["prepare, Ray running"] = Running(
            partial(make, scratch / "running", engine="ray"), given.workers
        )
    return found


@dataclass(frozen=True)
class Running:
    """Work on a Ray that is started before the clock is and has done something already."""

    work: Callable[[], object]
    workers: int

    def __enter__(self) -> Callable[[], object]:
        import ray

        ray.init(
            "local",
            num_cpus=self.workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
        warm = ray.remote(num_cpus=1)(import_all)
        ray.get([warm.remote() for _ in range(2 * self.workers)])
        return self.work

    def __exit__(self, *_: object) -> None:
        import ray

        ray.shutdown()

    def __call__(self) -> object:
        return self.work()


def import_all() -> None:
    """Import what a worker process imports once in its life."""
    time.sleep(1)
    Detector(640, threads=1).detect(np.zeros((32, 32, 3), np.uint8))


@dataclass(frozen=True)
class Round:
    """Presentations a second of wall time, and milliseconds of processor time each, of all workers together."""

    rate: float
    processor: float

    def __str__(self) -> str:
        return f"{self.rate:.2f}/s, {self.processor:.1f} ms of processor time each"


def report(measured: dict[str, list[Round]]) -> None:
    """Print medians, and the best round of each, which the machine's other users disturbed least."""
    for title, rate_of, processor_of in (
        ("median", statistics.median, statistics.median),
        ("best", max, min),
    ):
        found = {
            name: Round(
                rate_of(each.rate for each in rounds), processor_of(each.processor for each in rounds)
            )
            for name, rounds in measured.items()
        }
        whole = found["prepare"]
        for name, each in found.items():
            print(f"{title}, {name}: {each}; prepare's rate is {whole.rate / each.rate:.3f} of it", end="")
            # Ray's processes are not this one's children, so that their time is not known
            print("" if "Ray" in name else f", {each.processor / whole.processor:.3f} by processor time")


def measure(work: Callable[[], object], presentations: int) -> Round:
    if isinstance(work, Running):
        with work as running:
            return measure(running, presentations)
    used, start = processor_seconds(), time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    for process in multiprocessing.active_children():
        process.join()  # its processor time counts from then on
    return Round(presentations / seconds, 1000 * (processor_seconds() - used) / presentations)


def processor_seconds() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def stages(root: Path, table: PresentationTable, clips: int = 4) -> None:
    """Print where the processor time of a clip goes in one process, and how large its squares are."""
    detector = Detector(640, threads=1)
    tracker_of = partial(Tracker, detector)
    spent = dict.fromkeys(("decode", "detect", "cut", "PNG"), 0.0)
    size = squares = 0
    tracker_of().detect(np.zeros((32, 32, 3), np.uint8))
    for row in table.rows[:clips]:
        tracker, frames = tracker_of(), open_media(root / row.path, 20).frames
        while (decoded := clocked(spent, "decode", partial(next, frames, None))) is not None:
            faces = clocked(spent, "detect", partial(tracker.detect, decoded[1]))
            square = clocked(spent, "cut", partial(context_crop, decoded[1], faces[0]))
            size += len(clocked(spent, "PNG", partial(write_png, square.image)))
            squares += 1
    clips = min(clips, len(table))
    print(f"a clip, {squares / clips:.0f} squares, {size / clips / 1e6:.2f} MB of PNG: ", end="")
    print(", ".join(f"{name} {1000 * seconds / clips:.0f} ms" for name, seconds in spent.items()))
    others = dict.fromkeys(("detect in whole frames", "every frame decoded, PyAV", "OpenCV"), 0.0)
    for row in table.rows[:clips]:
        for _, picture in open_media(root / row.path, 20).frames:
            clocked(others, "detect in whole frames", partial(detector.detect, picture))
        clocked(others, "every frame decoded, PyAV", partial(by_pyav, root / row.path))
        clocked(others, "OpenCV", partial(by_opencv, root / row.path))
    print(
        "beside it: ",
        ", ".join(f"{name} {1000 * seconds / clips:.0f} ms" for name, seconds in others.items()),
    )


def clocked(spent: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    start = time.process_time()
    result = work()
    spent[name] += time.process_time() - start
    return result


def drawn(root: Path, pictures: int) -> Path:
    """Draw faces on a 640 x 480 picture, as a webcam's; sixteen different ones, as drawing takes long."""
    (root / "bonafide").mkdir(parents=True)
    for number in range(pictures):
        original = root / "bonafide" / f"{number % 16:06d}.jpg"
        if number < 16:
            wall = Image.new("RGB", (640, 480), (150, 156, 164))
            wall.paste(Image.fromarray(drawn_portrait(480, seed=number)), (80, 0))
            wall.save(original, quality=92)
        else:
            (root / "bonafide" / f"{number:06d}.jpg").write_bytes(original.read_bytes())
    return root


def clips(root: Path, gop: int, count: int) -> Path:
    """Write clips of a moving person with a camera's noise; two different ones, as encoding takes long."""
    root.mkdir()
    for number in range(count):
        path = root / f"{number:06d}.mp4"
        if number < 2:
            make_clip(path, gop, 0, person_before(number))
        else:
            path.write_bytes((root / f"{number % 2:06d}.mp4").read_bytes())
    return root


def person_before(seed: int) -> Iterator[NDArray[np.uint8]]:
    portrait = drawn_portrait(640, seed=seed)
    for i, frame in enumerate(moving()):
        x, y = 640 + round(80 * np.sin(i / 40)), 200 + round(40 * np.cos(i / 55))
        noise = frame[y : y + 640, x : x + 640] % 12
        frame[y : y + 640, x : x + 640] = np.minimum(portrait, 243) + noise
        yield frame


def table_of(root: Path, count: int) -> PresentationTable:
    found = sorted(path for path in root.rglob("*") if is_media(path))
    names = [str(path.relative_to(root)) for path in found[:: max(1, len(found) // count)][:count]]
    return PresentationTable("benchmark", tuple(Presentation(name, name, 1) for name in names))


if __name__ == "__main__":
    main()
