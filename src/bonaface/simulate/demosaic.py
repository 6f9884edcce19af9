"""The colour filter array and its undoing."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.simulate.light import Light, Plane

Neighbour = Callable[[int, int], Plane]


def mosaic(light: Light, matrix: NDArray[np.floating[Any]]) -> Plane:
    """Light (3, H, W) through the filters RGGB, (H, W): row c of `matrix` is what filter c lets through."""
    raw = np.empty(light.shape[1:], np.float32)
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        red, green, blue = light[:, row::2, column::2]
        m = matrix[channel].astype(np.float32)
        raw[row::2, column::2] = red * m[0] + green * m[1] + blue * m[2]
    return raw


def demosaic(raw: Plane, simple: bool = False) -> Light:
    """A raw mosaic RGGB (H, W) -> (3, H, W): gradient-corrected (Malvar, He & Cutler 2004) or, `simple`, bilinear."""
    padded = np.pad(raw, 2, mode="reflect")
    height, width = raw.shape
    out = np.empty((3, height, width), np.float32)
    for row, column, own, missing in _SITES:

        def at(dy: int, dx: int, row: int = row, column: int = column) -> Plane:
            return padded[2 + dy + row : 2 + dy + height : 2, 2 + dx + column : 2 + dx + width : 2]

        out[own, row::2, column::2] = at(0, 0)
        for channel, estimate in missing:
            out[channel, row::2, column::2] = estimate(at, simple)
    return out


def _cross(at: Neighbour, simple: bool) -> Plane:
    """Green at a red or blue site."""
    near = at(-1, 0) + at(1, 0) + at(0, -1) + at(0, 1)
    if simple:
        return near / 4
    return near / 4 + (4 * at(0, 0) - (at(-2, 0) + at(2, 0) + at(0, -2) + at(0, 2))) / 8


def _corners(at: Neighbour, simple: bool) -> Plane:
    """Red at a blue site, or blue at a red one."""
    near = at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1)
    if simple:
        return near / 4
    return near / 4 + (6 * at(0, 0) - 1.5 * (at(-2, 0) + at(2, 0) + at(0, -2) + at(0, 2))) / 8


def _beside(at: Neighbour, simple: bool) -> Plane:
    """A colour whose sites lie left and right of this green one."""
    near = (at(0, -1) + at(0, 1)) / 2
    if simple:
        return near
    corners = at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1)
    return near + (5 * at(0, 0) - corners - (at(0, -2) + at(0, 2)) + (at(-2, 0) + at(2, 0)) / 2) / 8


def _over(at: Neighbour, simple: bool) -> Plane:
    """A colour whose sites lie above and below this green one."""
    return _beside(lambda dy, dx: at(dx, dy), simple)


# row, column, the site's own channel, and how each missing channel is estimated there
_SITES = (
    (0, 0, 0, ((1, _cross), (2, _corners))),
    (0, 1, 1, ((0, _beside), (2, _over))),
    (1, 0, 1, ((0, _over), (2, _beside))),
    (1, 1, 2, ((0, _corners), (1, _cross))),
)
