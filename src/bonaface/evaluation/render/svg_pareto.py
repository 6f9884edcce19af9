"""Draw the error of several systems against what a picture costs them, and those that no other beats in both."""

from collections.abc import Sequence
from itertools import groupby, pairwise
from math import ceil, floor, log10
from typing import NamedTuple

from bonaface.evaluation.render.canvas import BLACK, COLOURS, GREY, Frame, dot, line, round_ticks, text

_PLACES = (1, 2, 5)


class Priced(NamedTuple):
    """A system, what a picture costs it (above 0), and its error as a share."""

    name: str
    cost: float
    error: float


def pareto_front(points: Sequence[Priced]) -> list[Priced]:
    """Return those of `points` that no other beats in one of cost and error without being worse in the other.

    The cheapest come first, so their errors fall.
    """
    return sorted(
        (
            one
            for one in points
            if not any(
                other.cost <= one.cost and other.error <= one.error and other[1:] != one[1:]
                for other in points
            )
        ),
        key=lambda point: (point.cost, point.error),
    )


def pareto_svg(points: Sequence[Priced], error: str, cost: str) -> str:
    """Draw `points` over a logarithmic axis of cost; a line joins the front, whose points are named.

    Args:
        points: at least one; each shows its name and figures under the pointer.
        error: name of the upward axis, in per cent.
        cost: name of the other, with its unit.
    """
    front, frame = pareto_front(points), Frame()
    low, high = (log10(end(point.cost for point in points)) for end in (min, max))
    low, high = floor(3 * low) / 3 - 0.1, ceil(3 * high) / 3 + 0.1
    heights = round_ticks(0.0, max(point.error for point in points) or 1.0, beyond=True)

    def place(point: Priced) -> tuple[float, float]:
        return frame.across((log10(point.cost) - low) / (high - low)), frame.up(point.error / heights[-1])

    legend = [(COLOURS[1], "front"), (COLOURS[0], "others")]
    parts = frame.begin(f"{error} against {cost}", legend)
    for power in range(floor(low), ceil(high) + 1):
        for number in _PLACES:
            tick = log10(number) + power
            if low <= tick <= high:
                x = frame.across((tick - low) / (high - low))
                parts += frame.tick_across(x, f"{number * 10.0**power:g}", grid=True)
    for share in heights:
        parts += frame.tick_up(frame.up(share / heights[-1]), f"{100 * share:.10g}", grid=True)
    corners = [place(point) for point in front]
    # Between two points of the front the dearer one's error is not to be had yet.
    steps = [(x, y) for one, two in pairwise(corners) for x, y in (one, (two[0], one[1]))]
    parts.append(line([*steps, corners[-1]], GREY, dash="4 3"))
    for point in points:
        x, y = place(point)
        told = f"{point.name}: {error} {100 * point.error:.2f}, {cost} {point.cost:.4g}"
        parts.append(dot(x, y, COLOURS[1] if point in front else COLOURS[0], told, radius=4))
    # The front is in order, so equal points follow each other.
    for _, same in groupby(front, key=lambda point: point[1:]):
        first, *others = same
        x, y = place(first)
        right = x > frame.across(0.6)
        named = f"{first.name} and {len(others)} more" if others else first.name
        parts.append(text(x + (-7 if right else 7), y - 6, named, "end" if right else "start"))
    parts.append(line([(frame.across(0), frame.up(0)), (frame.across(1), frame.up(0))], BLACK))
    parts.append(frame.axis_titles(cost, error))
    return "".join([*parts, "</svg>"])
