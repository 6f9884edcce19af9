"""Image quality measures of a batch of pictures: of the picture against a smoothed copy of itself, and of its colours.

Sources: J. Galbally, S. Marcel, J. Fierrez, IEEE TIP 2014 (the 18 of their 25 measures that need no model of natural
pictures, which bob.ip.qualitymeasures has too); D. Wen, H. Han, A. K. Jain, IEEE TIFS 2015 (121 more). Only slices,
sums and products are used: the same numbers come out of every runtime, and mixed precision leaves them alone.
"""

from functools import lru_cache
from math import exp, pi

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from bonaface.models.pixels import hsv_of
from bonaface.models.spectrum import dft, frequencies

REFERENCE_NAMES = (
    *("mse", "psnr", "snr", "structural content", "largest difference", "mean difference"),
    *("normalised absolute error", "mean of the ten largest differences", "laplacian mse"),
    *("normalised cross-correlation", "mean angle similarity", "mean angle magnitude similarity"),
    *("spectral magnitude error", "gradient magnitude error", "gradient phase error", "ssim", "vif"),
    "high-low frequency index",
)
DISTORTION = 3 + 2 + 15 + 101
LEAST_SIZE = 41  # pixels, of VIF's four scales

_SMOOTH = (
    27,
    202,
    27,
)  # of 256: a Gaussian of sigma 0.5, in whole numbers so that every runtime gets the same copy
_LARGEST = 10
_TINY = 1e-6
_LEAST_GRADIENT = 1e-3  # a shorter one has no direction
_VIF_NOISE = 2.0
_BLUR = 9  # taps of Crete's low-pass
_REACH = 16  # pixels that an edge may be wide to each side
_LEVELS = 32  # of a channel, for the colours that are counted
_COLORS = 100


def smoothed(values: Tensor) -> Tensor:
    """Return (..., H, W) whole numbers in [0, 255] smoothed by a 3 x 3 Gaussian, the border's values repeated."""
    shape = values.shape
    wide = pad(values.reshape(-1, 1, *shape[-2:]), (1, 1, 1, 1), mode="replicate")
    down = torch.stack([weight * wide[..., k : k + shape[-2], :] for k, weight in enumerate(_SMOOTH)]).sum(0)
    both = torch.stack([weight * down[..., k : k + shape[-1]] for k, weight in enumerate(_SMOOTH)]).sum(0)
    return (both / 65536).reshape(shape)


def reference_measures(channels: Tensor, grey: Tensor) -> Tensor:
    """Return the measures `REFERENCE_NAMES` of pictures against their smoothed copies: (B, 18) float32.

    Args:
        channels: (B, 3, H, W) whole numbers in [0, 255].
        grey: (B, H, W), theirs.
    """
    # In double precision: some measures differ between pictures by a ten-thousandth of what they are.
    copies = smoothed(channels).double()
    grey, copy, channels = grey.double(), smoothed(grey).double(), channels.double()
    difference = grey - copy
    away = difference.abs().flatten(1)
    square = (difference * difference).mean((1, 2))
    energy = (grey * grey).mean((1, 2)).clamp_min(_TINY)
    decibel = square.clamp_min(_TINY)
    bent, bent_copy = _laplacian(grey), _laplacian(copy)
    angles = _angles(channels, copies)  # (B, H, W)
    colors = (channels - copies).square().sum(1).sqrt() / (255 * 3**0.5)
    magnitude, phase = _gradient(grey)
    magnitude_copy, phase_copy = _gradient(copy)
    spectrum, spectrum_copy = _magnitudes(grey), _magnitudes(copy)
    turned = (phase - phase_copy).abs()
    turned = torch.minimum(turned, 2 * pi - turned)
    values = (
        square,
        10 * torch.log10(grey.flatten(1).amax(1).square().clamp_min(_TINY) / decibel),
        10 * torch.log10(energy / decibel),
        energy / (copy * copy).mean((1, 2)).clamp_min(_TINY),
        away.amax(1),
        difference.mean((1, 2)),
        away.mean(1) / grey.mean((1, 2)).clamp_min(_TINY),
        torch.topk(away, _LARGEST, dim=1).values.mean(1),
        (bent - bent_copy).square().sum((1, 2)) / bent.square().sum((1, 2)).clamp_min(_TINY),
        (grey * copy).mean((1, 2)) / energy,
        1 - angles.mean((1, 2)),
        (1 - (1 - angles) * (1 - colors)).mean((1, 2)),
        (spectrum - spectrum_copy).square().mean((1, 2)),
        (magnitude - magnitude_copy).square().mean((1, 2)),
        turned.square().mean((1, 2)),
        ssim(grey, copy),
        vif(grey, copy),
        _frequency_index(spectrum),
    )
    return torch.stack([value.float() for value in values], 1)


def distortion_features(channels: Tensor, grey: Tensor) -> Tensor:
    """Return the features of Wen et al.: specularity (3), blur (2), moments of colour (15), diversity (101).

    Args:
        channels: (B, 3, H, W) whole numbers in [0, 255].
        grey: (B, H, W), theirs.

    Returns:
        (B, 121) float32.
    """
    blur = torch.stack([crete_blur(grey), edge_width(grey)], 1)
    return torch.cat([specularity(channels), blur, color_moments(channels), color_diversity(channels)], 1)


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean structural similarity (Wang et al., 2004) of (B, H, W) in [0, 255]: (B,).

    Windows are Gaussians of sigma 1.5 and 11 pixels that lie inside the picture.
    """
    weights = _gaussian(11, 1.5)
    mean_1, mean_2 = _filtered(first, weights), _filtered(second, weights)
    var_1 = _filtered(first * first, weights) - mean_1 * mean_1
    var_2 = _filtered(second * second, weights) - mean_2 * mean_2
    shared = _filtered(first * second, weights) - mean_1 * mean_2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = (2 * mean_1 * mean_2 + c1) * (2 * shared + c2)
    return (likeness / ((mean_1**2 + mean_2**2 + c1) * (var_1 + var_2 + c2))).mean((1, 2))


def vif(reference: Tensor, distorted: Tensor) -> Tensor:
    """Return the visual information fidelity in the pixel domain (Sheikh & Bovik, 2006) of (B, H, W): (B,)."""
    first, second = reference.double(), distorted.double()
    told, known = torch.zeros_like(first[:, 0, 0]), torch.zeros_like(first[:, 0, 0])
    for scale in range(4):
        taps = 2 ** (4 - scale) + 1
        weights = _gaussian(taps, taps / 5)
        if scale:
            first, second = (_filtered(each, weights)[:, ::2, ::2] for each in (first, second))
        mean_1, mean_2 = _filtered(first, weights), _filtered(second, weights)
        var_1 = (_filtered(first * first, weights) - mean_1 * mean_1).clamp_min(0)
        var_2 = (_filtered(second * second, weights) - mean_2 * mean_2).clamp_min(0)
        shared = _filtered(first * second, weights) - mean_1 * mean_2
        gain = shared / (var_1 + 1e-10)
        noise = var_2 - gain * shared
        flat = var_1 < 1e-10
        gain, noise = torch.where(flat, torch.zeros_like(gain), gain), torch.where(flat, var_2, noise)
        var_1 = torch.where(flat, torch.zeros_like(var_1), var_1)
        still = var_2 < 1e-10
        gain, noise = (
            torch.where(still, torch.zeros_like(gain), gain),
            torch.where(still, torch.zeros_like(noise), noise),
        )
        falls = gain < 0
        noise = torch.where(falls, var_2, noise).clamp_min(1e-10)
        gain = gain.clamp_min(0)
        told = told + torch.log10(1 + gain * gain * var_1 / (noise + _VIF_NOISE)).sum((1, 2))
        known = known + torch.log10(1 + var_1 / _VIF_NOISE).sum((1, 2))
    return ((told + 1e-10) / (known + 1e-10)).float()


def crete_blur(grey: Tensor) -> Tensor:
    """Return the blur (Crete et al., 2007) of (B, H, W), the larger of both directions: (B,) in [0, 1]."""
    return torch.maximum(_crete(grey), _crete(grey.transpose(1, 2)))


def edge_width(grey: Tensor) -> Tensor:
    """Return the mean width of vertical edges in pixels (Marziliano et al., 2002) of (B, H, W): (B,); 0 without any.

    An edge is a pixel whose horizontal Sobel response is over twice its root mean square. Its width is that of the
    run over which the row keeps rising or falling, at most 16 pixels to each side.
    """
    across, _ = _sobel(grey)  # (B, H - 2, W - 2)
    squares = across * across
    edges = (squares > 4 * squares.mean((1, 2), keepdim=True)).float()
    slope = torch.sign(
        grey[:, 1:-1, 1:] - grey[:, 1:-1, :-1]
    )  # (B, H - 2, W - 1): between a pixel and the next
    sign = torch.sign(across)
    wide = pad(slope, (_REACH, _REACH))
    count = sign.shape[2]
    width = torch.zeros_like(sign)
    for first, step in (
        (_REACH, -1),
        (_REACH + 1, 1),
    ):  # of the pixel at 0: the slope to its left, to its right
        goes_on = torch.ones_like(sign)
        for k in range(_REACH):
            begin = first + step * k
            goes_on = goes_on * (wide[:, :, begin : begin + count] == sign)
            width = width + goes_on
    return (width * edges).sum((1, 2)) / edges.sum((1, 2)).clamp_min(1)


def specularity(channels: Tensor) -> Tensor:
    """Return share, mean and standard deviation of highlights of (B, 3, H, W): (B, 3).

    The highlight of a pixel is what its least channel has over that channel's mean and half a standard deviation
    (Shen & Zheng, Applied Optics 2013), in [0, 1].
    """
    least = channels.amin(1).double() / 255
    limit = least.mean((1, 2)) + 0.5 * least.flatten(1).std(1, correction=0)
    light = (least - limit[:, None, None]).clamp_min(0)
    lit = (light > 0).double()
    count = lit.sum((1, 2)).clamp_min(1)
    mean = light.sum((1, 2)) / count
    spread = (lit * (light - mean[:, None, None]).square()).sum((1, 2)) / count
    return torch.stack([lit.mean((1, 2)), mean, spread.sqrt()], 1).float()


def color_moments(channels: Tensor) -> Tensor:
    """Return mean, deviation, skewness, shares of the lowest and highest hundredth, of each of H, S, V: (B, 15)."""
    planes = hsv_of(channels)
    values = planes.flatten(2).double() / 255  # (B, 3, N)
    mean, spread = values.mean(2), values.std(2, correction=0)
    third = (values - mean[:, :, None]).pow(3).mean(2)
    skewness = torch.where(spread > _TINY, third / spread.clamp_min(_TINY).pow(3), torch.zeros_like(third))
    low, high = (planes <= 2).float().mean((2, 3)), (planes >= 253).float().mean((2, 3))
    return torch.stack([mean, spread, skewness, low.double(), high.double()], 2).flatten(1).float()


def color_diversity(channels: Tensor) -> Tensor:
    """Return the shares of the 100 most frequent colours of 32 levels a channel, and how many there are: (B, 101).

    The number is over that of the pixels.
    """
    red, green, blue = torch.floor(channels * (_LEVELS / 256)).long().flatten(2).unbind(1)  # (B, N)
    color = (red * _LEVELS + green) * _LEVELS + blue
    counts = torch.zeros(color.shape[0], _LEVELS**3, device=channels.device)
    counts = counts.scatter_add(1, color, torch.ones_like(color, dtype=torch.float32))
    most = torch.topk(counts, _COLORS, dim=1).values
    return torch.cat([most, (counts > 0).float().sum(1, keepdim=True)], 1) / color.shape[1]


def _laplacian(values: Tensor) -> Tensor:
    around = values[:, :-2, 1:-1] + values[:, 2:, 1:-1] + values[:, 1:-1, :-2] + values[:, 1:-1, 2:]
    return around - 4 * values[:, 1:-1, 1:-1]


def _angles(first: Tensor, second: Tensor) -> Tensor:
    """Return the angle between the colours (B, 3, H, W) of each pixel, over a right angle: (B, H, W) in [0, 1]."""
    (a, b, c), (d, e, f) = first.unbind(1), second.unbind(1)
    crossed = ((b * f - c * e).square() + (c * d - a * f).square() + (a * e - b * d).square()).sqrt()
    along = a * d + b * e + c * f
    return torch.atan((crossed / along.clamp_min(_TINY)).float()).double() * (2 / pi)


def _sobel(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the Sobel responses (B, H - 2, W - 2) of (B, H, W): how it rises to the right, and downwards."""
    down = values[:, :-2] + 2 * values[:, 1:-1] + values[:, 2:]
    right = values[:, :, :-2] + 2 * values[:, :, 1:-1] + values[:, :, 2:]
    return down[:, :, 2:] - down[:, :, :-2], right[:, 2:] - right[:, :-2]


def _gradient(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return magnitude and direction in radians of the gradient; direction 0 where it is tiny."""
    across, down = _sobel(values)
    magnitude = (across.square() + down.square()).sqrt()
    clear = magnitude > _LEAST_GRADIENT
    turned = torch.atan2(down.float(), torch.where(clear, across, torch.ones_like(across)).float())
    return magnitude, torch.where(clear, turned, torch.zeros_like(turned)).double()


def _magnitudes(values: Tensor) -> Tensor:
    real, imaginary = dft(values)
    return (real * real + imaginary * imaginary).sqrt() / values.shape[-1]


def _frequency_index(magnitudes: Tensor) -> Tensor:
    """Return what low frequencies have more than high ones, over all: (B,); low is below 0.15 cycles per pixel."""
    low = frequencies(magnitudes.shape[-1], magnitudes.device) < 0.15
    whole = magnitudes.sum((1, 2)).clamp_min(_TINY)
    return (2 * (magnitudes * low).sum((1, 2)) - whole) / whole


def _gaussian(taps: int, sigma: float) -> tuple[float, ...]:
    weights = [exp(-((k - taps // 2) ** 2) / (2 * sigma**2)) for k in range(taps)]
    return tuple(weight / sum(weights) for weight in weights)


def _filtered(values: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Return (B, H, W) filtered in both directions where all of the filter lies inside, in float64.

    As two products of matrices: a bundle's graph has two nodes for it instead of one for each weight.
    """
    down, across = (torch.from_numpy(_band(side, weights)).to(values.device) for side in values.shape[1:])
    return down @ values.double() @ across.T


@lru_cache(maxsize=32)
def _band(size: int, weights: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the matrix (size - taps + 1, size) that filters a column of `size` values."""
    count = size - len(weights) + 1
    band = np.zeros((count, size))
    for k, weight in enumerate(weights):
        band[np.arange(count), np.arange(count) + k] = weight
    return band


def _crete(values: Tensor) -> Tensor:
    """Return the blur along the columns of (B, H, W)."""
    height, reach = values.shape[1], _BLUR // 2
    rows = [*reversed(range(reach)), *range(height), *reversed(range(height - reach, height))]  # mirrored
    low_pass = torch.from_numpy(_band(height + 2 * reach, (1 / _BLUR,) * _BLUR)).to(values.device)
    blurred = low_pass @ values[:, rows].double()
    sharp, soft = (_sobel(each)[1].abs()[:, 1:, 1:] for each in (values.double(), blurred))
    whole = sharp.sum((1, 2)).clamp_min(_TINY)
    return ((whole - (sharp - soft).clamp_min(0).sum((1, 2))).abs() / whole).float()
