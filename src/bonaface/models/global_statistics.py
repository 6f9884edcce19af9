"""Logistic regression on seven statistics of the whole crop: the shortcut that every table must show.

Source: no paper's own. A. Torralba, A. A. Efros, "Unbiased Look at Dataset Bias", CVPR 2011,
https://doi.org/10.1109/CVPR.2011.5995347, ask how far a set can be told by what it should not be told by. Where bona
fide and attacks of a set differ in brightness or sharpness, these seven numbers find it; a network that is no better
than they are may have learned nothing else.

Weights: none.
"""

from math import ceil, floor
from typing import Annotated

import numpy as np
import torch
from msgspec import Meta
from msgspec.structs import replace
from torch import Tensor, nn
from torch.nn.functional import pad

from bonaface.core.errors import InputError
from bonaface.models.base import FeatureSet, standardisation
from bonaface.models.descriptor import DescriptorModel
from bonaface.models.linear_probe import solve_logistic
from bonaface.models.pixels import thousandths
from bonaface.models.preset import Preset
from bonaface.models.registry import register

NAMES = ("brightness", "spread of brightness", "saturation", "sharpness", "noise", "colour cast", "contrast")

_DARK, _BRIGHT = 0.05, 0.95
# Pairs to put in order, after which the fifth of nine is their median (Paeth, Graphics Gems, 1990).
_MEDIAN_OF_9 = (
    *((1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3)),
    *((5, 8), (4, 7), (3, 6), (1, 4), (2, 5), (4, 7), (4, 2), (6, 4), (4, 2)),
)


class GlobalStatistics(DescriptorModel):
    """Logistic regression on seven statistics of the crop, the shortcut beside which every model must stand.

    Score: `linear`, sigmoid of the logit.
    """

    name = "global-statistics"
    score_names = ("linear",)

    def __init__(
        self,
        backbone: str,
        size: int,
        pretrained: bool = True,
        *,
        strength: Annotated[
            float,
            Meta(description="C of the logistic regression, above 0; less regularises more."),
        ] = 1.0,
    ) -> None:
        """Build the model.

        Args:
            backbone: must be empty.
            size: side of the input, at least 3.
            pretrained: has no meaning here.
        """
        if not strength > 0:
            raise InputError(f"strength must be above 0, got {strength}; 1 is the default")
        if size < 3:
            raise InputError(f"size must be at least 3 pixels, got {size}; 160 is the default")
        super().__init__(backbone, size, pretrained)
        self.strength = strength
        self.center: Tensor
        self.scale: Tensor
        self.register_buffer("center", torch.zeros(len(NAMES)))
        self.register_buffer("scale", torch.ones(len(NAMES)))
        self.weight = nn.Parameter(torch.randn(len(NAMES)))
        self.bias = nn.Parameter(torch.zeros(()))

    def describe_channels(self, channels: Tensor) -> Tensor:
        """Return `global_statistics` (B, 7) of pictures (B, 3, H, W), whole numbers in [0, 255]."""
        return global_statistics(channels)

    def logit(self, values: Tensor) -> Tensor:
        """Return the logistic regression's logit (B,) of statistics (B, 7)."""
        return ((values - self.center) / self.scale * self.weight).sum(1) + self.bias

    def fit(self, train: FeatureSet, dev: FeatureSet) -> None:  # noqa: ARG002
        """Standardise the statistics of `train` and solve the logistic regression; the classes weigh the same.

        Raises:
            BonafaceError: the solver does not converge.
        """
        values = train.features.astype(np.float64)  # (N, 7)
        center, scale = standardisation(values)
        standard = ((values - center) / scale)[:, None]
        weight, bias = solve_logistic(standard, train.labels, np.ones((1, 1)), self.strength)
        for name, value in {"center": center, "scale": scale, "weight": weight[0], "bias": bias}.items():
            getattr(self, name).data.copy_(torch.as_tensor(value))


def global_statistics(channels: Tensor) -> Tensor:
    """Return the seven statistics of pictures (B, 3, H, W), whole numbers in [0, 255]: (B, 7) float32.

    In the order of `NAMES`, of values in [0, 1]: the mean and the standard deviation of grey (ITU-R 601); the mean
    saturation of HSV; the log variance of the Laplacian; the log mean distance from the 3 x 3 median; the log ratio of
    red to blue; Michelson contrast between the 5th and the 95th percentile of grey.
    """
    red, green, blue = (channels / 255).unbind(1)  # (B, H, W)
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    high, low = channels.amax(1) / 255, channels.amin(1) / 255
    middle = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    smooth = median_of_9(torch.floor(thousandths(channels) / 1000)) / 255
    dark, bright = _percentile(grey.flatten(1), _DARK), _percentile(grey.flatten(1), _BRIGHT)
    cast = torch.log((red.mean((1, 2)) + 1e-3) / (blue.mean((1, 2)) + 1e-3))
    values = (
        grey.mean((1, 2)),
        grey.flatten(1).std(1, correction=0),
        ((high - low) / high.clamp_min(1 / 255)).mean((1, 2)),
        torch.log((around - 4 * middle).flatten(1).var(1, correction=0) + 1e-8),
        torch.log((grey - smooth).abs().mean((1, 2)) + 1e-4),
        cast,
        (bright - dark) / (bright + dark + 1e-3),
    )
    return torch.stack(values, 1).float()


def median_of_9(values: Tensor) -> Tensor:
    """Return the median of each 3 x 3 neighbourhood of (B, H, W), the border's own values being repeated beyond it."""
    wide = pad(values[:, None], (1, 1, 1, 1), mode="replicate").squeeze(1)
    height, width = values.shape[1:]
    nine = [wide[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    for first, second in _MEDIAN_OF_9:
        low, high = torch.minimum(nine[first], nine[second]), torch.maximum(nine[first], nine[second])
        nine[first], nine[second] = low, high
    return nine[4]


def _percentile(values: Tensor, share: float) -> Tensor:
    """Return the percentile at `share` of (B, N), between two values as NumPy's default: (B,)."""
    count = values.shape[1]
    upper = share > 0.5
    place = (1 - share if upper else share) * (count - 1)  # from the nearer end
    ends = torch.topk(values, ceil(place) + 1, dim=1, largest=upper).values
    part = place - floor(place)
    return ends[:, floor(place)] * (1 - part) + ends[:, ceil(place)] * part


_WIDE = Preset("wide", "global-statistics", "", size=160, crop="square-1.3", balance="none")

register(
    GlobalStatistics,
    paper="Torralba & Efros, Unbiased Look at Dataset Bias, CVPR 2011",
    link="https://doi.org/10.1109/CVPR.2011.5995347",
    presets=(_WIDE, replace(_WIDE, name="tight", crop="tight")),
)
