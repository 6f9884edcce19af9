import numpy as np
import pytest

from bonaface.core.errors import InputError
from bonaface.drawing.colours import viridis
from bonaface.drawing.heat_map import PixelMap, colour_bar, heat_map, overlay, round_ticks

GREY = np.full((40, 60, 3), 100, np.uint8)
TWO = np.array([[0.0, 1.0]])


def test_the_map_lies_at_its_place() -> None:
    drawn = overlay(GREY, PixelMap("map", TWO, (10, 5, 30, 25)), opacity=1.0)
    outside = drawn.copy()
    outside[5:25, 10:30] = 100
    assert (outside == 100).all()
    np.testing.assert_array_equal(drawn[15, 11], viridis(np.array(0.0)))
    np.testing.assert_array_equal(drawn[15, 28], viridis(np.array(1.0)))
    middle = drawn[15, 20].astype(int)  # between the two positions it is interpolated
    np.testing.assert_allclose(middle, viridis(np.array(0.55)), atol=1)


def test_a_map_over_the_edge_is_cut_and_not_squeezed() -> None:
    inside = overlay(np.full((40, 100, 3), 100, np.uint8), PixelMap("map", TWO, (20, 0, 60, 40)), opacity=1.0)
    cut = overlay(GREY, PixelMap("map", TWO, (-20, 0, 20, 40)), opacity=1.0)
    np.testing.assert_allclose(cut[1:-1, 1:19].astype(int), inside[1:-1, 41:59].astype(int), atol=2)


def test_opacity_mixes_with_the_grey_picture() -> None:
    picture = np.zeros((20, 20, 3), np.uint8)
    picture[...] = (200, 100, 50)
    drawn = overlay(picture, PixelMap("map", np.ones((2, 2)), (0, 0, 20, 20)), opacity=0.25)
    grey = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    wanted = 0.75 * grey + 0.25 * viridis(np.array(1.0)).astype(float)
    np.testing.assert_allclose(drawn[10, 10], wanted, atol=1)
    assert (picture == (200, 100, 50)).all(), "the picture itself is left alone"


def test_limits_stretch_the_colours() -> None:
    drawn = overlay(GREY, PixelMap("map", np.full((1, 1), 5.0), (0, 0, 60, 40)), limits=(0, 10), opacity=1.0)
    np.testing.assert_array_equal(drawn[20, 20], viridis(np.array(0.5)))


@pytest.mark.parametrize(
    ("values", "place", "says"),
    [
        (np.zeros((2, 2, 2)), (0, 0, 9, 9), r"must be an array \(h, w\), got \(2, 2, 2\)"),
        (np.zeros((0, 2)), (0, 0, 9, 9), "must be an array"),
        (TWO, (60, 0, 90, 9), "must lie in its picture of 60 x 40 pixels"),
        (TWO, (9, 9, 9, 9), "must lie in its picture"),
    ],
)
def test_refuses_what_is_no_map_of_the_picture(values: np.ndarray, place: tuple, says: str) -> None:
    with pytest.raises(InputError, match=says):
        overlay(GREY, PixelMap("map", values, place))


@pytest.mark.parametrize(
    ("low", "high", "count", "ticks"),
    [
        (0, 1, 5, [0, 0.5, 1]),
        (0, 1, 6, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 1, 2, [0, 1]),
        (-3, 12, 4, [0, 5, 10]),
        (0.2013, 0.2087, 5, [0.202, 0.204, 0.206, 0.208]),
        (0, 3e6, 4, [0, 1e6, 2e6, 3e6]),
    ],
)
def test_ticks_are_round(low: float, high: float, count: int, ticks: list[float]) -> None:
    assert round_ticks(low, high, count) == pytest.approx(ticks)


@pytest.mark.parametrize("limits", [(1, 1), (2, 1), (0, float("inf")), (float("nan"), 1)])
def test_refuses_limits_that_are_no_range(limits: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="the lower one first"):
        round_ticks(*limits, 5)
    with pytest.raises(InputError, match="the lower one first"):
        overlay(GREY, PixelMap("map", TWO, (0, 0, 9, 9)), limits=limits)


def test_the_bar_is_yellow_at_the_top_and_violet_at_the_bottom() -> None:
    bar = np.asarray(colour_bar(200, "bona fide"))
    column = bar[:, 5][(bar[:, 5] != 255).any(1)]
    np.testing.assert_array_equal(column[0], viridis(np.array(1.0)))
    np.testing.assert_array_equal(column[-1], viridis(np.array(0.0)))
    assert abs(len(bar) - 200) <= 1


def test_a_figure_has_a_panel_for_each_map_a_bar_and_a_caption() -> None:
    picture = np.full((200, 200, 3), 90, np.uint8)
    maps = [PixelMap(name, np.eye(4), (50, 50, 150, 150)) for name in ("one", "two")]
    one, two = heat_map(picture, maps[:1]), heat_map(picture, maps)
    assert two.width - one.width == 210
    told = heat_map(picture, maps, "a caption " * 40)
    assert told.width == two.width
    assert told.height > two.height
    white_below = np.asarray(told)[two.height :]
    assert (white_below < 128).any(), "the caption is written below"
    with pytest.raises(InputError, match="at least one pixel map"):
        heat_map(picture, [])


def test_a_tiny_picture_is_enlarged_to_be_seen() -> None:
    figure = heat_map(np.zeros((4, 4, 3), np.uint8), [PixelMap("map", TWO, (0, 0, 4, 4))], "caption")
    assert figure.width > 160
    assert figure.height > 160
