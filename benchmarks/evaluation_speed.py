"""Time the evaluation of a million scores, and `bonaface report` of 4,950 videos from a cold start.

    python benchmarks/evaluation_speed.py [--scores 1000000] [--subjects 1000] [--rounds 3]

The reference is scikit-learn's det_curve on the same scores in the same process. Every part runs in a process
of its own, so that its peak of memory is its own; medians over the rounds. Processor seconds stand beside the
wall time, for a machine that others use too.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bonaface.core.records import Response, Score
from bonaface.evaluation.aggregate import Samples
from bonaface.evaluation.error_rates import figures_of
from bonaface.evaluation.score_table import ScoreTable
from bonaface.metrics.checks import Groups
from bonaface.metrics.curves import apcer_at_bpcer, auc, bpcer_at_apcer, det_curve, eer
from bonaface.metrics.rates import acer_at, apcer_per_species, bpcer, by_category, worst
from bonaface.metrics.thresholds import eer_threshold

SPECIES = ("display-1", "display-2", "print-1", "print-2")


def drawn(size: int, subjects: int) -> Samples:
    """Draw `size` scores, one in five bona fide, of `subjects` people and four species."""
    rng = np.random.default_rng(0)
    labels = (rng.random(size) < 0.2).astype(np.int8)
    codes = np.where(labels == 1, -1, rng.integers(0, len(SPECIES), size)).astype(np.intp)
    names = np.full(size, "", dtype=object)
    return Samples(
        "frame",
        names,
        names,
        labels,
        Groups(SPECIES, codes),
        rng.integers(0, subjects, size),
        True,
        np.arange(subjects).astype(str).astype(object),
        1 / (1 + np.exp(-rng.normal(2.0 * labels - 1, 1))),
        names,
    )


def point_figures(samples: Samples) -> None:
    """Compute every figure without an interval."""
    rows = samples.labels, samples.scores
    threshold = eer_threshold(*rows)
    per_species = apcer_per_species(samples.labels, samples.species, samples.scores, threshold)
    worst(per_species)
    worst(by_category(per_species))
    bpcer(*rows, threshold)
    acer_at(*rows, threshold)
    eer(*rows)
    auc(*rows)
    det_curve(*rows)
    for at in (0.1, 0.05, 0.01):
        bpcer_at_apcer(samples.labels, samples.species, samples.scores, at)
    apcer_at_bpcer(samples.labels, samples.species, samples.scores, 0.01)


def scikit_learn(samples: Samples) -> None:
    """Compute the reference."""
    from sklearn.metrics import det_curve as theirs

    theirs(samples.labels, samples.scores)


def with_intervals(samples: Samples) -> None:
    """Compute every figure of a report, with its interval over subjects."""
    figures_of(samples, 0.5)


def ours(samples: Samples) -> None:
    """Compute the reference's figures by our own function."""
    det_curve(samples.labels, samples.scores)


PARTS: dict[str, Callable[[Samples], None]] = {
    "all point figures": point_figures,
    "det_curve alone": ours,
    "scikit-learn det_curve": scikit_learn,
    "all figures with intervals": with_intervals,
}


def measured(part: str, size: int, subjects: int, rounds: int) -> dict[str, float]:
    """Return medians of wall and processor seconds, and the process's peak in GiB; run in a process of its own."""
    samples = drawn(size, subjects)
    if part == "scikit-learn det_curve":
        import sklearn.metrics  # noqa: F401 - not part of what is timed
    walls, processors = [], []
    for _ in range(rounds):
        wall, processor = time.perf_counter(), time.process_time()
        PARTS[part](samples)
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"wall": statistics.median(walls), "cpu": statistics.median(processors), "peak": peak}


def apart(part: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Return `measured` of a fresh process."""
    command = [sys.executable, __file__, "--part", part]
    command += [f"--{name}={getattr(arguments, name)}" for name in ("scores", "subjects", "rounds")]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(out)
    return found


def video_table(path: Path, frames: int) -> None:
    """Write 4,950 videos of 55 people in the layout of OULU-NPU, `frames` scores each, as CSV."""
    rng = np.random.default_rng(0)
    rows = []
    for video in range(4950):
        user, kind = video % 55, video // 55 % 5
        species = "" if kind == 0 else ("print-1", "print-2", "display-1", "display-2")[kind - 1]
        level = rng.normal(0.3 if species else 0.7, 0.12)
        for frame in range(frames):
            non_response = rng.random() < 0.01
            rows.append(
                Score(
                    sample_id=f"{video}" if frames == 1 else f"{video}#{frame}",
                    video_id=f"{video}",
                    frame=frame,
                    subject=f"{user}",
                    label=int(not species),
                    species=species,
                    split="train" if user < 20 else "dev" if user < 35 else "test",
                    score=float("nan") if non_response else float(level + rng.normal(0, 0.03)),
                    response=Response.NO_FACE if non_response else Response.SCORED,
                    dataset="oulu-npu",
                    protocol="1",
                )
            )
    ScoreTable.from_scores(rows).write(path)


def report_seconds(path: Path, folder: Path, rounds: int) -> tuple[float, float]:
    """Return median wall and processor seconds of `bonaface report` with all its files, from a cold start."""
    walls, processors = [], []
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.perf_counter()
        command = [sys.executable, "-m", "bonaface.cli.main", "report", str(path), "--out", str(folder)]
        subprocess.run(command, check=True, capture_output=True)
        walls.append(time.perf_counter() - begun)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processors.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(walls), statistics.median(processors)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scores", type=int, default=1_000_000)
    parser.add_argument("--subjects", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(measured(arguments.part, arguments.scores, arguments.subjects, arguments.rounds)))
        return
    print(f"{arguments.scores} scores of {arguments.subjects} subjects, medians of {arguments.rounds}")
    found = {part: apart(part, arguments) for part in PARTS}
    for part, figures in found.items():
        print(
            f"{part:26} {figures['wall']:7.2f} s wall {figures['cpu']:7.2f} s cpu {figures['peak']:6.2f} GiB"
        )
    for part in ("det_curve alone", "all point figures"):
        ratio = found[part]["cpu"] / found["scikit-learn det_curve"]["cpu"]
        print(f"{part} / scikit-learn det_curve: {ratio:.2f} (cpu)")
    with tempfile.TemporaryDirectory() as name:
        for frames in (1, 20):
            path = Path(name) / f"scores-{frames}.csv"
            video_table(path, frames)
            wall, processor = report_seconds(path, Path(name) / "out", arguments.rounds)
            print(f"report, 4,950 videos of {frames:2} frames  {wall:5.2f} s wall {processor:5.2f} s cpu")


if __name__ == "__main__":
    main()
