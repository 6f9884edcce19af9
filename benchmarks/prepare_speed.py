"""Pictures a second of `prepare`, against decoding and detecting alone with as many worker processes.

    python benchmarks/prepare_speed.py                       drawn faces, 640 x 480 JPEG
    python benchmarks/prepare_speed.py FOLDER --pictures 600 some of the pictures below a folder

Both do the same pictures in the same shards, in processes started for each round, by turns. On a machine that others
use too, processor time says more than the clock.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from bonaface.core.machine import usable_cores
from bonaface.core.records import Presentation
from bonaface.data.cutter import Shard, frames_of, shards
from bonaface.data.media import PICTURE_SUFFIXES
from bonaface.data.pool import run_jobs
from bonaface.data.prepare import prepare
from bonaface.data.store import Recipe
from bonaface.data.table import PresentationTable
from bonaface.face.detect import Detector
from bonaface.testing.portrait import drawn_portrait


@dataclass(frozen=True)
class Reference:
    """Decodes and detects, and keeps nothing."""

    root: Path
    detector: Detector

    def __call__(self, shard: Shard, tick: Callable[[int], None]) -> None:
        """Look at every picture of `shard`."""
        for i, row in enumerate(shard.rows):
            for _, picture in frames_of(self.root / row.path, 1):
                self.detector.detect(picture)
            tick(i + 1)


def main() -> None:
    """Measure both by turns and print every round, the medians and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--workers", type=int, default=usable_cores())
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = arguments.folder or _drawn(Path(scratch) / "drawn", arguments.pictures)
        table = _table(root, arguments.pictures)
        recipe = Recipe(frames_per_shard=16)  # small shards: the last ones keep all workers busy
        measured: dict[str, list[Round]] = {"decode + detect": [], "prepare": []}
        for number in range(arguments.rounds):
            detector = Detector(recipe.longer_side, threads=1, min_score=recipe.min_score)
            alone = partial(
                run_jobs, Reference(root, detector), shards(table.rows, recipe), arguments.workers
            )
            store = Path(scratch) / f"store-{number}"
            whole = partial(prepare, table, root, store, recipe=recipe, workers=arguments.workers)
            for name, work in (("decode + detect", alone), ("prepare", whole)):
                measured[name].append(_measure(work, len(table)))
                print(f"round {number + 1}, {name}: {measured[name][-1]}", flush=True)
    _report(measured)


@dataclass(frozen=True)
class Round:
    """Pictures a second of wall time, and milliseconds of processor time a picture, of all workers together."""

    rate: float
    processor: float

    def __str__(self) -> str:
        return f"{self.rate:.1f} pictures/s, {self.processor:.1f} ms of processor time each"


def _report(measured: dict[str, list[Round]]) -> None:
    """Medians, and the best round of each: what the machine's other users disturbed least."""
    for title, rate_of, processor_of in (
        ("median", statistics.median, statistics.median),
        ("best", max, min),
    ):
        middle = [
            Round(rate_of(each.rate for each in rounds), processor_of(each.processor for each in rounds))
            for rounds in measured.values()
        ]
        for name, each in zip(measured, middle, strict=True):
            print(f"{title}, {name}: {each}")
        alone, whole = middle
        print(f"{title}, ratio: {whole.rate / alone.rate:.3f} by the clock, ", end="")
        print(f"{alone.processor / whole.processor:.3f} by processor time")


def _measure(work: Callable[[], object], pictures: int) -> Round:
    used, start = _processor_seconds(), time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    return Round(pictures / seconds, 1000 * (_processor_seconds() - used) / pictures)


def _processor_seconds() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def _drawn(root: Path, pictures: int) -> Path:
    """Faces on a 640 x 480 picture, as a webcam's; sixteen different ones, as drawing takes long."""
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


def _table(root: Path, pictures: int) -> PresentationTable:
    found = sorted(path for path in root.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    names = [str(path.relative_to(root)) for path in found[:: max(1, len(found) // pictures)][:pictures]]
    return PresentationTable("benchmark", tuple(Presentation(name, name, 1) for name in names))


if __name__ == "__main__":
    main()
