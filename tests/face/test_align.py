"""Crops by landmarks: where the landmarks come to lie, and the same bytes for training and `check`."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bonaface.core.errors import InputError
from bonaface.face.align import TEMPLATE
from bonaface.face.crop import (
    CropSpec,
    context_crop,
    crop_landmarks,
    cut,
    face_crop,
    padded_share,
    view_shares,
)
from bonaface.face.detect import Face, Landmarks

ALIGNED = CropSpec("aligned", 1.0)


def turned_face(angle: float, side: float, center: tuple[float, float]) -> tuple[Face, NDArray[np.float64]]:
    """A face whose template square has `side` pixels, turned by `angle` around `center`."""
    matrix = side * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (TEMPLATE - 0.5) @ matrix.T + center
    half = 0.45 * side
    box = (center[0] - half, center[1] - half * 1.2, center[0] + half, center[1] + half * 1.2)
    landmarks: Landmarks = tuple((float(x), float(y)) for x, y in points)  # type: ignore[assignment]
    return Face(box, landmarks, 0.99), points


def dotted(points: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """A grey picture with a round bright dot at each point."""
    y, x = np.mgrid[:size, :size] + 0.5
    picture = np.full((size, size), 60.0)
    for px, py in points:
        picture += 150 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 3.0**2))
    return np.repeat(picture.clip(0, 255).astype(np.uint8)[..., None], 3, 2)


def dots(crop: NDArray[np.uint8], near: NDArray[np.float64]) -> NDArray[np.float64]:
    """The centre of brightness around each place."""
    y, x = np.mgrid[: len(crop), : len(crop)] + 0.5
    weights = crop[..., 0].astype(float) - 60
    found = []
    for px, py in near:
        close = weights * (np.hypot(x - px, y - py) < 10)
        found.append([(close * x).sum() / close.sum(), (close * y).sum() / close.sum()])
    return np.array(found)


@pytest.mark.parametrize(("angle", "side"), [(0.0, 112), (0.4, 150), (-0.9, 224), (np.pi / 2, 112)])
def test_landmarks_come_to_lie_on_the_template(angle: float, side: float) -> None:
    face, points = turned_face(angle, side, (250.0, 240.0))
    picture = dotted(points, 500)
    square = context_crop(picture, face)
    crop = cut(square, ALIGNED, 112)
    assert (crop.shape, crop.dtype) == ((112, 112, 3), np.uint8)
    np.testing.assert_allclose(crop_landmarks(square, ALIGNED, 112), TEMPLATE * 112, atol=0.01)
    np.testing.assert_allclose(dots(crop, TEMPLATE * 112), TEMPLATE * 112, atol=0.4)


def test_a_larger_scale_shows_more_around_the_same_centre() -> None:
    face, points = turned_face(0.3, 120, (250.0, 250.0))
    square = context_crop(dotted(points, 500), face)
    wanted = ((TEMPLATE - 0.5) / 1.5 + 0.5) * 112
    wide = CropSpec("aligned", 1.5)
    np.testing.assert_allclose(crop_landmarks(square, wide, 112), wanted, atol=0.01)
    np.testing.assert_allclose(dots(cut(square, wide, 112), wanted), wanted, atol=0.4)


@pytest.mark.parametrize("center", [(250.0, 240.0), (60.0, 70.0)])
def test_training_and_check_cut_the_same_bytes(center: tuple[float, float]) -> None:
    face, _ = turned_face(0.5, 130, center)
    picture = np.random.default_rng(0).integers(0, 256, (400, 420, 3), dtype=np.uint8)
    expected = cut(context_crop(picture, face), ALIGNED, 96)
    np.testing.assert_array_equal(face_crop(picture, face, ALIGNED, 96), expected)


def test_an_upright_face_at_its_own_size_is_the_picture_itself() -> None:
    face, _ = turned_face(0.0, 112, (150.0, 150.0))
    picture = np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    crop = face_crop(picture, face, ALIGNED, 112)
    difference = np.abs(crop.astype(int) - picture[94:206, 94:206])
    assert difference.max() <= 1


def test_a_quarter_turn_is_pillows() -> None:
    face, _ = turned_face(np.pi / 2, 112, (150.0, 150.0))
    picture = np.random.default_rng(2).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(picture[94:206, 94:206]).transpose(Image.Transpose.ROTATE_90))
    assert np.abs(face_crop(picture, face, ALIGNED, 112).astype(int) - expected).max() <= 1


def test_beyond_the_context_lies_its_mirror_image() -> None:
    face, _ = turned_face(0.0, 200, (150.0, 150.0))
    small = Face((130, 130, 170, 170), face.landmarks, 0.9)  # its context has 80 pixels
    picture = np.full((300, 300, 3), 90, np.uint8)
    assert (face_crop(picture, small, ALIGNED, 64) == 90).all()


def test_its_mirrored_share_is_that_of_the_square() -> None:
    face, _ = turned_face(0.2, 120, (40.0, 150.0))
    square = context_crop(np.zeros((300, 300, 3), np.uint8), face)
    expected = padded_share(square, CropSpec("square", 1.3))
    assert expected > 0
    assert padded_share(square, CropSpec("aligned", 1.3)) == pytest.approx(expected)
    assert view_shares(face, 300, 300, [CropSpec("aligned", 1.3)])[0] == pytest.approx(expected, rel=1e-5)


def test_the_name_of_a_crop_turns_back() -> None:
    assert CropSpec.parse("aligned-1.0") == ALIGNED
    assert str(ALIGNED) == "aligned-1.0"


def test_faces_without_landmarks_are_refused() -> None:
    """Those of a store that was prepared with a set's own boxes."""
    nowhere = (np.nan, np.nan)
    face = Face((40.0, 40.0, 90.0, 100.0), (nowhere, nowhere, nowhere, nowhere, nowhere), np.nan)
    square = context_crop(np.zeros((160, 160, 3), np.uint8), face)
    with pytest.raises(InputError, match=r"crop aligned-1\.0 lies by a face's landmarks, and .* have none"):
        cut(square, ALIGNED, 64)
