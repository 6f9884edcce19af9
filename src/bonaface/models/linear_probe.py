"""A linear classifier on frozen features: the reference that every trained network must beat.

Source: linear probing, as A. Kumar, A. Raghunathan, R. Jones, T. Ma, P. Liang compare it with fine-tuning, "Fine-Tuning
can Distort Pretrained Features and Underperform Out-of-Distribution", ICLR 2022, https://arxiv.org/abs/2202.10054.

Weights: ImageNet weights of the backbone only; see bonaface.models.backbones for their sources and licences.

Differs from the paper: the features are the mean and the spread over positions of every channel at strides 8, 16 and
32, not the last layer's pooled mean alone (the spread says how much texture there is); the classifier is strongly
regularised and its classes are balanced.
"""

import warnings
from itertools import pairwise
from typing import Annotated

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor, nn

from bonaface.core.errors import BonafaceError, InputError
from bonaface.models.base import Features, FeatureSet, SolverModel
from bonaface.models.preset import Preset
from bonaface.models.record import Output
from bonaface.models.registry import register

_ITERATIONS = 3000
_LEAST_SPREAD = 1e-6  # keeps the gradient of a spread of 0 finite, and the map of a channel that is even


class LinearProbe(SolverModel):
    """Logistic regression over the mean and the spread of every channel of a frozen backbone.

    Score: `linear`, sigmoid of the logit. A level's map is the sigmoid of what each position adds to the logit: the
    logit is the sum over the levels of the mean of `logits`.
    """

    name = "linear-probe"
    strides = (8, 16, 32)
    score_names = ("linear",)

    def __init__(
        self,
        backbone: str,
        size: int,
        pretrained: bool = True,
        *,
        strength: Annotated[
            float,
            Meta(
                description="C of the logistic regression, above 0: the smaller, the stronger is the regularisation."
            ),
        ] = 1e-3,
    ) -> None:
        """Build the network.

        Args:
            backbone: name of a backbone with levels of stride 8, 16 and 32.
            size: side of the input, a multiple of 32.
            pretrained: load the backbone's ImageNet weights.
        """
        if not strength > 0:
            raise InputError(f"strength must be above 0, got {strength}; 0.001 is the default")
        super().__init__(backbone, size, pretrained)
        self.strength = strength
        self.map_names = tuple(f"stride{stride}" for stride in self.strides)
        count = 2 * sum(self.backbone.channels)
        self.center: Tensor
        self.scale: Tensor
        self.register_buffer("center", torch.zeros(count))
        self.register_buffer("scale", torch.ones(count))
        self.weight = nn.Parameter(torch.randn(count) / count**0.5)
        self.bias = nn.Parameter(torch.zeros(()))

    def forward_features(self, images: Tensor) -> Features:
        """Return the backbone's levels: "stride8" (B, C, size/8, size/8), "stride16" and "stride32"."""
        return dict(zip(self.map_names, self.backbone(images), strict=True))

    def forward_head(self, features: Features) -> Output:
        """Return the logistic regression's score, and what each position of each level adds to its logit."""
        levels = {name: level.float() for name, level in features.items()}
        statistics = self._statistics(list(levels.values()))
        logit = self._logit(statistics)  # (B,)
        pixels = self._pixel_logits(levels)
        return Output(
            scores={"linear": torch.sigmoid(logit)},
            maps={name: torch.sigmoid(values) for name, values in pixels.items()},
            logits={"linear": logit, **pixels},
            embeddings={"statistics": statistics},
        )

    def features(self, images: Tensor) -> Tensor:
        """Return mean and spread of each channel, level by level: (B, F) float32; F is 944 for efficientnet-lite0."""
        return self._statistics([level.float() for level in self.forward_features(images).values()])

    def fit(self, train: FeatureSet, dev: FeatureSet) -> None:  # noqa: ARG002 - nothing is chosen on dev
        """Standardise the features of `train` and solve the logistic regression, both classes weighing the same.

        Raises:
            BonafaceError: the solver does not converge.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(train.features.astype(np.float64))
        solver = LogisticRegression(C=self.strength, class_weight="balanced", max_iter=_ITERATIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            try:
                solver.fit(scaler.transform(train.features.astype(np.float64)), train.labels)
            except ConvergenceWarning as error:
                raise BonafaceError(
                    f"the logistic regression found no solution in {_ITERATIONS} steps; "
                    f"regularise it more: --set strength={self.strength / 10:g}"
                ) from error
        solved = {
            "center": scaler.mean_,
            "scale": scaler.scale_,
            "weight": solver.coef_[0],
            "bias": solver.intercept_[0],
        }
        for name, value in solved.items():
            getattr(self, name).data.copy_(torch.as_tensor(value))

    def predict(self, features: Tensor, shares: Tensor | None = None) -> Tensor:  # noqa: ARG002 - it has one view
        """Return the score (B,) of kept features (B, F)."""
        return torch.sigmoid(self._logit(features))

    def _statistics(self, levels: list[Tensor]) -> Tensor:
        return torch.cat([part for level in levels for part in (level.mean((2, 3)), _spread(level))], 1)

    def _logit(self, statistics: Tensor) -> Tensor:
        # No matrix product: mixed precision would take it in 16 bits.
        return ((statistics - self.center) / self.scale * self.weight).sum(1) + self.bias

    def _pixel_logits(self, levels: Features) -> Features:
        """Return what each position adds to the logit: the mean over positions of w1 x + w2 (x - mean)^2 / spread is
        w1 mean + w2 spread, the level's part of it; what is constant is shared out evenly over the levels."""
        slopes = self.weight / self.scale
        constant = (self.bias - (slopes * self.center).sum()) / len(levels)
        ends = np.cumsum([0, *(2 * channels for channels in self.backbone.channels)]).tolist()
        pixels = {}
        for (name, level), (first, last) in zip(levels.items(), pairwise(ends), strict=True):
            of_mean, of_spread = slopes[first:last].view(2, 1, -1, 1, 1)
            away = level - level.mean((2, 3), keepdim=True)
            spread = _spread(level)[:, :, None, None]
            pixels[name] = (of_mean * level + of_spread * away.square() / spread).sum(
                1
            ) + constant  # (B, h, w)
        return pixels


def _spread(level: Tensor) -> Tensor:
    """Return the standard deviation over positions of (B, C, h, w), not below 1e-6: (B, C)."""
    return level.var((2, 3), correction=0).clamp_min(_LEAST_SPREAD**2).sqrt()


register(
    LinearProbe,
    paper="Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution, ICLR 2022",
    link="https://arxiv.org/abs/2202.10054",
    presets=tuple(
        Preset(
            name=name,
            model="linear-probe",
            backbone="efficientnet-lite0",
            size=224,
            crop=crop,
            balance="none",
        )
        for name, crop in (("wide", "square-1.3"), ("wider", "square-2.0"), ("tight", "tight"))
    ),
)
