"""Turn a network's normalised images back into whole numbers, so that features mean the same in every runtime.

Features such as local binary patterns compare neighbours: where two runtimes round differently, another pattern comes
out. Every number here is whole and below 2^24, which float32 holds exactly, in any order of addition.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def channels_of(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return red, green and blue of normalised images (B, 3, H, W): whole numbers in [0, 255], float32."""
    scale = torch.tensor([255 * value for value in std], device=images.device).view(3, 1, 1)
    offset = torch.tensor([255 * value for value in mean], device=images.device).view(3, 1, 1)
    return (images.float() * scale + offset).round().clamp(0, 255)


def grey_of(channels: Tensor) -> Tensor:
    """Return ITU-R 601 grey of (B, 3, H, W) whole numbers as Pillow's mode L has it: (B, H, W) whole numbers."""
    red, green, blue = channels.unbind(1)
    return torch.floor((19595 * red + 38470 * green + 7471 * blue + 32768) / 65536)


def thousandths(channels: Tensor) -> Tensor:
    """Return 1000 times the ITU-R 601 luma of (B, 3, H, W) whole numbers in [0, 255]: (B, H, W) whole numbers."""
    red, green, blue = channels.unbind(1)
    return 299 * red + 587 * green + 114 * blue
