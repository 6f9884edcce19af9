import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from bonaface.simulate.light import (
    blur,
    clouds,
    encode_table,
    look_up,
    mix,
    picture_of,
    planes_of,
    resize,
    smooth_step,
    to_light,
    to_picture,
    unit,
)


def test_every_srgb_code_round_trips() -> None:
    codes = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    assert (to_picture(to_light(codes)) == codes).all()


def test_the_transfer_function_is_the_standards() -> None:
    # IEC 61966-2-1, hand-computed: code 128 is 0.21586, code 10 is on the straight part
    light = to_light(np.array([[[128, 10, 255]]], np.uint8))
    assert light[:, 0, 0] == pytest.approx([0.215861, 10 / 255 / 12.92, 1.0], rel=1e-5)
    assert light.dtype == np.float32


@given(st.floats(0, 1))
def test_the_table_is_right_to_one_code(value: float) -> None:
    exact = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    assert abs(int(look_up(np.full((1, 1), value, np.float32), encode_table())[0, 0]) - 255 * exact) <= 0.75


def test_values_out_of_range_are_clipped() -> None:
    assert to_picture(np.array([-1.0, 0.5, 7.0], np.float32).reshape(3, 1, 1)).ravel().tolist()[::2] == [
        0,
        255,
    ]


@pytest.mark.parametrize(
    ("sigma", "error"), [(0.5, 0.01), (1.0, 0.01), (1.9, 0.01), (3.0, 0.02), (8.0, 0.02)]
)
def test_blur_is_gaussian(sigma: float, error: float) -> None:
    plane = np.zeros((64, 96), np.float32)
    plane[20:40, 30:60] = 1.0
    wanted = ndimage.gaussian_filter(plane, sigma, mode="nearest", truncate=6)
    assert np.abs(blur(plane, sigma) - wanted).max() < error


@pytest.mark.parametrize("sigma", [0.1, 0.7, 1.5, 3.0, 6.0])
def test_blur_leaves_a_level_alone_up_to_the_border(sigma: float) -> None:
    assert blur(np.full((3, 40, 24), 0.7, np.float32), sigma) == pytest.approx(0.7, abs=1e-5)


def test_blur_of_something_tiny() -> None:
    assert blur(np.ones((2, 2), np.float32), 1.9) == pytest.approx(1.0)


def test_planes_round_trip() -> None:
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert (picture_of(planes_of(picture)) == picture).all()
    assert planes_of(picture).flags.c_contiguous


def test_mix_is_between() -> None:
    back, front = np.zeros((3, 1, 2), np.float32), np.ones((3, 1, 2), np.float32)
    assert mix(back, front, np.array([[0.25, 1.0]], np.float32))[0].tolist() == [[0.25, 1.0]]
    assert not back.any()


def test_unit_normals_of_a_slope() -> None:
    normals = unit(np.full((2, 2), 1.0, np.float32), np.zeros((2, 2), np.float32))
    assert normals[:, 0, 0] == pytest.approx([-(2**-0.5), 0.0, 2**-0.5])


def test_smooth_step_rises_and_falls() -> None:
    values = np.array([-1.0, 0.0, 0.5, 1.0, 2.0], np.float32)
    assert smooth_step(0, 1, values).tolist() == [0, 0, 0.5, 1, 1]
    assert smooth_step(1, 0, values).tolist() == [1, 1, 0.5, 0, 0]


def test_clouds_are_coarse_at_their_size() -> None:
    rng = np.random.default_rng(0)
    coarse, fine = clouds((128, 128), 64, rng, 1), clouds((128, 128), 4, rng, 1)
    assert coarse.mean() == pytest.approx(0, abs=1e-4)
    assert coarse.std() == pytest.approx(1, abs=1e-3)
    assert np.diff(coarse).std() < 0.2 * np.diff(fine).std()


def test_resize_keeps_the_mean_when_it_shrinks() -> None:
    plane = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    assert resize(plane, (16, 16)).mean() == pytest.approx(plane.mean(), rel=0.02)
    assert resize(np.stack([plane] * 3), (16, 8)).shape == (3, 8, 16)
