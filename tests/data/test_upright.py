import numpy as np
import pytest

from bonaface.data.upright import find_turn, stands, turned
from bonaface.face.detect import Detector, Face
from bonaface.testing.portrait import drawn_portrait


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(256, threads=1)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("seed", [0, 3])
def test_the_turn_is_found(detector: Detector, turn: int, seed: int):
    upright = drawn_portrait(256, seed)
    lying = np.rot90(upright, -turn // 90)
    assert find_turn(detector, np.ascontiguousarray(lying)) == turn
    np.testing.assert_array_equal(turned(lying, turn), upright)


def test_without_a_face_there_is_no_turn(detector: Detector):
    assert find_turn(detector, np.full((200, 300, 3), 120, np.uint8)) is None


def face(roll: float) -> Face:
    """A face whose head leans by `roll` degrees."""
    angle = np.radians(roll)
    points = np.array([(-20, -20), (20, -20), (0, 0), (-15, 20), (15, 20)]) @ np.array(
        [(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))]
    )
    return Face((0, 0, 1, 1), tuple((float(x), float(y)) for x, y in points), 0.9)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("roll", "answer"),
    [(0, True), (44, True), (-44, True), (46, False), (-46, False), (90, False), (180, False)],
)
def test_what_stands(roll: float, answer: bool):
    assert stands(face(roll)) is answer
