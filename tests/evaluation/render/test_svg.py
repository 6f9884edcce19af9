import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from bonaface.evaluation import evaluate_table
from bonaface.evaluation.aggregate import to_unit
from bonaface.evaluation.curves import Calibration, Det
from bonaface.evaluation.render.canvas import round_ticks, wider
from bonaface.evaluation.render.svg import calibration_svg, det_svg, histogram_svg, limits_of, sweep_svg


def _points(svg: str, title: str) -> list[tuple[float, ...]]:
    (found,) = re.findall(rf'<polyline points="([^"]*)"[^>]*><title>{title}</title>', svg)
    return [tuple(map(float, point.split(","))) for point in found.split()]


def test_det_curve_passes_through_the_errors(drawn: Callable[..., Any]) -> None:
    fold = evaluate_table(drawn()).folds[0]
    svg = det_svg(fold.det, (0.05, 0.05))
    points = _points(svg, "APCER worst")
    assert len(points) == len(fold.det.worst)
    # Rising thresholds: to the left and up (y falls on the page), never back.
    assert all(x2 <= x1 and y2 <= y1 for (x1, y1), (x2, y2) in pairwise(points))
    (centre,) = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)
    left, right, top, bottom = 62, 466, 14, 350
    assert left < float(centre[0]) < right
    # On normal-deviate axes from 0.1 % to 60 %; equal errors lie on the diagonal.
    share = (float(centre[0]) - left) / (right - left)
    low, here, high = norm.ppf([0.001, 0.05, 0.6])
    assert share == pytest.approx((here - low) / (high - low), abs=1e-3)
    assert float(centre[1]) == pytest.approx(bottom - share * (bottom - top), abs=0.2)


def test_histogram_bins_are_drawn_at_their_scores(drawn: Callable[..., Any]) -> None:
    fold = evaluate_table(drawn()).folds[0]
    svg = histogram_svg(fold.histogram, fold.threshold.value)
    for name, counts in fold.histogram.counts.items():
        heights = [350 - y for _, y in _points(svg, name)]
        assert (heights.index(max(heights)) - 1) // 2 == counts.index(max(counts))
    (line,) = [_points(svg, f"threshold {fold.threshold.value:.6g}")]
    edges = fold.histogram.edges
    expected = 62 + 404 * (fold.threshold.value - edges[0]) / (edges[-1] - edges[0])
    assert line[0][0] == line[1][0] == pytest.approx(expected, abs=0.1)


def test_the_legend_covers_no_curve(drawn: Callable[..., Any]) -> None:
    fold = evaluate_table(drawn()).folds[0]
    for svg, names in (
        (
            det_svg(fold.det, (0.05, 0.05)),
            ["all attacks pooled", "worst species", "equal errors", "at the threshold"],
        ),
        (histogram_svg(fold.histogram, 0.5), [*fold.histogram.counts, "threshold"]),
    ):
        (top,) = re.findall(r'viewBox="0 (-?\d+) ', svg)
        positions = [float(re.search(rf'y="([-\d.]+)"[^>]*>{name}</text>', svg)[1]) for name in names]
        assert all(int(top) < y < 14 for y in positions)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.132, 0.871, [0.2, 0.4, 0.6, 0.8]),
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-3.7, 12.2, [0, 5, 10]),
        (0.132, 0.306, [0.15, 0.2, 0.25, 0.3]),
        (-2e38, 3e38, [-2e38, -1e38, 0, 1e38, 2e38, 3e38]),
        (1e-9, 5e-9, [1e-9, 2e-9, 3e-9, 4e-9, 5e-9]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert round_ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("highest", [0.03, 0.2, 0.62, 0.999, 1.0])
def test_the_top_lies_above_the_largest_value(highest: float) -> None:
    ticks = round_ticks(0.0, highest, beyond=True)
    assert ticks[0] == 0
    assert highest < ticks[-1] <= 1.7 * highest


@pytest.mark.parametrize("apcer", [0.55, 0.6, 0.62, 0.9, 0.985])
def test_the_point_in_use_lies_within_the_det_curves_frame(apcer: float) -> None:
    det = Det((0.0, 0.5), (1.0, 0.01), (1.0, 0.01), (0.0, 0.02))
    (x, y) = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', det_svg(det, (apcer, 0.1)))[0]
    assert 62 < float(x) < 480 - 14 - 2
    assert 14 + 2 < float(y) < 400 - 50


def test_the_sweep_shows_the_errors_at_every_threshold(drawn: Callable[..., Any]) -> None:
    table = drawn()
    fold = evaluate_table(table).folds[0]
    svg = sweep_svg(fold.det, 0.5, (-1.0, 2.0))
    test = to_unit(table.where("split", "test")).scored()
    species = np.array(test.species.names)[test.species.codes]
    bona_fide = test.labels == 1
    curves = {name: _points(svg, name) for name in ("APCER, worst species", "APCER, pooled", "BPCER")}
    for row, threshold in enumerate(fold.det.thresholds):
        accepted = test.scores >= threshold
        expected = (
            max(accepted[~bona_fide & (species == name)].mean() for name in test.species.names),
            accepted[~bona_fide].mean(),
            (~accepted[bona_fide]).mean(),
        )
        for points, share in zip(curves.values(), expected, strict=True):
            assert points[row][0] == pytest.approx(62 + 404 * (threshold + 1) / 3, abs=0.06)
            assert points[row][1] == pytest.approx(350 - 336 * share, abs=0.06)
    assert _points(svg, "threshold 0.5")[0][0] == pytest.approx(62 + 404 / 2, abs=0.06)


def test_calibration_dots_lie_at_score_and_share() -> None:
    svg = calibration_svg(Calibration((0.25, 0.75), (1, 9), (4, 10), 0.1))
    dots = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"[^>]*><title>([^<]*)', svg)
    assert [(float(x), float(y)) for x, y, _ in dots] == [(163.0, 266.0), (365.0, 47.6)]
    assert dots[1][2] == "mean score 0.750: 9 of 10 bona fide (90.0 %)"


def test_limits_reach_over_all_folds(drawn: Callable[..., Any]) -> None:
    folds = tuple(evaluate_table(drawn(seed=n, shift=n / 2)).folds[0] for n in (0, 1))
    limits = limits_of(folds)
    assert limits.score == (
        min(fold.histogram.edges[0] for fold in folds),
        max(fold.histogram.edges[-1] for fold in folds),
    )
    highs = [figure.interval.high for fold in folds for figure in fold.test.errors.per_species.values()]
    assert limits.error == max(*highs, *(fold.test.errors.bpcer.interval.high for fold in folds))


@pytest.mark.parametrize(("given", "expected"), [((1, 2), (1, 2)), ((0, 0), (-0.5, 0.5)), ((8, 8), (4, 12))])
def test_an_axis_has_a_length(given: tuple[float, float], expected: tuple[float, float]) -> None:
    assert wider(*given) == expected
