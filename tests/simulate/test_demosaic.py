import numpy as np
import pytest

from bonaface.simulate.demosaic import demosaic, mosaic
from bonaface.simulate.display import Floats


def rebuilt(light: Floats, simple: bool = False) -> tuple[Floats, Floats, Floats]:
    """Return light after filters and demosaicing, with red and blue added to green at full size."""
    sites = demosaic(mosaic(light, np.eye(3)), simple)
    return sites.green, sites.green[::2, ::2] + sites.red, sites.green[::2, ::2] + sites.blue


def test_each_mosaic_site_holds_its_filters_light() -> None:
    light = np.stack([np.full((4, 4), value, np.float32) for value in (1.0, 2.0, 3.0)])
    assert mosaic(light, np.eye(3))[:2, :2].tolist() == [[1.0, 2.0], [2.0, 3.0]]
    mixed = mosaic(light, np.full((3, 3), 1 / 3))
    assert mixed == pytest.approx(2.0)


@pytest.mark.parametrize("simple", [False, True])
def test_demosaic_restores_a_uniform_colour(simple: bool) -> None:
    light = np.stack([np.full((8, 8), value, np.float32) for value in (0.2, 0.5, 0.9)])
    for plane, value in zip(rebuilt(light, simple), (0.5, 0.2, 0.9), strict=True):
        assert plane == pytest.approx(value, abs=1e-6)


def test_red_and_blue_are_sampled_at_the_middles_of_the_squares() -> None:
    x = np.arange(16, dtype=np.float32)[None, :] * np.ones((16, 1), np.float32)
    light = np.stack([x, np.zeros_like(x), 2 * x])
    sites = demosaic(mosaic(light, np.eye(3)), simple=True)
    middles = np.arange(0.5, 16, 2)
    # red - green at full size is x there, blue - green is 2 x; the borders have no neighbours
    assert sites.red[4, 1:-1] == pytest.approx(middles[1:-1], abs=1e-4)
    assert sites.blue[4, 1:-1] == pytest.approx(2 * middles[1:-1], abs=1e-4)


def test_gradient_correction_is_sharper() -> None:
    x = np.arange(64)
    stripes = np.tile((0.5 + 0.5 * np.cos(2 * np.pi * x / 4.5)).astype(np.float32), (64, 1))
    light = np.stack([stripes] * 3)
    error = [
        np.abs(demosaic(mosaic(light, np.eye(3)), simple).green - stripes)[4:-4, 4:-4].mean()
        for simple in (False, True)
    ]
    assert error[0] < 0.6 * error[1]
