import numpy as np
import pytest

from bonaface.drawing.colours import viridis

# G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, IEEE TVCG 15(6), 2009, table 1: full severity, of linear RGB.
SEEN_BY = {
    "protanopes": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopes": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopes": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
    "all others": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}  # fmt: skip


def test_colours_are_those_of_matplotlib() -> None:
    """`matplotlib.cm.viridis` at 0, 1/3, 1/2 and 1, rounded; between its table's steps 3 of 255 may be missed."""
    wanted = [(68, 1, 84), (49, 104, 142), (33, 145, 140), (253, 231, 37)]
    found = viridis(np.array([0, 1 / 3, 0.5, 1]))
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found, wanted, atol=3)


def test_beyond_the_ends_and_without_a_number() -> None:
    found = viridis(np.array([[-5.0, 0.0], [1.0, 7.0], [np.nan, np.inf]]))
    assert found.shape == (3, 2, 3)
    assert (found[0, 0] == found[0, 1]).all()
    assert (found[1, 0] == found[1, 1]).all()
    assert (found[2, 0] == 128).all()
    assert (found[2, 1] == found[1, 0]).all()


@pytest.mark.parametrize("who", SEEN_BY)
def test_higher_is_lighter_for_every_eye(who: str) -> None:
    colours = viridis(np.linspace(0, 1, 64)) / 255
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)  # sRGB
    seen = np.clip(linear @ np.array(SEEN_BY[who]).T, 0, 1)
    lightness = 116 * np.cbrt(seen @ (0.2126, 0.7152, 0.0722)) - 16  # CIE L*, where it is above 8
    assert (np.diff(lightness) > 0).all()
    assert lightness[-1] - lightness[0] > 60
