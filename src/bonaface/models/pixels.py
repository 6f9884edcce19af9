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


def ycbcr_of(channels: Tensor) -> Tensor:
    """Return Y, Cb, Cr (ITU-R 601, full range as JPEG's) of (B, 3, H, W) whole numbers: (B, 3, H, W) in [0, 255]."""
    red, green, blue = channels.unbind(1)
    middle = 128 * 65536 + 32767  # with it every sum below stays under 2^24
    cb = torch.floor((middle + 32768 * blue - 11059 * red - 21709 * green) / 65536)
    cr = torch.floor((middle + 32768 * red - 27439 * green - 5329 * blue) / 65536)
    return torch.stack([grey_of(channels), cb, cr], 1)


def hsv_of(channels: Tensor) -> Tensor:
    """Return hue, saturation and value of (B, 3, H, W) whole numbers: (B, 3, H, W) whole numbers in [0, 255].

    Hue is 255 times `colorsys.rgb_to_hsv`'s, saturation too, both rounded; grey has hue 0.
    """
    red, green, blue = channels.unbind(1)
    value, spread = channels.amax(1), channels.amax(1) - channels.amin(1)
    # Sixths of the circle, times the spread: a whole number.
    sixths = torch.where(
        value == red,
        torch.remainder(green - blue, (6 * spread).clamp_min(1)),
        torch.where(value == green, 2 * spread + blue - red, 4 * spread + red - green),
    )
    hue = torch.floor((255 * sixths + 3 * spread) / (6 * spread).clamp_min(1))
    saturation = torch.floor((510 * spread + value) / (2 * value).clamp_min(1))
    return torch.stack([hue, saturation, value], 1)
