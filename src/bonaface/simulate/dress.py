"""Clothes and glasses for synthetic persons, drawn as shapes with cloth's shading."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.simulate.light import Light, Plane, blur, clouds, coloured, mix, resize, size_of, smooth_step
from bonaface.simulate.seeds import between, by_ratio, chance
from bonaface.simulate.warp import Points

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Outfit:
    """One upper garment. Lengths in distances between the pupils."""

    colour: Floats
    second: Floats
    pattern: str  # plain, stripes, checks
    pitch: float
    collar: str  # crew, vee, shirt
    opening: float
    slope: float
    broad: float
    seed: int


@dataclass(frozen=True)
class Glasses:
    """One pair of glasses. Lengths in distances between the pupils."""

    colour: Floats
    rim: float
    wide: float
    tall: float
    round: float  # exponent of the superellipse: 2 round, 4 square
    shine: float


def draw_outfit(rng: np.random.Generator) -> Outfit:
    """Draw a garment; greys, blacks, whites and blues are the commonest colours."""
    pattern = str(rng.choice(["plain", "stripes", "checks"], p=[0.66, 0.17, 0.17]))
    collar = str(rng.choice(["crew", "vee", "shirt"], p=[0.4, 0.2, 0.4]))
    return Outfit(
        _cloth(rng), _cloth(rng), pattern, between(rng, 0.08, 0.4), collar,
        between(rng, 0.2, 0.9), between(rng, 0.35, 0.75), between(rng, 2.3, 3.0), int(rng.integers(2**31)),
    )  # fmt: skip


def _cloth(rng: np.random.Generator) -> Floats:
    value = by_ratio(rng, 0.02, 0.75)
    strength = between(rng, 0.0, 0.15) if chance(rng, 0.6) else between(rng, 0.15, 0.7)
    hue = between(rng, 0.0, 2 * np.pi)
    wheel = 1.0 + strength * np.cos(hue + np.array([0.0, 2.1, 4.2]))
    result: Floats = (value * wheel / wheel.max()).astype(np.float32)
    return result


def garment(
    chin: tuple[float, float], eyes: float, neck: float, outfit: Outfit, size: tuple[int, int]
) -> tuple[Light, Plane]:
    """Return a garment on a canvas of `size` (width, height): its light (3, H, W) and coverage (H, W).

    Args:
        chin: position of the wearer's chin, pixels. eyes: the distance between the pupils, pixels.
        neck: half the neck's width in distances between the pupils.
    """
    width, height = size
    x = (np.arange(width, dtype=np.float32)[None, :] - np.float32(chin[0])) / np.float32(eyes)
    y = (np.arange(height, dtype=np.float32)[:, None] - np.float32(chin[1])) / np.float32(eyes)
    rng = np.random.Generator(np.random.Philox(outfit.seed))
    # Cloth hangs, so its folds are longer down than across.
    noise = resize(clouds((height // 2, width), 0.9 * eyes, rng, 2), size)
    top = _top(x, y, neck, outfit)
    shading = (_folds(x, y, noise, eyes) * _seams(x, y, top, neck, outfit)).astype(np.float32)
    return _woven(x, y, outfit, noise) * shading, smooth_step(-0.012, 0.012, top)


def _shoulder(x: Plane, neck: float, outfit: Outfit) -> Plane:
    """Return neck, shoulder and arm as a line (1, W): how far below the chin the body begins."""
    away = np.abs(x)
    out = np.clip((away - neck) / (outfit.broad - neck), 0.0, None)
    line = 0.30 + outfit.slope * np.minimum(out, 1.2) ** 0.8 + 9.0 * np.clip(out - 0.78, 0.0, None) ** 2.2
    return line - 0.9 * np.clip((neck - away) / neck, 0, 1) ** 0.5


def _top(x: Plane, y: Plane, neck: float, outfit: Outfit) -> Plane:
    """Return the approximate signed distance (H, W) below the garment's upper edge, in eye distances."""
    away = np.abs(x)
    bow = np.sqrt(np.clip(1 - (away / (neck * 1.35)) ** 2, 0, 1))
    collar = {
        "crew": 0.42 + 0.30 * bow,
        "vee": 0.40 + (0.35 + outfit.opening) * np.clip(1 - away / (neck * 1.45), 0, 1),
        "shirt": 0.10 + (0.30 + 0.9 * outfit.opening) * np.clip(1 - away / (neck * 1.12), 0, 1),
    }[outfit.collar]
    line = _shoulder(x, neck, outfit)
    if outfit.collar == "shirt":
        line = np.where(away < neck * 1.18, np.minimum(line, collar), line)
    return (y - np.where(away < neck * 1.4, np.maximum(line, collar), line)).astype(np.float32)


def _woven(x: Plane, y: Plane, outfit: Outfit, noise: Plane) -> Light:
    bent_x, bent_y = x + 0.03 * noise + 0.10 * x * y, y + 0.04 * noise + 0.12 * x * x
    across, down = _bars(bent_x / outfit.pitch), _bars(bent_y / outfit.pitch)
    share = {"plain": 0 * across, "stripes": across, "checks": 0.5 * (across + down)}[outfit.pattern]
    return coloured(1 - share, outfit.colour) + coloured(share, outfit.second)


def _bars(phase: Plane) -> Plane:
    return smooth_step(0.25, 0.35, np.abs(np.mod(phase, 1.0) - 0.5))


def _folds(x: Plane, y: Plane, noise: Plane, eyes: float) -> Plane:
    """Return shading (H, W): light from above on hanging folds and on a rounded body."""
    dy, dx = np.gradient(noise * np.float32(0.07 * eyes))
    lit = 1.0 - 0.9 * dx - 1.2 * dy + 0.04 * noise
    result: Plane = np.clip(lit * (1.0 - 0.07 * x * x) * (1.0 - 0.06 * np.clip(y, 0, 3)), 0.2, 1.5)
    return result


def _seams(x: Plane, y: Plane, top: Plane, neck: float, outfit: Outfit) -> Plane:
    """Return the dark lines (H, W) of the collar's band, and of a shirt's collar and placket."""
    dark = np.exp(-(((top - 0.13) / 0.012) ** 2)) * (np.abs(x) < neck * 1.5)
    if outfit.collar == "shirt":
        flap = np.abs(np.abs(x) - (neck * 0.25 + 0.85 * (y - 0.05)))
        leaf = (top > 0) & (y < 0.62 + 0.5 * outfit.opening)
        placket = np.abs(x - 0.09) * (1 + 9.0 * (y < 0.5 + outfit.opening))
        dark = np.maximum(np.exp(-((flap / 0.02) ** 2)) * leaf * 0.7, np.exp(-((placket / 0.012) ** 2)) * 0.5)
    result: Plane = 1.0 - 0.5 * dark.astype(np.float32)
    return result


def draw_glasses(rng: np.random.Generator) -> Glasses:
    """Draw a pair of glasses: mostly dark frames, some of metal, some coloured."""
    dark = chance(rng, 0.6)
    colour = (
        np.full(3, between(rng, 0.01, 0.05)) if dark else rng.uniform(0.02, 0.3) * rng.uniform(0.5, 1.0, 3)
    )
    return Glasses(
        colour.astype(np.float32), between(rng, 0.025, 0.09), between(rng, 0.36, 0.44), between(rng, 0.24, 0.36),
        between(rng, 2.0, 4.5), between(rng, 0.0, 0.10),
    )  # fmt: skip


def wear_glasses(light: Light, shape: Points, glasses: Glasses) -> Light:
    """Return the light (3, H, W) with `glasses` before the eyes of `shape`, with their shadow and shine."""
    width, height = size_of(light)
    right, left = shape[0], shape[1]
    eyes = float(np.hypot(*(left - right)))
    tilt = float(np.arctan2(*(left - right)[::-1]))
    x = np.arange(width, dtype=np.float32)[None, :]
    y = np.arange(height, dtype=np.float32)[:, None]
    rims, panes = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    for centre, side in ((right, -1.0), (left, 1.0)):
        cx, cy = centre + np.array([side * 0.02 * eyes, 0.06 * eyes])
        u = ((x - cx) * np.cos(tilt) + (y - cy) * np.sin(tilt)) / np.float32(eyes)
        v = (-(x - cx) * np.sin(tilt) + (y - cy) * np.cos(tilt)) / np.float32(eyes)
        power = glasses.round
        radius = (np.abs(u / glasses.wide) ** power + np.abs(v / glasses.tall) ** power) ** (1 / power)
        half = glasses.rim / 2 / glasses.tall
        rims = np.maximum(rims, 1 - smooth_step(half, half + 0.05, np.abs(radius - 1)))
        panes = np.maximum(panes, 1 - smooth_step(0.95, 1.0, radius))
        arm = (
            (np.abs(v + 0.10) < glasses.rim * 0.45)
            & (side * u > glasses.wide)
            & (side * u < glasses.wide + 0.42)
        )
        rims = np.maximum(rims, arm.astype(np.float32))
    middle = (right + left) / 2
    bow = (np.abs(y - (middle[1] - 0.02 * eyes)) < glasses.rim * 0.5 * eyes) & (
        np.abs(x - middle[0]) < (0.54 - glasses.wide) * eyes
    )
    rims = blur(np.maximum(rims, bow.astype(np.float32)), 0.7)
    shadow = np.roll(blur(rims, 0.03 * eyes), int(0.06 * eyes), 0)
    glow = smooth_step(0.25, -0.3, (x - middle[0]) / eyes + (y - middle[1]) / eyes)
    shaded = light * (1 - 0.35 * shadow) + glasses.shine * panes * glow
    return mix(shaded, coloured(np.ones_like(rims), glasses.colour), rims)
