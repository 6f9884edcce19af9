"""Stop a run on several devices at the same batch, whichever of its processes is told to."""

import signal
import threading
from types import FrameType
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException


class StopTogether(Callback):
    """On SIGTERM end the training after the batch in hand, in all of its processes.

    Lightning's own handler sends a message to the other processes at once, which may cross one of the training's. Then
    the processes wait for each other for ever, or one of them dies. Here it is noted, and after each batch the
    processes agree. A run on one device is left to Lightning.
    """

    def __init__(self) -> None:
        self._asked = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Take the place of Lightning's handler, which comes back with the next start."""
        if trainer.world_size > 1 and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._note)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Leave where any process was told to.

        Raises:
            SIGTERMException: it was; in every process after the same batch.
        """
        if trainer.world_size > 1:
            asked = torch.tensor(int(self._asked), device=trainer.strategy.root_device)
            torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX)
            if asked.item():
                raise SIGTERMException

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
