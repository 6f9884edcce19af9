"""Pictures in linear light, and the few operations on them that every part needs.

A *light* is (H, W, 3) float32, proportional to radiance in linear sRGB primaries; 1.0 is a white sheet under the
scene's main light. A *picture* is (H, W, 3) uint8 as sRGB codes it (IEC 61966-2-1).
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Light = NDArray[np.float32]
Plane = NDArray[np.float32]
Picture = NDArray[np.uint8]

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_STEPS = 4095


def to_light(picture: Picture) -> Light:
    """sRGB codes (H, W, 3) uint8 -> light (H, W, 3) in [0, 1]."""
    return _decode_table()[picture]


def to_picture(light: Light) -> Picture:
    """Light (H, W, 3) -> sRGB codes uint8; what lies outside [0, 1] is clipped."""
    return look_up(light, encode_table())


def look_up(values: NDArray[np.float32], table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`table` (4096,) read at `values` in [0, 1] (clipped). The table runs over the square root of the value.

    The square root spends the table's steps where the eye and the code need them: in the shadows.
    """
    steps = np.clip(values, 0.0, 1.0)
    np.sqrt(steps, out=steps)
    steps *= _STEPS
    steps += 0.5
    return np.take(table, steps.astype(np.uint16))


def look_up_positions() -> NDArray[np.float64]:
    """The linear values in [0, 1] at which the tables of `look_up` are to be filled, (4096,)."""
    return (np.arange(_STEPS + 1) / _STEPS) ** 2


def srgb_encode(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sRGB transfer function, light in [0, 1] -> code in [0, 1]."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def srgb_decode(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `srgb_encode`."""
    return np.where(code <= 0.04045, code / 12.92, ((np.maximum(code, 0.0) + 0.055) / 1.055) ** 2.4)


@cache
def encode_table() -> NDArray[np.uint8]:
    """The table of `look_up` that codes light as sRGB."""
    return np.rint(255 * srgb_encode(look_up_positions())).astype(np.uint8)


@cache
def _decode_table() -> NDArray[np.float32]:
    return srgb_decode(np.arange(256) / 255).astype(np.float32)


def planes_of(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W, C) -> (C, H, W), each plane in one piece: arithmetic on planes is several times as fast."""
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def luma(light: Light) -> Plane:
    """The luminance (H, W) of a light (Rec. 709 weights)."""
    return light @ LUMA


def blur(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """A Gaussian blur of (H, W) or (H, W, C) by `sigma` pixels, borders repeated.

    Small sigmas convolve with the sampled kernel; from 2 px on the work is done on a reduced picture, which costs
    less and whose error stays under one part in a hundred.
    """
    if sigma < 0.2:
        return image.copy()
    if sigma > 2.0 and min(image.shape[:2]) >= 8:
        factor = 2 if sigma < 4.0 else 4
        height, width = image.shape[:2]
        small = resize(image, (-(-width // factor), -(-height // factor)))
        return resize(blur(small, sigma / factor), (width, height))
    radius = max(1, int(3.0 * sigma + 0.5))
    taps = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    taps /= taps[0] + 2 * taps[1:].sum()
    return _convolve(_convolve(image, taps, 0), taps, 1)


def _convolve(image: NDArray[np.float32], taps: NDArray[np.float64], axis: int) -> NDArray[np.float32]:
    radius, length = len(taps) - 1, image.shape[axis]
    padded = np.pad(image, [(radius, radius) if i == axis else (0, 0) for i in range(image.ndim)], mode="edge")

    def shifted(offset: int) -> NDArray[np.float32]:
        window = slice(radius + offset, radius + offset + length)
        return padded[window] if axis == 0 else padded[:, window]

    total = shifted(0) * np.float32(taps[0])
    pair = np.empty_like(total)
    for offset in range(1, radius + 1):
        np.add(shifted(-offset), shifted(offset), out=pair)
        pair *= np.float32(taps[offset])
        total += pair
    return total


def resize(image: NDArray[np.float32], size: tuple[int, int], box: bool = False) -> NDArray[np.float32]:
    """(H, W) or (H, W, C) float32 at `size` = (width, height): area-weighted when it shrinks, linear when it grows."""
    if image.ndim == 3:
        return np.stack([resize(image[..., c], size, box) for c in range(image.shape[2])], axis=-1)
    if image.shape == size[::-1]:
        return np.ascontiguousarray(image)
    way = Image.Resampling.BOX if box else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size, way))


def mix(back: Light, front: Light, alpha: Plane) -> Light:
    """`front` (H, W, 3) over `back` with coverage `alpha` (H, W) in [0, 1]."""
    return back + (front - back) * alpha[..., None]


def smooth_step(low: float, high: float, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """0 below `low`, 1 above `high`, a smooth cubic between; `low` may be the greater for a falling step."""
    t = np.clip((values - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def clouds(shape: tuple[int, int], coarse: float, rng: np.random.Generator, octaves: int = 4) -> Plane:
    """Smooth noise (H, W) of zero mean and unit spread: octaves from `coarse` pixels down, amplitude by scale.

    The 1/f spectrum is that of natural surfaces (Field, JOSA A 4, 1987).
    """
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        cell = max(coarse / 2**octave, 1.0)
        grid = rng.standard_normal((int(height / cell) + 2, int(width / cell) + 2), np.float32)
        # Cubic: the slope of this noise is lit in places, and linear pieces would show.
        fine = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(fine) * np.float32(0.5**octave)
    total -= total.mean()
    spread = float(total.std())
    return total / np.float32(spread if spread > 0 else 1.0)
