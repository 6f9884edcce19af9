"""Save what a run needs while it trains: the checkpoint to resume from, the best weights, and a log."""

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from bonaface.core.files import whole_file
from bonaface.training.batches import Batch
from bonaface.training.dev import Outcome
from bonaface.training.module import PadModule, plain_state
from bonaface.training.progress import Progress, Show
from bonaface.training.weights import save_weights, seal

LAST = "checkpoints/last.ckpt"
BEST = "checkpoints/best.safetensors"
_NEXT = "checkpoints/next-best-{}.safetensors"  # of an epoch, until the checkpoint knows that it is the best
HISTORY = "history.csv"
LOSSES = "losses.csv"
_GLANCE = 0.5  # seconds between two looks at the loss, which a GPU would have to be waited for


class CheckpointSaver(Callback):
    """Save ``checkpoints/last.ckpt`` every `every` optimiser steps and after each epoch, and the best epoch's weights.

    Best is the lowest dev ACER at the dev EER threshold; ties go to the lower dev loss, then to the earlier epoch
    (docs/decisions.md, "Training"). Each file is replaced as a whole, so a run that is killed at any moment can be
    resumed.
    """

    def __init__(self, run: Path, every: int) -> None:
        self._run, self._every = run, every
        self.best: tuple[float, float, int] | None = None
        self.rows: list[dict[str, float]] = []
        self.losses = torch.empty(0, 2, dtype=torch.float64)  # steps and their losses; a list is slow to save
        # Of micro-batches of the step that is being made, and of steps; on the device, which nobody waits for.
        self._micro: list[Tensor] = []
        self._terms: dict[str, Tensor] = {}  # sums over the epoch's micro-batches
        self._count = 0
        self._recent: list[tuple[int, Tensor]] = []
        self._step = 0
        self._seconds = 0.0
        self._since = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Return what the checkpoint needs: the best epoch so far, history and losses, and the seconds spent."""
        self._take_losses()
        terms = {name: float(value) for name, value in self._terms.items()}
        return {
            "best": self.best,
            "rows": self.rows,
            "losses": self.losses,
            "seconds": self.seconds,
            "terms": terms,
            "count": self._count,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the values from the checkpoint."""
        self.best = None if state_dict["best"] is None else tuple(state_dict["best"])
        self.rows = list(state_dict["rows"])
        self.losses = state_dict.get("losses", self.losses).cpu()  # version 0.1 kept none
        self._seconds = state_dict["seconds"]
        # Runs that version 0.1 began have none, and their first epoch's figures are of what follows.
        self._terms = {name: torch.tensor(value) for name, value in state_dict.get("terms", {}).items()}
        self._count = state_dict.get("count", 0)
        if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
            self._settle()

    @property
    def outcome(self) -> Outcome:
        """Return the result of the best epoch; there is one after the first epoch."""
        assert self.best is not None, "a run of at least one epoch has a best one"
        return Outcome(*self.best, self.seconds)

    @property
    def seconds(self) -> float:
        """Return the wall time of the run so far, in seconds, over all its starts."""
        return self._seconds + time.monotonic() - self._since

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock when the network starts to learn."""
        self._since, self._step = time.monotonic(), trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Keep the loss, and save every `every` optimiser steps; the epoch's last batch waits for dev."""
        self._micro.append(trainer.callback_metrics["train/total"])
        for name, value in trainer.callback_metrics.items():
            if name.startswith("train/"):
                self._terms[name] = value + self._terms.get(name, 0.0)
        self._count += 1
        if trainer.global_step > self._step:
            self._step = trainer.global_step
            self._recent.append((self._step, torch.stack(self._micro).mean()))
            self._micro.clear()
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if (
            stepped
            and trainer.global_step % self._every == 0
            and batch_idx + 1 < trainer.num_training_batches
        ):
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the weights if this epoch is the best so far, then the checkpoint that says so."""
        values = {name: float(value) for name, value in trainer.callback_metrics.items() if "/" in name}
        values |= {name: float(value) / self._count for name, value in self._terms.items()}
        self._terms, self._count = {}, 0
        epoch = trainer.current_epoch
        this = (values["dev/acer"], values["dev/loss"], epoch)
        self.rows.append(
            {"epoch": epoch, "step": trainer.global_step, "seconds": round(self.seconds, 1), **values}
        )
        if self.best is None or this < self.best:
            self.best = this
            if trainer.is_global_zero and isinstance(pl_module, PadModule):
                with whole_file(self._run / _NEXT.format(epoch)) as part:
                    save_weights(plain_state(pl_module.eval_network), part)
        if trainer.is_global_zero:
            self._take_losses()
            write_history(self._run, self.rows)
            _write_losses(self._run, self.losses)
        self._save(trainer)
        if trainer.is_global_zero:
            self._settle()

    def _settle(self) -> None:
        """Put the weights of the best epoch in place, and remove those of an epoch that no checkpoint knows.

        A run that is killed between weights and checkpoint makes that epoch again, and it may be no better then.
        """
        for path in (self._run / BEST).parent.glob(Path(_NEXT).name.format("*")):
            if self.best is not None and path.name == Path(_NEXT).name.format(self.best[2]):
                path.replace(self._run / BEST)
            else:
                path.unlink()

    def _take_losses(self) -> None:
        """Fetch the losses of the steps since the last time from the device."""
        if self._recent:
            steps, losses = zip(*self._recent, strict=True)
            found = torch.stack(losses).double().cpu()
            self.losses = torch.cat([self.losses, torch.stack([found.new_tensor(steps), found], 1)])
            self._recent.clear()

    def _save(self, trainer: Trainer) -> None:
        target = self._run / LAST
        part = target.with_name("last.ckpt.part")
        trainer.save_checkpoint(part)  # every rank takes part; rank 0 writes
        if trainer.is_global_zero:
            seal(part)
            part.replace(target)
        trainer.strategy.barrier("checkpoint")


def write_history(run: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write ``history.csv`` of `run` whole: a line an epoch, a column for every name that any of them has."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with whole_file(run / HISTORY) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _write_losses(run: Path, losses: Tensor) -> None:
    """Write ``losses.csv`` of `run` whole: a line an optimiser step of (N, 2), its number from 1 and its loss."""
    with whole_file(run / LOSSES) as part, part.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("step", "loss"))
        writer.writerows((int(step), loss) for step, loss in losses.tolist())


class RandomState(Callback):
    """Keep torch's random state in the checkpoint, so that a resumed run draws the same numbers."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the CPU's generator and of every CUDA device's."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return {"cpu": torch.get_rng_state(), "cuda": cuda}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state until training starts."""
        self._state = state_dict

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the state, as the last step before the first batch."""
        state = getattr(self, "_state", None)
        if state is not None:
            torch.set_rng_state(state["cpu"].cpu())
            if state["cuda"] and torch.cuda.device_count() == len(state["cuda"]):
                torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda"]])


class ProgressCallback(Callback):
    """Report the progress of a run: how many of its batches are done, how many of dev, and a line after each epoch.

    Args:
        log: called with the line of each epoch.
        show: called with how far the run is, at most twice a second.
        rows: gives the epochs so far, also those of earlier starts.
    """

    def __init__(
        self, log: Callable[[str], None], show: Show, rows: Callable[[], Sequence[Mapping[str, float]]]
    ) -> None:
        self._log, self._rows = log, rows
        self._batches, self._dev = Progress(show, "training batches"), Progress(show, "dev batches")
        self._show, self._next = show, 0.0

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Start the clock with the first batch of this start of the run."""
        if not self._next:
            self._next = time.monotonic()
            self._batches(_batches_done(trainer, batch_idx), _all_batches(trainer), self._note(trainer))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Report the batches done, with the loss and the dev ACER of the last epoch.

        The time left has the time for dev in it once an epoch has shown it.
        """
        done, total = _batches_done(trainer, batch_idx + 1), _all_batches(trainer)
        if time.monotonic() >= self._next or done == total:
            self._next = time.monotonic() + _GLANCE
            loss = float(trainer.callback_metrics["train/total"])
            self._batches(done, total, self._note(trainer, f"loss {loss:.4f}"))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock of dev."""
        self._dev = Progress(self._show, "dev batches")
        self._dev(0, _dev_batches(trainer))

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Report the batches of dev."""
        self._dev(batch_idx + 1, _dev_batches(trainer))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print a line after each epoch: dev ACER, loss, threshold."""
        values = trainer.callback_metrics
        self._log(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs} done: dev ACER {100 * values['dev/acer']:.2f} %, "
            f"dev loss {values['dev/loss']:.4f}, dev EER threshold {values['dev/threshold']:.4f}"
        )

    def _note(self, trainer: Trainer, loss: str = "") -> str:
        rows = self._rows()
        acer = f"dev ACER {100 * rows[-1]['dev/acer']:.2f} %" if rows else ""
        return ", ".join(
            filter(None, (f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}", loss, acer))
        )


def _batches_done(trainer: Trainer, batches: int) -> int:
    """Return how many batches of the whole run are done, with `batches` of this epoch."""
    return trainer.current_epoch * int(trainer.num_training_batches) + batches


def _all_batches(trainer: Trainer) -> int:
    return int(trainer.num_training_batches) * int(trainer.max_epochs or 0)


def _dev_batches(trainer: Trainer) -> int:
    return int(sum(trainer.num_val_batches))
