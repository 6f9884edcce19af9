"""Periodic fine structure as Fourier series: the sub-pixels of a display and the dots of a printing screen.

Both are lattices of identical apertures, whose spectrum is lines at the lattice's frequencies weighted by the
aperture's transform (Amidror, *The theory of the moiré phenomenon*, ch. 2). The camera decides how much of each
line survives.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.simulate.camera import Wave
from bonaface.simulate.light import Light, Plane
from bonaface.simulate.warp import Map

Floats = NDArray[np.floating[Any]]
_FINEST = 1.4  # cycles per pixel: no lens in front of a pixel's aperture passes more


@dataclass(frozen=True)
class Line:
    """One line of a spectrum: `cycles` = k . u for lattice coordinates u, with a weight and a shift for each
    channel."""

    k: tuple[float, float]
    weights: tuple[float, float, float]
    shifts: tuple[float, float, float]


def aperture_lines(
    size: tuple[tuple[float, float], ...],
    position: tuple[tuple[float, float], ...],
    basis: tuple[tuple[tuple[float, float], ...], ...],
) -> tuple[Line, ...]:
    """Return the spectrum of rectangular apertures, relative to their mean.

    Args:
        size: width and height of each channel's aperture, in lattice units.
        position: its centre.
        basis: the frequencies at which each channel has lines (half a plane of them; the other half is their mirror).
    """
    lines = []
    for k in sorted({k for ks in basis for k in ks}):
        weights, shifts = [], []
        for channel in range(3):
            (w, h), (x, y) = size[channel], position[channel]
            has = k in basis[channel]
            weights.append(2.0 * float(np.sinc(k[0] * w) * np.sinc(k[1] * h)) if has else 0.0)
            shifts.append(-(k[0] * x + k[1] * y))
        lines.append(Line(k, (weights[0], weights[1], weights[2]), (shifts[0], shifts[1], shifts[2])))
    return tuple(lines)


def lattice_waves(where: Map, light: Light, lines: tuple[Line, ...]) -> tuple[Wave, ...]:
    """Return the waves of a lattice as seen by a camera.

    Args:
        where: (2, H, W) lattice coordinates at every pixel of the picture.
        light: (3, H, W) the mean light of the lattice, 0 where it is not seen.
        lines: its spectrum.
    """
    steep = _steepness(where)
    waves = []
    for line in lines:
        if _fineness(steep, line.k) < _FINEST:
            cycles = where[0] * np.float32(line.k[0]) + where[1] * np.float32(line.k[1])
            waves.append(Wave(cycles, light, line.weights, line.shifts))
    return tuple(waves)


def _steepness(where: Map) -> tuple[float, float, float, float]:
    """Return the mean slopes du/dx, dv/dx, du/dy, dv/dy of a map."""
    height, width = where.shape[1:]
    across = (where[:, :, -1] - where[:, :, 0]).mean(1) / (width - 1)
    down = (where[:, -1] - where[:, 0]).mean(1) / (height - 1)
    return float(across[0]), float(across[1]), float(down[0]), float(down[1])


_ORDERS = ((1, 0), (0, 1), (1, 1), (1, -1))


def _fineness(steep: tuple[float, float, float, float], k: tuple[float, float]) -> float:
    """Return the frequency of line k in cycles per pixel."""
    return float(np.hypot(k[0] * steep[0] + k[1] * steep[1], k[0] * steep[2] + k[1] * steep[3]))


def _turned(where: Map, angle: float) -> Map:
    cos, sin = np.float32(np.cos(np.radians(angle))), np.float32(np.sin(np.radians(angle)))
    return np.stack([where[0] * cos + where[1] * sin, where[1] * cos - where[0] * sin])


def too_fine(where: Map, angle: float) -> bool:
    """Return whether a screen at `angle` is too fine for any camera, so that its dots need not be computed."""
    corners = _turned(np.ascontiguousarray(where[:, :: where.shape[1] - 1, :: where.shape[2] - 1]), angle)
    across, down = where.shape[2] - 1, where.shape[1] - 1
    du, dv, eu, ev = _steepness(corners)
    return min(_fineness((du / across, dv / across, eu / down, ev / down), k) for k in _ORDERS) >= _FINEST


def dot_waves(where: Map, coverage: Plane, effect: Light, angle: float) -> tuple[Wave, ...]:
    """Return the waves of a printing screen of round dots for one ink.

    Args:
        where: (2, H, W) position on the paper in screen periods, unturned.
        coverage: (H, W) share of the paper under dots, 0 to 1.
        effect: (3, H, W) change of the light per unit of coverage (negative: ink takes light away).
        angle: of the screen, degrees.
    """
    turned = _turned(where, angle)
    steep = _steepness(turned)
    waves = []
    for k in _ORDERS:
        if _fineness(steep, k) < _FINEST:
            strength = _read(_dot_table(k[0] ** 2 + k[1] ** 2), coverage)
            cycles = turned[0] * np.float32(k[0]) + turned[1] * np.float32(k[1])
            waves.append(Wave(cycles, effect * strength))
    return tuple(waves)


def _read(table: Floats, coverage: Plane) -> Plane:
    steps = np.clip(coverage, 0.0, 1.0) * np.float32(len(table) - 1)
    return np.take(table, steps.astype(np.uint8))


@cache
def _dot_table(square: int) -> Floats:
    """Return twice the Fourier coefficient of a round dot of coverage a, at |k|^2 = `square`: 2 r J1(2 pi r |k|) / |k|.

    Above one half the free paper is the dot, by the screen's symmetry.
    """
    coverage = np.linspace(0.0, 1.0, 256)
    radius = np.sqrt(np.minimum(coverage, 1.0 - coverage) / np.pi)
    sign = np.where(coverage <= 0.5, 1.0, -1.0)
    norm = float(np.sqrt(square))
    return (sign * 2.0 * radius * _j1(2 * np.pi * radius * norm) / norm).astype(np.float32)


def _j1(x: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return the Bessel function J1 by its integral (Abramowitz & Stegun 9.1.21)."""
    t = (np.arange(128) + 0.5) * np.pi / 128
    mean: NDArray[np.floating[Any]] = np.cos(t - x[:, None] * np.sin(t)).mean(1)
    return mean
