"""Presets: one named, complete way to build and train a model."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

_Count = Annotated[int, Meta(ge=1)]
_Positive = Annotated[float, Meta(ge=0)]
_Share = Annotated[float, Meta(ge=0, le=1, extra={"expected": "a share between 0 and 1"})]
_Below1 = Annotated[float, Meta(ge=0, lt=1)]
_Hue = Annotated[float, Meta(ge=0, le=0.5)]


class Augment(Struct, frozen=True, forbid_unknown_fields=True):
    """Changes to training pictures beside flip and jitter; none by default. ``--set augment.NAME=VALUE``."""

    simulate: Annotated[
        _Share,
        Meta(
            description="share, in [0, 1], of the bona fide pictures of an epoch that are shown once more as simulated "
            "attacks (`bonaface.training.batches.epoch_order` says what becomes of the balance)."
        ),
    ] = 0.0
    crops: Annotated[
        tuple[str, ...],
        Meta(
            description="crops of which every picture shown takes one at random; empty: always the preset's `crop`."
        ),
    ] = ()
    color_transfer: Annotated[
        _Share,
        Meta(
            description="share, in [0, 1], of the training pictures that take the brightness, contrast and cast of "
            "colour of another picture of their micro-batch, of either class "
            "(`bonaface.training.augment.transfer_color`)."
        ),
    ] = 0.0
    exposure: Annotated[
        _Share,
        Meta(
            description="share, in [0, 1], of the training pictures that are exposed anew, from 1.5 stops less than a "
            "middle grey to 2 stops more, with whites that clip (`bonaface.training.augment.expose_anew`)."
        ),
    ] = 0.0
    camera: Annotated[
        _Share,
        Meta(
            description="share, in [0, 1], of the training pictures that are taken again by a worse camera: out of "
            "focus, with fewer pixels, in the dark, or any of these, and coded as JPEG "
            "(`bonaface.training.augment.taken_again`)."
        ),
    ] = 0.0


# Fields that a model that is fitted by a solver does not use.
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
    "start",
)


class Preset(Struct, frozen=True, forbid_unknown_fields=True):
    """One named way to build and train a model, with every setting; a run folder records it in full."""

    name: Annotated[str, Meta(description="the preset's name, unique within its model.")]
    model: Annotated[str, Meta(description="the model's name.")]
    backbone: Annotated[str, Meta(description="the backbone's name (train --backbone).")]
    size: Annotated[_Count, Meta(description="side of the input in pixels (train --size).")]
    crop: Annotated[
        str,
        Meta(
            description='the face crop, "tight", "native", "square-SCALE", "box-SCALE" or "aligned-SCALE"; without a '
            "meaning for a network with an option `views`."
        ),
    ]
    lr: Annotated[_Positive, Meta(description="learning rate.")] = 1e-4
    weight_decay: Annotated[
        _Positive,
        Meta(
            description='of the optimiser; "adam" and "sgd" add it to the gradient, "adamw" takes it off the weights.'
        ),
    ] = 0.0
    epochs: Annotated[
        _Count,
        Meta(
            description="passes over the balanced training set. A model that is fitted by a solver sees the pictures "
            "as they are in the first pass, and augmented in those that follow."
        ),
    ] = 1
    batch: Annotated[_Count, Meta(description="pictures behind each optimiser step.")] = 64
    options: Annotated[
        dict[str, Any], Meta(description="keyword arguments of the network and its loss.")
    ] = {}
    flip: Annotated[_Share, Meta(description="probability of a horizontal flip.")] = 0.5
    jitter: Annotated[
        tuple[_Positive, _Positive, _Positive, _Hue],
        Meta(
            description="strength of the colour jitter: brightness, contrast, saturation, hue.",
            extra={"expected": "brightness, contrast, saturation of 0 or more and hue in [0, 0.5]"},
        ),
    ] = (0.2, 0.2, 0.2, 0.02)
    balance: Annotated[
        Literal["undersample", "none"],
        Meta(description='"undersample" (the majority class, anew each epoch) or "none".'),
    ] = "undersample"
    bn_batches: Annotated[
        int,
        Meta(
            ge=0,
            description="training batches over which the running statistics of batch normalisation are estimated again "
            "before each validation and before the bundle is written; 0 leaves them as training left them.",
        ),
    ] = 200
    backbone_rate: Annotated[
        _Positive, Meta(description="the backbone's learning rate as a share of `lr`; 0 freezes it.")
    ] = 1.0
    optimizer: Annotated[Literal["adam", "adamw", "sgd"], Meta(description='"adam", "adamw" or "sgd".')] = (
        "adam"
    )
    momentum: Annotated[_Below1, Meta(description='of "sgd", in [0, 1).')] = 0.9
    schedule: Annotated[
        Literal["constant", "cosine", "step"],
        Meta(
            description='how the learning rate changes: "constant"; "cosine", half a cosine down to 0 at the end; '
            '"step", times `step_factor` after every `step_epochs` epochs.'
        ),
    ] = "constant"
    warmup: Annotated[
        _Below1,
        Meta(
            description="share of all optimiser steps, in [0, 1), over which the rate first rises in even steps."
        ),
    ] = 0.0
    step_epochs: Annotated[_Count, Meta(description='epochs between two steps of the schedule "step".')] = 10
    step_factor: Annotated[float, Meta(gt=0, le=1, description="factor of each of them, in (0, 1].")] = 0.1
    clip: Annotated[
        _Positive,
        Meta(description="largest L2 norm of the gradient of all parameters together; 0: no limit."),
    ] = 0.0
    ema: Annotated[
        _Below1,
        Meta(
            description="decay, in [0, 1), of an exponential moving average of the weights, which is what dev judges "
            "and the bundle holds; 0: no average. At step t it is at most (1 + t) / (10 + t), so that the first "
            "weights are forgotten."
        ),
    ] = 0.0
    bn: Annotated[
        Literal["train", "fixed"],
        Meta(
            description='"train" or "fixed": batch normalisation of the backbone keeps the statistics that its weights '
            "came with."
        ),
    ] = "train"
    start: Annotated[
        Literal["random", "linear"],
        Meta(
            description='"random" weights, or "linear": before the first step the pixels of a network with '
            "`pooling=mean-spread` are set to the logistic regression that `linear-probe` solves "
            "in its preset `views`, over the level that "
            "they are made of."
        ),
    ] = "random"
    augment: Annotated[Augment, Meta(description="further augmentation, off by default.")] = Augment()


def transfer_preset(model: str, **changes: Any) -> Preset:
    """Return the preset `transfer` of a pixel-wise network, for attacks of which none was seen in training.

    The backbone is frozen: trained whole on simulated attacks, its features carry over worse to real ones. What
    is above it learns for few steps, half of the pictures in exchanged colours (benchmarks/transfer-networks.md).

    Args:
        changes: fields of the preset that differ for this model, `options` among them.
    """
    preset = Preset(
        name="transfer",
        model=model,
        backbone="efficientnet-lite0",
        size=224,
        crop="square-1.3",
        lr=1e-4,
        weight_decay=1e-5,
        bn_batches=40,
        backbone_rate=0.0,
        schedule="cosine",
        augment=Augment(color_transfer=0.5),
    )
    return replace(preset, **changes)
