"""Draw pictures in rows, each with its caption."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonaface.drawing.colours import viridis
from bonaface.drawing.text import line_height, wrapped, write

SIDE = 200  # pixels
_GAP = 10

Cell = tuple[NDArray[np.uint8], str]


def sheet(rows: Sequence[Sequence[Cell]], side: int = SIDE) -> Image.Image:
    """Return `rows` of pictures (H, W, 3) uint8 RGB, each as wide as `side` pixels with its caption below."""
    drawn = [[_cell(picture, caption, side) for picture, caption in row] for row in rows]
    width = _GAP + max(sum(cell.width + _GAP for cell in row) for row in drawn)
    heights = [max(cell.height for cell in row) for row in drawn]
    image = Image.new("RGB", (width, _GAP + sum(height + _GAP for height in heights)), "white")
    y = _GAP
    for row, height in zip(drawn, heights, strict=True):
        x = _GAP
        for cell in row:
            image.paste(cell, (x, y))
            x += cell.width + _GAP
        y += height + _GAP
    return image


def coloured(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Return `values` (h, w) as colours, from `low` (dark violet) to `high` (yellow): (h, w, 3) uint8 RGB."""
    return viridis((values - low) / (high - low if high > low else 1.0))


def _cell(picture: NDArray[np.uint8], caption: str, side: int) -> Image.Image:
    image = Image.fromarray(picture)
    # What is enlarged keeps its pixels' edges, so that a map's own positions are seen.
    kind = Image.Resampling.NEAREST if image.width < side else Image.Resampling.LANCZOS
    image = image.resize((side, max(1, round(image.height * side / image.width))), kind)
    lines = wrapped(caption, side) if caption else []
    cell = Image.new("RGB", (side, image.height + len(lines) * line_height()), "white")
    cell.paste(image, (0, 0))
    for number, line in enumerate(lines):
        write(cell, line, (0, image.height + number * line_height()))
    return cell
