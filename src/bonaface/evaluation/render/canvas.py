"""What the pictures of a report share: a frame with axes, lines, text, a legend, colours, round ticks; as SVG."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, isclose, log10

RIGHT, TOP, BOTTOM = 14, 14, 50
# Okabe and Ito's palette, which colour-blind readers can tell apart; bona fide is the first.
COLOURS = ("#0072B2", "#D55E00", "#CC79A7", "#E69F00", "#009E73", "#56B4E9", "#8c6d31", "#666666")
BLACK, GREY, PALE = "#000", "#999999", "#e4e4e4"
_LEGEND_COLUMNS, _LEGEND_LINE = 3, 16
_ALMOST = 1e-9


@dataclass(frozen=True, slots=True)
class Frame:
    """A plot's place in its picture, in the units of its view box: the picture's size and the margin to the left."""

    width: int = 480
    height: int = 400
    left: int = 62

    def across(self, share: float) -> float:
        """Return the x of a `share` of the plot's width, from its left side."""
        return self.left + (self.width - self.left - RIGHT) * share

    def up(self, share: float) -> float:
        """Return the y of a `share` of the plot's height, from its foot."""
        return self.height - BOTTOM - (self.height - TOP - BOTTOM) * share

    def begin(self, title: str, legend: Sequence[tuple[str, str]] = (), data: str = "") -> list[str]:
        """Return the beginning of a picture: its legend of (colour, name) above the plot, and the plot's frame.

        `data` are further attributes of the picture, for the page's script.
        """
        above = _LEGEND_LINE * -(-len(legend) // _LEGEND_COLUMNS)
        return [
            f'<svg viewBox="0 {-above} {self.width} {self.height + above}" role="img" font-family="sans-serif" '
            f'xmlns="http://www.w3.org/2000/svg"{data and " "}{data}>',
            f"<title>{escape(title)}</title>",
            *self._legend(legend, above),
            f'<rect x="{self.left}" y="{TOP}" width="{self.width - self.left - RIGHT}" '
            f'height="{self.height - TOP - BOTTOM}" fill="#fff" stroke="#333"/>',
        ]

    def tick_across(self, x: float, words: str, grid: bool = False) -> list[str]:
        """Return a tick below the plot, with a line up through it if there is a `grid`."""
        line_up = [line([(x, TOP), (x, self.height - BOTTOM)], PALE)] if grid else []
        return [*line_up, text(x, self.height - BOTTOM + 16, words, "middle")]

    def tick_up(self, y: float, words: str, grid: bool = False) -> list[str]:
        """Return a tick left of the plot, with a line across it if there is a `grid`."""
        across = [line([(self.left, y), (self.width - RIGHT, y)], PALE)] if grid else []
        return [*across, text(self.left - 6, y + 4, words, "end")]

    def axis_titles(self, below: str, beside: str = "") -> str:
        """Return what the axes show, below and left of the plot."""
        found = text((self.left + self.width - RIGHT) / 2, self.height - 12, below, "middle")
        if beside:
            middle = (TOP + self.height - BOTTOM) / 2
            found += f'<g transform="translate(16 {middle}) rotate(-90)">{text(0, 0, beside, "middle")}</g>'
        return found

    def _legend(self, entries: Iterable[tuple[str, str]], above: int) -> list[str]:
        parts = []
        for number, (filled, name) in enumerate(entries):
            row, column = divmod(number, _LEGEND_COLUMNS)
            x = self.left + column * (self.width - self.left - RIGHT) // _LEGEND_COLUMNS
            y = TOP + 4 + _LEGEND_LINE * row - above
            parts.append(f'<rect x="{x}" y="{y - 8}" width="10" height="8" fill="{filled}"/>')
            parts.append(text(x + 15, y, name, "start"))
        return parts


def colour(number: int) -> str:
    """Return the colour of the kind `number`, from 0."""
    return COLOURS[number % len(COLOURS)]


def line(
    points: Sequence[tuple[float, float]], stroke: str, title: str = "", dash: str = "", fill: bool = False
) -> str:
    """Return a line through `points`; `title` is shown under the pointer."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    filled = f'fill="{stroke}" fill-opacity="0.2"' if fill else 'fill="none"'
    inner = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<polyline points="{path}" {filled} stroke="{stroke}" stroke-width="1.6"{dashed}>{inner}</polyline>'
    )


def dot(x: float, y: float, fill: str, title: str = "", radius: float = 3, opacity: float = 1.0) -> str:
    """Return a dot; `title` is shown under the pointer."""
    pale = "" if opacity == 1 else f' fill-opacity="{opacity:g}"'
    place = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{fill}"{pale}'
    return f"{place}><title>{escape(title)}</title></circle>" if title else f"{place}/>"


def bar(x: float, y: float, width: float, height: float, fill: str, title: str) -> str:
    """Return a bar with its upper left corner at (x, y); `title` is shown under the pointer."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}">'
        f"<title>{escape(title)}</title></rect>"
    )


def text(x: float, y: float, words: str, anchor: str) -> str:
    """Return `words` at a place that is their start, middle or end, as `anchor` says."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="11">{escape(words)}</text>'


def round_ticks(low: float, high: float, beyond: bool = False) -> list[float]:
    """Return about five round numbers between `low` and `high`; with `beyond` the last is the first above `high`.

    They lie 1, 2 or 5 times a power of ten apart.
    """
    rough = (high - low) / 5
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - _ALMOST))
    first, last = -floor(-low / step + _ALMOST), floor(high / step + _ALMOST)
    # Rounded, so that three times 0.1 is 0.3.
    return [round(n * step, 12 - floor(log10(step))) for n in range(first, last + 1 + beyond)]


def wider(low: float, high: float) -> tuple[float, float]:
    """Return the limits, or some around them where they are the same number."""
    if not isclose(low, high, rel_tol=1e-12, abs_tol=1e-300):
        return low, high
    half = 0.5 * max(abs(low), 1.0)
    return low - half, high + half
