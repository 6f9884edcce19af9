import numpy as np
import pytest

from bonaface.face.detect import Detector
from bonaface.face.find import FacePolicy, find_face
from bonaface.testing.portrait import drawn_portrait

DETECTOR = Detector(threads=1)


@pytest.mark.parametrize("size", [256, 640])
def test_retinaface_finds_one_face_for_every_seed(size: int) -> None:
    for seed in range(51) if size == 256 else range(0, 51, 10):
        faces = DETECTOR.detect(drawn_portrait(size, seed))
        assert len(faces) == 1, seed
        assert faces[0].score > 0.9, seed
        assert find_face(faces, FacePolicy()) is faces[0]


def test_the_same_seed_draws_the_same_pixels() -> None:
    np.testing.assert_array_equal(drawn_portrait(128, 7), drawn_portrait(128, 7))


def test_another_seed_draws_another_person() -> None:
    assert np.abs(drawn_portrait(128, 7).astype(int) - drawn_portrait(128, 8)).mean() > 5


def test_portrait_is_an_rgb_picture() -> None:
    picture = drawn_portrait(200)
    assert picture.shape == (200, 200, 3)
    assert picture.dtype == np.uint8
