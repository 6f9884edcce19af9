import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from bonaface.simulate.camera import Camera, Shot, View, through_lens
from bonaface.simulate.display import DISPLAYS, spectrum
from bonaface.simulate.halftone import _dot_table, dot_waves, lattice_waves, too_fine
from bonaface.simulate.warp import projective_map


def drawn_panel(layout: str, cells: int, fine: int) -> NDArray[np.float64]:
    """Return sub-pixels drawn as they are, (3, cells * fine, cells * fine), each colour's mean 1."""
    u = (np.arange(cells * fine) + 0.5) / fine
    x, y = np.meshgrid(u, u)

    def box(cx: float, cy: float, w: float, h: float) -> NDArray[np.float64]:
        return (
            (np.abs(np.mod(x - cx + 0.5, 1) - 0.5) < w / 2) & (np.abs(np.mod(y - cy + 0.5, 1) - 0.5) < h / 2)
        ).astype(float)

    def every_other(cx: float, cy: float, w: float, h: float) -> NDArray[np.float64]:
        near_x, near_y = np.mod(x - cx + 1, 2) - 1, np.mod(y - cy + 1, 2) - 1
        one = (np.abs(near_x) < w / 2) & (np.abs(near_y) < h / 2)
        near_x, near_y = np.mod(x - cx, 2) - 1, np.mod(y - cy, 2) - 1
        return (one | ((np.abs(near_x) < w / 2) & (np.abs(near_y) < h / 2))).astype(float)

    if layout == "stripe":
        planes = [box(c, 0.5, 0.26, 0.85) for c in (1 / 6, 0.5, 5 / 6)]
    else:
        planes = [
            every_other(0.0, 0.0, 0.5, 0.5),
            box(0.5, 0.5, 0.42, 0.42),
            every_other(1.0, 0.0, 0.55, 0.55),
        ]
    return np.stack([plane / plane.mean() for plane in planes])


@pytest.mark.parametrize("layout", ["stripe", "pentile"])
def test_the_lines_are_those_of_the_drawn_sub_pixels(layout: str) -> None:
    cells, fine = 4, 300
    drawn = drawn_panel(layout, cells, fine)
    for channel in range(3):
        found = np.fft.fft2(drawn[channel]) / drawn[channel].size
        for line in spectrum(layout):
            kx, ky = (round(k * cells) for k in line.k)
            # half a sample's shift: the drawing's first sample is at 0.5 / fine
            wanted = 2 * found[ky, kx] * np.exp(-1j * np.pi * (line.k[0] + line.k[1]) / fine)
            ours = line.weights[channel] * np.exp(2j * np.pi * line.shifts[channel])
            assert ours == pytest.approx(wanted, abs=0.03), (line.k, channel)


@pytest.mark.parametrize("coverage", [0.1, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("k", [(1, 0), (1, 1)])
def test_the_dots_are_round_dots(coverage: float, k: tuple[int, int]) -> None:
    n = 400
    u = (np.arange(n) + 0.5) / n - 0.5
    x, y = np.meshgrid(u, u)
    inked = np.hypot(x, y) <= np.sqrt(min(coverage, 1 - coverage) / np.pi)
    if coverage > 0.5:
        inked = ~inked
    wanted = 2 * np.abs(np.fft.fft2(inked)[k[1], k[0]]) / n**2
    table = _dot_table(k[0] ** 2 + k[1] ** 2)
    assert abs(table[round(coverage * 255)]) == pytest.approx(wanted, abs=0.005)


def test_no_ink_and_all_ink_have_no_dots() -> None:
    assert _dot_table(1)[0] == pytest.approx(0, abs=1e-6)
    assert _dot_table(1)[-1] == pytest.approx(0, abs=1e-6)


def test_the_camera_reads_the_panel_like_its_drawing() -> None:
    """The reference: sub-pixels drawn very finely, blurred by the aperture and read at the sensor's pixels."""
    step = 0.93  # panel pixels for one of the camera's: a beat of 14 pixels
    side, fine, lens = 96, 60, 0.35
    u = step * ((np.arange(side * fine) + 0.5) / fine - 0.5)
    where = projective_map(np.diag([step, step, 1.0]), (side, side))
    light = np.ones((3, side, side), np.float32)
    waves = lattice_waves(where, light, spectrum("stripe"))
    camera = Camera("still", lens=lens, fill=1.0, fringe=0.0, vignette=0.0)
    seen = through_lens(View(light, waves), camera, Shot(), 1.0)
    for channel, (centre, worse) in enumerate(((1 / 6, 1.15), (0.5, 1.0), (5 / 6, 1.25))):
        lit = (np.abs(np.mod(u - centre + 0.5, 1) - 0.5) < 0.13) / 0.26
        lit = ndimage.gaussian_filter1d(lit, lens * worse * fine).reshape(side, fine).mean(1)
        across = seen[channel].mean(0)
        assert across[3:-3] == pytest.approx(lit[3:-3], abs=0.04)
        assert np.ptp(lit[3:-3]) > 0.04


def test_lines_too_fine_for_a_camera_are_left_out() -> None:
    fine = projective_map(np.diag([3.0, 3.0, 1.0]), (32, 32))
    light = np.ones((3, 32, 32), np.float32)
    assert lattice_waves(fine, light, spectrum("stripe")) == ()
    assert too_fine(fine, 15.0)
    assert dot_waves(fine, light[0] * 0.5, -light, 15.0) == ()
    coarse = projective_map(np.diag([0.2, 0.2, 1.0]), (32, 32))
    assert not too_fine(coarse, 15.0)
    assert len(dot_waves(coarse, light[0] * 0.5, -light, 15.0)) == 4


def test_every_display_has_a_spectrum() -> None:
    assert all(spectrum(display.layout) for display in DISPLAYS)
