"""Losses of a predicted depth map: squared errors of the depth, and of its differences between neighbours."""

import torch
from torch import Tensor
from torch.nn import functional

from bonaface.core.errors import InputError

_LEAST_SIDE = 3  # a pixel and its neighbours


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


def check_depth_map(name: str, side: int) -> None:
    """Refuse a map that is too small for the contrasts of its depth.

    Args:
        name: what the message calls the map.
        side: its positions along a side.

    Raises:
        InputError: there are fewer than three.
    """
    if side < _LEAST_SIDE:
        raise InputError(
            f"{name} has {side} x {side} positions, and the loss of depth compares each with its eight neighbours: "
            f"expected at least {_LEAST_SIDE} x {_LEAST_SIDE}; take a larger size of the input or finer levels"
        )


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
