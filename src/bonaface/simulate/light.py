"""Pictures in linear light, and the few operations on them that every part needs.

A *light* is (3, H, W) float32: red, green and blue, proportional to radiance in linear sRGB primaries; 1.0 is a white
sheet under the scene's main light. Planes lie apart because arithmetic on whole planes is several times as fast. A
*picture* is (H, W, 3) uint8 as sRGB codes it (IEC 61966-2-1), the form of files and of every other package.
"""

from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

T = TypeVar("T", bound=np.generic)
Way = Image.Resampling
Light = NDArray[np.floating[Any]]  # float32 throughout; numpy promises less to a type checker
Plane = Light
Picture = NDArray[np.uint8]

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_STEPS = 4095


def to_light(picture: Picture) -> Light:
    """Convert sRGB codes (H, W, 3) uint8 to light (3, H, W) in [0, 1]."""
    return np.take(_decode_table(), planes_of(picture))


def to_picture(light: Light) -> Picture:
    """Convert light (3, H, W) to sRGB codes (H, W, 3) uint8; values outside [0, 1] are clipped."""
    return developed(light, encode_table())


def developed(light: Light, table: NDArray[np.uint8]) -> Picture:
    """Convert light (3, H, W) to a picture (H, W, 3) by a `table` of `look_up`."""
    picture = np.empty((*light.shape[1:], 3), np.uint8)
    for channel, plane in enumerate(light):
        picture[..., channel] = look_up(plane, table)
    return picture


def look_up(values: NDArray[np.floating[Any]], table: NDArray[T]) -> NDArray[T]:
    """Return `table` (4096,) read at `values` in [0, 1] (clipped); the table runs over the square root of the value.

    The square root gives the shadows more of the table's steps, as the eye and sRGB need them there.
    """
    steps = np.clip(values, 0.0, 1.0)
    np.sqrt(steps, out=steps)
    steps *= _STEPS
    steps += 0.5
    result: NDArray[T] = np.take(table, steps.astype(np.uint16))
    return result


def look_up_positions() -> NDArray[np.floating[Any]]:
    """Return the linear values in [0, 1] at which the tables of `look_up` are to be filled, (4096,)."""
    return (np.arange(_STEPS + 1) / _STEPS) ** 2


def srgb_encode(light: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return the sRGB code in [0, 1] of light in [0, 1]."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def srgb_decode(code: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return the light in [0, 1] of an sRGB code in [0, 1]."""
    return np.where(code <= 0.04045, code / 12.92, ((np.maximum(code, 0.0) + 0.055) / 1.055) ** 2.4)


def srgb_codes(light: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return the sRGB codes in 0 to 255 of light of any shape; values outside [0, 1] are clipped."""
    codes: NDArray[np.uint8] = np.rint(255 * srgb_encode(np.clip(light, 0.0, 1.0))).astype(np.uint8)
    return codes


@cache
def encode_table() -> NDArray[np.uint8]:
    """Return the table of `look_up` that codes light as sRGB."""
    return srgb_codes(look_up_positions())


@cache
def _decode_table() -> NDArray[np.floating[Any]]:
    return srgb_decode(np.arange(256) / 255).astype(np.float32)


def planes_of(image: NDArray[T]) -> NDArray[T]:
    """Return (H, W, C) as (C, H, W), each plane contiguous."""
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def picture_of(planes: NDArray[T]) -> NDArray[T]:
    """Return (C, H, W) as (H, W, C)."""
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def size_of(image: NDArray[np.floating[Any]]) -> tuple[int, int]:
    """Return width and height of a plane (H, W) or a light (C, H, W)."""
    return image.shape[-1], image.shape[-2]


def luma(light: Light) -> Plane:
    """Return the luminance (H, W) of a light (Rec. 709 weights)."""
    result: Plane = light[0] * LUMA[0] + light[1] * LUMA[1] + light[2] * LUMA[2]
    return result


def coloured(plane: Plane, colour: NDArray[np.floating[Any]]) -> Light:
    """Return a plane (H, W) in a `colour` (3,): light (3, H, W)."""
    return plane * colour[:, None, None]


def blur(image: NDArray[np.floating[Any]], sigma: float) -> NDArray[np.floating[Any]]:
    """Return (..., H, W) after a Gaussian blur by `sigma` pixels, with the border repeated.

    From 2 px on a reduced picture is blurred, which is faster, with an error of one part in a hundred.
    """
    if sigma < 0.2:
        return image.copy()
    if image.ndim == 3:
        return np.stack([blur(plane, sigma) for plane in image])
    width, height = size_of(image)
    if sigma > 2.0 and min(width, height) >= 8:
        factor = 2 if sigma < 4.0 else 4
        small = resize(image, (-(-width // factor), -(-height // factor)))
        # Resizing down and up blurs as well, by two triangles as wide as the factor: a third of a small pixel squared.
        return resize(blur(small, float(np.sqrt((sigma / factor) ** 2 - 1 / 3))), (width, height))
    reach = min(max(1, int(2.5 * sigma + 0.5)), min(width, height) - 1)
    taps = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    taps /= taps[0] + 2 * taps[1:].sum()
    return _convolved_across(_convolved_down(image, taps), taps)


def _convolved_down(plane: Plane, taps: NDArray[np.floating[Any]]) -> Plane:
    total, part = plane * np.float32(taps[0]), np.empty_like(plane)
    for offset, tap in enumerate(taps[1:], start=1):
        np.multiply(plane, np.float32(tap), out=part)
        total[offset:] += part[:-offset]
        total[:offset] += part[:1]
        total[:-offset] += part[offset:]
        total[-offset:] += part[-1:]
    return total


def _convolved_across(plane: Plane, taps: NDArray[np.floating[Any]]) -> Plane:
    total, part = plane * np.float32(taps[0]), np.empty_like(plane)
    for offset, tap in enumerate(taps[1:], start=1):
        np.multiply(plane, np.float32(tap), out=part)
        total[:, offset:] += part[:, :-offset]
        total[:, :offset] += part[:, :1]
        total[:, :-offset] += part[:, offset:]
        total[:, -offset:] += part[:, -1:]
    return total


def resize(
    image: NDArray[np.floating[Any]], size: tuple[int, int], way: Way = Way.BILINEAR
) -> NDArray[np.floating[Any]]:
    """Return (..., H, W) float32 at `size` = (width, height), antialiased when it shrinks."""
    if image.ndim == 3:
        return np.stack([resize(plane, size, way) for plane in image])
    if size_of(image) == size:
        return image
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size, way))


def mix(back: Light, front: Light, alpha: Plane) -> Light:
    """Return `front` (3, H, W) over `back` with coverage `alpha` (H, W) in [0, 1]."""
    mixed = np.empty_like(back)
    for below, above, out in zip(back, front, mixed, strict=True):
        np.subtract(above, below, out=out)
        out *= alpha
        out += below
    return mixed


def unit(dx: Plane, dy: Plane) -> Light:
    """Return unit normals (3, H, W) of a surface with slopes dx, dy per pixel: x right, y down, z to the camera."""
    normals = np.empty((3, *dx.shape), np.float32)
    scale = 1.0 / np.sqrt(dx * dx + dy * dy + 1.0)
    np.multiply(dx, -scale, out=normals[0])
    np.multiply(dy, -scale, out=normals[1])
    normals[2] = scale
    return normals


def smooth_step(low: float, high: float, values: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return 0 below `low`, 1 above `high` and a smooth cubic between; the step falls if `low` is greater."""
    t = np.clip((values - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    result: NDArray[np.floating[Any]] = t * t * (3.0 - 2.0 * t)
    return result


def clouds(shape: tuple[int, int], coarse: float, rng: np.random.Generator, octaves: int = 4) -> Plane:
    """Return smooth noise (H, W) of zero mean and unit spread: octaves from `coarse` pixels down, amplitude by scale.

    The 1/f spectrum is that of natural surfaces (Field, JOSA A 4, 1987).
    """
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        cell = max(coarse / 2**octave, 1.0)
        grid = rng.standard_normal((int(height / cell) + 2, int(width / cell) + 2), np.float32)
        # Cubic, as shading uses the slope of this noise, and linear pieces would show.
        total += resize(grid * np.float32(0.5**octave), (width, height), Way.BICUBIC)
    total -= total.mean()
    spread = float(total.std())
    return total / np.float32(spread if spread > 0 else 1.0)
