"""Hands that hold things: capsules of skin with their shading, palm and fingers behind the thing and the thumb before it.

Sizes are of an adult hand (Garrett, *The adult human hand*, Human Factors 13, 1971): a finger 17 mm and a thumb 21 mm wide.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonaface.simulate.light import Light, Plane, clouds
from bonaface.simulate.scene import Lighting
from bonaface.simulate.seeds import between

Floats = NDArray[np.float32]


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
class Layer:
    """Something drawn: light (H, W, 3) and coverage (H, W)."""

    light: Light
    alpha: Plane


SKINS = np.array(
    [[0.62, 0.38, 0.28], [0.52, 0.31, 0.21], [0.45, 0.25, 0.16], [0.33, 0.18, 0.11], [0.20, 0.10, 0.06], [0.10, 0.05, 0.035]],
    np.float32,
)  # linear reflectances along the Monk scale's middle


def draw_skin(rng: np.random.Generator) -> Floats:
    """The reflectance (3,) of someone's hands."""
    at = between(rng, 0, len(SKINS) - 1.001)
    low = int(at)
    return SKINS[low] + (SKINS[low + 1] - SKINS[low]) * np.float32(at - low)


def hand(
    edge: tuple[float, float], inward: float, mm: float, sleeve: Floats, rng: np.random.Generator
) -> tuple[list[Capsule], list[Capsule], list[Capsule]]:
    """A hand at a point `edge` of a thing's border, reaching `inward` (radians): sleeve and arm, what is behind, the thumb.

    `mm` is the length of a millimetre in pixels at the thing's distance.
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

    reach = between(rng, 18, 40)
    palm = (x + mm * 45 * np.cos(out), y + mm * 45 * np.sin(out))
    far = (palm[0] + mm * 260 * np.cos(out), palm[1] + mm * 260 * np.sin(out))
    arm = [Capsule(*palm, *far, 27 * mm, 36 * mm)]
    back = [Capsule(*point(-30, 4), *point(-55, 2), 34 * mm, 30 * mm)]
    for finger in range(4):
        off = -14 + 18.5 * finger
        back.append(Capsule(*point(-40, off * 0.7 + 10), *point(between(rng, 2, 18), off), 9.5 * mm, 8 * mm))
    knuckle, tip = point(reach * 0.35, -4), point(reach, between(rng, -14, 2))
    thumb = [
        Capsule(*point(-32, -12), *knuckle, 13 * mm, 11 * mm),
        Capsule(*knuckle, *tip, 11 * mm, 9.5 * mm),
    ]
    return arm, back, thumb


def skin_layer(
    size: tuple[int, int], capsules: list[Capsule], skin: Floats, light: Lighting, rng: np.random.Generator
) -> Layer:
    """Capsules melted together as skin, lit."""
    width, height = size
    rise = np.full((height, width), -1.0, np.float32)
    for capsule in capsules:
        _raise(rise, capsule)
    covered = np.clip(rise + 1.0, 0.0, 1.0)
    covered[rise < 0] = 0.0
    return Layer(_lit(rise, skin, light, rng), np.minimum(covered, 1.0))


def _raise(rise: Plane, capsule: Capsule) -> None:
    """Lift `rise` (H, W) to the height of a capsule, within its box."""
    height, width = rise.shape
    reach = max(capsule.r0, capsule.r1) + 2
    left, right = sorted((capsule.x0, capsule.x1))
    top, bottom = sorted((capsule.y0, capsule.y1))
    rows = slice(max(int(top - reach), 0), min(int(bottom + reach) + 1, height))
    columns = slice(max(int(left - reach), 0), min(int(right + reach) + 1, width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(capsule.y0)
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - np.float32(capsule.x0)
    dx, dy = np.float32(capsule.x1 - capsule.x0), np.float32(capsule.y1 - capsule.y0)
    along = np.clip((x * dx + y * dy) / max(float(dx * dx + dy * dy), 1e-6), 0.0, 1.0)
    radius = np.float32(capsule.r0) + np.float32(capsule.r1 - capsule.r0) * along
    square = radius**2 - (x - along * dx) ** 2 - (y - along * dy) ** 2
    here = np.sign(square) * np.sqrt(np.abs(square))
    np.maximum(rise[rows, columns], here, out=rise[rows, columns])


def _lit(rise: Plane, skin: Floats, light: Lighting, rng: np.random.Generator) -> Light:
    dy, dx = np.gradient(np.maximum(rise, 0.0))
    # Flesh scatters light under the skin, which softens what the bare geometry would show.
    normals = np.stack([-0.6 * dx, -0.6 * dy, np.ones_like(dx)], -1)
    normals /= np.sqrt((normals**2).sum(-1, keepdims=True))
    mottled = 1.0 + 0.05 * clouds(rise.shape, 24.0, rng, 3)
    return (light.on(normals) * skin * mottled[..., None]).astype(np.float32)
