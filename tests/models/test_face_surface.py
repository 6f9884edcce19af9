"""The generic face: where its nose and outline lie, and that it goes where the landmarks go."""

import numpy as np
import pytest

from bonaface.face.align import TEMPLATE, similarity
from bonaface.models.face_surface import SIDE, face_surface

UPRIGHT = np.array([[0.36, 0.42], [0.64, 0.42], [0.5, 0.58], [0.39, 0.74], [0.61, 0.74]]) * 128


def test_the_nose_is_nearest_and_the_corners_have_no_depth() -> None:
    depth = face_surface(UPRIGHT, 128)
    assert (depth.shape, depth.dtype) == ((32, 32), np.float32)
    assert 0 == depth.min() < depth.max() <= 1
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    assert abs((x + 0.5) / SIDE - 0.5) < 0.05
    assert abs((y + 0.5) / SIDE - 0.58) < 0.08
    assert [depth[y, x] for y in (0, -1) for x in (0, -1)] == [0, 0, 0, 0]
    assert depth[16, 16] > depth[16, 8] > 0


def test_symmetric_landmarks_have_a_symmetric_face() -> None:
    depth = face_surface(UPRIGHT, 128)
    np.testing.assert_allclose(depth, depth[:, ::-1], atol=0.03)  # the template is nearly so


def test_it_follows_the_landmarks_and_knows_no_pixels() -> None:
    depth = face_surface(UPRIGHT, 128)
    np.testing.assert_allclose(face_surface(UPRIGHT * 2, 256), depth, atol=1e-6)
    shifted = face_surface(UPRIGHT + np.array([16, 8]), 128)  # 4 and 2 of its 32 pixels
    np.testing.assert_allclose(shifted[4:, 6:], depth[2:-2, 2:-4], atol=1e-5)
    turned = face_surface(np.stack([128 - UPRIGHT[:, 1], UPRIGHT[:, 0]], 1), 128)  # a quarter to the right
    np.testing.assert_allclose(turned, np.rot90(depth, -1), atol=1e-5)


def test_half_the_size_covers_a_quarter() -> None:
    depth, small = face_surface(UPRIGHT, 128), face_surface(UPRIGHT / 2 + 32, 128)
    assert (small > 0).sum() == pytest.approx((depth > 0).sum() / 4, rel=0.1)


def test_similarity_finds_turn_scale_and_shift() -> None:
    angle, scale = 0.3, 1.7
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = TEMPLATE @ matrix.T + (3, -2)
    np.testing.assert_allclose(similarity(TEMPLATE, moved), np.hstack([matrix, [[3], [-2]]]), atol=1e-12)


def test_similarity_is_the_least_squares_solution() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.random((5, 2)), rng.random((5, 2))
    rows = [row for x, y in source for row in ([x, -y, 1, 0], [y, x, 0, 1])]
    a, b, x, y = np.linalg.lstsq(np.array(rows), target.ravel())[0]
    np.testing.assert_allclose(similarity(source, target), [[a, -b, x], [b, a, y]], atol=1e-10)


def test_landmarks_in_one_point_give_finite_values() -> None:
    assert np.isfinite(face_surface(np.full((5, 2), 64.0), 128)).all()
