"""Build a preset's optimiser, its learning rate by step, and the average of its weights."""

from copy import deepcopy
from math import cos, pi

import torch
from torch import nn

from bonaface.models.base import GradientModel
from bonaface.models.preset import Preset


def create_optimizer(network: GradientModel, preset: Preset) -> torch.optim.Optimizer:
    """Return the preset's optimiser over the parameters that learn: the backbone's at its own share of the rate."""
    backbone = [p for part in network.backbones for p in part.parameters()]
    inside = {id(parameter) for parameter in backbone}
    rest = [p for p in network.parameters() if id(p) not in inside]
    groups = [{"params": rest, "lr": preset.lr}]
    if backbone and preset.backbone_rate:
        groups.append({"params": backbone, "lr": preset.lr * preset.backbone_rate})
    if preset.optimizer == "sgd":
        return torch.optim.SGD(groups, preset.lr, preset.momentum, weight_decay=preset.weight_decay)
    adam = torch.optim.AdamW if preset.optimizer == "adamw" else torch.optim.Adam
    return adam(groups, preset.lr, weight_decay=preset.weight_decay)


def rate_factor(preset: Preset, step: int, steps_per_epoch: int) -> float:
    """Return what the learning rate is multiplied by at optimiser step `step`, counted from 0: in [0, 1].

    Warm-up rises in even steps and reaches 1 at its last one; the cosine begins after it and would reach 0 one step
    after the end (Loshchilov & Hutter, SGDR, ICLR 2017, eq. 5, without restarts).
    """
    total = steps_per_epoch * preset.epochs
    warmup = round(preset.warmup * total)
    if step < warmup:
        return (step + 1) / warmup
    if preset.schedule == "cosine":
        return (1 + cos(pi * min((step - warmup) / max(total - warmup, 1), 1.0))) / 2
    if preset.schedule == "step":
        return float(preset.step_factor ** (step // (steps_per_epoch * preset.step_epochs)))
    return 1.0


def has_constant_rate(preset: Preset) -> bool:
    """Return whether the learning rate is the same at every step."""
    return preset.schedule == "constant" and not preset.warmup


class WeightAverage(nn.Module):
    """The exponential moving average of a network's weights (Polyak & Juditsky, 1992; decay as in TensorFlow's).

    `network` is a copy of its own; its buffers are those of the last step.
    """

    def __init__(self, network: GradientModel, decay: float) -> None:
        super().__init__()
        self.network = deepcopy(network).requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: GradientModel, step: int) -> None:
        """Take the weights after optimiser step `step`, counted from 0, into the average."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for average, value in zip(self.network.parameters(), network.parameters(), strict=True):
            average.lerp_(value, 1 - decay)
        for kept, buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            kept.copy_(buffer)
