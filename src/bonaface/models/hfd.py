"""HFD: the high-frequency descriptor of the Fourier spectrum, and its spread over a video.

Paper: J. Li, Y. Wang, T. Tan, A. K. Jain, "Live Face Detection Based on the Analysis of Fourier Spectra", SPIE 5404,
2004, https://doi.org/10.1117/12.541955: a print has less of the high frequencies than a face, and over a video of a
print they hardly change.

Weights: none; what is fitted is a threshold.

Differs from the paper: the share is of energy (the squared magnitude) beyond a third of the largest frequency along an
axis, without a threshold on single coefficients; the frequency descriptor of a video (FDD) is the standard deviation
of the output `share` over its frames: ``--output share --aggregation std``.
"""

from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from bonaface.core.errors import InputError
from bonaface.metrics.thresholds import eer_threshold
from bonaface.models.base import Features, FeatureSet
from bonaface.models.descriptor import DescriptorModel
from bonaface.models.pixels import grey_of
from bonaface.models.preset import Preset
from bonaface.models.record import Output
from bonaface.models.registry import register
from bonaface.models.spectrum import dft, frequencies

_LEAST_SHARE = 1e-9  # keeps the logarithm finite where a picture is of one colour


class Hfd(DescriptorModel):
    """The share of the spectrum's energy in high frequencies, against a threshold; nothing else is learned.

    Scores: `hfd`, the sigmoid of how far the share's logarithm lies above dev's threshold, in standard deviations of
    train; `share`, the share itself.
    """

    name = "hfd"
    score_names = ("hfd", "share")

    def __init__(
        self,
        backbone: str,
        size: int,
        pretrained: bool = True,
        *,
        cutoff: Annotated[
            float,
            Meta(
                description="share, in (0, 1), of the largest frequency along an axis above which a frequency is high."
            ),
        ] = 1 / 3,
    ) -> None:
        """Build the model.

        Args:
            backbone: must be empty.
            size: side of the input, at least 8.
            pretrained: has no meaning here.
        """
        if not 0 < cutoff < 1:
            raise InputError(f"cutoff must be between 0 and 1, got {cutoff}; a third is the default")
        if size < 8:
            raise InputError(f"hfd needs pictures of at least 8 px, got {size}")
        super().__init__(backbone, size, pretrained)
        self.cutoff = cutoff
        self.threshold: Tensor
        self.spread: Tensor
        self.register_buffer("threshold", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def describe_channels(self, channels: Tensor) -> Tensor:
        """Return the share's natural logarithm (B, 1) of pictures (B, 3, H, W), whole numbers in [0, 255]."""
        return torch.log(high_share(grey_of(channels), self.cutoff).clamp_min(_LEAST_SHARE))[:, None]

    def logit(self, values: Tensor) -> Tensor:
        """Return how far the logarithm (B, 1) lies above the threshold, in spreads: (B,)."""
        return (values[:, 0] - self.threshold) / self.spread

    def forward_head(self, features: Features) -> Output:
        """Return the score, and the share itself."""
        output = super().forward_head(features)
        share = torch.exp(output.embeddings["features"][:, 0]).clamp_max(1)
        return replace(output, scores={**output.scores, "share": share})

    def fit(self, train: FeatureSet, dev: FeatureSet) -> None:
        """Set the threshold where the errors of `dev` are equal, and the spread to that of `train`."""
        spread = float(train.features.astype(np.float64).std())
        self.spread.fill_(spread if spread > _LEAST_SHARE else 1.0)
        self.threshold.fill_(eer_threshold(dev.labels, dev.features[:, 0]))


def high_share(grey: Tensor, cutoff: float) -> Tensor:
    """Return the share of energy of (B, S, S) at frequencies above `cutoff` times 1/2 cycle per pixel: (B,) in [0, 1].

    The mean (frequency zero) is left out; a picture of one colour has 0.
    """
    real, imaginary = dft(grey)
    energy = real * real + imaginary * imaginary  # (B, S, S)
    distance = frequencies(grey.shape[-1], grey.device)
    high = (energy * (distance > cutoff / 2)).sum((1, 2))
    whole = (energy * (distance > 0)).sum((1, 2))
    return (high / whole.clamp_min(_LEAST_SHARE)).float()


register(
    Hfd,
    paper="Li et al., Live Face Detection Based on the Analysis of Fourier Spectra, SPIE 5404, 2004",
    link="https://doi.org/10.1117/12.541955",
    presets=(Preset("paper", "hfd", "", size=128, crop="square-1.3", balance="none"),),
)
