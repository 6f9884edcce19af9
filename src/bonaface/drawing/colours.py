"""Numbers as colours that people with any colour vision tell apart, and in the right order when printed grey.

The colours are viridis (S. van der Walt & N. Smith, 2015, CC0), from matplotlib's table at ten even steps, with
straight lines between them: lightness grows evenly from dark violet at the low end to yellow at the high end.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_VIRIDIS = np.array(
    [
        (0x44, 0x01, 0x54), (0x48, 0x28, 0x78), (0x3E, 0x49, 0x89), (0x31, 0x68, 0x8E), (0x26, 0x82, 0x8E),
        (0x1F, 0x9E, 0x89), (0x35, 0xB7, 0x79), (0x6E, 0xCE, 0x58), (0xB5, 0xDE, 0x2B), (0xFD, 0xE7, 0x25),
    ],
    np.float64,
)  # fmt: skip
_NOT_A_NUMBER = 128  # grey


def viridis(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the colours of `values`, of any shape: (..., 3) uint8 RGB.

    0 and all below is dark violet, 1 and all above is yellow, and what is not a number is grey.
    """
    values = np.asarray(values, np.float64)
    steps = np.linspace(0.0, 1.0, len(_VIRIDIS))
    colours = np.stack([np.interp(values, steps, channel) for channel in _VIRIDIS.T], axis=-1)
    colours[np.isnan(values)] = _NOT_A_NUMBER
    rounded: NDArray[np.uint8] = np.rint(colours).astype(np.uint8)
    return rounded
