from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from bonaface.simulate.camera import PHONES
from bonaface.simulate.display import DISPLAYS, Display
from bonaface.simulate.film import Film, Motion, Take
from bonaface.simulate.flat import Position
from bonaface.simulate.portrait import Portrait
from bonaface.simulate.printer import PRINTERS, Printer
from bonaface.simulate.scene import session_lighting
from bonaface.simulate.seeds import stream

KEY = ("person", 1, "session", 1, "phone", 1, "instrument")


def film(persons: list[Portrait], seed: int = 0, frames: int = 3) -> Film:
    return Film(seed, (128, 192), frames, lambda occasion: persons[occasion % 3], PHONES[0])


def take(
    instrument: Display | Printer | None = None, replay: bool = True, key: tuple[Any, ...] = KEY
) -> Take:
    return Take((*key, str(instrument)), partial(session_lighting, 1), PHONES[1], instrument, replay)


@pytest.mark.parametrize("instrument", [None, *PRINTERS, *DISPLAYS], ids=str)
def test_a_take_is_frames_that_move_a_little(
    persons: list[Portrait], instrument: Display | Printer | None
) -> None:
    frames = list(film(persons).shoot(take(instrument), 1))
    assert [frame.picture.shape for frame in frames] == [(192, 128, 3)] * 3
    moved = np.array([frame.landmarks[:2].mean(0) for frame in frames])
    steps = np.hypot(*np.diff(moved, axis=0).T)
    assert 0.001 < steps.max() < 0.15 * frames[0].eyes
    assert all((one.picture != two.picture).any() for one, two in pairwise(frames))


def test_a_take_depends_on_its_key_and_the_seed_alone(persons: list[Portrait]) -> None:
    alone = [f.picture for f in film(persons).shoot(take(DISPLAYS[0]), 1)]
    busy = film(persons)
    list(busy.shoot(take(PRINTERS[0]), 1))
    list(busy.shoot(take(), 2))
    assert all((a == b.picture).all() for a, b in zip(alone, busy.shoot(take(DISPLAYS[0]), 1), strict=True))
    other = [f.picture for f in film(persons, seed=1).shoot(take(DISPLAYS[0]), 1)]
    assert (alone[0] != other[0]).any()


def test_a_replay_moves_on_the_screen_and_a_photograph_does_not(persons: list[Portrait]) -> None:
    made = film(persons, frames=2)
    stolen = made._photos(take(DISPLAYS[0]), 1)
    assert (stolen[0].picture != stolen[1].picture).any()
    assert made._photos(take(PRINTERS[0]), 1) is stolen  # one photographing for all instruments


def test_motion_is_small_smooth_and_reproducible() -> None:
    motion = Motion(stream(0, "m"), 1.0)
    position = Position(100, 100, 50)
    path = np.array([(p.x, p.y, p.eyes, p.roll) for p in (motion.moved(position, n) for n in range(60))])
    assert np.ptp(path[:, 0]) > 0.2
    assert np.abs(path[:, :2] - 100).max() < 10
    assert np.abs(np.diff(path[:, :2], axis=0)).max() < 4
    assert np.abs(path[:, 2] / 50 - 1).max() < 0.04
    assert (
        path == [(p.x, p.y, p.eyes, p.roll) for p in (motion.moved(position, n) for n in range(60))]
    ).all()


def test_zero_strength_gives_no_motion() -> None:
    still = Motion(stream(0, "m"), 0.0)
    assert still.moved(Position(1, 2, 3), 7) == Position(1, 2, 3)
