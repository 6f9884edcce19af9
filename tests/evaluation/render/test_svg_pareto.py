import re
from math import log10

import pytest

from bonaface.evaluation.render.svg_pareto import Priced, pareto_front, pareto_svg

POINTS = [
    Priced("slow and good", 100.0, 0.05),
    Priced("quick", 1.0, 0.4),
    Priced("beaten", 20.0, 0.4),
    Priced("middling", 10.0, 0.2),
    Priced("dearer than middling", 10.5, 0.2),
]


def test_the_front_has_what_no_other_beats() -> None:
    assert [point.name for point in pareto_front(POINTS)] == ["quick", "middling", "slow and good"]


def test_twins_are_both_on_the_front() -> None:
    twins = [Priced("a", 1.0, 0.1), Priced("b", 1.0, 0.1), Priced("c", 1.0, 0.2)]
    assert [point.name for point in pareto_front(twins)] == ["a", "b"]


def test_points_lie_at_their_cost_and_error() -> None:
    svg = pareto_svg(POINTS, "ACER %", "ms a picture")
    found = {
        name: (float(x), float(y), colour)
        for x, y, colour, name in re.findall(
            r'<circle cx="([\d.]+)" cy="([\d.]+)" r="4" fill="(#\w+)"><title>([^:]*):', svg
        )
    }
    assert set(found) == {point.name for point in POINTS}
    # A decade is as wide as the next; the error falls towards the foot at 350.
    first, second, third = (found[name][0] for name in ("quick", "middling", "slow and good"))
    assert second - first == pytest.approx(third - second, abs=0.2)
    assert (350 - found["quick"][1]) / (350 - found["middling"][1]) == pytest.approx(2, abs=0.01)
    ratio = (found["beaten"][0] - first) / (second - first)
    assert ratio == pytest.approx(log10(20), abs=0.01)
    assert {name for name, (*_, colour) in found.items() if colour == found["quick"][2]} == {
        point.name for point in pareto_front(POINTS)
    }
    assert re.findall(r'font-size="11">(quick|middling|slow and good|beaten)<', svg) == [
        "quick",
        "middling",
        "slow and good",
    ]


def test_one_system_without_an_error_is_drawn() -> None:
    svg = pareto_svg([Priced("a", 3.0, 0.0)], "ACER %", "ms")
    assert "a: ACER % 0.00, ms 3" in svg
    assert "nan" not in svg


def test_twins_have_one_label() -> None:
    drawn = pareto_svg([Priced("a", 1.0, 0.5), Priced("b", 1.0, 0.5), Priced("c", 2.0, 0.25)], "ACER", "ms")
    assert ">a and 1 more</text>" in drawn
    assert ">b</text>" not in drawn
    assert ">c</text>" in drawn
