"""Draw a face that RetinaFace detects, so that tests and the demonstration need no real portrait."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

_SKINS = ((236, 196, 172), (222, 176, 148), (198, 148, 116), (164, 116, 86), (122, 82, 60))
_HAIR = ((38, 28, 24), (70, 48, 34), (112, 80, 50), (168, 136, 92), (128, 126, 124))
_IRISES = ((70, 48, 34), (62, 88, 116), (76, 96, 62))
_WALLS = ((150, 156, 164), (186, 178, 166), (120, 134, 142), (168, 150, 156))
_FINE = 2  # drawn at twice the size and reduced: smooth edges

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class _Appearance:
    skin: Colour
    hair: Colour
    iris: Colour
    wall: Colour
    shirt: Colour
    centre: tuple[float, float]
    height: float
    smile: float


def drawn_portrait(size: int = 512, seed: int = 0) -> NDArray[np.uint8]:
    """Draw a person from the chest up, facing the camera: (`size`, `size`, 3) uint8 RGB.

    `seed` varies skin, hair, eyes, clothes, wall, light, position and size of the face. The same arguments give
    the same pixels. RetinaFace finds exactly one face in it, with a score above 0.9, at sizes from 256 to 640
    (tested for the seeds 0 to 50).
    """
    rng = np.random.default_rng(seed)
    look = _look(rng)
    canvas = Image.new("RGB", (size * _FINE, size * _FINE), look.wall)
    _paint(canvas, look)
    small = canvas.resize((size, size), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(size / 400))
    grain = rng.normal(0.0, 2.5, (size, size, 1))
    light = 1.0 + rng.uniform(-0.18, 0.18) * np.linspace(-1.0, 1.0, size)[np.newaxis, :, np.newaxis]
    return np.clip(np.asarray(small) * light + grain, 0, 255).astype(np.uint8)


def _look(rng: np.random.Generator) -> _Appearance:
    def near(colour: Colour) -> Colour:
        return _shade(colour, rng.uniform(0.92, 1.08))

    return _Appearance(
        skin=near(_SKINS[rng.integers(len(_SKINS))]),
        hair=near(_HAIR[rng.integers(len(_HAIR))]),
        iris=_IRISES[rng.integers(len(_IRISES))],
        wall=near(_WALLS[rng.integers(len(_WALLS))]),
        shirt=(int(rng.integers(30, 200)), int(rng.integers(30, 200)), int(rng.integers(30, 200))),
        centre=(0.5 + rng.uniform(-0.06, 0.06), 0.47 + rng.uniform(-0.04, 0.04)),
        height=rng.uniform(0.44, 0.56),
        smile=rng.uniform(0.0, 0.02),
    )


class _Brush:
    """Draws in the face's own units: (0, 0) is the face's centre, 1 its height; x to the right, y down."""

    def __init__(self, canvas: Image.Image, look: _Appearance) -> None:
        self.canvas = canvas
        self.unit = look.height * canvas.width
        self.x, self.y = look.centre[0] * canvas.width, look.centre[1] * canvas.height

    def box(self, x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
        """Return the corners, in the canvas's pixels, of an ellipse around (x, y)."""
        half_x, half_y = width / 2 * self.unit, height / 2 * self.unit
        middle_x, middle_y = self.x + x * self.unit, self.y + y * self.unit
        return middle_x - half_x, middle_y - half_y, middle_x + half_x, middle_y + half_y

    def ellipse(self, colour: Colour, x: float, y: float, width: float, height: float) -> None:
        ImageDraw.Draw(self.canvas).ellipse(self.box(x, y, width, height), fill=colour)

    def soft(
        self,
        colour: Colour,
        x: float,
        y: float,
        width: float,
        height: float,
        blur: float,
        strength: float = 1.0,
    ) -> None:
        """Draw an ellipse whose edge fades out over `blur`, with `strength` in [0, 1]."""
        radius = blur * self.unit
        x0, y0, x1, y1 = self.box(x, y, width, height)
        left, top = round(x0 - 3 * radius), round(y0 - 3 * radius)
        mask = Image.new("L", (round(x1 + 3 * radius) - left, round(y1 + 3 * radius) - top), 0)
        ImageDraw.Draw(mask).ellipse((x0 - left, y0 - top, x1 - left, y1 - top), fill=round(255 * strength))
        mask = mask.filter(ImageFilter.GaussianBlur(radius))
        self.canvas.paste(colour, (left, top, left + mask.width, top + mask.height), mask)

    def line(self, colour: Colour, points: list[tuple[float, float]], width: float) -> None:
        positions = [(self.x + x * self.unit, self.y + y * self.unit) for x, y in points]
        ImageDraw.Draw(self.canvas).line(
            positions, fill=colour, width=max(1, round(width * self.unit)), joint="curve"
        )


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (int(min(255, part * factor)) for part in colour)
    return red, green, blue


def _paint(canvas: Image.Image, look: _Appearance) -> None:
    brush = _Brush(canvas, look)
    brush.ellipse(look.hair, 0.0, -0.14, 0.90, 0.95)
    brush.ellipse(look.shirt, 0.0, 1.12, 1.9, 1.15)
    brush.soft(_shade(look.skin, 0.72), 0.0, 0.46, 0.38, 0.5, 0.02)
    for side in (-1, 1):
        brush.ellipse(_shade(look.skin, 0.82), 0.37 * side, 0.02, 0.10, 0.22)
    brush.soft(_shade(look.skin, 0.78), 0.0, 0.0, 0.74, 1.0, 0.008)
    brush.soft(look.skin, 0.0, -0.03, 0.62, 0.9, 0.04)
    _shape(brush, look)
    for side in (-1, 1):
        _eye(brush, look, 0.165 * side)
    _nose(brush, look)
    _mouth(brush, look)


def _shape(brush: _Brush, look: _Appearance) -> None:
    """Draw light and shadow of the head, and the hair over the forehead."""
    for side in (-1, 1):
        brush.soft(_shade(look.skin, 0.66), 0.16 * side, -0.07, 0.22, 0.11, 0.03, 0.6)
        brush.soft(_shade(look.skin, 1.12), 0.2 * side, 0.14, 0.16, 0.12, 0.04, 0.7)
    brush.soft(_shade(look.skin, 1.1), 0.0, -0.28, 0.36, 0.14, 0.05, 0.7)
    brush.soft(look.hair, 0.0, -0.47, 0.66, 0.22, 0.012)


def _eye(brush: _Brush, look: _Appearance, x: float) -> None:
    dark = _shade(look.skin, 0.35)
    brush.soft(_shade(look.hair, 0.8), x, -0.155, 0.19, 0.03, 0.008)
    brush.soft(dark, x, -0.062, 0.17, 0.07, 0.006, 0.9)
    brush.ellipse((232, 228, 224), x, -0.055, 0.15, 0.06)
    brush.ellipse(look.iris, x, -0.057, 0.066, 0.064)
    brush.ellipse((12, 10, 10), x, -0.057, 0.03, 0.03)
    brush.ellipse((250, 250, 250), x + 0.012, -0.068, 0.013, 0.013)
    brush.line(
        dark, [(x - 0.085, -0.055), (x - 0.04, -0.088), (x + 0.04, -0.088), (x + 0.085, -0.055)], 0.014
    )


def _nose(brush: _Brush, look: _Appearance) -> None:
    brush.soft(_shade(look.skin, 1.14), 0.0, 0.05, 0.05, 0.24, 0.015, 0.8)
    for side in (-1, 1):
        brush.soft(_shade(look.skin, 0.7), 0.055 * side, 0.03, 0.03, 0.2, 0.015, 0.5)
        brush.soft(_shade(look.skin, 0.72), 0.075 * side, 0.16, 0.05, 0.05, 0.012, 0.8)
        brush.soft(_shade(look.skin, 0.3), 0.035 * side, 0.178, 0.035, 0.02, 0.006, 0.9)
    brush.soft(_shade(look.skin, 1.16), 0.0, 0.14, 0.07, 0.06, 0.015, 0.8)
    brush.soft(_shade(look.skin, 0.68), 0.0, 0.2, 0.12, 0.025, 0.012, 0.7)


def _mouth(brush: _Brush, look: _Appearance) -> None:
    lip = (min(255, int(look.skin[0] * 0.86)), int(look.skin[1] * 0.58), int(look.skin[2] * 0.58))
    brush.soft(_shade(look.skin, 0.8), 0.0, 0.245, 0.05, 0.04, 0.012, 0.5)
    brush.soft(lip, 0.0, 0.29, 0.24, 0.04, 0.006)
    brush.soft(_shade(lip, 1.1), 0.0, 0.32, 0.2, 0.05, 0.006)
    corner = 0.305 - look.smile
    brush.line(_shade(lip, 0.4), [(-0.13, corner), (-0.05, 0.305), (0.05, 0.305), (0.13, corner)], 0.01)
    brush.soft(_shade(look.skin, 0.7), 0.0, 0.37, 0.16, 0.025, 0.015, 0.7)
