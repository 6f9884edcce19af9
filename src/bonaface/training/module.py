"""The Lightning module: one network's steps in training and on dev."""

import itertools
from typing import Any, Self

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bonaface.core.errors import BonafaceError
from bonaface.models.base import GradientModel
from bonaface.training.batches import Batch, ResumableLoader
from bonaface.training.dev import judge_dev
from bonaface.training.normalise import Normalise
from bonaface.training.optimisation import WeightAverage, create_optimizer, has_constant_rate, rate_factor
from bonaface.training.settings import RunSettings


class PadModule(lightning.LightningModule):
    """Train a `GradientModel` by its own loss; measure dev ACER at the dev EER threshold after each epoch."""

    def __init__(self, network: GradientModel, settings: RunSettings) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self._settings = settings
        preset = settings.preset
        self._frozen = preset.backbone_rate == 0
        for part in network.backbones:
            part.requires_grad_(not self._frozen)
        self._average = WeightAverage(network, preset.ema) if preset.ema else None
        self.images = Normalise(network.mean, network.std)
        self._dev: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    @property
    def eval_network(self) -> GradientModel:
        """Return the network that dev evaluates and that is saved: the average of the weights where there is one."""
        return self._average.network if self._average else self.network

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Read the checkpoint of a run that version 0.1 began: a callback has another name today."""
        callbacks = checkpoint.get("callbacks", {})
        if "Keeper" in callbacks:
            callbacks["CheckpointSaver"] = callbacks.pop("Keeper")

    def on_train_start(self) -> None:
        """Put the layers into their modes, which Lightning leaves as it finds them and restores after dev."""
        self.train()

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the network's total loss on a micro-batch, and log every term of it."""
        images = self.images(batch.crops)
        losses = self.network.loss(self.network(images, batch.shares), batch.targets, images)
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
        output = self.eval_network(images, batch.shares)
        total = self.eval_network.loss(output, batch.targets, images)["total"]
        scores = output.scores[self.eval_network.score_names[0]].float()
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
        """Set the mode as torch does, but keep a backbone in eval mode where its statistics must not change."""
        super().train(mode)
        for layer in self._still_layers(self.network):
            layer.eval()
        return self

    def _still_layers(self, network: GradientModel) -> list[nn.Module]:
        """Return the backbone's layers that stay in eval mode: all of one that is frozen, or those with statistics."""
        if not self._frozen and self._settings.preset.bn == "train":
            return []
        layers = [layer for part in network.backbones for layer in part.modules()]
        return layers if self._frozen else [layer for layer in layers if isinstance(layer, _BatchNorm)]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the preset's optimiser, and its schedule where the rate changes."""
        preset = self._settings.preset
        optimizer = create_optimizer(self.network, preset)
        if has_constant_rate(preset):
            return optimizer
        steps: int = self.trainer.datamodule.steps_per_epoch()  # type: ignore[attr-defined]
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(preset, step, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Take an optimiser step, then the new weights into their average."""
        step = self.trainer.global_step
        super().optimizer_step(*args, **kwargs)
        if self._average:
            self._average.update(self.network, step)

    @torch.no_grad()
    def estimate_statistics(self) -> None:
        """Set batch normalisation's running statistics to plain means over the first training batches of the epoch.

        With few steps and a small momentum the running averages would still hold most of their initial values
        (docs/decisions.md, "Training"). `preset.bn_batches` batches at most, which the devices share; 0 leaves
        the averages alone.
        Parts that only the loss needs keep theirs: they do not run in eval mode, so nothing would fill them again.
        """
        batches, network = self._settings.preset.bn_batches, self.eval_network
        kept = set(self._still_layers(network))
        for name in network.training_parts:
            kept.update(getattr(network, name).modules())
        layers = [
            m
            for m in network.modules()
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
            network(self.images(batch.crops.to(self.device)), batch.shares.to(self.device))
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
    """Return the network's tensors on the CPU, contiguous and detached, as safetensors needs them."""
    return {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
