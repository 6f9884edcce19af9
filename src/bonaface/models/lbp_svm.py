"""LBP-SVM: histograms of local binary patterns of the grey face, and a support vector machine.

Paper: J. Määttä, A. Hadid, M. Pietikäinen, "Face Spoofing Detection From Single Images Using Micro-Texture Analysis",
IJCB 2011, https://doi.org/10.1109/IJCB.2011.6117510; as I. Chingovska, A. Anjos, S. Marcel, "On the Effectiveness of
Local Binary Patterns in Face Anti-spoofing", BIOSIG 2012, run it.

Weights: none.

Differs from the paper: each histogram sums to 1, every value is standardised, and the machine's C and gamma are
options instead of a search; the face is not aligned.
"""

from collections.abc import Iterator
from math import cos, floor, pi, sin

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from bonaface.models.pixels import grey_of
from bonaface.models.preset import Preset
from bonaface.models.registry import register
from bonaface.models.svm import SvmModel

_FACE = 64  # pixels, of which the paper's regions have 30, and 16 from one to the next
_REGION, _STEP = 30, 16
_DECIMALS = 5  # of a neighbour's place


class LbpSvm(SvmModel):
    """Histograms of uniform local binary patterns of the grey face (833 values), and a support vector machine.

    Score: `svm`, the sigmoid of the decision value.
    """

    name = "lbp-svm"
    width = 9 * 59 + 59 + 243
    least_size = 16

    def describe_channels(self, channels: Tensor) -> Tensor:
        """Return the histograms (B, 833) of pictures (B, 3, H, W), whole numbers in [0, 255].

        LBP u2 (8, 1) of 3 x 3 regions that overlap, row by row; LBP u2 (8, 2) and (16, 2) of the whole face.
        """
        grey = grey_of(channels)
        near = one_hot_patterns(grey, 8, 1.0)  # (B, 59, S - 2, S - 2)
        step = round(near.shape[2] * _STEP / (_FACE - 2))
        regions = avg_pool2d(near, near.shape[2] - 2 * step, step)  # (B, 59, 3, 3)
        wide = [one_hot_patterns(grey, points, 2.0).mean((2, 3)) for points in (8, 16)]
        return torch.cat([regions.permute(0, 2, 3, 1).flatten(1), *wide], 1)


def one_hot_patterns(values: Tensor, points: int, radius: float) -> Tensor:
    """Return which uniform pattern each inner pixel has: (B, P(P - 1) + 3, H - 2R, W - 2R) of {0, 1}."""
    labels = uniform_patterns(values, points, radius)
    every = torch.arange(points * (points - 1) + 3, device=values.device).view(1, -1, 1, 1)
    return (labels[:, None] == every).float()


def uniform_patterns(values: Tensor, points: int, radius: float) -> Tensor:
    """Return the uniform local binary pattern (Ojala et al., PAMI 2002) of each inner pixel of (B, H, W).

    scikit-image's ``local_binary_pattern(..., method="nri_uniform")`` where no neighbour lies beyond the border: 0
    for no brighter neighbour, then by their number and place, P(P - 1) + 2 for a pattern with more than two changes.

    Args:
        values: whole numbers.
        points: P, neighbours on the circle.
        radius: R, of the circle in pixels; a whole number of them is left out at each border.

    Returns:
        (B, H - 2R, W - 2R) float32.
    """
    brighter = torch.stack(
        [(difference >= 0).float() for difference in _differences(values, points, radius)]
    )  # (P, B, h, w)
    before = brighter.roll(1, 0)
    begins = brighter * (1 - before)
    ones = brighter.sum(0)
    # The run of ones begins at place p: label 1 + (ones - 1) P + (P - p) mod P.
    turned = torch.tensor([(points - place) % points for place in range(points)], device=values.device)
    rotation = (begins * turned.view(-1, 1, 1, 1)).sum(0)
    run = 1 + (ones - 1) * points + rotation
    label = torch.where(ones == 0, torch.zeros_like(run), run)
    label = torch.where(ones == points, torch.full_like(run, points * (points - 1) + 1), label)
    return torch.where(begins.sum(0) > 1, torch.full_like(run, points * (points - 1) + 2), label)


def _differences(values: Tensor, points: int, radius: float) -> Iterator[Tensor]:
    """Yield how much brighter each neighbour is than its pixel, between pixels by bilinear interpolation.

    The pixel is taken off before interpolation: neighbours that all equal it differ by exactly 0 in every runtime.
    """
    border = int(radius)
    height, width = (side - 2 * border for side in values.shape[1:])
    center = values[:, border : border + height, border : border + width]
    for point in range(points):
        angle = 2 * pi * point / points
        down, right = round(-radius * sin(angle), _DECIMALS), round(radius * cos(angle), _DECIMALS)
        top, left = floor(down), floor(right)
        total: Tensor | None = None
        for y, weight_y in ((top, 1 - (down - top)), (top + 1, down - top)):
            for x, weight_x in ((left, 1 - (right - left)), (left + 1, right - left)):
                if weight_y * weight_x:
                    rows, columns = (
                        slice(border + y, border + y + height),
                        slice(border + x, border + x + width),
                    )
                    part = (values[:, rows, columns] - center) * (weight_y * weight_x)
                    total = part if total is None else total + part
        assert total is not None, "four weights sum to 1"
        yield total


register(
    LbpSvm,
    paper="Määttä et al., Face Spoofing Detection From Single Images Using Micro-Texture Analysis, IJCB 2011",
    link="https://doi.org/10.1109/IJCB.2011.6117510",
    presets=(Preset("paper", "lbp-svm", "", size=_FACE, crop="square-1.3", balance="none"),),
)
