"""Run the NUAA grid of benchmarks/nuaa.md: train and evaluate what is not done yet, and keep the figures.

    python benchmarks/nuaa.py STORE RUNS [--jobs 2] [--model hfd ...] [--protocol official ...]    # goes on with it
    python benchmarks/nuaa.py STORE RUNS --table       # takes in what is finished in RUNS, writes the table in nuaa.md
    python benchmarks/nuaa.py --table                  # writes the table of what has been taken in
    python benchmarks/nuaa.py STORE RUNS --cost        # measures what each system costs, writes that table in nuaa.md

STORE is made by `bonaface prepare nuaa ROOT STORE`; RUNS is a folder for the runs. The figures of a cell go into
benchmarks/nuaa.json when it is done, so that the table outlives the runs; a cell is done again if its settings or the
store are not those written there. Each job has a processor core of its own, so that two runs side by side do not wait
for each other. It can be stopped at any moment and goes on where it was; it exits with 1 if a cell failed. `--cost`
measures untrained networks, and of the support vector machines, whose size training decides, the runs in RUNS.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import bonaface
from bonaface.core.errors import InputError
from bonaface.core.files import write_json
from bonaface.inference.bundle import Bundle
from bonaface.store.crop_store import CropStore
from bonaface.training.settings import RunSettings, choose_preset, parse_changes, read_settings
from cost_table import cost_table, untrained, write_between, write_cost

HERE = Path(__file__).parent
RESULTS = HERE / "nuaa.json"
PAGE = HERE / "nuaa.md"
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
    ("official", "", "tight"),
    ("subject-disjoint", "1", "square-1.3"),
    ("official", "", "square-1.0"),
)
SYSTEM_CROP = "square-1.3"
CLASSES = ("attack", "bona fide")  # by label
BACKBONE, SIZE = "efficientnet-lite0", 224

# Small data in 20 minutes: a batch of 16 makes enough steps of one epoch, and the backbone forgets less at a tenth of
# the rate. The webcam's exposure differs between the sessions, so brightness and contrast are jittered more than the
# presets do.
SETTINGS = (
    "batch=16",
    "bn_batches=25",
    "lr=1e-3",
    "backbone_rate=0.1",
    "jitter=[0.8, 0.5, 0.2, 0.02]",
)
# On tight crops of NUAA's training part light alone separates the classes. Attacks that are simulated from bona fide
# pictures have any light, and after colour transfer from pictures of both classes light says nothing about the class.
SIMULATE, COLOR_TRANSFER = 0.5, 1.0
LONGER = 3  # epochs: simulated attacks are other ones each time


@dataclass(frozen=True)
class System:
    """A system to compare with: its preset, and what differs from it."""

    preset: str
    size: int
    backbone: str = ""
    changes: tuple[str, ...] = ()
    crop: str = ""  # its own, in place of the block's


# CDCN is half as wide and reads 128 px: at 256 px and in full width a picture takes 640 ms here.
_CDCN = System("paper", 128, "", ("batch=16", "epochs=1", "bn_batches=25", "width=0.5"))
SYSTEMS = {
    "global-statistics": System("wide", 160),
    "linear-probe": System("wide", SIZE, BACKBONE),
    "hfd": System("paper", 128),
    "lbp-svm": System("paper", 64),
    "color-lbp-svm": System("paper", 64),
    "iqm-svm": System("paper", 128),
    "timm:efficientnet-lite0": System("fine-tune", SIZE, BACKBONE, (*SETTINGS, "epochs=1")),
    "patchnet": System("paper", 160, BACKBONE, (*SETTINGS, "epochs=1"), "native"),
    "cdcn": _CDCN,
    "cdcn-pp": _CDCN,
}
EVERYWHERE = ("global-statistics", "linear-probe")  # in every block: they take a minute


@dataclass(frozen=True)
class Cell:
    """One run of the grid."""

    model: str
    preset: str
    protocol: str
    fold: str
    crop: str
    simulate: float = 0.0  # attacks simulated from bona fide training pictures, for one such picture
    color_transfer: float = 0.0  # share of the training pictures that take the colour statistics of another
    epochs: int = 1

    @classmethod
    def of(cls, system: str, protocol: str, fold: str, crop: str) -> "Cell":
        """Return the cell of one of SYSTEMS."""
        own = SYSTEMS[system]
        return cls(system, own.preset, protocol, fold, own.crop or crop)

    @property
    def name(self) -> str:
        """Return the run's folder."""
        augment = ("simulate" if self.simulate else "", "color_transfer" if self.color_transfer else "")
        epochs = f"{self.epochs}-epochs" if self.epochs > 1 else ""
        parts = (self.protocol, self.fold, self.crop, self.model, self.preset, *augment, epochs)
        return "-".join(filter(None, parts))

    @property
    def changes(self) -> tuple[str, ...]:
        """Return the changes to the preset."""
        if self.model in SYSTEMS:
            return (*SYSTEMS[self.model].changes, f"crop={self.crop}")
        augment = {"simulate": self.simulate, "color_transfer": self.color_transfer}
        augmented = (f"augment.{name}={share}" for name, share in augment.items() if share)
        return (*SETTINGS, f"epochs={self.epochs}", f"crop={self.crop}", *augmented)

    @property
    def system(self) -> System:
        """Return what the model is run with; all networks have one backbone and size."""
        return SYSTEMS.get(self.model) or System(self.preset, SIZE, BACKBONE)

    def settings(self, store: Path) -> RunSettings:
        """Return the settings that the command below trains with."""
        asked = {**parse_changes(self.changes), "size": self.system.size}
        if self.system.backbone:
            asked["backbone"] = self.system.backbone
        preset = choose_preset(self.model, self.preset, asked)
        return RunSettings(preset, str(store), self.protocol, self.fold, workers=0)

    def train(self, store: Path, run: Path) -> list[str]:
        """Return the command that trains it, or resumes it."""
        if (run / "run.json").is_file():
            return [*BONAFACE, "train", "--resume", "--out", str(run)]
        data = ["--data", str(store), "--protocol", self.protocol, "--fold", self.fold, "--out", str(run)]
        options = ["--preset", self.preset, "--size", str(self.system.size), "--workers", "0"]
        options += ["--backbone", self.system.backbone] if self.system.backbone else []
        return [
            *BONAFACE,
            "train",
            self.model,
            *data,
            *options,
            *(f"--set={change}" for change in self.changes),
        ]

    def evaluate(self, store: Path, run: Path) -> list[str]:
        """Return the command that evaluates it."""
        data = ["--data", str(store), "--protocol", self.protocol, "--fold", self.fold]
        return [*BONAFACE, "evaluate", str(run), *data]

    def report(self, run: Path) -> Path:
        """Return the path of its report."""
        return run / "evaluation" / "-".join(filter(None, ("nuaa", self.protocol, self.fold))) / "report.json"


def cells() -> Iterator[Cell]:
    """Yield the cells of the grid, the most wanted first."""
    for protocol, fold, crop in GRID:
        for model, preset in NETWORKS:
            yield Cell(model, preset, protocol, fold, crop)
    yield Cell("deep-pix-bis", "paper", "official", "", "tight", SIMULATE, COLOR_TRANSFER, LONGER)
    for color_transfer in (COLOR_TRANSFER, 0.0):
        for model, preset in NETWORKS:
            yield Cell(model, preset, "official", "", "tight", SIMULATE, color_transfer)
    for block in GRID:
        for system in SYSTEMS:
            if block[2] == SYSTEM_CROP or system in EVERYWHERE:
                yield Cell.of(system, *block)


def chosen(models: Sequence[str] | None = None, protocols: Sequence[str] | None = None) -> list[Cell]:
    """Return the cells of these models on these protocols; None stands for all."""
    return [
        cell
        for cell in cells()
        if (models is None or cell.model in models) and (protocols is None or cell.protocol in protocols)
    ]


class Results:
    """The figures of each finished cell by its name, in benchmarks/nuaa.json. Threads may share it."""

    def __init__(self, path: Path = RESULTS) -> None:
        self._path = path
        self._lock = Lock()
        self.cells = self._read()

    def _read(self) -> dict[str, Any]:
        return dict(json.loads(self._path.read_text())) if self._path.is_file() else {}

    def has(self, cell: Cell, store: CropStore) -> bool:
        """Return whether the cell is done, with these settings and this store."""
        kept = self.cells.get(cell.name)
        return bool(
            kept
            and kept["store_digest"] == store.digest
            and same(kept["settings"], cell.settings(store.path))
        )

    def put(self, name: str, figures: Mapping[str, Any]) -> None:
        """Keep what is known of a cell."""
        with self._lock:
            self.cells = dict(
                sorted({**self._read(), name: figures}.items())
            )  # a probe may have written meanwhile
            write_json(self._path, self.cells)


def plain(settings: RunSettings) -> dict[str, Any]:
    """Return the settings that decide the outcome: all but the path of the store."""
    return {name: value for name, value in settings.as_dict().items() if name != "store"}


def same(kept: Mapping[str, Any], wanted: RunSettings) -> bool:
    """Return whether kept settings are the wanted ones; a setting that is newer than they are has its default."""
    try:
        was = RunSettings.from_dict({**kept, "store": wanted.store})
    except InputError:  # a setting of theirs exists no more
        return False
    return not wanted.differences(was)


def record(cell: Cell, run: Path) -> dict[str, Any]:
    """Return what is kept of a finished run: its settings, its outcome, and the test figures of its report."""
    provenance = json.loads((run / "bundle" / "bundle.json").read_text())["provenance"]
    fold = json.loads(cell.report(run).read_text())["folds"][0]
    return {
        "settings": plain(RunSettings.from_dict(provenance["settings"])),
        "store_digest": provenance["store_digest"],
        "commit": commit(),
        "versions": provenance["versions"],
        "frames": json.loads((run / "run.json").read_text())["frames"],
        "training_seconds": provenance["training_seconds"],
        "dev_acer": provenance["dev_acer"],
        "threshold": fold["threshold"],
        "test": figures(fold["test"]),
        "median_scores": by_subject(cell.report(run).with_name("scores.csv")),
    }


def figures(test: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of one report's test set that the table shows, and a few more."""
    errors, ranking = test["errors"], test["ranking"]
    return {
        **{name: test[name] for name in ("bona_fide", "attacks", "subjects", "reasons")},
        "apcer": errors["apcer"]["pooled"],
        "bpcer": errors["bpcer"],
        "acer": errors["acer"]["pooled"],
        **{name: ranking[name] for name in ("eer", "auc", "bpcer_at")},
    }


def by_subject(scores: Path) -> dict[str, float]:
    """Return the median score of each subject's presentations of a class, as ``attack 0001``."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    with scores.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["score"]:
                found[f"{CLASSES[int(row['label'])]} {row['subject']}"].append(float(row["score"]))
    return {name: round(median(values), 4) for name, values in sorted(found.items())}


def commit() -> str:
    """Return the commit of the code that runs, with a plus sign if it was changed since."""
    source = Path(bonaface.__file__).parent
    git = ["git", "-C", str(source)]
    last = subprocess.run([*git, "log", "-1", "--format=%h", "."], capture_output=True, text=True, check=True)
    changed = subprocess.run([*git, "status", "--porcelain", "."], capture_output=True, text=True, check=True)
    return last.stdout.strip() + ("+" if changed.stdout else "")


@contextmanager
def one_of(cores: "SimpleQueue[int]") -> Iterator[int]:
    """Yield a core that no other job uses meanwhile."""
    core = cores.get()
    try:
        yield core
    finally:
        cores.put(core)


def do(cell: Cell, store: CropStore, runs: Path, cores: "SimpleQueue[int]", results: Results) -> bool:
    """Train and evaluate a cell on a core of its own, unless it is done. Says whether it is."""
    if results.has(cell, store):
        return True
    run = runs / cell.name
    if (run / "run.json").is_file():
        changed = cell.settings(store.path).differences(read_settings(run / "run.json"))
        if changed:
            print(f"{run}: this run has other settings ({', '.join(changed)}); move it away to train anew")
            return False
    with one_of(cores) as core, (runs / f"{cell.name}.log").open("a") as log:
        for done, command in (
            ((run / "bundle").is_dir, cell.train(store.path, run)),
            (cell.report(run).is_file, cell.evaluate(store.path, run)),
        ):
            if done():
                continue
            print(f"{cell.name}: {' '.join(command[3:])}", flush=True)
            pinned = ["taskset", "-c", str(core), *command]
            if subprocess.run(pinned, stdout=log, stderr=log, check=False).returncode:
                print(f"{cell.name}: FAILED, see {log.name}", flush=True)
                return False
    results.put(cell.name, record(cell, run))
    return True


def take_in(results: Results, runs: Path) -> None:
    """Keep the figures of every cell that is finished in `runs`."""
    for cell in cells():
        if cell.report(runs / cell.name).is_file():
            results.put(cell.name, record(cell, runs / cell.name))


HEADER = (
    "| protocol | crop | model | preset | simulated | color transfer | APCER | BPCER | ACER (95 %) | EER (95 %) | AUC "
    "| no response | epochs | minutes |\n"
    "|---|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def line(kept: Mapping[str, Any]) -> str:
    """Return a cell's row of the table: pooled attacks, at the bundle's own threshold."""
    settings, test = kept["settings"], kept["test"]
    preset = settings["preset"]
    columns = [f"{settings['protocol']} {settings['fold']}".strip()]
    columns += [preset["crop"], preset["model"], preset["name"]]
    columns += [f"{preset.get('augment', {}).get(name, 0.0):g}" for name in ("simulate", "color_transfer")]
    columns += [counted(test["apcer"]), counted(test["bpcer"]), between(test["acer"]), between(test["eer"])]
    columns += [f"{test['auc']:.3f}", str(sum(test["reasons"].values()))]
    columns += [str(preset["epochs"]), f"{kept['training_seconds'] / 60:.1f}"]
    return f"| {' | '.join(columns)} |"


def counted(rate: Mapping[str, Any]) -> str:
    """Return a rate in per cent with its numerator and denominator."""
    return f"{100 * rate['value']:.1f} ({rate['errors']}/{rate['total']})"


def between(figure: Mapping[str, Any]) -> str:
    """Return a figure in per cent with its interval over subjects."""
    low, high = (100 * figure["interval"][end] for end in ("low", "high"))
    return f"{100 * figure['value']:.1f} ({low:.1f} to {high:.1f})"


def table(results: Results) -> str:
    """Return the rows of the cells that are done, in the grid's order."""
    crops = [crop for _, _, crop in GRID]
    known = list(cells())
    # A system that has a crop of its own stands in the block of its protocol; those that saw simulated attacks, last.
    known.sort(
        key=lambda cell: (
            GRID.index((cell.protocol, cell.fold, cell.crop if cell.crop in crops else SYSTEM_CROP)),
            cell.simulate,
            cell.color_transfer,
            cell.epochs,
        )
    )
    done = [results.cells[cell.name] for cell in known if cell.name in results.cells]
    return "\n".join([HEADER, *map(line, done)])


def priced() -> dict[str, Cell]:
    """Return one cell of each system by its name: the crop and the data change nothing about its cost."""
    found: dict[str, Cell] = {}
    for cell in cells():
        found.setdefault(f"{cell.model} ({cell.preset})", cell)
    return found


def bundle_of(cell: Cell, runs: Path | None, folder: Path) -> Bundle:
    """Return the bundle of a cell's run in `runs` where it is there, else of its untrained network in `folder`."""
    if runs is not None and (runs / cell.name / "bundle").is_dir():
        return Bundle.open(runs / cell.name)
    return untrained(cell.settings(Path()).preset, folder / cell.name)


def write_table(text: str, page: Path) -> None:
    """Put `text` between the marks of `page`."""
    write_between(text, page, "<!-- table -->\n", "<!-- end of table -->")


def main() -> int:
    """Do what is to be done, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path, nargs="?")
    parser.add_argument("runs", type=Path, nargs="?")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--cost", action="store_true")
    parser.add_argument(
        "--model", action="append", help="this model's cells alone; may be given several times"
    )
    parser.add_argument(
        "--protocol",
        action="append",
        choices=sorted({protocol for protocol, _, _ in GRID}),
        help="this protocol's cells alone; may be given several times",
    )
    given = parser.parse_args()
    if given.cost:
        with TemporaryDirectory() as folder:
            bundles = {name: bundle_of(cell, given.runs, Path(folder)) for name, cell in priced().items()}
            write_cost(cost_table(bundles), PAGE)
        return 0
    results = Results()
    if given.table:
        if given.runs is not None:
            take_in(results, given.runs)
        write_table(table(results), PAGE)
        return 0
    if given.runs is None:
        parser.error("expected STORE and RUNS, --table, or --cost")
    given.runs.mkdir(parents=True, exist_ok=True)
    cores: SimpleQueue[int] = SimpleQueue()
    for core in sorted(os.sched_getaffinity(0))[: given.jobs]:
        cores.put(core)
    work = partial(do, store=CropStore.open(given.store), runs=given.runs, cores=cores, results=results)
    with ThreadPoolExecutor(given.jobs) as pool:
        fine = list(pool.map(work, chosen(given.model, given.protocol)))
    print(table(results))
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
