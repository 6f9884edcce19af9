import numpy as np
import pytest
from numpy.typing import NDArray

from bonaface.face.detect import Detector
from bonaface.face.finder import FaceFinder
from bonaface.face.upright import turned, turned_back
from bonaface.testing.portrait import drawn_portrait

WALL = np.full((240, 400, 3), 150, np.uint8)


def scene(x: int = 60) -> NDArray[np.uint8]:
    """Return an upright face beside the middle, in a picture that is wider than high."""
    picture = WALL.copy()
    picture[20:220, x : x + 200] = drawn_portrait(200, 3)
    return picture


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(400, threads=1)


@pytest.mark.parametrize("lies", [0, 90, 180, 270])
def test_finds_a_turned_face_and_its_box_in_the_original_frame(detector: Detector, lies: int) -> None:
    upright = scene()
    (face,) = detector.detect(upright)
    stored = turned(upright, lies)
    found = FaceFinder(detector).find(stored)
    assert found.turn == (360 - lies) % 360
    np.testing.assert_array_equal(found.picture, upright)
    assert found.faces == [face]
    x0, y0, x1, y1 = found.box_before(found.faces[0])
    marked = np.zeros((240, 400, 1), np.uint8)
    a, b, c, d = (round(v) for v in face.box)
    marked[b:d, a:c] = 1
    rows, columns, _ = np.nonzero(np.rot90(marked, lies // 90))
    np.testing.assert_allclose(
        (x0, y0, x1, y1), (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1), atol=1
    )


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_box_is_turned_back_as_pixels_are(turn: int) -> None:
    picture = np.zeros((5, 9, 3), np.uint8)
    picture[1:3, 2:6] = 1
    rows, columns, _ = np.nonzero(turned(picture, turn))
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert turned_back(box, turn, (9, 5)) == (2, 1, 6, 3)


def test_the_first_upright_face_decides_the_turn_of_all_frames(detector: Detector) -> None:
    finder = FaceFinder(detector)
    assert finder.find(WALL).turn == 0
    assert finder.turn is None
    frames = [finder.find(turned(scene(60 + 10 * i), 180)) for i in range(3)]
    assert [found.turn for found in frames] == [180] * 3
    for i, found in enumerate(frames):
        (expected,) = detector.detect(scene(60 + 10 * i))
        np.testing.assert_allclose(found.faces[0].box, expected.box, atol=4)
    assert finder.find(scene()).turn == 180  # nobody turns the camera over in the middle
