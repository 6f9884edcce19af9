"""The colour filter array, and demosaicing.

Green, which has half of the sites and most of the brightness, is interpolated at full size; red and blue follow it by
their difference from green, which is smooth (Cok, US patent 4642678, 1987; the idea of most demosaicing since). The
differences are left at half size, where noise reduction and the colour matrix work on them too.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.simulate.light import Light, Plane


@dataclass(frozen=True)
class Demosaiced:
    """green: (H, W). red, blue: (H / 2, W / 2) differences from green, at the middles of the squares of four sites."""

    green: Plane
    red: Plane
    blue: Plane


def mosaic(light: Light, matrix: NDArray[np.floating[Any]]) -> Plane:
    """Return light (3, H, W) of even sides behind RGGB filters, (H, W); row c of `matrix` is what filter c passes."""
    raw = np.empty(light.shape[1:], np.float32)
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        red, green, blue = light[:, row::2, column::2]
        m = matrix[channel].astype(np.float32)
        raw[row::2, column::2] = red * m[0] + green * m[1] + blue * m[2]
    return raw


def demosaic(raw: Plane, simple: bool = False) -> Demosaiced:
    """Demosaic RGGB (H, W) of even sides: green by Malvar, He & Cutler (ICASSP 2004) or, if `simple`, bilinear."""
    padded = np.pad(raw, 2, mode="reflect")
    green = raw.copy()
    at_red, at_blue = _green_at(padded, 0, simple), _green_at(padded, 1, simple)
    green[0::2, 0::2], green[1::2, 1::2] = at_red, at_blue
    red, blue = raw[0::2, 0::2] - at_red, raw[1::2, 1::2] - at_blue
    return Demosaiced(green, _centred(red), _centred(blue[::-1, ::-1])[::-1, ::-1])


def _green_at(padded: Plane, site: int, simple: bool) -> Plane:
    """Return green at the red (`site` 0) or blue (1) sites, (H / 2, W / 2)."""
    height, width = padded.shape[0] - 4, padded.shape[1] - 4

    def at(dy: int, dx: int) -> Plane:
        return padded[2 + dy + site : 2 + dy + height : 2, 2 + dx + site : 2 + dx + width : 2]

    near = at(-1, 0) + at(1, 0)
    near += at(0, -1)
    near += at(0, 1)
    near *= np.float32(0.25)
    if not simple:
        far = at(-2, 0) + at(2, 0)
        far += at(0, -2)
        far += at(0, 2)
        far *= np.float32(-0.125)
        far += at(0, 0) * np.float32(0.5)
        near += far
    return near


def _centred(difference: Plane) -> Plane:
    """Return values at the upper left sites of squares, moved a quarter of their distance to the squares' middles."""
    down = difference * np.float32(0.75)
    down[:-1] += difference[1:] * np.float32(0.25)
    down[-1] += difference[-1] * np.float32(0.25)
    across = down * np.float32(0.75)
    across[:, :-1] += down[:, 1:] * np.float32(0.25)
    across[:, -1] += down[:, -1] * np.float32(0.25)
    return across
