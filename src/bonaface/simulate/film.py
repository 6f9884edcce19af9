"""Videos: a presentation filmed for a few frames, with the small motions of heads, hands and cameras."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.simulate.attacks import print_sheet, printed, show_panel, shown
from bonaface.simulate.camera import Camera, Shot, develop, draw_shot
from bonaface.simulate.display import Display
from bonaface.simulate.flat import Hold, Position, draw_hold
from bonaface.simulate.pictures import draw_position, draw_turn
from bonaface.simulate.portrait import Portrait
from bonaface.simulate.printer import Printer
from bonaface.simulate.props import draw_grip
from bonaface.simulate.scene import Lighting, room
from bonaface.simulate.seeds import stream
from bonaface.simulate.studio import Framed, Photo, Stage, Turn, bona_fide

FPS = 10
_STEADY, _HAND = 0.35, 1.0

Key = tuple[int | str, ...]


@dataclass(frozen=True)
class Take:
    """One video to be made: who is in which light, before which camera, by which instrument.

    key: names the take; with the seed it decides everything that is drawn. portrait_key: the occasion on which the
    attacker photographed the person, in the same light: takes of one occasion share it. replay: a screen shows a film
    instead of a photograph.
    """

    key: Key
    light: Callable[[np.random.Generator], Lighting]
    camera: Camera
    instrument: Printer | Display | None = None
    replay: bool = False
    hands: float = 0.3
    eyes_mm: tuple[float, float] = (40.0, 60.0)


class Film:
    """The takes of one person.

    Args:
        seed: of the set. size: width and height of the frames. frames: of each take.
        portrait: the person, dressed for an occasion (a whole number).
        attacker: the camera with which the attacker photographs the person.
    """

    def __init__(
        self,
        seed: int,
        size: tuple[int, int],
        frames: int,
        portrait: Callable[[int], Portrait],
        attacker: Camera,
    ) -> None:
        self._seed, self._size, self._frames = seed, size, frames
        self._attacker = attacker
        self._portrait = cache(portrait)
        self._stolen: dict[Key, list[Photo]] = {}

    def shoot(self, take: Take, occasion: int) -> Iterator[Photo]:
        """Yield the frames of `take`, at most 0.1 s apart."""
        stage, position = self._stage(take, take.key), draw_position(self._size, self._rng(take.key, "place"))
        shot = draw_shot(self._rng(take.key, "shot"), stage.lighting.dimness)
        for number, framed in enumerate(self._views(take, occasion, stage, position)):
            rng = self._rng(take.key, "frame", number)
            yield Photo(develop(framed.view, take.camera, _steadied(shot), rng), framed.landmarks)

    def _rng(self, key: Key, *what: int | str) -> np.random.Generator:
        return stream(self._seed, *key, *what)

    def _stage(self, take: Take, key: Key) -> Stage:
        return Stage(room(self._size, self._rng(key, "room")), take.light(self._rng(key, "light")))

    def _views(self, take: Take, occasion: int, stage: Stage, position: Position) -> Iterator[Framed]:
        shake = Motion(self._rng(take.key, "shake"), _HAND)
        if take.instrument is None:
            yield from self._live(take.key, self._portrait(occasion), stage, position, shake)
        elif isinstance(take.instrument, Printer):
            yield from self._printed(take, take.instrument, occasion, stage, position, shake)
        else:
            yield from self._shown(take, take.instrument, occasion, stage, position, shake)

    def _live(
        self, key: Key, portrait: Portrait, stage: Stage, position: Position, shake: "Motion"
    ) -> Iterator[Framed]:
        turn, sway = draw_turn(self._rng(key, "turn")), Motion(self._rng(key, "sway"), 1.0)
        for number in range(self._frames):
            turned = Turn(turn.yaw + sway.at(number, 4, 0.035), turn.pitch + sway.at(number, 5, 0.025))
            yield bona_fide(portrait, sway.moved(shake.moved(position, number), number), stage, turned)

    def _printed(
        self, take: Take, printer: Printer, occasion: int, stage: Stage, position: Position, shake: "Motion"
    ) -> Iterator[Framed]:
        grip = draw_grip(self._rng(take.key, "grip"), take.eyes_mm, take.hands)
        photo = self._photos(take, occasion)[0]
        sheet = print_sheet(photo, printer, position, stage.size, grip, self._rng(take.key, "print"))
        pose = replace(draw_hold(self._rng(take.key, "hold"), stiff=False), torn=0.0)
        sway = Motion(self._rng(take.key, "sway"), _HAND if grip.hands else _STEADY)
        for number in range(self._frames):
            moved = sway.moved(shake.moved(position, number), number)
            yield printed(sheet, sway.held(pose, number), moved, stage, self._rng(take.key, "props"))

    def _shown(
        self, take: Take, display: Display, occasion: int, stage: Stage, position: Position, shake: "Motion"
    ) -> Iterator[Framed]:
        grip = replace(draw_grip(self._rng(take.key, "grip"), take.eyes_mm, take.hands), margin=0.0)
        pose = draw_hold(self._rng(take.key, "hold"), stiff=True)
        sway = Motion(self._rng(take.key, "sway"), _HAND if grip.hands else 0.0)
        photos = self._photos(take, occasion)
        for number in range(self._frames):
            panel = show_panel(photos[number if take.replay else 0], display, position, stage.size, grip)
            moved = sway.moved(shake.moved(position, number), number)
            yield shown(panel, sway.held(pose, number), moved, stage, self._rng(take.key, "props"))

    def _photos(self, take: Take, occasion: int) -> list[Photo]:
        """Yield what the attacker's camera took on that occasion: the first is the photograph, all are the film."""
        key: Key = ("attacker", *take.key[:2], occasion)
        if key not in self._stolen:
            stage, position = self._stage(take, key), draw_position(self._size, self._rng(key, "place"))
            views = self._live(
                key, self._portrait(occasion), stage, position, Motion(self._rng(key, "shake"), _STEADY)
            )
            self._stolen[key] = [
                Photo(
                    develop(view.view, self._attacker, Shot(), self._rng(key, "frame", number)),
                    view.landmarks,
                )
                for number, view in enumerate(views)
            ]
        return self._stolen[key]


def _steadied(shot: Shot) -> Shot:
    """Return `shot` as for a film, whose exposure is fixed and whose shutter is not as slow as a photograph's."""
    return replace(shot, motion=(0.6 * shot.motion[0], 0.6 * shot.motion[1]))


class Motion:
    """Small motions: for each of six quantities a sum of three sines between 0.2 and 2 Hz."""

    def __init__(self, rng: np.random.Generator, strength: float) -> None:
        self._hertz = rng.uniform(0.2, 2.0, (6, 3))
        self._phase = rng.uniform(0, 2 * np.pi, (6, 3))
        self._size: NDArray[np.floating[Any]] = strength * rng.uniform(0.2, 1.0, (6, 3)) / (1 + self._hertz)

    def at(self, frame: int, quantity: int, scale: float) -> float:
        """Return `quantity` (0 to 5) at a frame, about `scale` at most."""
        swing = np.sin(2 * np.pi * self._hertz[quantity] * frame / FPS + self._phase[quantity])
        return float(scale * (self._size[quantity] * swing).sum())

    def moved(self, position: Position, frame: int) -> Position:
        """Return `position` at a frame: shifted by hundredths of the eyes' distance, and scaled and turned a little."""
        dx, dy = self.at(frame, 0, 0.07 * position.eyes), self.at(frame, 1, 0.07 * position.eyes)
        return position.moved(dx, dy, 1.0 + self.at(frame, 2, 0.012), self.at(frame, 3, 0.012))

    def held(self, pose: Hold, frame: int) -> Hold:
        """Return `pose` at a frame."""
        return replace(
            pose, yaw=pose.yaw + self.at(frame, 4, 0.03), pitch=pose.pitch + self.at(frame, 5, 0.03)
        )
