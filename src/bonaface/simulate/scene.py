"""Where a picture is taken: the light, its colour and direction, and the room behind.

A room is drawn from walls, windows, doors, shelves, screens and plants as light, then seen out of focus. Lighting is a
main light with a direction over an ambient light, the simplest model that tells a face, which is round, from paper,
which is not (Lambert; Basri & Jacobs, PAMI 25, 2003, for why this is most of it).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bonaface.simulate.light import Light, Plane, blur, clouds, coloured, resize, size_of, to_light
from bonaface.simulate.seeds import between, by_ratio, chance

Floats = NDArray[np.floating[Any]]
Points = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Lighting:
    """direction: (3,) unit, from the surface to the main light (x right, y down, z to the camera). colour, ambient:
    (3,) light on a surface that faces the main light, and from all around. behind: how bright the room is against
    the person. dimness: 0 in daylight to 1 in a dark room, which the camera pays for with gain."""

    direction: Floats
    colour: Floats
    ambient: Floats
    behind: float = 1.0
    dimness: float = 0.2

    def on(self, normals: Light) -> Light:
        """Return the light (3, H, W) on surfaces of unit `normals` (3, H, W), around 1 where they face the camera."""
        return self.of(self.facing(normals))

    def of(self, facing: Plane) -> Light:
        """Return the light (3, H, W) where the main light comes in at a cosine of `facing` (H, W)."""
        return coloured(facing, self.colour) + self.ambient[:, None, None]

    def facing(self, normals: Light) -> Plane:
        """Return the cosine (H, W) between `normals` (3, H, W) and the main light, 0 where it does not reach."""
        x, y, z = self.direction
        result: Plane = np.maximum(normals[0] * x + normals[1] * y + normals[2] * z, 0.0)
        return result


def _black_body(kelvin: float) -> Floats:
    """Return a black body's colour (3,) in linear sRGB, green 1: a fit to Planck's law between 2000 K and 12000 K."""
    x = np.log(kelvin / 6500.0)
    result: Floats = np.exp(np.array([-0.58 * x + 0.16 * x * x, 0.0, 0.85 * x - 0.45 * x * x])).astype(
        np.float32
    )
    return result


def lighting(
    kelvin: float,
    azimuth: float,
    elevation: float,
    ambient: float,
    behind: float,
    dimness: float,
    green: float = 1.0,
) -> Lighting:
    """Return a light of a colour temperature from `azimuth`, `elevation` (degrees; the camera is at 0, 0).

    `ambient` is its share that comes from all around, in [0, 1]; `behind` and `dimness` as in `Lighting`. `green` is
    the light's green against a black body's: above 1 for many a fluorescent tube, below for some LEDs.
    """
    a, e = np.radians(azimuth), np.radians(elevation)
    direction = np.array([np.sin(a) * np.cos(e), -np.sin(e), np.cos(a) * np.cos(e)])
    colour = _black_body(kelvin) * np.array([1.0, green, 1.0], np.float32)
    facing = max(float(direction[2]), 0.35)
    return Lighting(
        direction.astype(np.float32),
        (colour * (1 - ambient) / facing).astype(np.float32),
        (ambient * (0.5 + 0.5 * colour)).astype(np.float32),
        behind,
        dimness,
    )


# kelvin, azimuth, elevation, ambient, behind, dimness: OULU-NPU changed light and background with the session.
_SESSIONS = (
    (5200, 20, 35, 0.60, 0.9, 0.10),
    (6800, -62, 20, 0.45, 1.5, 0.20),
    (3300, 35, 55, 0.50, 0.5, 0.60),
)


def session_lighting(session: int, rng: np.random.Generator) -> Lighting:
    """Return the light of session 1, 2 or 3, varied a little."""
    kelvin, azimuth, elevation, ambient, behind, dim = _SESSIONS[session - 1]
    return lighting(
        kelvin * between(rng, 0.92, 1.08), azimuth + between(rng, -15, 15), elevation + between(rng, -8, 8),
        ambient * between(rng, 0.85, 1.15), behind * between(rng, 0.8, 1.25), dim * between(rng, 0.7, 1.3),
    )  # fmt: skip


def draw_lighting(rng: np.random.Generator) -> Lighting:
    """Draw any light: windows at the side, lamps above, screens below, lights behind, rooms that are too dark."""
    kelvin = by_ratio(rng, 2600.0, 9500.0)
    azimuth = between(rng, -85, 85) if chance(rng, 0.45) else between(rng, -35, 35)
    behind = between(rng, 1.5, 4.0) if chance(rng, 0.2) else between(rng, 0.3, 1.3)
    dim = between(rng, 0.4, 1.0) if chance(rng, 0.3) else between(rng, 0.0, 0.4)
    elevation, ambient = between(rng, -20, 65), between(rng, 0.25, 0.9)
    return lighting(kelvin, azimuth, elevation, ambient, behind, dim, float(np.exp(rng.normal(0.0, 0.06))))


def room(size: tuple[int, int], rng: np.random.Generator) -> Light:
    """Draw the light (3, H, W) of a room of `size` = (width, height), out of focus; 1.0 is a white wall."""
    width, height = size
    # Drawn at a third of the size, as it is out of focus.
    canvas = Image.new("RGB", (max(width // 3, 8), max(height // 3, 8)), _paint(rng, 110, 235, 0.04))
    draw = ImageDraw.Draw(canvas)
    _walls(draw, canvas.size, rng)
    for _ in range(int(rng.integers(3, 10))):
        _FURNITURE[int(rng.integers(len(_FURNITURE)))](draw, canvas.size, rng)
    light = _windows(to_light(np.asarray(canvas)) * _shading(canvas.size, rng), rng)
    soft = blur(light, between(rng, 0.5, 3.5) * canvas.size[0] / 256)
    result: Light = np.maximum(resize(soft, size), 0.002)
    return result


def _shading(size: tuple[int, int], rng: np.random.Generator) -> Plane:
    """Return the uneven light of a room, (H, W) around 0.7: falling off across, with soft shadows."""
    width, height = size
    x, y = (
        np.linspace(-1, 1, width, dtype=np.float32)[None, :],
        np.linspace(-1, 1, height, dtype=np.float32)[:, None],
    )
    fall = between(rng, -0.45, 0.45) * x + between(rng, -0.35, 0.35) * y
    result: Plane = np.float32(between(rng, 0.5, 0.95)) * np.exp(
        fall + 0.12 * clouds((height, width), width / 3, rng, 4)
    )
    return result


Size = tuple[int, int]
Colour = tuple[int, int, int]


def _paint(rng: np.random.Generator, low: float, high: float, strength: float) -> Colour:
    level = between(rng, low, high)
    red, green, blue = (int(min(max(level * (1 + strength * t), 5.0), 250.0)) for t in rng.normal(size=3))
    return red, green, blue


def _quad(
    size: Size, rng: np.random.Generator, wide: float, tall: float
) -> tuple[list[tuple[float, float]], Size]:
    """Draw a box somewhere in the room, a little in perspective: its corners, and its width and height."""
    w, h = size
    bw, bh = wide * w * between(rng, 0.5, 1.5), tall * h * between(rng, 0.5, 1.5)
    x, y = between(rng, -0.2, 1.0) * w, between(rng, -0.1, 0.9) * h
    lean, sink = between(rng, -0.04, 0.04) * bh, between(rng, -0.08, 0.08) * bw
    corners = [(x, y), (x + bw, y + sink), (x + bw + lean, y + bh), (x + lean, y + bh - sink)]
    return corners, (max(int(bw), 1), max(int(bh), 1))


def _walls(draw: ImageDraw.ImageDraw, size: Size, rng: np.random.Generator) -> None:
    w, h = size
    corner, lean = between(rng, -0.2, 1.2) * w, between(rng, -0.03, 0.03) * w
    draw.polygon([(corner, 0), (w, 0), (w, h), (corner + lean, h)], fill=_paint(rng, 100, 235, 0.05))
    if chance(rng, 0.5):
        ceiling, slope = between(rng, 0.05, 0.25) * h, between(rng, -0.1, 0.1) * h
        draw.polygon([(0, 0), (w, 0), (w, ceiling + slope), (0, ceiling)], fill=_paint(rng, 190, 250, 0.02))
        for _ in range(int(rng.integers(0, 4))):
            x, y = between(rng, 0, 1) * w, between(rng, 0.1, 0.7) * ceiling
            draw.rectangle([x, y, x + 0.12 * w, y + 0.015 * h], fill=(255, 255, 250))


def _door(draw: ImageDraw.ImageDraw, size: Size, rng: np.random.Generator) -> None:
    corners, (_, tall) = _quad(size, rng, 0.25, 0.9)
    draw.polygon(
        corners, fill=_paint(rng, 60, 220, 0.08), outline=_paint(rng, 40, 120, 0.1), width=max(1, tall // 60)
    )


def _shelf(draw: ImageDraw.ImageDraw, size: Size, rng: np.random.Generator) -> None:
    corners, (wide, tall) = _quad(size, rng, 0.4, 0.6)
    (x, y), boards = corners[0], int(rng.integers(2, 5))
    draw.polygon(corners, fill=_paint(rng, 40, 150, 0.10))
    for board in range(boards):
        top, at = y + tall * board / boards, x
        while at < x + wide:
            spine = wide * between(rng, 0.02, 0.08)
            rise = tall / boards * between(rng, 0.15, 0.4)
            draw.rectangle(
                [at, top + rise, at + spine, top + tall / boards * 0.93], fill=_paint(rng, 30, 190, 0.18)
            )
            at += spine * between(rng, 1.0, 1.4)


def _screen(draw: ImageDraw.ImageDraw, size: Size, rng: np.random.Generator) -> None:
    corners, (wide, tall) = _quad(size, rng, 0.3, 0.18)
    draw.polygon(corners, fill=(18, 18, 20))
    (x, y), (x1, y1) = corners[0], corners[2]
    edge = 0.05 * min(wide, tall)
    if x1 - edge > x + edge and y1 - edge > y + edge:
        draw.rectangle([x + edge, y + edge, x1 - edge, y1 - edge], fill=_paint(rng, 60, 230, 0.12))


def _frame(draw: ImageDraw.ImageDraw, size: Size, rng: np.random.Generator) -> None:
    corners, (wide, _) = _quad(size, rng, 0.2, 0.2)
    draw.polygon(
        corners, fill=_paint(rng, 40, 220, 0.14), outline=_paint(rng, 20, 90, 0.2), width=max(1, wide // 16)
    )


def _plant(draw: ImageDraw.ImageDraw, size: Size, rng: np.random.Generator) -> None:
    w, h = size
    x, y, reach = between(rng, 0, 1) * w, between(rng, 0.3, 1) * h, between(rng, 0.05, 0.15) * w
    for turn, far, leaf, level in rng.random((100, 4)).tolist():
        px, py = (
            x + reach * far**0.5 * math.cos(6.283 * turn),
            y + 1.3 * reach * far**0.5 * math.sin(6.283 * turn),
        )
        wide, green = reach * (0.06 + 0.12 * leaf), int(20 + 100 * level)
        fill = (green // 2, green, green // 3)
        draw.ellipse([px - wide, py - 0.5 * wide, px + wide, py + 0.5 * wide], fill=fill)


def _person(draw: ImageDraw.ImageDraw, size: Size, rng: np.random.Generator) -> None:
    w, h = size
    x, y, head = between(rng, 0, 1) * w, between(rng, 0.3, 0.7) * h, between(rng, 0.03, 0.07) * w
    cloth = _paint(rng, 20, 220, 0.12)
    draw.rounded_rectangle([x - 2 * head, y + 1.1 * head, x + 2 * head, y + 6 * head], head, fill=cloth)
    # Seen from behind or far away, without a face that a detector could take for a second one.
    draw.ellipse([x - 0.8 * head, y - head, x + 0.8 * head, y + 1.2 * head], fill=_paint(rng, 10, 60, 0.2))


_FURNITURE = (_door, _shelf, _shelf, _screen, _frame, _plant, _person)


def _windows(light: Light, rng: np.random.Generator) -> Light:
    """Add windows as light, as they are brighter than any wall."""
    if not chance(rng, 0.35):
        return light
    width, height = size_of(light)
    x, y = int(between(rng, -0.2, 0.9) * width), int(between(rng, -0.2, 0.5) * height)
    wide, tall = int(between(rng, 0.15, 0.45) * width), int(between(rng, 0.3, 0.7) * height)
    rows, columns = slice(max(y, 0), max(y + tall, 0)), slice(max(x, 0), max(x + wide, 0))
    bars = max(2, width // 60)
    pane = light[:, rows, columns]
    if pane.size:
        wide, tall = size_of(pane)
        pane[...] = (
            np.float32(between(rng, 1.0, 3.0)) * np.array([0.92, 1.0, 1.06], np.float32)[:, None, None]
        )
        pane[:, :, max(wide // 2 - bars, 0) : wide // 2] = 0.4
        pane[:, max(tall // 3 - bars, 0) : tall // 3] = 0.4
    return light
