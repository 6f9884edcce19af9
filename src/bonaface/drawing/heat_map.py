"""A network's pixel maps over the picture that it looked at, with a scale and a caption.

    heat_map(picture, [PixelMap("map", values, place)], "selfie.jpg: bona fide").save("map.png")

Everything is a pure function from arrays to a Pillow picture.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bonaface.core.errors import InputError
from bonaface.drawing.colours import viridis
from bonaface.drawing.text import line_height, shortened, text_width, wrapped, write

OPACITY = 0.55
_GAP = 10  # pixels between the parts of a figure
_BAR = 14  # the width of the colour bar, in pixels
_TICK = 4
_LEAST = 160  # pixels: a panel is at least so wide, so that titles and captions can be read


@dataclass(frozen=True, slots=True, eq=False)
class PixelMap:
    """A number for each position of a part of a picture.

    `values` is (h, w) float. `place` is where they lie, (x0, y0, x1, y1) in the picture's pixels; it may reach over the
    picture's edge.
    """

    name: str
    values: NDArray[Any]
    place: tuple[float, float, float, float]


def overlay(
    picture: NDArray[np.uint8],
    pixel_map: PixelMap,
    limits: tuple[float, float] = (0.0, 1.0),
    opacity: float = OPACITY,
) -> NDArray[np.uint8]:
    """Return `picture`, (H, W, 3) uint8 RGB, grey and coloured by the map at the map's place, with a frame around it.

    Between the map's positions its values are interpolated. `limits` are the values of the first and the last colour,
    `opacity` in [0, 1] is the share of the colour.

    Raises:
        InputError: the map is no array (h, w) or lies outside the picture, or the limits are no range.
    """
    drawn = picture.copy()
    values, (left, top, right, bottom) = _stretched(pixel_map, picture.shape[1], picture.shape[0])
    low, high = _range(limits)
    colours = viridis((values - low) / (high - low))
    below = picture[top:bottom, left:right].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    mixed = (1 - opacity) * below[..., np.newaxis] + opacity * colours
    drawn[top:bottom, left:right] = np.rint(mixed).astype(np.uint8)
    image = Image.fromarray(drawn)
    ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), outline="white")
    return np.array(image)


def heat_map(
    picture: NDArray[np.uint8],
    maps: Sequence[PixelMap],
    caption: str = "",
    label: str = "bona fide",
    limits: tuple[float, float] = (0.0, 1.0),
) -> Image.Image:
    """Return a figure: `picture`, (H, W, 3) uint8 RGB, once for each of `maps`, a colour bar, and `caption` below.

    `label` says what a high value means. Where there are several maps each is named.

    Raises:
        InputError: there is no map; or as `overlay`.
    """
    if not maps:
        raise InputError("expected at least one pixel map to draw, got none")
    panels = [_panel(overlay(picture, each, limits), each.name if len(maps) > 1 else "") for each in maps]
    height = max(panel.height for panel in panels)
    bar = colour_bar(height, label, limits)
    width = sum(panel.width + _GAP for panel in panels) + bar.width
    lines = wrapped(caption, width) if caption else []
    step = line_height()
    figure = Image.new("RGB", (width + 2 * _GAP, height + 2 * _GAP + len(lines) * step), "white")
    x = _GAP
    for part in (*panels, bar):
        figure.paste(part, (x, _GAP))
        x += part.width + _GAP
    for number, line in enumerate(lines):
        write(figure, line, (_GAP, _GAP + height + 4 + number * step))
    return figure


def colour_bar(height: int, label: str, limits: tuple[float, float] = (0.0, 1.0)) -> Image.Image:
    """Return a bar of all colours, `height` pixels high, with ticks at round numbers and `label` along its side.

    Raises:
        InputError: the limits are no range.
    """
    low, high = _range(limits)
    pad = line_height() // 2
    length = max(height - 2 * pad, 2)
    marks = round_ticks(low, high, max(2, min(5, length // (2 * line_height()) + 1)))
    room = math.ceil(max(text_width(_number(mark, marks)) for mark in marks))
    image = Image.new("RGB", (_BAR + _TICK + 4 + room + 2 + line_height(), length + 2 * pad), "white")
    column = viridis(np.linspace(1.0, 0.0, length))[:, np.newaxis]  # (length, 1, 3)
    image.paste(Image.fromarray(np.repeat(column, _BAR, axis=1)), (0, pad))
    draw = ImageDraw.Draw(image)
    for mark in marks:
        y = pad + (1 - (mark - low) / (high - low)) * (length - 1)
        draw.line((_BAR, y, _BAR + _TICK, y), fill="black")
        write(image, _number(mark, marks), (_BAR + _TICK + 4, y - pad))
    along = Image.new("RGB", (image.height, line_height()), "white")
    text = shortened(label, along.width)
    write(along, text, ((along.width - text_width(text)) / 2, 0))
    image.paste(along.rotate(90, expand=True), (image.width - line_height(), 0))
    return image


def round_ticks(low: float, high: float, count: int) -> list[float]:
    """Return at most about `count` numbers from `low` to `high`, all multiples of 1, 2 or 5 times a power of ten.

    Raises:
        InputError: the limits are no range.
    """
    low, high = _range((low, high))
    rough = (high - low) / max(count - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _panel(pixels: NDArray[np.uint8], title: str) -> Image.Image:
    """Return the picture, enlarged if it is too small to be looked at, under its title."""
    image = Image.fromarray(pixels)
    if image.width < _LEAST:
        size = (_LEAST, max(1, round(image.height * _LEAST / image.width)))
        image = image.resize(size, Image.Resampling.NEAREST)
    if not title:
        return image
    panel = Image.new("RGB", (image.width, image.height + line_height() + 2), "white")
    write(panel, shortened(title, image.width), (0, 0))
    panel.paste(image, (0, line_height() + 2))
    return panel


def _stretched(pixel_map: PixelMap, width: int, height: int) -> tuple[NDArray[np.float32], tuple[int, ...]]:
    """Return the map's value at every pixel that it covers, and which pixels those are: x0, y0, x1, y1."""
    x0, y0, x1, y1 = pixel_map.place
    left, top = max(0, round(x0)), max(0, round(y0))
    right, bottom = min(width, round(x1)), min(height, round(y1))
    values = np.asarray(pixel_map.values, np.float32)
    if values.ndim != 2 or not values.size:
        raise InputError(f"a pixel map must be an array (h, w), got {values.shape}")
    if left >= right or top >= bottom:
        raise InputError(
            f"a pixel map must lie in its picture of {width} x {height} pixels, got {pixel_map.place}"
        )
    down, across = values.shape[0] / (y1 - y0), values.shape[1] / (x1 - x0)
    ends = (
        max((left - x0) * across, 0.0),
        max((top - y0) * down, 0.0),
        min((right - x0) * across, values.shape[1]),
        min((bottom - y0) * down, values.shape[0]),
    )
    image = Image.fromarray(values).resize((right - left, bottom - top), Image.Resampling.BILINEAR, box=ends)
    return np.asarray(image), (left, top, right, bottom)


def _range(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = limits
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(
            f"the limits of a scale must be two numbers, the lower one first, got {low} and {high}"
        )
    return low, high


def _number(value: float, among: Sequence[float]) -> str:
    """Return `value` with as many digits behind the point as the step of its scale needs."""
    step = min((b - a for a, b in pairwise(among)), default=1.0)
    return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"
