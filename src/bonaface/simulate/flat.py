"""How a flat thing - paper or a device - is held before the camera: pose, bend, creases, edges, holes.

The pose is a pinhole's (Hartley & Zisserman, ch. 6); bent paper is a cylinder, the only smooth way in which paper bends
(a developable surface), with small creases on it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.simulate.light import Light, Plane, clouds, resize, smooth_step, unit
from bonaface.simulate.seeds import between, by_ratio, chance
from bonaface.simulate.warp import Map, Points, homography, project, projective_map, sample

_FOCAL = 1.2  # focal length in widths of the picture: a phone's


@dataclass(frozen=True)
class Position:
    """Where a face is in the picture: the eyes' middle and distance in pixels, and the roll in radians."""

    x: float
    y: float
    eyes: float
    roll: float = 0.0

    def moved(self, dx: float, dy: float, scale: float = 1.0, roll: float = 0.0) -> "Position":
        """Return the position a moment later."""
        return Position(self.x + dx, self.y + dy, self.eyes * scale, self.roll + roll)


@dataclass(frozen=True)
class Hold:
    """How the thing is held. Angles in radians; lengths in distances between the eyes that it shows."""

    yaw: float = 0.0
    pitch: float = 0.0
    bend: float = 0.0  # curvature, 1 / radius
    axis: float = 0.0  # direction in which it bends: 0 for a vertical cylinder
    crease: float = 0.0  # height of creases
    torn: float = 0.0  # depth of torn edges
    opposite: float = 0.5  # light of the surroundings, which paper mirrors; 1 is a white wall
    seed: int = 0


def draw_opposite(rng: np.random.Generator) -> float:
    """Draw the brightness opposite a sheet of paper: a dark room mostly, one in twenty times a white wall or a window.

    A sheet is held so that the face on it is seen well. A veil over half of the prints would make a low contrast the
    mark of a print, which it is not (benchmarks/transfer.md).
    """
    if chance(rng, 0.05):
        return between(rng, 0.5, 2.0)
    return by_ratio(rng, 0.03, 0.5)


def draw_hold(rng: np.random.Generator, stiff: bool) -> Hold:
    """Draw a way to hold paper, or something `stiff`."""
    yaw, pitch = float(rng.normal(0, 0.16)), float(rng.normal(0, 0.14))
    if chance(rng, 0.15):
        yaw, pitch = between(rng, -0.55, 0.55), between(rng, -0.45, 0.45)
    if stiff:
        return Hold(yaw, pitch, seed=int(rng.integers(2**31)))
    bent = chance(rng, 0.55)
    return Hold(
        yaw, pitch,
        bend=between(rng, -0.28, 0.28) if bent else between(rng, -0.04, 0.04),
        axis=float(rng.choice([0.0, np.pi / 2])) + float(rng.normal(0, 0.2)),
        crease=between(rng, 0.01, 0.05) if chance(rng, 0.3) else between(rng, 0.0, 0.008),
        torn=between(rng, 0.05, 0.3) if chance(rng, 0.15) else 0.0,
        opposite=draw_opposite(rng),
        seed=int(rng.integers(2**31)),
    )  # fmt: skip


@dataclass(frozen=True)
class Held:
    """A held thing in the picture.

    where: (2, H, W) reads it. alpha: (H, W) its coverage. normals: (3, H, W). matrix: from its pixels to the
    picture's, the bend left out. near: (H, W) distance inside the edge, picture pixels.
    """

    where: Map
    alpha: Plane
    normals: Light
    matrix: NDArray[np.floating[Any]]
    near: Plane

    def found(self, points: Points) -> Points:
        """Return where points of the thing (N, 2) are in the picture, with the bend."""
        height, width = self.alpha.shape
        goal = project(self.matrix, points)
        at = goal.copy()
        # Fixed-point iteration: move the guess by its error on the flat sheet.
        for _ in range(6):
            inside = np.clip(at, 0, [width - 1.0, height - 1.0])
            shown = sample(self.where, inside.T[:, None].astype(np.float32))[:, 0].T
            at = at + np.where(inside == at, goal - project(self.matrix, shown.astype(np.float64)), 0.0)
        return at


def hold(size: tuple[int, int], sheet: tuple[int, int], eyes: Points, position: Position, pose: Hold) -> Held:
    """Hold a thing of `sheet` = (width, height) so that its `eyes` (2, 2) come to `position` in a picture of `size`."""
    middle, apart = eyes.mean(0), float(np.hypot(*(eyes[1] - eyes[0])))
    matrix = _pose(size, sheet, middle, position, position.eyes / apart, pose)
    where = projective_map(np.linalg.inv(matrix), size)
    turn = _turn(pose, position.roll)
    tilt = (-turn[0, 2] / turn[2, 2], -turn[1, 2] / turn[2, 2])
    if abs(pose.bend) > 1e-3 or pose.crease > 1e-3:
        slopes = _bent(where, middle, apart, pose)
        normals = unit(slopes[0] + np.float32(tilt[0]), slopes[1] + np.float32(tilt[1]))
    else:
        flat = unit(np.full((1, 1), tilt[0], np.float32), np.full((1, 1), tilt[1], np.float32))
        normals = np.broadcast_to(flat, (3, size[1], size[0]))
    near = _inside(where, sheet, position.eyes / apart)
    if pose.torn > 0.0:
        near -= _tears(near.shape, pose, position.eyes)
    return Held(where, np.clip(near + 0.5, 0.0, 1.0), normals, matrix, near)


def _turn(pose: Hold, roll: float) -> NDArray[np.floating[Any]]:
    cy, sy, cp, sp = np.cos(pose.yaw), np.sin(pose.yaw), np.cos(pose.pitch), np.sin(pose.pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    turned: NDArray[np.floating[Any]] = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]]) @ yaw @ pitch
    return turned


def _pose(
    size: tuple[int, int],
    sheet: tuple[int, int],
    middle: Points,
    position: Position,
    scale: float,
    pose: Hold,
) -> NDArray[np.floating[Any]]:
    """Return the homography from the thing's pixels to the picture's."""
    focal = _FOCAL * size[0]
    w, h = sheet
    corners = np.array([[-0.5, -0.5], [w - 0.5, -0.5], [w - 0.5, h - 0.5], [-0.5, h - 0.5]])
    flat = np.c_[(corners - middle) * scale, np.zeros(4)] @ _turn(pose, position.roll).T
    # No corner may be behind the lens, however large the sheet and steep the angle.
    depth = np.maximum(focal - flat[:, 2], 0.3 * focal)
    seen = flat[:, :2] * (focal / depth)[:, None] + [position.x, position.y]
    return homography(corners, seen)


def _bent(where: Map, middle: Points, apart: float, pose: Hold) -> Map:
    """Move `where` (in place) for a cylinder and creases; the slopes of the surface (2, H, W)."""
    cos, sin = np.float32(np.cos(pose.axis)), np.float32(np.sin(pose.axis))
    along = (where[0] - np.float32(middle[0])) * (cos / np.float32(apart))
    along += (where[1] - np.float32(middle[1])) * (sin / np.float32(apart))
    slope = np.clip(along * np.float32(pose.bend), -0.9, 0.9)
    slopes = np.stack([slope * cos, slope * sin])
    if abs(pose.bend) > 1e-3:
        # In the projection, arc s of the cylinder is at sin(s k) / k; this inverts it.
        along -= np.arcsin(slope) / np.float32(pose.bend)
        along *= np.float32(-apart)
        where[0] += along * cos
        where[1] += along * sin
    if pose.crease > 1e-3:
        _crease(where, slopes, apart, pose)
    return slopes


def _crease(where: Map, slopes: Map, apart: float, pose: Hold) -> None:
    """Add creases to `where` and `slopes`, in place."""
    height, width = where.shape[1:]
    rng = np.random.Generator(np.random.Philox(pose.seed))
    # Folds have sharp ridges, so the ridge of a smooth noise is used. Half the size is fine enough.
    ridges = -np.abs(clouds((-(-height // 2), -(-width // 2)), width / 6, rng, 3))
    ridges *= np.float32(pose.crease * width / 6)
    dy, dx = np.gradient(resize(ridges, (width, height)))
    slopes[0] += dx
    slopes[1] += dy
    where[0] -= dx * np.float32(pose.yaw * apart)
    where[1] -= dy * np.float32(pose.pitch * apart)


def _inside(where: Map, sheet: tuple[int, int], scale: float) -> Plane:
    """Return the distance (H, W) to the nearest edge in picture pixels, positive on the sheet."""
    u, v = where
    across = np.minimum(u + 0.5, np.float32(sheet[0] - 0.5) - u)
    down = np.minimum(v + 0.5, np.float32(sheet[1] - 0.5) - v)
    result: Plane = np.minimum(across, down) * np.float32(scale)
    return result


def _tears(shape: tuple[int, int], pose: Hold, eyes: float) -> Plane:
    rng = np.random.Generator(np.random.Philox(pose.seed + 1))
    ragged = clouds(shape, 1.2 * eyes, rng, 6)
    result: Plane = np.maximum(ragged + 0.4, 0.0) * np.float32(pose.torn * eyes)
    return result


def face_oval(where: Map, middle: Points, apart: float, rng: np.random.Generator) -> Plane:
    """Return 1 inside a face that was cut out along its outline, (H, W); `where` is in the thing's pixels."""
    u = (where[0] - np.float32(middle[0])) / np.float32(apart)
    v = (where[1] - np.float32(middle[1])) / np.float32(apart)
    top, bottom = between(rng, 1.0, 1.6), between(rng, 1.75, 2.0)
    wide, power = between(rng, 1.15, 1.4), between(rng, 2.0, 2.8)
    tall = np.where(v < 0.3, np.float32(top + 0.3), np.float32(bottom - 0.3))
    angle = np.arctan2(v - 0.3, u)
    snips = 0.025 * np.sin(angle * between(rng, 4, 9) + rng.random()) + 0.015 * np.sin(
        angle * between(rng, 11, 19)
    )
    radius = (np.abs(u / np.float32(wide)) ** power + np.abs((v - 0.3) / tall) ** power) ** (
        1 / power
    ) + snips
    return smooth_step(1.008, 0.992, radius.astype(np.float32))


def eye_holes(where: Map, eyes: Points, rng: np.random.Generator) -> Plane:
    """Return 1 in the holes cut for the wearer's eyes, (H, W)."""
    apart = np.float32(np.hypot(*(eyes[1] - eyes[0])))
    wide, tall = between(rng, 0.20, 0.30), between(rng, 0.10, 0.19)
    holes = np.zeros(where.shape[1:], np.float32)
    for eye in eyes:
        u, v = (where[0] - np.float32(eye[0])) / apart, (where[1] - np.float32(eye[1])) / apart
        radius = np.sqrt((u / np.float32(wide)) ** 2 + (v / np.float32(tall)) ** 2)
        holes = np.maximum(holes, smooth_step(1.03, 0.97, radius))
    return holes
