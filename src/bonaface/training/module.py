"""The Lightning module: one network's steps in training and on dev."""

import itertools
from typing import Any, Self

import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bonaface.core.errors import BonafaceError
from bonaface.models.base import GradientModel
from bonaface.training.batches import Batch, ResumableLoader
from bonaface.training.dev import judge_dev
from bonaface.training.normalise import Normalise
from bonaface.training.settings import RunSettings


class PadModule(lightning.LightningModule):
    """Train a `GradientModel` by its own loss; measure dev ACER at the dev EER threshold after each epoch."""

    def __init__(self, network: GradientModel, settings: RunSettings) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self._settings = settings
        self._frozen = settings.preset.backbone_rate == 0
        for part in network.backbones:
            part.requires_grad_(not self._frozen)
        self.images = Normalise(network.mean, network.std)
        self._dev: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """One micro-batch: the network's total loss, every term of it logged."""
        images = self.images(batch.crops)
        losses = self.network.loss(self.network(images), batch.labels, images)
        self.log_dict(
            {f"train/{name}": value.detach() for name, value in losses.items()}, batch_size=len(images)
        )
        return losses["total"]

    def on_validation_start(self) -> None:
        """Re-estimate the running statistics of batch normalisation before dev is scored."""
        self.estimate_statistics()

    def validation_step(self, batch: Batch, _: int) -> None:
        """Keep the default output's score and the loss of every dev frame."""
        images = self.images(batch.crops)
        output = self.network(images)
        total = self.network.loss(output, batch.labels, images)["total"]
        scores = output.scores[self.network.score_names[0]].float()
        self._dev.append((batch.presentations, batch.labels, scores, total.expand(len(images)).float()))

    def on_validation_epoch_end(self) -> None:
        """Log dev ACER (pooled, a video's score being the mean of its frames) and dev loss."""
        columns = [torch.cat(column).cpu().numpy() for column in zip(*self._dev, strict=True)]
        self._dev.clear()
        if self.trainer.world_size > 1:
            shares: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(shares, columns)
            columns = [np.concatenate(column) for column in zip(*shares, strict=True)]
        rows, labels, scores, losses = columns
        if not np.isfinite(scores).all():
            raise BonafaceError(
                f"after epoch {self.current_epoch + 1} the network's scores are no numbers any more: the training "
                f"diverged; begin a new run with a learning rate below {self._settings.preset.lr:g} (--set lr=...)"
            )
        self.log_dict(judge_dev(rows, labels, scores, losses), rank_zero_only=True)

    def train(self, mode: bool = True) -> Self:
        """As in torch; but a backbone that does not learn keeps its statistics too."""
        super().train(mode)
        if self._frozen:
            for part in self.network.backbones:
                part.eval()
        return self

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, as both papers train; the backbone at its own share of the rate."""
        preset = self._settings.preset
        backbone = [p for part in self.network.backbones for p in part.parameters()]
        inside = {id(parameter) for parameter in backbone}
        groups = [{"params": [p for p in self.network.parameters() if id(p) not in inside]}]
        if backbone and not self._frozen:
            groups.append({"params": backbone, "lr": preset.lr * preset.backbone_rate})  # type: ignore[dict-item]
        return torch.optim.Adam(groups, lr=preset.lr, weight_decay=preset.weight_decay)

    @torch.no_grad()
    def estimate_statistics(self) -> None:
        """Set batch normalisation's running statistics to plain means over the first training batches of the epoch.

        With few steps and a small momentum the running averages would still hold most of their initial values
        (spec: models, "Batch normalisation"). `preset.bn_batches` batches at most, which the devices share; 0 leaves
        the averages alone.
        Parts that only the loss needs keep theirs: out of training they do not run, so nothing would refill them.
        """
        batches = self._settings.preset.bn_batches
        parts = [getattr(self.network, name) for name in self.network.training_parts]
        kept = {m for part in [*parts, *self.network.backbones * self._frozen] for m in part.modules()}
        layers = [
            m
            for m in self.network.modules()
            if isinstance(m, _BatchNorm) and m.track_running_stats and m not in kept
        ]
        if not batches or not layers:
            return
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # a plain mean over all batches seen
            layer.train()
        loader: ResumableLoader = self.trainer.datamodule.train_loader(self.current_epoch)  # type: ignore[attr-defined]
        for batch in itertools.islice(loader, max(batches // self.trainer.world_size, 1)):
            self.network(self.images(batch.crops.to(self.device)))
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
            layer.eval()
        self._share_statistics(layers)

    def _share_statistics(self, layers: list[_BatchNorm]) -> None:
        if self.trainer.world_size > 1:
            for layer in layers:
                for values in (layer.running_mean, layer.running_var):
                    if values is not None:
                        torch.distributed.all_reduce(values, torch.distributed.ReduceOp.SUM)
                        values.div_(self.trainer.world_size)


def plain_state(network: nn.Module) -> dict[str, Tensor]:
    """The network's tensors on the CPU, contiguous and detached, as safetensors wants them."""
    return {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
