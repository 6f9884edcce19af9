import numpy as np
import pytest

from bonaface.simulate.light import unit
from bonaface.simulate.scene import draw_lighting, lighting, room, session_lighting
from bonaface.simulate.seeds import stream

FLAT = unit(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))


def test_a_sheet_that_faces_the_camera_is_white() -> None:
    for azimuth, elevation in ((0, 0), (40, 20), (-50, 30)):
        light = lighting(6500, azimuth, elevation, 0.4, 1.0, 0.0).on(FLAT)
        assert light.ravel() == pytest.approx([1.0, 1.0, 1.0], abs=0.02)


def test_warm_light_is_red_and_cold_light_blue() -> None:
    warm, cold = (lighting(k, 0, 0, 0.3, 1.0, 0.0).on(FLAT).ravel() for k in (3000, 9000))
    assert warm[0] > 1.2 > 0.7 > warm[2]
    assert cold[0] < 0.95 < 1.05 < cold[2]


def test_a_green_tube_is_greener_than_a_black_body() -> None:
    plain, green = (lighting(5000, 30, 20, 0.0, 1.0, 0.0, g).on(FLAT).ravel() for g in (1.0, 1.2))
    assert green / plain == pytest.approx([1.0, 1.2, 1.0])


def test_a_surface_turned_to_the_light_is_brighter() -> None:
    light = lighting(6500, 60, 0, 0.2, 1.0, 0.0)  # from the camera's right
    right, left = (unit(np.full((1, 1), s, np.float32), np.zeros((1, 1), np.float32)) for s in (-1.0, 1.0))
    assert light.on(right)[1, 0, 0] > 1.3 * light.on(FLAT)[1, 0, 0] > 1.5 * light.on(left)[1, 0, 0]


def test_ambient_light_has_no_side() -> None:
    light = lighting(6500, 60, 0, 1.0, 1.0, 0.0)
    left = unit(np.full((1, 1), 1.0, np.float32), np.zeros((1, 1), np.float32))
    assert light.on(left) == pytest.approx(light.on(FLAT), rel=1e-4)


@pytest.mark.parametrize("size", [(64, 64), (270, 480), (512, 300)])
def test_rooms_are_light_of_the_asked_size(size: tuple[int, int]) -> None:
    for number in range(4):
        made = room(size, stream(0, "room", number))
        assert made.shape == (3, size[1], size[0])
        assert made.dtype == np.float32
        assert made.min() > 0
        assert np.isfinite(made).all()
        assert 0.03 < made.mean() < 3.0


def test_rooms_differ_by_seed_and_repeat() -> None:
    one, again, other = (room((96, 96), stream(0, "room", n)) for n in (1, 1, 2))
    assert (one == again).all()
    assert np.abs(one - other).mean() > 0.02


def test_sessions_differ_more_than_they_vary() -> None:
    colours = [[session_lighting(s, stream(0, s, n)).on(FLAT).ravel() for n in range(6)] for s in (1, 2, 3)]
    ratios = np.array([[c[0] / c[2] for c in session] for session in colours])
    assert ratios.std(1).max() < 0.5 * ratios.mean(1).std()


def test_drawn_lights_cover_side_light_dim_rooms_and_light_behind() -> None:
    lights = [draw_lighting(stream(0, "light", n)) for n in range(200)]
    assert sum(abs(light.direction[0]) > 0.7 for light in lights) > 15
    assert sum(light.dimness > 0.6 for light in lights) > 20
    assert sum(light.behind > 1.5 for light in lights) > 20
    assert all(np.hypot.reduce(light.direction) == pytest.approx(1.0, abs=1e-5) for light in lights)
