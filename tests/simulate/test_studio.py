from typing import Any

import numpy as np
import pytest

from bonaface.face.detect import Detector
from bonaface.simulate.camera import PHONES, Shot
from bonaface.simulate.flat import Position
from bonaface.simulate.light import luma
from bonaface.simulate.portrait import Portrait, portrait_of
from bonaface.simulate.scene import lighting
from bonaface.simulate.seeds import stream
from bonaface.simulate.studio import Stage, Turn, bona_fide, shoot

AHEAD = Turn()
PLACE = Position(128, 105, 50)


def test_the_eyes_are_at_the_position(persons: list[Portrait], stage: Stage) -> None:
    for portrait in persons:
        marks = bona_fide(portrait, Position(120, 110, 48, 0.1), stage, AHEAD).landmarks
        assert marks[:2].mean(0) == pytest.approx([120, 110], abs=0.5)
        gap = marks[1] - marks[0]
        assert np.hypot(*gap) == pytest.approx(48, abs=0.5)
        assert np.arctan2(*gap[::-1]) == pytest.approx(0.1, abs=0.01)


def test_retinaface_agrees_on_the_landmarks(persons: list[Portrait], stage: Stage) -> None:
    for number, portrait in enumerate(persons):
        framed = bona_fide(portrait, Position(128, 105, 50, -0.05), stage, Turn(0.12, -0.08))
        photo = shoot(framed, PHONES[number], Shot(), stream(0, number))
        (face, *_) = Detector(threads=1).detect(photo.picture)
        off = np.hypot(*(np.array(face.landmarks) - photo.landmarks).T) / photo.eyes
        assert off[[0, 1, 3, 4]].max() < 0.15


def test_the_room_is_behind_and_the_person_before_it(persons: list[Portrait], stage: Stage) -> None:
    red = Stage(np.stack([np.full((256, 256), v, np.float32) for v in (0.9, 0.0, 0.0)]), stage.lighting)
    light = bona_fide(persons[0], PLACE, red, AHEAD).view.light
    assert light[1, :40, :20].max() == pytest.approx(0, abs=1e-6)
    assert light[1, 105:150, 110:146].min() > 0.005


def test_light_from_the_side_makes_one_cheek_dark(persons: list[Portrait]) -> None:
    def cheeks(azimuth: int) -> Any:
        stage = Stage(np.full((3, 256, 256), 0.5, np.float32), lighting(6500, azimuth, 0, 0.2, 1.0, 0.0))
        seen = luma(bona_fide(persons[1], PLACE, stage, AHEAD).view.light)
        return seen[128:140, 96:108].mean() / seen[128:140, 148:160].mean()

    assert cheeks(70) < 0.8 * cheeks(0) < 0.65 * cheeks(-70)


def test_a_turned_head_shifts_the_nose_against_the_eyes(persons: list[Portrait], stage: Stage) -> None:
    ahead, turned, up = (
        bona_fide(persons[0], PLACE, stage, t).landmarks for t in (AHEAD, Turn(0.2), Turn(0, 0.2))
    )
    assert (turned - ahead)[2, 0] - (turned - ahead)[:2, 0].mean() > 0.02 * 50
    assert (up - ahead)[2, 1] - (up - ahead)[:2, 1].mean() < -0.02 * 50


def test_a_portrait_with_a_background_fills_the_frame(stage: Stage) -> None:
    rng = np.random.default_rng(0)
    picture = np.full((200, 160, 3), 120, np.uint8)
    picture[60:140, 50:110] = rng.integers(0, 255, (80, 60, 3))
    marks = np.array([[65.0, 85.0], [95.0, 85.0], [80.0, 105.0], [68.0, 120.0], [92.0, 120.0]])
    light = bona_fide(portrait_of(picture, marks), Position(128, 90, 40), stage, AHEAD).view.light
    # beyond the portrait's border its plain wall goes on, and no second face comes in
    assert np.ptp(light[:, :, :30]) < 0.02
    assert np.ptp(light[:, :, -30:]) < 0.02
    assert light[:, 60:120, 100:156].std() > 0.1


def _striped(lighted: Stage) -> Stage:
    stripes = np.tile(np.float32(0.6) + np.float32(0.4) * np.sin(np.arange(256, dtype=np.float32)), (256, 1))
    return Stage(np.stack([stripes] * 3), lighted.lighting)


def _plain_portrait(level: int) -> Portrait:
    marks = np.array([[65.0, 65.0], [95.0, 65.0], [80.0, 85.0], [68.0, 100.0], [92.0, 100.0]])
    return portrait_of(np.full((200, 160, 3), level, np.uint8), marks)


def test_beyond_a_portraits_border_the_room_begins(stage: Stage) -> None:
    seen = bona_fide(_plain_portrait(120), Position(128, 105, 24), _striped(stage), AHEAD).view.light[1]

    def roughness(rows: slice, columns: slice) -> float:
        return float(np.abs(np.diff(seen[rows, columns], axis=1)).mean())

    rows = slice(80, 130)
    assert roughness(rows, slice(0, 20)) > 10 * roughness(rows, slice(90, 160))
    # below the shoulders the person goes on, so there is no room
    assert roughness(slice(240, 256), slice(100, 156)) < 0.1 * roughness(rows, slice(0, 20))


@pytest.mark.parametrize("level", [40, 120, 220])
def test_the_room_takes_the_brightness_of_the_portraits_background(stage: Stage, level: int) -> None:
    seen = bona_fide(_plain_portrait(level), Position(128, 105, 24), _striped(stage), AHEAD).view.light
    room, border = seen[:, 80:130, :20].mean((1, 2)), seen[:, 80:130, 70:80].mean((1, 2))
    assert room == pytest.approx(border, rel=0.25)


def test_a_portrait_that_covers_the_picture_shows_no_room(stage: Stage) -> None:
    for eyes in (47, 60, 110):  # at 47 and 60 a little would be seen beyond the border, too near for a room
        seen = [
            bona_fide(_plain_portrait(120), Position(128, 105, eyes), s, AHEAD).view.light
            for s in (stage, _striped(stage))
        ]
        assert np.isfinite(seen[1]).all()
        assert seen[1][:, 60:200, 60:200] == pytest.approx(seen[0][:, 60:200, 60:200], abs=1e-6)


def test_a_small_face_is_taken_from_a_smaller_copy(persons: list[Portrait], stage: Stage) -> None:
    near, far = (bona_fide(persons[0], Position(128, 105, e), stage, AHEAD).view.light for e in (100, 20))
    assert near.shape == far.shape
    # averaged, not picked: skin far away is no rougher than near by
    assert far[1, 108:114, 122:134].std() < 3 * near[1, 118:140, 110:146].std() + 0.05
