"""Presets: one named, complete way to build and train a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Augment:
    """What is made of training pictures beside flip and jitter; nothing by default. ``--set augment.NAME=VALUE``.

    Attributes:
        simulate: share, in [0, 1], of the bona fide pictures of an epoch that are shown once more as simulated
            attacks (`bonaface.training.batches.epoch_order` says what becomes of the balance).
        crops: crops of which every picture shown takes one at random; empty: always the preset's `crop`.
        color_transfer: share, in [0, 1], of the training pictures that take the brightness, contrast and cast of
            colour of another picture of their micro-batch, of either class
            (`bonaface.training.augment.transfer_color`).
    """

    simulate: float = 0.0
    crops: tuple[str, ...] = ()
    color_transfer: float = 0.0


# Fields without a meaning for a model that is fitted by a solver.
GRADIENT_FIELDS = (
    "lr",
    "weight_decay",
    "batch",
    "bn_batches",
    "backbone_rate",
    "optimizer",
    "momentum",
    "schedule",
    "warmup",
    "step_epochs",
    "step_factor",
    "clip",
    "ema",
    "bn",
)


@dataclass(frozen=True)
class Preset:
    """One named way to build and train a model, complete: what a run folder prints.

    Attributes:
        name: the preset's name, unique within its model.
        model: the model's name.
        backbone: the backbone's name (train --backbone).
        size: side of the input in pixels (train --size).
        crop: the face crop, "tight" or "square-SCALE".
        lr: learning rate.
        weight_decay: of the optimiser; "adam" and "sgd" add it to the gradient, "adamw" takes it off the weights.
        epochs: passes over the balanced training set. A model that is fitted by a solver sees the pictures as they
            are in the first pass, and augmented in those that follow.
        batch: pictures behind each optimiser step.
        options: keyword arguments of the network and its loss.
        flip: probability of a horizontal flip.
        jitter: strength of the colour jitter: brightness, contrast, saturation, hue.
        balance: "undersample" (the majority class, anew each epoch) or "none".
        bn_batches: training batches over which the running statistics of batch normalisation are estimated
            again before each validation and before the bundle is written; 0 leaves them as training left them.
        backbone_rate: the backbone's learning rate as a share of `lr`; 0 freezes it.
        optimizer: "adam", "adamw" or "sgd".
        momentum: of "sgd", in [0, 1).
        schedule: how the learning rate goes on: "constant"; "cosine", half a cosine down to 0 at the end; "step",
            times `step_factor` after every `step_epochs` epochs.
        warmup: share of all optimiser steps, in [0, 1), over which the rate first rises in even steps.
        step_epochs: epochs between two steps of the schedule "step".
        step_factor: factor of each of them, in (0, 1].
        clip: largest L2 norm of the gradient of all parameters together; 0: no limit.
        ema: decay, in [0, 1), of an exponential moving average of the weights, which is what dev judges and the bundle
            holds; 0: no average. At step t it is at most (1 + t) / (10 + t), so that the first weights are forgotten.
        bn: "train" or "fixed": batch normalisation of the backbone keeps the statistics that its weights came with.
        augment: further augmentation, off by default.
    """

    name: str
    model: str
    backbone: str
    size: int
    crop: str
    lr: float = 1e-4
    weight_decay: float = 0.0
    epochs: int = 1
    batch: int = 64
    options: Mapping[str, Any] = field(default_factory=dict)
    flip: float = 0.5
    jitter: tuple[float, float, float, float] = (0.2, 0.2, 0.2, 0.02)
    balance: str = "undersample"
    bn_batches: int = 200
    backbone_rate: float = 1.0
    optimizer: str = "adam"
    momentum: float = 0.9
    schedule: str = "constant"
    warmup: float = 0.0
    step_epochs: int = 10
    step_factor: float = 0.1
    clip: float = 0.0
    ema: float = 0.0
    bn: str = "train"
    augment: Augment = Augment()
