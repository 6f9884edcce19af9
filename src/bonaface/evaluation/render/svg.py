"""Draw the curves of a report as SVG: DET curve, errors by threshold, score histograms, calibration."""

from dataclasses import dataclass

from bonaface.evaluation.curves import LEAST, Calibration, Det, Histogram, deviate
from bonaface.evaluation.render.canvas import (
    BLACK,
    COLOURS,
    GREY,
    Frame,
    colour,
    dot,
    line,
    round_ticks,
    wider,
)
from bonaface.evaluation.report import Fold
from bonaface.metrics.intervals import wilson

TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99)
_EDGES = (0.6, 0.8, 0.9, 0.95, 0.99, 0.999)
_TENTHS = tuple(n / 5 for n in range(6))
SCORE = "score (higher: bona fide)"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the axes of all panels of a kind reach to, so that folds can be compared by eye.

    `score` are the lowest and highest score or threshold, `frame` the same with single frames of videos; `share` is
    the highest share of a histogram's bin, `error` the highest upper end of an error's interval, `det` the highest
    share of a DET curve's axes.
    """

    score: tuple[float, float]
    frame: tuple[float, float]
    share: float
    error: float
    det: float


def limits_of(folds: tuple[Fold, ...]) -> Limits:
    """Return the limits of the plots of `folds`."""
    scores = [fold.threshold.value for fold in folds]
    frames: list[float] = []
    shares, errors, ends = [0.0], [0.0], [_EDGES[0]]
    for fold in folds:
        if fold.histogram:
            scores += [fold.histogram.edges[0], fold.histogram.edges[-1]]
            shares += [share for values in _shares(fold.histogram).values() for share in values]
        figures = (fold.test.errors.bpcer, *fold.test.errors.per_species.values())
        errors += [figure.interval.high for figure in figures if figure.interval]
        if fold.det:
            ends.append(_det_end(fold.det, operating_point(fold)))
        frames += [score for video in fold.videos for score in video.scores if score is not None]
    around = wider(min(scores), max(scores))
    with_frames = wider(min(scores + frames), max(scores + frames))
    return Limits(around, with_frames, max(shares) or 1.0, max(errors) or 1.0, max(ends))


def operating_point(fold: Fold) -> tuple[float, float] | None:
    """Return (APCER of the worst species, BPCER) at the threshold in use; None where a class is missing."""
    apcer, bpcer = fold.test.errors.apcer["species"].value, fold.test.errors.bpcer.value
    return (apcer, bpcer) if apcer is not None and bpcer is not None else None


def det_svg(det: Det, operating: tuple[float, float] | None = None, end: float | None = None) -> str:
    """Draw the DET curve on normal-deviate axes: BPCER upwards, APCER to the right.

    `operating` marks (APCER of the worst species, BPCER) at the threshold in use; the axes reach to the share `end`.
    """
    low, high, frame = LEAST * 10, end or _det_end(det, operating), Frame()

    def x(share: float) -> float:
        return frame.across(_position(share, low, high))

    def y(share: float) -> float:
        return frame.up(_position(share, low, high))

    legend = [
        (COLOURS[0], "all attacks pooled"),
        (COLOURS[1], "worst species"),
        (GREY, "equal errors"),
        *([(BLACK, "at the threshold")] if operating else []),
    ]
    parts = frame.begin("DET curve: BPCER against APCER, normal-deviate axes", legend, 'data-plot="det"')
    for tick in TICKS:
        if low <= tick <= high:
            parts += frame.tick_across(x(tick), f"{100 * tick:g}", grid=True)
            parts += frame.tick_up(y(tick), f"{100 * tick:g}", grid=True)
    parts.append(line([(x(low), y(low)), (x(high), y(high))], GREY, dash="3 4"))
    for shares, stroke, name in ((det.pooled, COLOURS[0], "pooled"), (det.worst, COLOURS[1], "worst")):
        points = [(x(a), y(b)) for a, b in zip(shares, det.bpcer, strict=True)]
        parts.append(line(points, stroke, title=f"APCER {name}"))
    if operating:
        parts.append(dot(x(operating[0]), y(operating[1]), BLACK, radius=5))
    parts.append(frame.axis_titles("APCER %", "BPCER %"))
    return "".join([*parts, "</svg>"])


def sweep_svg(det: Det, threshold: float, limits: tuple[float, float] | None = None) -> str:
    """Draw APCER and BPCER against the threshold, and the `threshold` in use as an upright line.

    `limits` are the ends of the axis of thresholds; by default those of the curve.
    """
    low, high = limits or _reaching(det.thresholds[0], det.thresholds[-1], threshold)
    frame = Frame()

    def x(score: float) -> float:
        return frame.across(min(max((score - low) / (high - low), 0.0), 1.0))

    curves = {
        "APCER, worst species": (COLOURS[1], det.worst),
        "APCER, pooled": (COLOURS[2], det.pooled),
        "BPCER": (COLOURS[0], det.bpcer),
    }
    legend = [*((stroke, name) for name, (stroke, _) in curves.items()), (BLACK, "threshold")]
    parts = frame.begin("APCER and BPCER against the threshold", legend, _score_axis(low, high))
    parts += _score_ticks(frame, low, high)
    for share in _TENTHS:
        parts += frame.tick_up(frame.up(share), f"{100 * share:g}", grid=True)
    for name, (stroke, shares) in curves.items():
        points = [(x(t), frame.up(share)) for t, share in zip(det.thresholds, shares, strict=True)]
        parts.append(line(points, stroke, title=name))
    parts.append(_upright(frame, x(threshold), threshold))
    parts.append(frame.axis_titles("threshold", "% of the kind decided wrongly"))
    return "".join([*parts, "</svg>"])


def histogram_svg(
    histogram: Histogram, threshold: float, limits: tuple[float, float] | None = None, highest: float = 0.0
) -> str:
    """Draw the share of each kind's scores in each bin as outlines, and the threshold as an upright line.

    `limits` are the ends of the axis of scores, `highest` is a share that the other axis has to reach.
    """
    edges, shares, frame = histogram.edges, _shares(histogram), Frame()
    low, high = limits or _reaching(edges[0], edges[-1], threshold)
    highest = max(highest, *(share for values in shares.values() for share in values)) or 1.0
    heights = round_ticks(0.0, highest, beyond=True)

    def x(score: float) -> float:
        return frame.across((score - low) / (high - low))

    def y(share: float) -> float:
        return frame.up(share / heights[-1])

    legend = [*((colour(number), name) for number, name in enumerate(shares)), (BLACK, "threshold")]
    title = "Score histograms of bona fide and each attack species"
    parts = frame.begin(title, legend, _score_axis(low, high))
    parts += _score_ticks(frame, low, high)
    for share in heights:
        parts += frame.tick_up(y(share), f"{100 * share:.10g}")
    for number, (name, values) in enumerate(shares.items()):
        steps = [
            point
            for left, right, value in zip(edges, edges[1:], values, strict=False)
            for point in ((x(left), y(value)), (x(right), y(value)))
        ]
        outline = [(x(edges[0]), y(0)), *steps, (x(edges[-1]), y(0))]
        parts.append(line(outline, colour(number), title=name, fill=number == 0))
    parts.append(_upright(frame, x(threshold), threshold))
    parts.append(frame.axis_titles(SCORE, "% of the kind"))
    return "".join([*parts, "</svg>"])


def calibration_svg(calibration: Calibration) -> str:
    """Draw the share of bona fide presentations in each bin against its mean score, with Wilson's 95 % intervals."""
    frame = Frame()
    legend = [(COLOURS[0], "share that is bona fide"), (GREY, "score = share")]
    parts = frame.begin("Share of bona fide presentations against the score", legend)
    for share in _TENTHS:
        parts += frame.tick_across(frame.across(share), f"{share:g}", grid=True)
        parts += frame.tick_up(frame.up(share), f"{100 * share:g}", grid=True)
    parts.append(line([(frame.across(0), frame.up(0)), (frame.across(1), frame.up(1))], GREY, dash="3 4"))
    bins = list(zip(calibration.scores, calibration.bona_fide, calibration.totals, strict=True))
    parts.append(line([(frame.across(s), frame.up(real / total)) for s, real, total in bins], COLOURS[0]))
    for score, real, total in bins:
        bounds = wilson(real, total)
        x = frame.across(score)
        parts.append(line([(x, frame.up(bounds.low)), (x, frame.up(bounds.high))], COLOURS[0]))
        told = f"mean score {score:.3f}: {real} of {total} bona fide ({100 * real / total:.1f} %)"
        parts.append(dot(x, frame.up(real / total), COLOURS[0], told, radius=4))
    parts.append(frame.axis_titles("mean score of the bin", "% bona fide"))
    return "".join([*parts, "</svg>"])


def _shares(histogram: Histogram) -> dict[str, list[float]]:
    return {
        name: [count / max(sum(counts), 1) for count in counts] for name, counts in histogram.counts.items()
    }


def _det_end(det: Det, operating: tuple[float, float] | None) -> float:
    """Return the share that the axes of a DET curve reach to.

    60 %, as DET curves are drawn, unless the curve or the point of a poor system would not show there.
    """
    best = min(max(a, b) for a, b in zip(det.worst, det.bpcer, strict=True))
    inside = max(*(operating or (0.0, 0.0)), 0.0 if best < 0.4 else 0.98)
    return next((edge for edge in _EDGES if edge > inside), _EDGES[-1])


def _reaching(low: float, high: float, threshold: float) -> tuple[float, float]:
    return wider(min(low, threshold), max(high, threshold))


def _position(share: float, low: float, high: float) -> float:
    """Return where `share` lies between `low` and `high` on a normal-deviate axis, clipped to the frame."""
    bottom, top = deviate(low), deviate(high)
    return min(max((deviate(share) - bottom) / (top - bottom), 0.0), 1.0)


def _score_axis(low: float, high: float) -> str:
    return f'data-plot="score" data-low="{low!r}" data-high="{high!r}"'


def _score_ticks(frame: Frame, low: float, high: float) -> list[str]:
    return [
        part
        for score in round_ticks(low, high)
        for part in frame.tick_across(frame.across((score - low) / (high - low)), f"{score:.10g}")
    ]


def _upright(frame: Frame, x: float, threshold: float) -> str:
    return line([(x, frame.up(0)), (x, frame.up(1))], BLACK, title=f"threshold {threshold:.6g}", dash="6 3")
