"""Draw the two pictures of a report as SVG: the DET curve and the score histograms."""

from collections.abc import Iterable, Sequence
from html import escape
from math import ceil, floor, log10

from bonaface.evaluation.curves import LEAST, Det, Histogram, deviate

_TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99)
_EDGES = (0.6, 0.8, 0.9, 0.95, 0.99, 0.999)
_WIDTH, _HEIGHT = 480, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 14, 50
_LEGEND_COLUMNS, _LEGEND_LINE = 3, 16
# Okabe and Ito's palette, which colour-blind readers can tell apart; bona fide is the first.
_COLOURS = ("#0072B2", "#D55E00", "#CC79A7", "#E69F00", "#009E73", "#56B4E9", "#8c6d31", "#666666")


def det_svg(det: Det, operating: tuple[float, float] | None = None) -> str:
    """Draw the DET curve on normal-deviate axes: BPCER upwards, APCER to the right.

    `operating` marks (APCER of the worst species, BPCER) at the threshold in use.
    """
    # Up to 60 %, as DET curves are drawn, unless the curve or the point of a poor system would not show there.
    best = min(max(a, b) for a, b in zip(det.worst, det.bpcer, strict=True))
    inside = max(*(operating or (0.0, 0.0)), 0.0 if best < 0.4 else 0.98)
    low, high = LEAST * 10, next((edge for edge in _EDGES if edge > inside), _EDGES[-1])

    def x(share: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * _position(share, low, high)

    def y(share: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * _position(share, low, high)

    legend = [
        (_COLOURS[0], "all attacks pooled"),
        (_COLOURS[1], "worst species"),
        ("#999999", "equal errors"),
        *([("#000", "at the threshold")] if operating else []),
    ]
    parts = _frame("DET curve: BPCER against APCER, normal-deviate axes", legend)
    for tick in _TICKS:
        if low <= tick <= high:
            parts += _tick(x(tick), y(tick), f"{100 * tick:g}")
    parts.append(_line([(x(low), y(low)), (x(high), y(high))], "#999999", dash="3 4"))
    for shares, colour, name in ((det.pooled, _COLOURS[0], "pooled"), (det.worst, _COLOURS[1], "worst")):
        points = [(x(a), y(b)) for a, b in zip(shares, det.bpcer, strict=True)]
        parts.append(_line(points, colour, title=f"APCER {name}"))
    if operating:
        parts.append(f'<circle cx="{x(operating[0]):.1f}" cy="{y(operating[1]):.1f}" r="5" fill="#000"/>')
    parts.append(_axis_titles("APCER %", "BPCER %"))
    return "".join([*parts, "</svg>"])


def histogram_svg(histogram: Histogram, threshold: float) -> str:
    """Draw the share of each kind's scores in each bin as outlines, and the threshold as an upright line."""
    edges = histogram.edges
    low, high = min(edges[0], threshold), max(edges[-1], threshold)
    shares = {
        name: [count / max(sum(counts), 1) for count in counts] for name, counts in histogram.counts.items()
    }
    highest = max((share for values in shares.values() for share in values), default=1.0) or 1.0
    heights = round_ticks(0.0, highest, beyond=True)
    top = heights[-1]

    def x(score: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (score - low) / (high - low)

    def y(share: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share / top

    legend = [*((_colour(number), name) for number, name in enumerate(shares)), ("#000", "threshold")]
    parts = _frame("Score histograms of bona fide and each attack species", legend)
    for score in round_ticks(low, high):
        parts.append(_text(x(score), _HEIGHT - _BOTTOM + 16, f"{score:.10g}", "middle"))
    for share in heights:
        parts.append(_text(_LEFT - 6, y(share) + 4, f"{100 * share:.10g}", "end"))
    for number, (name, values) in enumerate(shares.items()):
        steps = [
            point
            for left, right, value in zip(edges, edges[1:], values, strict=False)
            for point in ((x(left), y(value)), (x(right), y(value)))
        ]
        outline = [(x(edges[0]), y(0)), *steps, (x(edges[-1]), y(0))]
        parts.append(_line(outline, _colour(number), title=name, fill=number == 0))
    ends = [(x(threshold), y(0)), (x(threshold), y(top))]
    parts.append(_line(ends, "#000", title=f"threshold {threshold:.6g}", dash="6 3"))
    parts.append(_axis_titles("score (higher: bona fide)", "% of the kind"))
    return "".join([*parts, "</svg>"])


def round_ticks(low: float, high: float, beyond: bool = False) -> list[float]:
    """Return about five round numbers between `low` and `high`; with `beyond` the last is the first above `high`.

    They lie 1, 2 or 5 times a power of ten apart.
    """
    rough = (high - low) / 5
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    # Rounded, so that three times 0.1 is 0.3.
    return [round(n * step, 12 - floor(log10(step))) for n in range(first, last + 1 + beyond)]


def _position(share: float, low: float, high: float) -> float:
    """Return where `share` lies between `low` and `high` on a normal-deviate axis, clipped to the frame."""
    bottom, top = deviate(low), deviate(high)
    return min(max((deviate(share) - bottom) / (top - bottom), 0.0), 1.0)


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _frame(title: str, legend: Sequence[tuple[str, str]]) -> list[str]:
    """Return the beginning of a picture: its legend above the plot, and the plot's frame."""
    above = _LEGEND_LINE * -(-len(legend) // _LEGEND_COLUMNS)
    return [
        f'<svg viewBox="0 {-above} {_WIDTH} {_HEIGHT + above}" role="img" font-family="sans-serif" '
        'xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(title)}</title>",
        *_legend(legend, above),
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_WIDTH - _LEFT - _RIGHT}" height="{_HEIGHT - _TOP - _BOTTOM}" '
        'fill="#fff" stroke="#333"/>',
    ]


def _tick(x: float, y: float, text: str) -> list[str]:
    return [
        _line([(x, _TOP), (x, _HEIGHT - _BOTTOM)], "#e4e4e4"),
        _line([(_LEFT, y), (_WIDTH - _RIGHT, y)], "#e4e4e4"),
        _text(x, _HEIGHT - _BOTTOM + 16, text, "middle"),
        _text(_LEFT - 6, y + 4, text, "end"),
    ]


def _line(
    points: Sequence[tuple[float, float]], colour: str, title: str = "", dash: str = "", fill: bool = False
) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    filled = f'fill="{colour}" fill-opacity="0.2"' if fill else 'fill="none"'
    inner = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<polyline points="{path}" {filled} stroke="{colour}" stroke-width="1.6"{dashed}>{inner}</polyline>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="11">{escape(text)}</text>'


def _axis_titles(below: str, beside: str) -> str:
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    return (
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 12, below, "middle")
        + f'<g transform="translate(16 {middle}) rotate(-90)">{_text(0, 0, beside, "middle")}</g>'
    )


def _legend(entries: Iterable[tuple[str, str]], above: int) -> list[str]:
    parts = []
    for number, (colour, name) in enumerate(entries):
        line, column = divmod(number, _LEGEND_COLUMNS)
        x = _LEFT + column * (_WIDTH - _LEFT - _RIGHT) // _LEGEND_COLUMNS
        y = _TOP + 4 + _LEGEND_LINE * line - above
        parts.append(f'<rect x="{x}" y="{y - 8}" width="10" height="8" fill="{colour}"/>')
        parts.append(_text(x + 15, y, name, "start"))
    return parts
