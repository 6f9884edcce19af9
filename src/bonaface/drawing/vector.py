"""A drawing whose parts are placed once, in pixels, and that is then a Pillow picture or an SVG.

    Drawing(240, 220, [Picture(pixels, 20, 10, 200, 200), Text("a crop", 20, 212)]).png().save("crop.png")

Pictures lie in the SVG as PNG, at most at twice the size that they are shown in; text, lines and dots are elements of
their own. Colours are written as #rrggbb.
"""

import io
import math
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bonaface.drawing.text import SIZE, drawable, font, text_width

SCALE = 2  # pixels of a PNG for each pixel of a drawing, so that text is sharp in print
PNG_LEVEL = 4  # of 9; the smallest file of a photograph takes seventeen times as long and saves a twelfth
_FINE = 4  # a dot's edge is smoothed over so many steps a pixel


class Part(Protocol):
    """A part of a drawing: it can paint itself into a picture, and write itself as an element of SVG."""

    def paint(self, image: Image.Image, scale: int) -> None:
        """Paint into `image`, which has `scale` pixels for each of the drawing's."""

    def element(self) -> str:
        """Return the element of SVG."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """`pixels` (H, W, 3) uint8 RGB, drawn with the upper left corner at (x, y), `width` x `height` pixels large.

    Pixels that are enlarged keep their edges unless it is `smooth`, so that a map's own positions are seen.
    """

    pixels: NDArray[np.uint8]
    x: float
    y: float
    width: int
    height: int
    smooth: bool = True

    def paint(self, image: Image.Image, scale: int) -> None:
        image.paste(
            self._resized(self.width * scale, self.height * scale),
            (round(self.x * scale), round(self.y * scale)),
        )

    def element(self) -> str:
        image = Image.fromarray(self.pixels)
        if image.width > SCALE * self.width:
            image = self._resized(SCALE * self.width, SCALE * self.height)
        data = io.BytesIO()
        image.save(data, "PNG", compress_level=PNG_LEVEL)
        edges = "" if self.smooth else ' style="image-rendering:pixelated"'
        return (
            f'<image x="{self.x:g}" y="{self.y:g}" width="{self.width}" height="{self.height}" '
            f'preserveAspectRatio="none"{edges} href="data:image/png;base64,{b64encode(data.getvalue()).decode()}"/>'
        )

    def _resized(self, width: int, height: int) -> Image.Image:
        image = Image.fromarray(self.pixels)
        kept = not self.smooth and width >= image.width
        return image.resize((width, height), Image.Resampling.NEAREST if kept else Image.Resampling.LANCZOS)


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text whose upper edge is `y`; `x` is its start, middle or end, as `anchor` says."""

    words: str
    x: float
    y: float
    anchor: str = "start"

    def paint(self, image: Image.Image, scale: int) -> None:
        words, size = drawable(self.words), SIZE * scale
        left = self.x * scale - {"start": 0.0, "middle": 0.5, "end": 1.0}[self.anchor] * text_width(
            words, size
        )
        ImageDraw.Draw(image).text((left, self.y * scale), words, fill="black", font=font(size))

    def element(self) -> str:
        # A viewer lacks Pillow's font; the width keeps a line of its own font from running into its neighbour.
        words, ascent = drawable(self.words), font().getmetrics()[0]
        fitted = f' textLength="{text_width(words):.1f}" lengthAdjust="spacingAndGlyphs"' if words else ""
        return (
            f'<text x="{self.x:g}" y="{self.y + ascent:g}" text-anchor="{self.anchor}"{fitted}>'
            f"{escape(words)}</text>"
        )


@dataclass(frozen=True, slots=True)
class Line:
    """A line through `points`."""

    points: Sequence[tuple[float, float]]
    colour: str = "#000000"

    def paint(self, image: Image.Image, scale: int) -> None:
        ImageDraw.Draw(image).line(
            [(x * scale, y * scale) for x, y in self.points], self.colour, width=scale, joint="curve"
        )

    def element(self) -> str:
        path = " ".join(f"{x:g},{y:g}" for x, y in self.points)
        return f'<polyline points="{path}" fill="none" stroke="{self.colour}"/>'


@dataclass(frozen=True, slots=True)
class Dot:
    """A dot; in an SVG `title` is shown under the pointer."""

    x: float
    y: float
    colour: str
    title: str = ""
    radius: float = 4.0

    def paint(self, image: Image.Image, scale: int) -> None:
        radius, side = self.radius * scale, 2 * math.ceil(self.radius * scale) + 2
        left, top = math.floor(self.x * scale - side / 2), math.floor(self.y * scale - side / 2)
        x, y = self.x * scale - left, self.y * scale - top
        start = (_FINE * (x - radius), _FINE * (y - radius))
        end = (_FINE * (x + radius) - 1, _FINE * (y + radius) - 1)  # Pillow counts both ends in
        mask = Image.new("L", (_FINE * side, _FINE * side))
        ImageDraw.Draw(mask).ellipse((*start, *end), fill=255)
        image.paste(self.colour, (left, top), mask.resize((side, side), Image.Resampling.BOX))

    def element(self) -> str:
        inner = f"<title>{escape(drawable(self.title))}</title>" if self.title else ""
        return (
            f'<circle cx="{self.x:.2f}" cy="{self.y:.2f}" r="{self.radius:g}" fill="{self.colour}">'
            f"{inner}</circle>"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """Parts on a white ground of `width` x `height` pixels, the first one lowest."""

    width: int
    height: int
    parts: Sequence[Part]

    def png(self, scale: int = SCALE) -> Image.Image:
        """Return it as a picture with `scale` pixels for each of its own."""
        image = Image.new("RGB", (self.width * scale, self.height * scale), "white")
        for part in self.parts:
            part.paint(image, scale)
        return image

    def svg(self, title: str) -> str:
        """Return it as an SVG that fetches nothing; `title` is what it shows."""
        begin = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" font-family="Aileron, Helvetica, Arial, sans-serif" font-size="{SIZE}">'
        )
        ground = f'<rect width="{self.width}" height="{self.height}" fill="#ffffff"/>'
        inner = [part.element() for part in self.parts]
        return "\n".join([begin, f"<title>{escape(drawable(title))}</title>", ground, *inner, "</svg>\n"])
