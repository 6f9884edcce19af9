"""Draw pictures in rows, each with its caption, and the colour bars of their maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.drawing.colours import viridis
from bonaface.drawing.heat_map import round_ticks
from bonaface.drawing.text import line_height, shortened, text_width, wrapped
from bonaface.drawing.vector import Drawing, Line, Part, Picture, Text

SIDE = 200  # pixels
_GAP = 10
_BAR = (260, 12)  # pixels: a colour bar's length and height
_TICK = 4


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A picture (H, W, 3) uint8 RGB and its caption. The pixels of a map are not `smooth`: their edges are kept.

    A caption's first line, if it has several, is the name of a file: of a long one the end is kept.
    """

    pixels: NDArray[np.uint8]
    caption: str
    smooth: bool = True


@dataclass(frozen=True, slots=True)
class ColourBar:
    """What a map's colours mean: `label`, and the numbers of the first and the last colour."""

    label: str
    low: float = 0.0
    high: float = 1.0

    @property
    def limits(self) -> tuple[float, float]:
        """Return the numbers of the first and the last colour, which differ."""
        return (self.low, self.high) if self.high > self.low else (self.low - 0.5, self.low + 0.5)


def sheet(rows: Sequence[Sequence[Cell]], side: int = SIDE, bars: Sequence[ColourBar] = ()) -> Drawing:
    """Return `rows` of pictures, each as wide as `side` pixels with its caption below, and colour bars at the foot."""
    parts: list[Part] = []
    y = _GAP
    for row in rows:
        for column, cell in enumerate(row):
            parts += _cell(cell, _GAP + column * (side + _GAP), y, side)
        y += max(_height(cell, side) for cell in row) + _GAP
    width = _GAP + max(map(len, rows)) * (side + _GAP)
    for bar in bars:
        drawn, needed = _bar(bar, _GAP, y)
        parts += drawn
        width, y = max(width, needed), y + 2 * line_height() + _BAR[1]
    return Drawing(width, y, parts)


def coloured(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Return `values` (h, w) as colours, from `low` (dark violet) to `high` (yellow): (h, w, 3) uint8 RGB."""
    return viridis((values - low) / (high - low if high > low else 1.0))


def _shape(cell: Cell, side: int) -> tuple[int, int]:
    height, width = cell.pixels.shape[:2]
    return side, max(1, round(height * side / width))


def _lines(cell: Cell, side: int) -> list[str]:
    name, parted, rest = cell.caption.rpartition("\n")
    first = [shortened(name, side)] if parted else []
    return [*first, *wrapped(rest, side)] if cell.caption else []


def _height(cell: Cell, side: int) -> int:
    return _shape(cell, side)[1] + len(_lines(cell, side)) * line_height()


def _cell(cell: Cell, x: int, y: int, side: int) -> list[Part]:
    width, height = _shape(cell, side)
    below = [
        Text(line, x, y + height + number * line_height()) for number, line in enumerate(_lines(cell, side))
    ]
    return [Picture(cell.pixels, x, y, width, height, cell.smooth), *below]


def _bar(bar: ColourBar, x: int, y: int) -> tuple[list[Part], int]:
    """Return a colour bar with its upper left corner at (x, y), and where its right end is."""
    length, height = _BAR
    low, high = bar.limits
    ramp = np.repeat(viridis(np.linspace(0.0, 1.0, length))[np.newaxis], height, axis=0)
    parts: list[Part] = [Picture(ramp, x, y, length, height)]
    for mark in round_ticks(low, high, 6):
        place = x + (mark - low) / (high - low) * length
        parts.append(Line([(place, y + height), (place, y + height + _TICK)]))
        parts.append(Text(f"{mark:.10g}", place, y + height + _TICK, "middle"))
    right = x + length + 2 * _GAP
    parts.append(Text(bar.label, right, y + height / 2 - line_height() / 2))
    return parts, round(right + text_width(bar.label)) + _GAP
