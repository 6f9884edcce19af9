from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bonaface.face.detect import Detector, Face
from bonaface.face.upright import find_turn, stands, turned
from bonaface.testing.portrait import drawn_portrait


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(256, threads=1)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("seed", [0, 3])
def test_finds_the_turn(detector: Detector, turn: int, seed: int) -> None:
    upright = drawn_portrait(256, seed)
    lying = np.rot90(upright, -turn // 90)
    assert find_turn(detector, np.ascontiguousarray(lying)) == turn
    np.testing.assert_array_equal(turned(lying, turn), upright)


def test_without_a_face_there_is_no_turn(detector: Detector) -> None:
    assert find_turn(detector, np.full((200, 300, 3), 120, np.uint8)) is None


def face(roll: float) -> Face:
    """Return a face whose head leans by `roll` degrees."""
    angle = np.radians(roll)
    points = np.array([(-20, -20), (20, -20), (0, 0), (-15, 20), (15, 20)]) @ np.array(
        [(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))]
    )
    return Face((0, 0, 1, 1), tuple((float(x), float(y)) for x, y in points), 0.9)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("roll", "answer"),
    [(0, True), (44, True), (-44, True), (46, False), (-46, False), (90, False), (180, False)],
)
def test_stands_within_45_degrees(roll: float, answer: bool) -> None:
    assert stands(face(roll)) is answer


class Scripted(Detector):
    """Returns the given results in turn, whatever the picture."""

    def __init__(self, *answers: list[Face]) -> None:
        super().__init__()
        self.answers = list(answers)

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        return self.answers.pop(0)


def test_a_lying_face_is_not_taken_for_a_standing_one() -> None:
    """RetinaFace finds most lying faces, with scores as high as upright ones."""
    lying, standing, hanging = (
        replace(face(roll), score=score) for roll, score in ((90, 1.0), (10, 0.9), (180, 1.0))
    )
    detector = Scripted([lying], [standing], [lying], [hanging])
    assert find_turn(detector, np.zeros((64, 64, 3), np.uint8)) == 90
    assert find_turn(Scripted([standing]), np.zeros((64, 64, 3), np.uint8)) == 0
    surer = replace(standing, score=0.95)
    assert find_turn(Scripted([], [standing], [], [surer]), np.zeros((64, 64, 3), np.uint8)) == 270
