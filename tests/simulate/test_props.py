import numpy as np
import pytest

from bonaface.simulate.flat import Held, Hold, Position, hold
from bonaface.simulate.props import Grip, draw_grip, in_front, torso
from bonaface.simulate.scene import lighting
from bonaface.simulate.seeds import stream

FRONT = lighting(6500, 0, 0, 0.5, 1.0, 0.0)
EYES = np.array([[55.0, 70.0], [95.0, 70.0]])


@pytest.fixture
def held() -> Held:
    return hold((256, 256), (150, 180), EYES, Position(128, 110, 40), Hold())


def test_hands_hold_without_covering_the_face(held: Held) -> None:
    covered = 0
    for number in range(25):
        scene = np.zeros((3, 256, 256), np.float32)
        seen = in_front(scene, held, Position(128, 110, 40), 1.0, FRONT, Grip(hands=2), stream(0, number))
        assert seen.light is scene
        covered += bool((seen.free < 1).any())
        # eyes, nose and mouth stay free
        assert seen.free[100:145, 108:148].min() == 1.0
        # behind the thing nothing is drawn, so what is on it stays black where no thumb lies
        untouched = (held.alpha == 1.0) & (seen.free == 1.0)
        assert not scene[:, untouched].any()
    assert covered > 12


def test_grip_without_hands_draws_no_skin(held: Held) -> None:
    scene = np.zeros((3, 256, 256), np.float32)
    seen = in_front(scene, held, Position(128, 110, 40), 1.0, FRONT, Grip(), stream(0))
    assert not seen.light.any()
    assert seen.free.min() == 1.0


def test_a_body_stands_behind() -> None:
    scene = np.full((3, 128, 128), 5.0, np.float32)
    assert torso(scene, Position(64, 50, 20), FRONT, Grip(body=False), stream(0)) is scene
    bodies = [torso(scene, Position(64, 50, 20), FRONT, Grip(body=True), stream(0, n)) for n in range(5)]
    assert all(body.shape == scene.shape for body in bodies)
    assert all((body[1, -10:, 50:78] < 3.0).mean() > 0.9 for body in bodies)


def test_drawn_grips_vary() -> None:
    grips = [draw_grip(stream(0, n), (20.0, 60.0), 0.5) for n in range(200)]
    assert all(20 <= grip.eyes_mm < 60 for grip in grips)
    assert 60 < sum(grip.hands > 0 for grip in grips) < 140
    assert 60 < sum(grip.crop is None for grip in grips) < 130
    assert sum(grip.margin > 0 for grip in grips) > 40
