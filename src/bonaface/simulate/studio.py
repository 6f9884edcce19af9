"""A person before a camera: where, in what light, against what; and the picture taken.

A *view* is what a camera is pointed at, with the landmarks of the face in it; `shoot` takes the picture.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.simulate.camera import Camera, Shot, View, photograph
from bonaface.simulate.flat import Position
from bonaface.simulate.light import Light, Picture, Plane, blur, mix, resize, size_of, smooth_step, unit
from bonaface.simulate.portrait import Portrait
from bonaface.simulate.scene import Lighting
from bonaface.simulate.warp import Map, Points, project, projective_map, sample, similarity

# Distances between the eyes over which a portrait's background goes out of focus beyond its border.
_SOFT = 0.5


@dataclass(frozen=True)
class Stage:
    """Where a picture is taken: the room's light (3, H, W), which gives the picture's size, and the lighting."""

    room: Light
    lighting: Lighting

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height of the pictures taken here."""
        return size_of(self.room)

    def background(self) -> Light:
        """Return the room as lit, (3, H, W)."""
        light = self.lighting
        return self.room * ((light.ambient + light.colour * 0.6) * np.float32(light.behind))[:, None, None]


@dataclass(frozen=True)
class Framed:
    """A view with the face's five landmarks in it (5, 2), in RetinaFace's order."""

    view: View
    landmarks: Points


@dataclass(frozen=True)
class Photo:
    """A picture (H, W, 3) uint8 and the landmarks (5, 2) of the face in it."""

    picture: Picture
    landmarks: Points

    @property
    def eyes(self) -> float:
        """Return the distance between the pupils in pixels."""
        return float(np.hypot(*(self.landmarks[1] - self.landmarks[0])))


@dataclass(frozen=True)
class Turn:
    """How the head is turned against the camera, radians: yaw to the person's left, pitch upwards."""

    yaw: float = 0.0
    pitch: float = 0.0


def shoot(framed: Framed, camera: Camera, shot: Shot, rng: np.random.Generator) -> Photo:
    """Take the picture."""
    return Photo(photograph(framed.view, camera, shot, rng), framed.landmarks)


def bona_fide(portrait: Portrait, position: Position, stage: Stage, turn: Turn) -> Framed:
    """Return a person at `position` before the camera.

    A portrait with an outline of its own is put before the stage's room; one with a background keeps it, and the room
    begins where the picture reaches beyond its border.
    """
    while portrait.eyes / position.eyes > 1.4:
        portrait = portrait.halved
    where, relief, landmarks = _facing(portrait, position, stage.size, turn)
    light, room = _seen(portrait, where, position)
    dy, dx = (np.gradient(relief, axis=axis) for axis in (0, 1))
    # The portrait was taken in soft frontal light, and keeps a quarter of it.
    lit = 0.25 * stage.lighting.direction[2] + 0.75 * stage.lighting.facing(unit(dx, dy))
    light *= stage.lighting.of(resize(lit, stage.size))
    if room is not None:
        behind = stage.background()
        if portrait.alpha is None:
            behind = behind * _tint(light, behind, room)
        light = mix(light, behind, room)
    return Framed(View(light), landmarks)


def _facing(
    portrait: Portrait, position: Position, size: tuple[int, int], turn: Turn
) -> tuple[Map, Plane, Points]:
    """Return the map from picture to portrait, the relief at half the picture's size, and the landmarks in the
    picture.
    """
    reach = position.eyes / 2 * np.array([np.cos(position.roll), np.sin(position.roll)])
    target = np.array([position.x, position.y])
    matrix = similarity(portrait.landmarks[:2], np.stack([target - reach, target + reach]))
    where = projective_map(np.linalg.inv(matrix), size)
    relief = sample(portrait.relief, where[:, ::2, ::2])
    marks = portrait.landmarks.astype(np.float64)
    if turn.yaw or turn.pitch:
        # Parallax of the relief, a good approximation for a few degrees.
        shift = np.array([np.tan(turn.yaw), -np.tan(turn.pitch)])
        rise = resize(relief, size)
        for plane, step in zip(where, shift, strict=True):
            plane -= rise * np.float32(step)
        lifted = sample(portrait.relief, marks.T[:, None].astype(np.float32))[0]
        marks = marks + lifted[:, None] * shift
    return where, relief * np.float32(0.5 * position.eyes / portrait.eyes), project(matrix, marks)


def _seen(portrait: Portrait, where: Map, position: Position) -> tuple[Light, Plane | None]:
    """Return the portrait read at `where`, and how much of the room is seen instead (H, W), None where nothing is.

    A portrait with a background goes on beyond its border for a little, ever more out of focus, then the room begins:
    but not beside the head, and not below the shoulders, where the person's clothes go on.
    """
    if portrait.alpha is not None:
        return sample(portrait.light, where), 1.0 - sample(portrait.alpha, where)
    width, height = size_of(portrait.light)
    x, y = where
    beyond = np.maximum(np.maximum(-x, x - (width - 1)), np.maximum(-y, y - (height - 1)))
    beyond = np.maximum(beyond, 0.0) / np.float32(portrait.eyes)
    if not beyond.any():
        return sample(portrait.light, where), None
    _carry_on(where, (width, height), 0.5 * portrait.eyes)
    light = mix(
        sample(portrait.light, where),
        sample(blur(portrait.light, _SOFT * portrait.eyes), where),
        smooth_step(0.0, _SOFT, beyond),
    )
    return light, smooth_step(0.1, 1.2, beyond) * (1.0 - _person(position, size_of(beyond)))


def _tint(light: Light, behind: Light, room: Plane) -> NDArray[np.floating[Any]]:
    """Return the factors (3, 1, 1) that give the room behind the brightness and colour of what it goes on from."""
    border = (room > 0.02) & (room < 0.98)
    if not border.any():
        return np.ones((3, 1, 1), np.float32)
    means = [image[:, border].mean(1, keepdims=True)[..., None] for image in (light, behind)]
    factors: NDArray[np.floating[Any]] = np.clip(means[0] / np.maximum(means[1], 1e-3), 0.02, 8.0).astype(
        np.float32
    )
    return factors


def _person(position: Position, size: tuple[int, int]) -> Plane:
    """Return about where a person with the eyes at `position` is in a picture of `size`, (H, W) in [0, 1]."""
    u = (np.arange(size[0], dtype=np.float32)[None, :] - np.float32(position.x)) / np.float32(position.eyes)
    v = (np.arange(size[1], dtype=np.float32)[:, None] - np.float32(position.y)) / np.float32(position.eyes)
    head = smooth_step(1.15, 0.85, np.hypot(u / 1.5, (v - 0.1) / 2.2))
    shoulders = smooth_step(-0.3, 0.3, v - 2.1 - 0.2 * np.abs(u)) * smooth_step(3.9, 3.1, np.abs(u))
    person: Plane = np.maximum(head, shoulders)
    return person


def _carry_on(where: Map, size: tuple[int, int], reach: float) -> None:
    """Read a picture of `size` beyond its border as well: mirrored there, ever more slowly, `reach` pixels at most.

    A plain mirror image would show half of the face again where the border is near.
    """
    for plane, length in zip(where, size, strict=True):
        low, high = float(plane.min()), float(plane.max())
        if low < 0.0:
            np.copyto(plane, _saturated(-plane, reach), where=plane < 0.0)
        if high > length - 1:
            np.copyto(plane, (length - 1) - _saturated(plane - (length - 1), reach), where=plane > length - 1)


def _saturated(distance: Plane, reach: float) -> Plane:
    saturated: Plane = np.float32(reach) * (
        1.0 - np.exp(np.maximum(distance, 0.0) * np.float32(-1.0 / reach))
    )
    return saturated
