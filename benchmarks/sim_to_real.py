"""Measure the way from simulated to real attacks (benchmarks/sim_to_real.md): simulate, train, test on NUAA.

    python benchmarks/sim_to_real.py WORK FACES NUAA            # goes on with what is not done yet
    python benchmarks/sim_to_real.py WORK FACES NUAA --steer RUN  # how a run does on NUAA's train part
    python benchmarks/sim_to_real.py WORK FACES NUAA --table    # writes the tables of what is done into sim_to_real.md

WORK is a folder for everything made on the way, FACES has the portraits (canada/, fairface/, neutral_front/, ...), NUAA
is the crop store made by `bonaface prepare nuaa`. Every step is a bonaface command, printed before it runs; only the
chain without a part (sim_to_real_parts.py), the statistics (sim_to_real_statistics.py) and the probe on frozen features
(sim_to_real_probe.py) are not. Every network has a processor core of its own. It can be stopped at any moment. Figures
go into benchmarks/sim_to_real.json as soon as they are there.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import msgspec
import numpy as np
import torch

from bonaface.core.files import write_json
from bonaface.inference.bundle import Bundle, write_card
from bonaface.inference.preprocess import normalise
from bonaface.inference.runtime import OnnxRunner
from bonaface.metrics.curves import auc, eer
from bonaface.metrics.rates import acer_at
from bonaface.store.crop_store import CropStore
from nuaa import between, commit, counted, figures, one_of, write_table
from portraits import link_portraits
from sim_to_real_parts import PARTS
from sim_to_real_probe import CROPS, EVERY, lit_crops, probe
from sim_to_real_statistics import Statistics, fit_and_judge

HERE = Path(__file__).parent
RESULTS = HERE / "sim_to_real.json"
PAGE = HERE / "sim_to_real.md"
BONAFACE = [sys.executable, "-m", "bonaface.cli.main"]
MODEL, BACKBONE, SIZE = "bi-fas", "efficientnet-lite0", 160
SETTINGS = (
    "batch=16",
    "bn_batches=25",
    "lr=1e-3",
    "backbone_rate=0.1",
    "crop=square-1.3",
    f"augment.crops=[{', '.join(CROPS)}]",
    "augment.color_transfer=1.0",
)
SEEDS = (0, 1, 2)
_LOT = 32  # pictures that go through a network together


@dataclass(frozen=True)
class Cell:
    """One network: trained on presentations by the chain without `part` (empty: the whole chain).

    `persons` each give `frames` bona fide pictures and as many attacks.
    """

    part: str = ""
    seed: int = 0
    persons: int = 1400
    frames: int = 2
    epochs: int = 4

    @classmethod
    def small(cls, part: str) -> "Cell":
        """Return the cell of a small set that compares the chain's parts; no network is trained on it."""
        return cls(part, persons=300, frames=1, epochs=0)

    @property
    def chain(self) -> str:
        """Return the name of the set and of its store."""
        return f"{self.part or 'whole'}-{self.persons}x{self.frames}"

    @property
    def name(self) -> str:
        """Return the name of the run."""
        return f"{self.chain}-seed{self.seed}"


def main_cells() -> Iterator[Cell]:
    """Yield the networks that are tested on NUAA's test part."""
    yield from (Cell(seed=seed) for seed in SEEDS)


def small_cells() -> Iterator[Cell]:
    """Yield the chain without a part each; they are compared on NUAA's train part, and test stays unseen."""
    yield from (Cell.small(part) for part in ("", *PARTS))


class Work:
    """The folder in which everything is made."""

    def __init__(self, root: Path, faces: Path, nuaa: Path) -> None:
        self.root, self.faces, self.nuaa = root, faces, nuaa
        for name in ("sets", "stores", "runs", "statistics"):
            (root / name).mkdir(parents=True, exist_ok=True)

    def portraits(self) -> Path:
        """Return a folder of links to one picture a person."""
        return link_portraits(self.faces, self.root / "portraits")

    def store(self, cell: Cell, core: int | None = None) -> Path:
        """Return the crop store of a cell's simulated presentations, made if it is not there."""
        made, store = self.root / "sets" / cell.chain, self.root / "stores" / cell.chain
        if not (store / "frames.parquet").is_file():
            how = ["--layout", "folder", "--faces", str(self.portraits())]
            how += ["--persons", str(cell.persons), "--frames", str(cell.frames)]
            without = [sys.executable, str(HERE / "sim_to_real_parts.py"), cell.part]
            _run([*(without if cell.part else BONAFACE), "simulate", str(made), *how], core)
            _run([*BONAFACE, "prepare", "folder", str(made), str(store)], core)
        return store

    def run(self, cell: Cell, core: int) -> Path:
        """Return a cell's run, trained if it is not."""
        run = self.root / "runs" / cell.name
        if (run / "run.json").is_file() and not (run / "bundle").is_dir():
            _run([*BONAFACE, "train", "--resume", "--out", str(run)], core)
        if not (run / "bundle").is_dir():
            where = ["--data", str(self.store(cell, core)), "--protocol", "split", "--out", str(run)]
            how = ["--backbone", BACKBONE, "--size", str(SIZE), "--workers", "0"]
            how += [f"--set={change}" for change in (*SETTINGS, f"epochs={cell.epochs}")]
            _run([*BONAFACE, "train", MODEL, *where, *how, "--seed", str(cell.seed)], core)
        return run

    def report(self, run: Path, crop: str, core: int) -> dict[str, Any]:
        """Return the test figures of a run on NUAA at `crop`, under the threshold of the simulated dev set."""
        out = run / "evaluation" / f"nuaa-official-{crop}"
        if not (out / "report.json").is_file():
            where = ["--data", str(self.nuaa), "--protocol", "official", "--out", str(out)]
            _run([*BONAFACE, "evaluate", str(at_crop(run, crop)), *where], core)
        return figures(json.loads((out / "report.json").read_text())["folds"][0]["test"])


def _run(command: list[str], core: int | None = None) -> None:
    print(" ".join(command[1:]), flush=True)
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    subprocess.run([*pinned, *command], check=True, stderr=subprocess.DEVNULL)


def at_crop(run: Path, crop: str) -> Path:
    """Return a bundle with the same network and thresholds as the run's that reads another crop of the same faces."""
    bundle = Bundle.open(run)
    if bundle.card.views == (crop,):
        return bundle.path
    other = run / f"bundle-{crop}"
    shutil.copytree(bundle.path, other, dirs_exist_ok=True)
    write_card(other, msgspec.structs.replace(bundle.card, views=(crop,)))
    return other


def steer(run: Path, nuaa: Path, every: int = 4) -> dict[str, Any]:
    """Return a run's figures on some of NUAA's official train part, by crop and by light (`lit_crops`)."""
    bundle = Bundle.open(run)
    card, runner = bundle.card, OnnxRunner(bundle, threads=1)
    threshold = card.threshold(card.default_output, "video")
    labels, lit = lit_crops(nuaa, card.input_size, every)
    found: dict[str, Any] = {}
    for crop, lights in lit.items():
        found[crop] = {}
        for light, pictures in lights.items():
            lots = (np.stack(pictures[n : n + _LOT]) for n in range(0, len(pictures), _LOT))
            outputs = [runner.run(normalise(lot, card.mean, card.std)) for lot in lots]
            scores = np.concatenate([output[card.default_output] for output in outputs])
            found[crop][light] = {
                "auc": auc(labels, scores),
                "eer": eer(labels, scores),
                "acer": acer_at(labels, scores, threshold),
            }
    return found


def baselines(work: Work) -> dict[str, Any]:
    """Return the figures of the seven statistics, by crop: on NUAA, on simulated pictures, and from these to NUAA."""
    kept = work.root / "statistics"
    stores = CropStore.open(work.store(Cell())), CropStore.open(work.nuaa)
    simulated, real = (Statistics.of(store, CROPS, SIZE, kept) for store in stores)
    found: dict[str, Any] = {}
    for crop in CROPS:
        made = {name: simulated[crop].part("split", name) for name in ("train", "dev", "test")}
        nuaa = {name: real[crop].part("official", name) for name in ("train", "dev", "test")}
        found[crop] = {
            "NUAA train -> NUAA test": fit_and_judge(nuaa["train"], nuaa["dev"], nuaa["test"]),
            "simulated train -> simulated test": fit_and_judge(made["train"], made["dev"], made["test"]),
            "simulated train -> NUAA test": fit_and_judge(made["train"], made["dev"], nuaa["test"]),
        }
    return found


class Results:
    """benchmarks/sim_to_real.json. Threads may share it."""

    def __init__(self, path: Path = RESULTS) -> None:
        self._path = path
        self._lock = Lock()
        self.known: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}

    def put(self, name: str, figures: Mapping[str, Any]) -> None:
        """Keep what is known of a cell or of the baselines."""
        with self._lock:
            self.known = dict(sorted({**self.known, name: figures}.items()))
            write_json(self._path, self.known)


def do(cell: Cell, work: Work, results: Results, cores: "SimpleQueue[int]") -> None:
    """Do what is to be done for a cell, on a core of its own; keep its settings and figures."""
    if cell.name in results.known:
        return
    with one_of(cores) as core:
        run = work.run(cell, core)
        provenance = json.loads((run / "bundle" / "bundle.json").read_text())["provenance"]
        found = {
            "persons": cell.persons,
            "seed": cell.seed,
            "preset": provenance["settings"]["preset"],
            "commit": commit(),
            "frames": json.loads((run / "run.json").read_text())["frames"],
            "training_seconds": provenance["training_seconds"],
            "dev_acer": provenance["dev_acer"],
            "nuaa_train": steer(run, work.nuaa),
            "nuaa": {crop: work.report(run, crop, core) for crop in CROPS},
        }
        results.put(cell.name, found)


def add_part(cell: Cell, work: Work, results: Results, cores: "SimpleQueue[int]") -> None:
    """Keep how far frozen features carry over from presentations by the chain without a part."""
    if cell.chain not in results.known:
        with one_of(cores) as core:
            store = work.store(cell, core)
            found = probe(store, work.nuaa, work.root / "statistics" / f"lit-every-{EVERY}.safetensors")
            results.put(
                cell.chain, {"part": cell.part, "persons": cell.persons, "commit": commit(), "auc": found}
            )


def add_baselines(work: Work, results: Results, cores: "SimpleQueue[int]") -> None:
    """Keep the figures of the seven statistics."""
    if "statistics" not in results.known:
        with one_of(cores):
            results.put("statistics", baselines(work))


HEADER = (
    "| seed | crop | APCER | BPCER | ACER (95 %) | EER (95 %) | AUC | NUAA train: AUC | light exchanged: AUC |\n"
    "|---:|---|---:|---:|---:|---:|---:|---:|---:|"
)
PARTS_HEADER = (
    "| chain | attacks | tight: AUC | light exchanged | square 1.3: AUC | light exchanged |\n"
    "|---|---|---:|---:|---:|---:|"
)
BASELINE_HEADER = "| crop | trained and tested on | AUC | EER | ACER |\n|---|---|---:|---:|---:|"


def table(known: Mapping[str, Any]) -> str:
    """Return the tables of what is done: networks, the chain's parts, the statistics."""
    lines = [HEADER]
    for cell in main_cells():
        if cell.name in known:
            lines += [_line(known[cell.name], crop) for crop in CROPS]
    lines += ["", PARTS_HEADER]
    for cell in small_cells():
        if cell.chain in known:
            lines += [_part_line(known[cell.chain], attacks) for attacks in known[cell.chain]["auc"]]
    lines += ["", BASELINE_HEADER]
    for crop, rows in known.get("statistics", {}).items():
        for name, row in rows.items():
            rates = (f"{100 * row[figure]:.1f}" for figure in ("eer", "acer"))
            lines.append(f"| {crop} | {name} | {row['auc']:.3f} | {' | '.join(rates)} |")
    return "\n".join(lines)


def _part_line(kept: Mapping[str, Any], attacks: str) -> str:
    columns = [f"without {kept['part']}" if kept["part"] else "whole", attacks]
    for crop in CROPS:
        columns += [f"{value:.3f}" for value in kept["auc"][attacks][crop].values()]
    return f"| {' | '.join(columns)} |"


def _line(kept: Mapping[str, Any], crop: str) -> str:
    test, train = kept["nuaa"][crop], kept["nuaa_train"][crop]
    columns = [str(kept["seed"]), crop, counted(test["apcer"]), counted(test["bpcer"])]
    columns += [between(test["acer"]), between(test["eer"]), f"{test['auc']:.3f}"]
    columns += [f"{found['auc']:.3f}" for found in train.values()]
    return f"| {' | '.join(columns)} |"


def main() -> int:
    """Do what is not done, or one of the small things."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("work", "faces", "nuaa"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--steer", type=Path, metavar="RUN")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    results = Results()
    if given.steer:
        for crop, lights in steer(given.steer, given.nuaa).items():
            for light, found in lights.items():
                values = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
                print(f"{crop}, light {light}: {values}")
    elif given.table:
        write_table(table(results.known), PAGE)
    else:
        os.environ["OMP_NUM_THREADS"] = "1"  # of every command that has one core
        torch.set_num_threads(1)
        work, cores = Work(given.work, given.faces, given.nuaa), SimpleQueue[int]()
        for core in sorted(os.sched_getaffinity(0)):
            cores.put(core)
        work.store(Cell())  # on all of them
        one = partial(do, work=work, results=results, cores=cores)
        with ThreadPoolExecutor(cores.qsize()) as pool:
            jobs = [pool.submit(one, cell) for cell in main_cells()]
            jobs += [pool.submit(add_baselines, work, results, cores)]
            jobs += [pool.submit(add_part, cell, work, results, cores) for cell in small_cells()]
            for job in jobs:
                job.result()
        print(table(results.known))
    return 0


if __name__ == "__main__":
    sys.exit(main())
