"""Draw how a run learned, as SVG like that of reports: the loss of every step, dev's loss and ACER of every epoch.

Both pictures have the same axis of epochs, so that one can be read above the other.
"""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite

from bonaface.evaluation.render.canvas import BLACK, COLOURS, Frame, dot, line, round_ticks

_POINTS = 300  # of a line; more do not show
_ON_DEV, _IN_TRAINING = COLOURS[1], COLOURS[0]

Row = Mapping[str, float]


def loss_svg(losses: Sequence[tuple[int, float]], rows: Sequence[Row]) -> str:
    """Draw the loss in training at each optimiser step, and dev's after each epoch.

    Long runs are drawn by means over as many steps as there are to a point; a loss that is no finite number is left
    out.

    Args:
        losses: optimiser steps, counted from 1, with their losses.
        rows: of ``history.csv``, at least one, with "step" and "dev/loss".
    """
    steps, shown = rows[0]["step"], _thinned([(step, loss) for step, loss in losses if isfinite(loss)])
    points = [(step / steps, loss) for step, loss in shown]
    dev = [(row["step"] / steps, row["dev/loss"]) for row in rows]
    of = f"mean of {-(-len(losses) // _POINTS)} steps" if len(losses) > _POINTS else "of each step"
    legend = [(_IN_TRAINING, f"training, {of}"), (_ON_DEV, "dev, after each epoch")]
    heights = _heights([loss for _, loss in [*points, *dev]], least=1e-6)
    frame = Frame()
    parts = [*frame.begin("Loss", legend), *_ticks(frame, len(rows), heights, 1.0)]
    x, y = _across(frame, len(rows)), _up(frame, heights)
    parts.append(line([(x(at), y(loss)) for at, loss in points], _IN_TRAINING, "loss in training"))
    parts.append(line([(x(at), y(loss)) for at, loss in dev], _ON_DEV, "loss on dev"))
    parts += [
        dot(x(at), y(loss), _ON_DEV, f"epoch {n}: dev loss {loss:.4g}") for n, (at, loss) in enumerate(dev, 1)
    ]
    return "".join([*parts, frame.axis_titles(f"epoch (of {steps:.0f} steps)", "loss"), "</svg>"])


def acer_svg(rows: Sequence[Row]) -> str:
    """Draw dev's ACER at its EER threshold after each epoch; the epoch whose weights are kept is black."""
    frame, kept = Frame(), best_epoch(rows)
    heights = _heights([row["dev/acer"] for row in rows], least=0.01)
    x, y = _across(frame, len(rows)), _up(frame, heights)
    points = [(x(number), y(row["dev/acer"])) for number, row in enumerate(rows, 1)]
    parts = frame.begin("ACER on dev", [(_ON_DEV, "dev, after each epoch"), (BLACK, "kept")])
    parts += _ticks(frame, len(rows), heights, 100.0)
    parts.append(line(points, _ON_DEV, "ACER on dev"))
    for number, ((at, height), row) in enumerate(zip(points, rows, strict=True), 1):
        told = f"epoch {number}: dev ACER {100 * row['dev/acer']:.2f} %"
        parts.append(dot(at, height, BLACK if number == kept else _ON_DEV, told, 5 if number == kept else 3))
    return "".join([*parts, frame.axis_titles("epoch", "dev ACER %"), "</svg>"])


def best_epoch(rows: Sequence[Row]) -> int:
    """Return the epoch, from 1, whose weights are kept: the lowest ACER, then the lower loss, then the first."""
    return 1 + min(range(len(rows)), key=lambda n: (rows[n]["dev/acer"], rows[n]["dev/loss"]))


def _thinned(losses: Sequence[tuple[int, float]]) -> list[tuple[float, float]]:
    size = max(-(-len(losses) // _POINTS), 1)
    groups = [losses[first : first + size] for first in range(0, len(losses), size)]
    return [
        (sum(step for step, _ in group) / len(group), sum(loss for _, loss in group) / len(group))
        for group in groups
    ]


def _heights(values: Sequence[float], least: float) -> list[float]:
    """Return the ticks of an axis from 0 to above the highest of `values`, none below 0, and above `least`."""
    return round_ticks(0.0, max(*values, least), beyond=True)


def _ticks(frame: Frame, epochs: int, heights: Sequence[float], factor: float) -> list[str]:
    x, y = _across(frame, epochs), _up(frame, heights)
    whole = [tick for tick in round_ticks(0, epochs) if tick == int(tick)]
    across = [part for tick in whole for part in frame.tick_across(x(tick), f"{tick:g}", grid=True)]
    return across + [
        part for height in heights for part in frame.tick_up(y(height), f"{factor * height:.10g}", grid=True)
    ]


def _across(frame: Frame, epochs: int) -> Callable[[float], float]:
    return lambda epoch: frame.across(epoch / epochs)


def _up(frame: Frame, heights: Sequence[float]) -> Callable[[float], float]:
    return lambda value: frame.up(value / heights[-1])
