from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.calibration import calibration_curve

from bonaface.evaluation.aggregate import to_unit
from bonaface.evaluation.curves import LEAST, calibration_of, det_of, deviate, histogram_of
from bonaface.evaluation.score_table import ScoreTable
from bonaface.metrics.rates import apcer, bpcer, worst_apcer


def test_det_points_are_errors_at_their_thresholds(drawn: Callable[..., Any]) -> None:
    samples = to_unit(drawn(videos=900), "frame").scored()
    det = det_of(samples)
    assert 100 < len(det.thresholds) <= 302
    assert list(det.thresholds) == sorted(det.thresholds)
    rows = samples.labels, samples.scores
    for threshold, pooled, worst, rejected in zip(
        det.thresholds, det.pooled, det.worst, det.bpcer, strict=True
    ):
        assert apcer(*rows, threshold).value == pooled
        assert worst_apcer(samples.labels, samples.species, samples.scores, threshold).value == worst
        assert bpcer(*rows, threshold).value == rejected
    assert (det.pooled[0], det.bpcer[0], det.pooled[-1], det.bpcer[-1]) == (1, 0, 0, 1)


def test_thinning_leaves_no_visible_gap(drawn: Callable[..., Any]) -> None:
    samples = to_unit(drawn(videos=2000, frames=2), "frame")
    # Without the ties at 0 and 1, where the curve itself jumps.
    smooth = samples.scores + np.random.default_rng(0).normal(0, 0.2, len(samples))
    det = det_of(replace(samples, scores=smooth))
    for shares in (det.pooled, det.bpcer):
        shown = [deviate(share) for share in shares]
        steps = np.abs(np.diff(shown))
        # One presentation more or less near 0 or 1 is a step of its own; in between nothing jumps.
        inner = [step for step, share in zip(steps, shares, strict=False) if 0.01 < share < 0.99]
        assert max(inner) < 0.3


def test_histograms_count_every_scored_presentation_once(drawn: Callable[..., Any]) -> None:
    samples = to_unit(drawn())
    histogram = histogram_of(samples)
    scored = samples.scored()
    assert sum(map(sum, histogram.counts.values())) == len(scored)
    assert sum(histogram.counts["bona fide"]) == scored.labels.sum()
    assert list(histogram.counts) == ["bona fide", "display-1", "display-2", "print-1", "print-2"]
    assert (histogram.edges[0], histogram.edges[-1]) == (scored.scores.min(), scored.scores.max())


def test_omits_curves_of_a_missing_class(row: Callable[..., Any]) -> None:
    one = to_unit(ScoreTable.from_scores([row("a", 1, 0.5), row("b", 1, 0.5)]))
    assert det_of(one) is None
    histogram = histogram_of(one)
    assert sum(histogram.counts["bona fide"]) == 2
    nothing = to_unit(ScoreTable.from_scores([row("a", 1, float("nan"), response="no face")]))
    assert histogram_of(nothing) is None


@pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.99])
def test_normal_deviates_agree_with_scipy(share: float) -> None:
    assert deviate(share) == pytest.approx(norm.ppf(share))
    assert deviate(0) == pytest.approx(norm.ppf(LEAST))


@pytest.mark.parametrize(("videos", "bins"), [(40, 10), (1000, 20), (20_000, 40)])
def test_more_scores_have_finer_bins(videos: int, bins: int, row: Callable[..., Any]) -> None:
    scores = np.random.default_rng(0).random(videos)
    rows = [row(str(n), n % 2, float(score)) for n, score in enumerate(scores)]
    assert len(histogram_of(to_unit(ScoreTable.from_scores(rows))).edges) == bins + 1


def test_calibration_is_that_of_scikit_learn(drawn: Callable[..., Any]) -> None:
    samples = to_unit(drawn(), "frame")
    found = calibration_of(samples)
    scored = samples.scored()
    shares, scores = calibration_curve(scored.labels, scored.scores, n_bins=10)
    assert found.scores == pytest.approx(scores)
    assert [real / total for real, total in zip(found.bona_fide, found.totals, strict=True)] == pytest.approx(
        shares
    )
    assert sum(found.totals) == len(scored)
    weights = np.array(found.totals) / len(scored)
    assert found.error == pytest.approx(float(weights @ np.abs(shares - scores)))


def test_scores_that_are_no_probabilities_have_no_calibration(drawn: Callable[..., Any]) -> None:
    samples = to_unit(drawn())
    assert calibration_of(replace(samples, scores=samples.scores + 0.5)) is None
    assert calibration_of(samples.take(np.flatnonzero(samples.labels == 1))) is None
