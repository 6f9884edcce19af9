"""The NUAA grid of benchmarks/nuaa.md: trains and evaluates what is not there yet, then prints the table.

    python benchmarks/nuaa.py STORE RUNS [--jobs 2] [--table]

STORE is made by `bonaface prepare nuaa ROOT STORE`; RUNS is a folder for the runs. Each job has a processor core of
its own, so that two runs side by side do not wait for each other. It can be stopped at any moment and goes on where
it was; it exits with 1 if a cell failed. --table prints the rows of the cells that are done, and does nothing more.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

BONAFACE = [sys.executable, "-m", "bonaface.cli.main"]
NETWORKS = (
    ("deep-pix-bis", "paper"),
    ("a-deep-pix-bis", "paper"),
    ("a-deep-pix-bis", "scaled"),
    ("bi-fas", "paper"),
    ("bi-fas-s", "paper"),
)
GRID = (
    ("official", "", "square-1.3"),
    ("subject-disjoint", "1", "square-1.3"),
    ("official", "", "tight"),
    ("official", "", "square-1.0"),
)
# Small data in 20 minutes: a batch of 16 makes enough steps of one epoch, and the backbone forgets less at 1e-4. The
# webcam's exposure differs between the sessions, so brightness and contrast are jittered more than the presets do.
SETTINGS = ("batch=16", "epochs=1", "bn_batches=25", "lr=1e-4", "jitter=[0.8, 0.5, 0.2, 0.02]")


@dataclass(frozen=True)
class Cell:
    """One run of the grid."""

    model: str
    preset: str
    protocol: str
    fold: str
    crop: str

    @property
    def name(self) -> str:
        """The run's folder."""
        return "-".join(filter(None, (self.protocol, self.fold, self.crop, self.model, self.preset)))

    def train(self, store: Path, run: Path) -> list[str]:
        """The command that trains it, or goes on with it."""
        if (run / "run.json").is_file():
            return [*BONAFACE, "train", "--resume", "--out", str(run)]
        changes = [f"--set={change}" for change in (*SETTINGS, f"crop={self.crop}")]
        where = ["--data", str(store), "--protocol", self.protocol, "--fold", self.fold, "--out", str(run)]
        how = ["--preset", self.preset, "--backbone", "efficientnet-lite0", "--size", "224", "--workers", "0"]
        return [*BONAFACE, "train", self.model, *where, *how, *changes]

    def evaluate(self, store: Path, run: Path) -> list[str]:
        """The command that judges it."""
        where = ["--data", str(store), "--protocol", self.protocol, "--fold", self.fold]
        return [*BONAFACE, "evaluate", str(run), *where]

    def report(self, run: Path) -> Path:
        """Where its figures are."""
        return run / "evaluation" / "-".join(filter(None, ("nuaa", self.protocol, self.fold))) / "report.json"


def cells() -> Iterator[Cell]:
    """The grid, the most wanted first."""
    for protocol, fold, crop in GRID:
        for model, preset in NETWORKS:
            yield Cell(model, preset, protocol, fold, crop)


def do(cell: Cell, store: Path, runs: Path, cores: "SimpleQueue[int]") -> bool:
    """Train and evaluate a cell on a core of its own, unless it is done. Says whether it is."""
    run = runs / cell.name
    core = cores.get()
    try:
        with (runs / f"{cell.name}.log").open("a") as log:
            for done, command in (
                ((run / "bundle").is_dir, cell.train(store, run)),
                (cell.report(run).is_file, cell.evaluate(store, run)),
            ):
                if done():
                    continue
                print(f"{cell.name}: {' '.join(command[3:])}", flush=True)
                pinned = ["taskset", "-c", str(core), *command]
                if subprocess.run(pinned, stdout=log, stderr=log, check=False).returncode:
                    print(f"{cell.name}: FAILED, see {log.name}", flush=True)
                    return False
    finally:
        cores.put(core)
    return True


HEADER = (
    "| protocol | crop | model | preset | APCER | BPCER | ACER (95 %) | EER (95 %) | AUC | no response | epochs "
    "| minutes |\n"
    "|---|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def line(cell: Cell, run: Path) -> str:
    """The cell's row of the table: pooled attacks, at the bundle's own threshold."""
    report = json.loads(cell.report(run).read_text())
    provenance = json.loads((run / "bundle" / "bundle.json").read_text())["provenance"]
    test = report["folds"][0]["test"]
    silent = round(test["apnrr"]["errors"] + test["bpnrr"]["errors"])
    columns = [cell.protocol + (f" {cell.fold}" if cell.fold else ""), cell.crop, cell.model, cell.preset]
    columns += [counted(test["errors"]["apcer"]["pooled"]), counted(test["errors"]["bpcer"])]
    columns += [
        between(test["hter"]),
        between(test["ranking"]["eer"]),
        f"{test['ranking']['auc']:.3f}",
        str(silent),
    ]
    columns += [str(provenance["settings"]["preset"]["epochs"]), f"{provenance['training_seconds'] / 60:.1f}"]
    return f"| {' | '.join(columns)} |"


def counted(rate: dict[str, Any]) -> str:
    """A rate in per cent with its numerator and denominator."""
    return f"{100 * rate['value']:.1f} ({rate['errors']}/{rate['total']})"


def between(figure: dict[str, Any]) -> str:
    """A figure in per cent with its interval over subjects."""
    low, high = (100 * figure["interval"][end] for end in ("low", "high"))
    return f"{100 * figure['value']:.1f} ({low:.1f} to {high:.1f})"


def table(runs: Path) -> None:
    """Print the rows of the cells that are done."""
    print(HEADER)
    for cell in cells():
        if cell.report(runs / cell.name).is_file():
            print(line(cell, runs / cell.name))


def main() -> int:
    """Do what is to be done, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    given.runs.mkdir(parents=True, exist_ok=True)
    fine = [True]
    if not given.table:
        cores: SimpleQueue[int] = SimpleQueue()
        for core in sorted(os.sched_getaffinity(0))[: given.jobs]:
            cores.put(core)
        with ThreadPoolExecutor(given.jobs) as pool:
            fine = list(pool.map(lambda cell: do(cell, given.store, given.runs, cores), cells()))
    table(given.runs)
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
