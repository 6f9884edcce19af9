from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from scipy.interpolate import RBFInterpolator

from bonaface.simulate.warp import Spline, homography, project, projective_map, sample, similarity

SQUARE = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]])


def test_a_homography_goes_through_its_points() -> None:
    target = np.array([[1.0, 2.0], [9.0, 1.0], [12.0, 11.0], [-1.0, 8.0]])
    assert project(homography(SQUARE, target), SQUARE) == pytest.approx(target)


def test_a_projective_map_reads_where_the_matrix_says() -> None:
    matrix = homography(SQUARE, np.array([[1.0, 2.0], [9.0, 1.0], [12.0, 11.0], [-1.0, 8.0]]))
    where = projective_map(matrix, (7, 5))
    assert where.shape == (2, 5, 7)
    assert where[:, 4, 6] == pytest.approx(project(matrix, np.array([[6.0, 4.0]]))[0], rel=1e-5)


def test_a_similarity_is_found_again() -> None:
    turn = np.array([[0.0, -2.0, 5.0], [2.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    points = np.random.default_rng(0).random((9, 2))
    assert similarity(points, project(turn, points)) == pytest.approx(turn)


@pytest.mark.parametrize("shape", [(20, 30), (3, 20, 30)])
def test_sample_agrees_with_scipy(shape: tuple[Any, ...]) -> None:
    rng = np.random.default_rng(1)
    image = rng.random(shape).astype(np.float32)
    where = np.stack([rng.uniform(0, 28.9, (8, 9)), rng.uniform(0, 18.9, (8, 9))]).astype(np.float32)
    planes = image.reshape(-1, 20, 30)
    wanted = np.stack([ndimage.map_coordinates(p, where[::-1], order=1) for p in planes])
    assert sample(image, where).reshape(wanted.shape) == pytest.approx(wanted, abs=1e-5)
    assert sample(image, where).dtype == np.float32


def test_sample_repeats_the_border() -> None:
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    where = np.array([[[-5.0, 9.0]], [[-1.0, 7.0]]], np.float32)
    assert sample(image, where)[0] == pytest.approx([0.0, 11.0], abs=0.01)


def test_a_spline_is_scipys() -> None:
    rng = np.random.default_rng(2)
    source = rng.uniform(0, 100, (30, 2))
    target = source + rng.normal(0, 3, (30, 2))
    points = rng.uniform(0, 100, (50, 2))
    wanted = RBFInterpolator(source, target, kernel="thin_plate_spline")(points)
    assert Spline(source, target)(points) == pytest.approx(wanted, abs=1e-4)
    assert Spline(source, target)(source) == pytest.approx(target, abs=1e-4)


def test_the_splines_map_is_the_spline() -> None:
    source = np.array([[10.0, 10.0], [90.0, 12.0], [50.0, 80.0], [20.0, 60.0]])
    spline = Spline(source, source + np.array([[2.0, 1.0], [0.0, 3.0], [-2.0, 0.0], [1.0, 1.0]]))
    where = spline.map((100, 90))
    places = np.array([[0, 0], [99, 89], [37, 52], [50, 7]], float)
    read = where[:, places[:, 1].astype(int), places[:, 0].astype(int)].T
    assert read == pytest.approx(spline(places), abs=0.15)
