"""Measure steps a second of `bonaface train` against a bare PyTorch loop over the same network.

    python benchmarks/training_speed.py [--model bi-fas --size 256 ...] [--steps 12 --rounds 3]

Both run in this process, in turns, with the same threads, batch and allocator settings; the figures are medians over
the rounds. The crops come from a store of drawn faces, read, cut and augmented as in any run. "Waiting" is the share of
a run's wall time between the end of one step and the beginning of the next: data loading and the framework.
"""

import argparse
import logging
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from PIL import Image

from bonaface.datasets.registry import open_dataset
from bonaface.models.base import GradientModel
from bonaface.models.registry import create_model
from bonaface.store.crop_store import CropStore
from bonaface.store.prepare import prepare
from bonaface.testing.portrait import drawn_portrait
from bonaface.training.data import PadData
from bonaface.training.fit import run_trainer
from bonaface.training.memory import keep_freed_memory
from bonaface.training.module import PadModule
from bonaface.training.settings import RunSettings, choose_preset

WARM_UP = 2
CASES = (("deep-pix-bis", "random:densenet161", 224), ("bi-fas", "random:efficientnet_b0", 256))


class Clock(Callback):
    """Notes when each step begins and ends, and stops the run after `steps`."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self.begun: list[float] = []
        self.ended: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        """Record the start of a step."""
        self.begun.append(time.perf_counter())

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Record the end of a step."""
        self.ended.append(time.perf_counter())
        trainer.should_stop = len(self.ended) >= self._steps
        trainer.limit_val_batches = 0

    @property
    def rate(self) -> float:
        """Return the steps a second after the warm-up."""
        return (len(self.ended) - WARM_UP) / (self.ended[-1] - self.ended[WARM_UP - 1])

    @property
    def waiting(self) -> float:
        """Return the share of the time after the warm-up that lies between two steps."""
        gaps = [b - e for b, e in zip(self.begun[WARM_UP:], self.ended[WARM_UP - 1 :], strict=False)]
        return sum(gaps) / (self.ended[-1] - self.ended[WARM_UP - 1])


def bare(network: GradientModel, settings: RunSettings, steps: int) -> float:
    """Return the steps a second of a plain loop: forward, loss, backward, Adam at the run's accumulation."""
    size, batch = network.input_size, settings.micro_batch
    images = torch.randn(batch, 3, size, size).to(memory_format=torch.channels_last)
    labels = (torch.arange(batch) % 2).float()
    network.train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-6)
    ended = []
    for step in range(steps):
        loss = network.loss(network(images), {"label": labels}, images)["total"] / settings.accumulate
        loss.backward()  # type: ignore[no-untyped-call]
        if (step + 1) % settings.accumulate == 0:
            optimiser.step()
            optimiser.zero_grad()
        ended.append(time.perf_counter())
    return (steps - WARM_UP) / (ended[-1] - ended[WARM_UP - 1])


def run(network: GradientModel, settings: RunSettings, store: CropStore, steps: int) -> Clock:
    """Run the same steps by the Lightning module over the store."""
    clock = Clock(steps)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = run_trainer(settings, Path(folder), [clock], logger=False)
        trainer.fit(PadModule(network, settings), PadData(store, settings))
    return clock


def drawn_store(folder: Path, people: int = 40) -> CropStore:
    """Make a crop store of drawn faces at the size that phones give."""
    for person in range(people):
        for name, seed in (("bonafide", person), ("attack/print-1", people + person)):
            path = folder / "pictures" / name / f"{person}" / "0.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(drawn_portrait(640, seed)).save(path, compress_level=1)
    prepare(open_dataset("folder").read(folder / "pictures"), folder / "pictures", folder / "store")
    return CropStore.open(folder / "store")


def main() -> None:
    """Measure and print a line a case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", action="append", default=[], help="model:backbone:size; may be given again"
    )
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--micro-batch", type=int, default=8)
    parser.add_argument("--workers", type=int, default=0)
    given = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    keep_freed_memory()
    asked = [(m, ":".join(b), int(s)) for m, *b, s in (text.split(":") for text in given.model)]
    with tempfile.TemporaryDirectory() as folder:
        store = drawn_store(Path(folder))
        for model, backbone, size in asked or CASES:
            changes = {
                "backbone": backbone,
                "size": size,
                "batch": given.micro_batch,
                "bn_batches": 0,
                "epochs": 99,
            }
            preset = choose_preset(model, None, changes)
            settings = RunSettings(
                preset, str(store.path), "split", micro_batch=given.micro_batch, workers=given.workers
            )
            network = create_model(model, backbone=backbone, size=size).to(memory_format=torch.channels_last)
            assert isinstance(network, GradientModel)
            rates, runs = [], []
            for _ in range(given.rounds):
                rates.append(bare(network, settings, given.steps))
                runs.append(run(network, settings, store, given.steps))
            loop, ours = statistics.median(rates), statistics.median(clock.rate for clock in runs)
            waiting = statistics.median(clock.waiting for clock in runs)
            print(
                f"{model} {size} px, micro-batch {given.micro_batch}: bare loop {loop:.3f} steps/s, "
                f"train {ours:.3f} steps/s, ratio {ours / loop:.2f}; waiting {100 * waiting:.1f} % of the time",
                flush=True,
            )


if __name__ == "__main__":
    main()
