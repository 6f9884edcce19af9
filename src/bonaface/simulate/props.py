"""The surroundings of a held thing: the body behind it, the hands that hold it, and its size and crop."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.simulate.dress import draw_outfit, garment
from bonaface.simulate.flat import Held, Position
from bonaface.simulate.hands import draw_skin, flesh, hand
from bonaface.simulate.light import Light, Plane, blur, mix, resize, size_of, unit
from bonaface.simulate.scene import Lighting
from bonaface.simulate.seeds import between, by_ratio, chance

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Grip:
    """How large a photograph is shown, how much of it, and who holds it. Lengths in distances between the eyes shown,
    but `eyes_mm`, that distance on the paper or the screen in millimetres."""

    eyes_mm: float = 40.0
    crop: tuple[float, float, float, float] | None = None  # left, top, right, bottom of the eyes' middle
    margin: float = 0.0  # of white paper
    hands: int = 0
    body: bool = False


def draw_grip(rng: np.random.Generator, eyes_mm: tuple[float, float], hands: float = 0.5) -> Grip:
    """Draw the size and crop of a photograph with eyes `eyes_mm` apart, and hands in a share `hands` of the cases."""
    crop = None
    if chance(rng, 0.55):
        crop = (
            between(rng, 1.3, 2.4),
            between(rng, 1.5, 2.6),
            between(rng, 1.3, 2.4),
            between(rng, 2.1, 3.4),
        )
    return Grip(
        by_ratio(rng, *eyes_mm), crop,
        margin=between(rng, 0.03, 0.35) if chance(rng, 0.35) else 0.0,
        hands=int(rng.integers(1, 3)) if chance(rng, hands) else 0,
        body=chance(rng, 0.5),
    )  # fmt: skip


def torso(
    scene: Light, position: Position, lighting: Lighting, grip: Grip, rng: np.random.Generator
) -> Light:
    """Return the scene with the body of the person behind the thing, mostly cut off by the picture's edge."""
    if not grip.body:
        return scene
    width, height = size_of(scene)
    size = (-(-width // 3), -(-height // 3))
    life = position.eyes * 63.0 / grip.eyes_mm * between(rng, 0.75, 0.95) / 3  # farther away than the thing
    x = position.x / 3 + float(rng.normal(0, 0.4)) * life
    chin = min(position.y / 3 - between(rng, 1.5, 4.0) * life, -0.2 * life)
    cloth, cover = garment((x, chin), life, 0.75, draw_outfit(rng), size)
    facing = lighting.on(unit(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32)))
    cover = blur(cover, 0.8)  # it is drawn at a third of the size: hide the steps
    return mix(scene, resize(cloth, (width, height)) * facing, resize(cover, (width, height)))


@dataclass(frozen=True)
class Covered:
    """The scene with hands in it (3, H, W), and what they leave free (H, W)."""

    light: Light
    free: Plane


def in_front(
    scene: Light,
    held: Held,
    position: Position,
    mm: float,
    lighting: Lighting,
    grip: Grip,
    rng: np.random.Generator,
) -> Covered:
    """Put the hands into `scene` (changed in place): fingers and arm behind the thing, the thumb before it.

    `mm` is a millimetre in pixels.
    """
    free = np.ones(scene.shape[1:], np.float32)
    skin = draw_skin(rng)
    for number in range(grip.hands):
        edge, inward = _hold_point(held, position, number, rng)
        # An attacker does not cover the face.
        room = (
            float(np.hypot(edge[0] - position.x, edge[1] - position.y - 0.5 * position.eyes))
            - 1.5 * position.eyes
            - 11 * mm
        )
        arm, back, thumb = hand(edge, inward, mm, max(room, -12.0 * mm), rng)
        behind = flesh(size_of(scene), arm + back, skin, lighting, rng)
        if behind is not None:
            behind.over(scene, held.alpha)
        front = flesh(size_of(scene), thumb, skin, lighting, rng)
        if front is not None:
            front.over(scene)
            free[front.rows, front.columns] *= 1.0 - front.alpha
    return Covered(scene, free)


def _hold_point(
    held: Held, position: Position, number: int, rng: np.random.Generator
) -> tuple[tuple[float, float], float]:
    """Draw a point on the thing's border and the direction inwards (radians): below, at the sides, sometimes above."""
    rows, columns = np.nonzero((held.near > -1.0) & (held.near < 1.5))
    side = (1.0 if number % 2 else -1.0) if rng.random() < 0.8 else float(rng.normal(0, 0.5))
    down = float(rng.choice([between(rng, 0.6, 1.6), between(rng, -0.3, 0.6), -1.4], p=[0.55, 0.35, 0.10]))
    goal = np.array(
        [
            position.x + side * 2.2 * position.eyes,
            position.y + 0.4 * position.eyes + down * 2.0 * position.eyes,
        ]
    )
    if len(rows) == 0:
        # The border is outside the picture, and so is the hand.
        return (float(goal[0] + side * 9e3), float(goal[1])), 0.0
    nearest = int(np.argmin((columns - goal[0]) ** 2 + (rows - goal[1]) ** 2))
    x, y = float(columns[nearest]), float(rows[nearest])
    inward = np.arctan2(position.y + 0.5 * position.eyes - y, position.x - x)
    return (x, y), float(inward + rng.normal(0, 0.3))
