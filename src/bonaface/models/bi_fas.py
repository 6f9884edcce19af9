"""Bi-FAS and Bi-FAS-S: pixel-wise supervision on a bi-directional feature pyramid, and a Fourier-spectrum branch.

Paper: K. Roy, M. Hasan, L. Rupty, M. S. Hossain, S. Sengupta, S. N. Taus, N. Mohammed, "Bi-FPNFAS: Bi-Directional
Feature Pyramid Network for Pixel-Wise Face Anti-Spoofing by Leveraging Fourier Spectra", Sensors 2021, 21, 2799,
https://doi.org/10.3390/s21082799.

Weights: ImageNet weights of the backbone only; see bonaface.models.backbones for their sources and licences.

Differs from the paper: the deepest level of EfficientNet-B0 has 320 channels (the paper prints 20); eq. 9 is read as
the mean over channels and positions and eq. 16 per pixel; the spectrum is divided by log(1 + H * W), so that it lies
in [0, 1] (preset `literal` of bi-fas-s keeps eq. 14 as printed). The paper's future work is
`pixel_loss="a-bce"` (preset `bi-fas-a`), the angular margin of A-DeepPixBiS on every pyramid pixel, the branch
"depth" (preset `bi-fas-s-depth`), and `pixel_target="depth"`, by which each level's map learns a face's depth.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import log
from typing import Annotated, Any, ClassVar

import torch
from msgspec import Meta
from torch import Tensor, nn
from torch.nn import functional

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.losses.angular import MARGIN, SCALE, angular_bce, check_angular, check_no_angles
from bonaface.losses.depth import check_depth_map, depth_loss
from bonaface.losses.pixel import pixel_bce
from bonaface.models.base import Features, GradientModel, Targets
from bonaface.models.branches import (
    BRANCHES,
    Generator,
    check_branch,
    check_pixel_target,
    depth_target,
    grey_images,
    log_spectrum,
)
from bonaface.models.layers import (
    BiFpn,
    Cosine,
    attention_weights,
    check_pooling,
    mean_loss,
    pixel_head,
    xavier,
)
from bonaface.models.preset import Preset, transfer_preset
from bonaface.models.record import Output
from bonaface.models.registry import register

CHANNELS = 64
PIXEL_LOSSES = ("bce", "a-bce")


def mean_probability_bce(logits: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Return BCE of z, the mean over levels of the mean of sigmoid(logits) (eq. 9 to 11), one value a picture.

    log z and log(1 - z) are taken as log-sum-exp of log-sigmoids: finite, with an exact gradient, also where
    every sigmoid has rounded to 0 or 1.

    Args:
        logits: one (B, C, h, w) for each level.
        labels: (B,) of {0, 1}; 1 is bona fide.

    Returns:
        (B,) float32, each value >= 0.
    """
    labels = labels.float()
    return -(labels * _log_mean_sigmoid(logits) + (1 - labels) * _log_mean_sigmoid([-x for x in logits]))


def _log_mean_sigmoid(logits: Sequence[Tensor]) -> Tensor:
    """Return the log of the mean over levels of the mean of sigmoid: (B,)."""
    levels = [functional.logsigmoid(x.float().flatten(1)) for x in logits]
    means = torch.stack([level.logsumexp(1) - log(level.shape[1]) for level in levels])  # (levels, B)
    return means.logsumexp(0) - log(len(levels))


def _mean_logit(logits: Iterable[Tensor]) -> Tensor:
    """Return the mean over levels of the mean over positions of (B, 1, h, w) each: (B,)."""
    return torch.stack([level.mean((1, 2, 3)) for level in logits]).mean(0)


class BiFas(GradientModel):
    """Pixel-wise supervision on three levels of a bi-directional feature pyramid.

    Score: `pyramid`, z of eq. 10, the mean over the supervised levels of the mean pixel probability; with
    pooling="mean-spread" the sigmoid of the mean over the levels of the mean pixel logit.
    """

    name = "bi-fas"
    targets = ("label", "face_depth")
    strides = (8, 16, 32)
    score_names = ("pyramid",)
    lacks: ClassVar[Mapping[str, str]] = {
        "branch": "bi-fas-s is the network with a branch, branch=fourier or branch=depth",
        "branch_weight": "bi-fas-s is the network with a branch, and spectrum_weight its weight",
    }

    def __init__(
        self,
        backbone: str,
        size: int,
        pretrained: bool = True,
        *,
        levels: Annotated[
            tuple[int, ...],
            Meta(
                description="pyramid levels that are supervised and scored, of 1 (stride 8) to 5 (stride 128)."
            ),
        ] = (3, 4, 5),
        pixel_loss: Annotated[
            str,
            Meta(
                description='"bce" on the mean of the pixels (eq. 11), or "a-bce", A-DeepPixBiS\'s A-BCE, on each.'
            ),
        ] = "bce",
        scale: Annotated[
            float, Meta(description="s of A-BCE, multiplies the cosine before the sigmoid.")
        ] = SCALE,
        margin: Annotated[float, Meta(description="m of A-BCE in radians, in training only.")] = MARGIN,
        literal: Annotated[
            bool, Meta(description="evaluate A-BCE as printed also where theta + m passes pi.")
        ] = False,
        pixel_target: Annotated[
            str,
            Meta(
                description='of each level\'s map: "binary", the picture\'s label; "depth", that of a face by squared '
                "errors of the depth and its contrasts (CDCN's loss); levels of less than 3 x 3 positions can't."
            ),
        ] = "binary",
        pooling: Annotated[
            str,
            Meta(
                description='score of the pixels: "mean" of their probabilities; "mean-spread", the sigmoid of their '
                "mean logit. By BCE the channels of a level are logits themselves (eq. 9), so here each level learns a "
                "1x1 convolution to one logit, from the channels and (x - mean)^2 / spread of each; by A-BCE the "
                "cosine is over both."
            ),
        ] = "mean",
        attention: Annotated[
            bool,
            Meta(
                description="weigh the losses of a level's pixels, which A-BCE has one by one, by learned attention "
                "(eq. 17 of A-DeepPixBiS); else they count the same."
            ),
        ] = False,
        cells: Annotated[
            int,
            Meta(
                description="of the pyramid, at least 1: each goes once down and once up (EfficientDet-D0 has 3)."
            ),
        ] = 3,
        drop: Annotated[
            float,
            Meta(
                description="share, in [0, 1), of the backbone's channels that each picture lacks in training (spatial "
                "dropout)."
            ),
        ] = 0.0,
    ) -> None:
        """Build the network.

        Args:
            backbone: name of a backbone with levels of stride 8, 16 and 32.
            size: side of the input, a multiple of 32.
            pretrained: load the backbone's ImageNet weights.
        """
        if pixel_loss not in PIXEL_LOSSES:
            raise UnknownNameError("pixel_loss", pixel_loss, PIXEL_LOSSES)
        check_angular(margin, scale)
        if cells < 1:
            raise InputError(f"cells must be at least 1, got {cells}; the paper's pyramid has 3")
        if not 0 <= drop < 1:
            raise InputError(f"drop must be a share in [0, 1), got {drop}; 0 drops nothing")
        check_pixel_target(pixel_target)
        angular, depth = pixel_loss == "a-bce", pixel_target == "depth"
        if not angular:
            check_no_angles(pixel_loss, margin, scale, literal)
        check_pooling(pooling, "pixel_target=depth" if depth else "")
        chosen = _checked_levels(levels)
        if angular and depth:
            raise InputError(
                "pixel_loss=a-bce judges an angle to bona fide, which is no depth; take pixel_loss=bce with "
                "pixel_target=depth"
            )
        if attention and not angular:
            raise InputError(
                "attention weighs the losses of single pixels, and without pixel_loss=a-bce a map has one loss; take "
                "pixel_loss=a-bce or attention=false"
            )
        super().__init__(backbone, size, pretrained)
        sides = {f"P{level}": -(-size // 2 ** (level + 2)) for level in chosen}
        if depth:
            for name, side in sides.items():
                check_depth_map(f"{name} of {size} px", side)
        self.levels, self.drop = chosen, drop
        self.map_names = tuple(sides)
        self.scale, self.margin, self.literal = scale, margin, literal
        self.fpn = BiFpn(self.backbone.channels, CHANNELS, cells, self.levels[-1]).apply(xavier)
        self.pixel_target, self.pooling = pixel_target, pooling
        self.pixel_attention = nn.ParameterDict(
            {name: torch.ones(side, side) for name, side in sides.items()} if attention else {}
        )

        def heads(layer: Callable[[int], nn.Module]) -> nn.ModuleDict:
            return nn.ModuleDict({name: pixel_head(pooling, CHANNELS, layer) for name in self.map_names})

        self.cosines = heads(Cosine) if angular else nn.ModuleDict()
        linear = pooling == "mean-spread" and not angular
        self.linears = (
            heads(lambda width: nn.Conv2d(width, 1, 1)).apply(xavier) if linear else nn.ModuleDict()
        )

    def forward_features(self, images: Tensor) -> Features:
        """Return the supervised pyramid levels: "P3" (B, 64, size/32, size/32) and so on."""
        levels = self.backbone(images)
        if self.drop and self.training:
            levels = [functional.dropout2d(level, self.drop) for level in levels]
        pyramid = self.fpn(levels)
        return {f"P{level}": pyramid[level - 1] for level in self.levels}

    def forward_head(self, features: Features) -> Output:
        """Return pixel probabilities of each level and z (eq. 9, 10)."""
        logits = {name: self._pixel_logits(name, level) for name, level in features.items()}
        scale = self.scale if self.cosines else 1.0
        maps = {name: torch.sigmoid(scale * values).mean(1) for name, values in logits.items()}  # (B, h, w)
        if self.pooling == "mean":
            z = torch.stack([pixels.mean((1, 2)) for pixels in maps.values()]).mean(0)  # (B,)
        else:
            z = torch.sigmoid(scale * _mean_logit(logits.values()))
        return Output(scores={"pyramid": z}, maps=maps, logits=logits, embeddings=dict(features))

    def _pixel_logits(self, name: str, level: Tensor) -> Tensor:
        """Return the input of the sigmoid for a level (B, 64, h, w): the level itself, or (B, 1, h, w) of its head."""
        if self.cosines:
            cosine: Tensor = self.cosines[name](level)
            return cosine[:, None]
        values: Tensor = self.linears[name](level) if self.linears else level
        return values.float()

    @property
    def learns_depth(self) -> bool:
        """Return whether the levels' maps learn a depth."""
        return self.pixel_target == "depth"

    def loss(self, output: Output, targets: Targets, images: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """Return BCE of z (eq. 11): "total" and "bce".

        Instead of "bce" there is "a-bce", the mean A-BCE of the pixels of each level, or "depth", the loss of each
        level's map as a depth.
        """
        labels = targets["label"]
        if self.pixel_target == "depth":
            losses = [
                depth_loss(each, depth_target(targets, each.shape[-1])) for each in output.maps.values()
            ]
            value = torch.stack(losses).mean()
            return {"total": value, "depth": value}
        if self.cosines:
            settings = (self.margin, self.scale, self.literal)
            losses = [
                mean_loss(angular_bce(cosine.squeeze(1), labels, *settings), self.pixel_attention.get(name))
                for name, cosine in output.logits.items()
            ]
            value = torch.stack(losses).mean()
            return {"total": value, "a-bce": value}
        logits = list(output.logits.values())
        mean = self.pooling == "mean"
        bce = mean_probability_bce(logits, labels) if mean else pixel_bce(_mean_logit(logits), labels)
        value = bce.mean()
        return {"total": value, "bce": value}

    def learned_attention(self) -> dict[str, Tensor]:
        """Return softmax(A) over each level's map (eq. 16 of A-DeepPixBiS), if it is learned."""
        return {name: attention_weights(values) for name, values in self.pixel_attention.items()}


class BiFasS(BiFas):
    """Bi-FAS with a branch that redraws the picture's Fourier spectrum, in training only.

    Score: `pyramid`, as Bi-FAS.
    """

    name = "bi-fas-s"
    training_parts = ("generators",)
    lacks: ClassVar[Mapping[str, str]] = {"branch_weight": "spectrum_weight is the weight of its branch"}

    def __init__(
        self,
        backbone: str,
        size: int,
        pretrained: bool = True,
        *,
        spectrum_size: Annotated[
            int, Meta(description="side of the spectra that the generators draw (fig. 9 shows 80).")
        ] = 80,
        raw: Annotated[
            bool, Meta(description="take the spectrum of eq. 14 as printed; else divided by log(1 + H * W).")
        ] = False,
        spectrum_weight: Annotated[
            float, Meta(description="w, the weight of the reconstruction loss beside the BCE (eq. 17 has 1).")
        ] = 1.0,
        branch: Annotated[
            str,
            Meta(
                description='what is redrawn: the picture\'s spectrum, "fourier", or the "depth" of a face.'
            ),
        ] = "fourier",
        **options: Any,
    ) -> None:
        """Build the network.

        Args:
            backbone: as for `BiFas`, like size, pretrained and the other options.
        """
        if spectrum_size < 1:
            raise InputError(f"spectrum_size must be at least 1 pixel, got {spectrum_size}")
        if not spectrum_weight >= 0:
            raise InputError(f"spectrum_weight must be 0 or more, got {spectrum_weight}")
        if branch == "none":
            raise InputError("bi-fas-s has a branch: take branch=fourier or depth, or bi-fas, which has none")
        check_branch(branch, BRANCHES)
        if raw and branch != "fourier":
            raise InputError(
                f'raw is about the spectrum of the branch "fourier", and the branch is {branch!r}'
            )
        super().__init__(backbone, size, pretrained, **options)
        self.spectrum_size, self.raw, self.spectrum_weight = spectrum_size, raw, spectrum_weight
        self.branch = branch
        self.generators: nn.ModuleDict | None = nn.ModuleDict(
            {name: Generator(CHANNELS, spectrum_size) for name in self.map_names}
        ).apply(xavier)

    def forward_head(self, features: Features) -> Output:
        """Return the output of Bi-FAS; in training mode `auxiliary` holds the generated spectra."""
        output = super().forward_head(features)
        if self.training and self.generators is not None:
            return replace(output, auxiliary=self.spectra(features))
        return output

    def spectra(self, features: Features) -> dict[str, Tensor]:
        """Return the spectrum that each level generates (fig. 9): name -> (B, spectrum_size, spectrum_size).

        Raises:
            InputError: this copy of the model was reduced to what inference needs.
        """
        if self.generators is None:
            raise InputError(
                "this model was loaded for inference and has no generators; load its training checkpoint"
            )
        return {name: self.generators[name](level) for name, level in features.items()}

    def spectrum_target(self, images: Tensor) -> Tensor:
        """Return the log spectrum of normalised `images` (B, 3, H, W) in grey: (B, spectrum_size, spectrum_size)."""
        return log_spectrum(grey_images(images, self), self.spectrum_size, self.raw)

    @property
    def learns_depth(self) -> bool:
        """Return whether the levels' maps or the branch learn a depth."""
        return super().learns_depth or self.branch == "depth"

    def loss(self, output: Output, targets: Targets, images: Tensor) -> dict[str, Tensor]:
        """Return the loss of Bi-FAS; in training mode w * RL (eq. 16, 17) is added, and returned as "spectrum".

        With the branch "depth" it is returned as "branch".
        """
        terms = super().loss(output, targets, images)
        if not output.auxiliary:
            return terms
        depth = self.branch == "depth"
        target = depth_target(targets, self.spectrum_size) if depth else self.spectrum_target(images)
        errors = [functional.mse_loss(drawn, target) for drawn in output.auxiliary.values()]
        error = torch.stack(errors).mean()
        total = terms["total"] + self.spectrum_weight * error
        return {**terms, "branch" if depth else "spectrum": error, "total": total}


def _checked_levels(levels: Sequence[int]) -> tuple[int, ...]:
    whole = all(type(level) is int and 1 <= level <= BiFpn.LEVELS for level in levels)
    if not levels or not whole or len(set(levels)) != len(levels):
        raise InputError(
            f"levels must be distinct numbers of 1 (stride 8) to 5 (stride 128), got {tuple(levels)}"
        )
    return tuple(sorted(levels))


def _preset(model: str, name: str, bn_batches: int = 200, **options: object) -> Preset:
    """Return the preset of sec. 5.1: Adam, lr 1e-4, weight decay 1e-5, two epochs, batch 64; square crops (fig. 3d)."""
    return Preset(
        name=name,
        model=model,
        backbone="efficientnet_b0",
        size=512,
        crop="square-1.0",
        lr=1e-4,
        weight_decay=1e-5,
        epochs=2,
        options=options,
        bn_batches=bn_batches,
    )


# A pyramid with weights that were random learns what simulated attacks alone have in common, the more so the deeper it
# is; channels that are missing at random keep it from leaning on few.
_TRANSFER = {"pooling": "mean-spread", "cells": 1, "drop": 0.5}

_PAPER = "Roy et al., Bi-FPNFAS, Sensors 2021, 21, 2799"
_LINK = "https://doi.org/10.3390/s21082799"


register(
    BiFas,
    paper=_PAPER,
    link=_LINK,
    presets=(
        _preset("bi-fas", "paper"),
        _preset("bi-fas", "bi-fas-a", pixel_loss="a-bce"),
        _preset("bi-fas", "angular", pixel_loss="a-bce"),  # the same under the name of version 0.1
        _preset("bi-fas", "literal", bn_batches=0),
        transfer_preset("bi-fas", lr=1e-3, epochs=2, options=_TRANSFER),
    ),
)

register(
    BiFasS,
    paper=_PAPER,
    link=_LINK,
    presets=(
        _preset("bi-fas-s", "paper"),
        _preset("bi-fas-s", "bi-fas-s-depth", branch="depth"),
        _preset("bi-fas-s", "literal", bn_batches=0, raw=True),
        # With weight 1 the spectrum's gradient in the pyramid is 25 times that of the label, and drowns it. Generators
        # of 80 pixels take several times as long as all the rest that learns here.
        transfer_preset(
            "bi-fas-s",
            lr=1e-3,
            epochs=2,
            options={**_TRANSFER, "spectrum_weight": 0.03, "spectrum_size": 40},
        ),
    ),
)
