"""Losses of a predicted depth map: squared errors of the depth, and of its differences between neighbours."""

import torch
from torch import Tensor
from torch.nn import functional


def depth_loss(depth: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error, plus the contrastive depth loss (Yu et al., CVPR 2020, eq. 4 to 6).

    Args:
        depth: (B, h, w), as the network gives it.
        target: (B, H, W) in [0, 1], resized to (h, w).

    Returns:
        (B,) float32, each value >= 0.
    """
    wanted = functional.interpolate(target[:, None].float(), size=depth.shape[1:], mode="bilinear")
    depth, wanted = depth.float(), wanted.squeeze(1)
    return (depth - wanted).square().mean((1, 2)) + contrastive_depth(depth, wanted)


def contrastive_depth(depth: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error of what each of the eight neighbours has over its pixel: (B,).

    Args:
        depth, target: (B, h, w) each, at least 3 x 3; the border has no neighbours, and is left out.
    """
    return (_contrasts(depth) - _contrasts(target)).square().mean((0, 2, 3))


def _contrasts(values: Tensor) -> Tensor:
    """Return each neighbour less its pixel: (8, B, h - 2, w - 2)."""
    height, width = (side - 2 for side in values.shape[1:])
    pixel = values[:, 1:-1, 1:-1]
    return torch.stack([
        values[:, y : y + height, x : x + width] - pixel
        for y in range(3)
        for x in range(3)
        if (y, x) != (1, 1)
    ])  # fmt: skip
