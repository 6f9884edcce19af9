"""Hands that hold things: capsules of skin with their shading, the fingers behind and the thumb before.

Sizes are of an adult hand (Garrett, *The adult human hand*, Human Factors 13, 1971): a finger 17 mm and a thumb
21 mm wide.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.simulate.light import Light, Plane, clouds, unit
from bonaface.simulate.scene import Lighting
from bonaface.simulate.seeds import between

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Capsule:
    """A rounded rod from (x0, y0) to (x1, y1), pixels, with a radius at each end."""

    x0: float
    y0: float
    x1: float
    y1: float
    r0: float
    r1: float


@dataclass(frozen=True)
class Patch:
    """Something drawn in a part of the picture: light (3, h, w), coverage (h, w), and for which rows and columns."""

    light: Light
    alpha: Plane
    rows: slice
    columns: slice

    def over(self, scene: Light, hidden: Plane | None = None) -> None:
        """Draw it into `scene` (3, H, W), but not where something that covers it is: `hidden` (H, W)."""
        alpha = self.alpha if hidden is None else self.alpha * (1.0 - hidden[self.rows, self.columns])
        below = scene[:, self.rows, self.columns]
        below += (self.light - below) * alpha


SKINS = np.array(
    [
        [0.62, 0.38, 0.28],
        [0.52, 0.31, 0.21],
        [0.45, 0.25, 0.16],
        [0.33, 0.18, 0.11],
        [0.20, 0.10, 0.06],
        [0.10, 0.05, 0.035],
    ],
    np.float32,
)  # linear reflectances along the Monk scale's middle


def draw_skin(rng: np.random.Generator) -> Floats:
    """Draw the reflectance (3,) of the skin of hands."""
    at = between(rng, 0, len(SKINS) - 1.001)
    low = int(at)
    result: Floats = SKINS[low] + (SKINS[low + 1] - SKINS[low]) * np.float32(at - low)
    return result


def hand(
    edge: tuple[float, float], inward: float, mm: float, room: float, rng: np.random.Generator
) -> tuple[list[Capsule], list[Capsule], list[Capsule]]:
    """Return a hand at a point `edge` of a thing's border, reaching `inward` (radians): arm, fingers behind, thumb.

    `mm` is the length of a millimetre in pixels at the thing's distance; `room` is how far the thumb may reach, pixels.
    """
    x, y = edge
    out = inward + np.pi + float(rng.normal(0, 0.25))
    side = 1.0 if rng.random() < 0.5 else -1.0
    across = inward + side * np.pi / 2

    def point(forward: float, sideways: float) -> tuple[float, float]:
        return (
            x + mm * (forward * np.cos(inward) + sideways * np.cos(across)),
            y + mm * (forward * np.sin(inward) + sideways * np.sin(across)),
        )

    reach = min(between(rng, 18, 40), room / mm)
    palm = (x + mm * 45 * np.cos(out), y + mm * 45 * np.sin(out))
    far = (palm[0] + mm * 260 * np.cos(out), palm[1] + mm * 260 * np.sin(out))
    arm = [Capsule(*palm, *far, 27 * mm, 36 * mm)]
    back = [Capsule(*point(-30, 4), *point(-55, 2), 34 * mm, 30 * mm)]
    for finger in range(4):
        off = -14 + 18.5 * finger
        back.append(Capsule(*point(-40, off * 0.7 + 10), *point(between(rng, 2, 18), off), 9.5 * mm, 8 * mm))
    knuckle, tip = point(min(reach * 0.35, reach), -4), point(reach, between(rng, -14, 2))
    thumb = [
        Capsule(*point(-32, -12), *knuckle, 13 * mm, 11 * mm),
        Capsule(*knuckle, *tip, 11 * mm, 9.5 * mm),
    ]
    return arm, back, thumb


def flesh(
    size: tuple[int, int], capsules: list[Capsule], skin: Floats, light: Lighting, rng: np.random.Generator
) -> Patch | None:
    """Return capsules melted together as lit skin; None if they lie outside a picture of `size`."""
    rows, columns = _box(size, capsules)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :]
    rise = np.full((rows.stop - rows.start, columns.stop - columns.start), -1.0, np.float32)
    for capsule in capsules:
        np.maximum(rise, _height(capsule, x, y), out=rise)
    return Patch(_lit(rise, skin, light, rng), np.clip(rise, 0.0, 1.0), rows, columns)


def _box(size: tuple[int, int], capsules: list[Capsule]) -> tuple[slice, slice]:
    reach = max(max(c.r0, c.r1) for c in capsules) + 2
    x = [v for c in capsules for v in (c.x0, c.x1)]
    y = [v for c in capsules for v in (c.y0, c.y1)]
    rows = slice(max(int(min(y) - reach), 0), min(int(max(y) + reach) + 1, size[1]))
    return rows, slice(max(int(min(x) - reach), 0), min(int(max(x) + reach) + 1, size[0]))


def _height(capsule: Capsule, x: Plane, y: Plane) -> Plane:
    """Return how far a capsule stands out at x (1, W), y (H, 1): negative outside of it."""
    dx, dy = np.float32(capsule.x1 - capsule.x0), np.float32(capsule.y1 - capsule.y0)
    u, v = x - np.float32(capsule.x0), y - np.float32(capsule.y0)
    along = np.clip((u * dx + v * dy) / np.float32(max(float(dx * dx + dy * dy), 1e-6)), 0.0, 1.0)
    radius = np.float32(capsule.r0) + np.float32(capsule.r1 - capsule.r0) * along
    square = radius**2 - (u - along * dx) ** 2 - (v - along * dy) ** 2
    return np.sqrt(np.maximum(square, 0.0)) - (square < 0)


def _lit(rise: Plane, skin: Floats, light: Lighting, rng: np.random.Generator) -> Light:
    dy, dx = np.gradient(np.maximum(rise, 0.0))
    # Flesh scatters light under the skin, which softens what the bare geometry would show.
    lit = light.on(unit(np.clip(0.6 * dx, -2, 2), np.clip(0.6 * dy, -2, 2)))
    lit *= 1.0 + np.float32(0.05) * clouds(rise.shape, 24.0, rng, 2)
    return lit * skin[:, None, None]
