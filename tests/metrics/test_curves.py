from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import det_curve as sklearn_det_curve
from sklearn.metrics import roc_auc_score

from bonaface.core.errors import InputError
from bonaface.metrics.curves import apcer_at_bpcer, auc, bpcer_at_apcer, det_curve, eer
from bonaface.metrics.rates import Rate, bpcer, worst_apcer
from bonaface.metrics.thresholds import candidates


def _drawn(
    seed: int, size: int = 400, digits: int = 2
) -> tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size)
    species = np.where(labels == 1, "", rng.choice(["print-1", "display-1", "display-2"], size))
    return labels, species, np.round(rng.normal(labels, 1.0), digits)


@pytest.mark.parametrize("digits", [0, 1, 6])
def test_det_curve_agrees_with_scikit_learn(digits: int) -> None:
    labels, _, scores = _drawn(1, digits=digits)
    far, frr, thresholds = det_curve(labels, scores)
    false_positive, false_negative, theirs = sklearn_det_curve(labels, scores)
    # Theirs stand on the scores, ours just below them: the rates at the same place must be the same.
    ours = {score: (a, b) for score, a, b in zip(np.unique(scores), far[:-1], frr[:-1], strict=True)}
    finite = np.isfinite(theirs)
    assert finite.sum() > 3
    for score, fpr, fnr in zip(theirs[finite], false_positive[finite], false_negative[finite], strict=True):
        assert ours[score] == pytest.approx((fpr, fnr), abs=1e-15)
    assert (far[-1], frr[-1]) == (0, 1)
    assert thresholds.size == np.unique(scores).size + 1


@pytest.mark.parametrize("digits", [0, 1, 6])
def test_auc_agrees_with_scikit_learn(digits: int) -> None:
    labels, _, scores = _drawn(2, digits=digits)
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_eer_counted_by_hand() -> None:
    assert eer([0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.6, 0.3, 0.7, 0.8]) == pytest.approx(1 / 3)
    assert eer([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]) == 0
    assert eer([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9]) == 1
    assert eer([0, 1, 1], [0.5, 0.5, 0.5]) == 0.5
    # Of 4 attacks 1 scores over the only bona fide: (0, 1/4) below it is nearer than (1, 1/4).
    assert eer([0, 0, 0, 0, 1], [0.1, 0.2, 0.3, 0.9, 0.5]) == pytest.approx(1 / 8)
    # Two neighbours miss by the same half, (FRR, FAR) = (0, 1/2) and (1/2, 0): both say a quarter.
    assert eer([0, 0, 1, 1], [0.2, 0.4, 0.4, 0.8]) == pytest.approx(1 / 4)
    # The same miss, -1/2 and 1/2, but (0, 1/2) and (1, 1/2): neither is better, so the middle of 1/4 and 3/4.
    assert eer([0, 0, 1], [0.1, 0.9, 0.5]) == pytest.approx(1 / 2)


def test_fixed_error_rates_counted_by_hand() -> None:
    labels = [1] * 10 + [0] * 10 + [0] * 2
    species = [""] * 10 + ["print-1"] * 10 + ["display-1"] * 2
    scores = [n / 10 + 0.05 for n in range(10)] + [n / 10 for n in range(10)] + [0.0, 0.32]
    # APCER <= 10 %: one print may pass (0.9), 0.8 must not; no display may, 1 of 2 is 50 %. Eight are lost.
    assert bpcer_at_apcer(labels, species, scores, 0.1) == Rate(8, 10)
    # At 50 % five prints may pass, 0.4 must not, and one display may: 0.05 to 0.35 are lost.
    assert bpcer_at_apcer(labels, species, scores, 0.5) == Rate(4, 10)
    assert bpcer_at_apcer(labels, species, scores, 1.0) == Rate(0, 10)
    # BPCER <= 20 %: the threshold may rise to 0.25; seven prints (0.3 and up) and one of two displays pass.
    assert apcer_at_bpcer(labels, species, scores, 0.2) == Rate(7, 10)
    assert apcer_at_bpcer(labels, species, scores, 0.0) == Rate(9, 10)


@pytest.mark.parametrize("at", [0.0, 0.01, 0.05, 0.07, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("digits", [0, 1, 6])
def test_bpcer_at_apcer_is_the_best_of_all_thresholds(at: float, digits: int) -> None:
    labels, species, scores = _drawn(4, size=150, digits=digits)
    tried = candidates(scores)
    allowed = [bpcer(labels, scores, t) for t in tried if worst_apcer(labels, species, scores, t).value <= at]
    assert bpcer_at_apcer(labels, species, scores, at) == min(allowed, key=lambda rate: rate.value)


@pytest.mark.parametrize("at", [0.0, 0.01, 0.05, 0.07, 0.1, 0.3])
@pytest.mark.parametrize("digits", [0, 1, 6])
def test_apcer_at_bpcer_is_the_best_of_all_thresholds(at: float, digits: int) -> None:
    labels, species, scores = _drawn(5, size=150, digits=digits)
    tried = candidates(scores)
    allowed = [worst_apcer(labels, species, scores, t) for t in tried if bpcer(labels, scores, t).value <= at]
    best = min(rate.value for rate in allowed)
    assert apcer_at_bpcer(labels, species, scores, at).value == best


def test_fixed_error_rate_tolerates_float_rounding() -> None:
    # 0.29 * 100 is 28.999...: 29 of 100 attacks may pass all the same, so 0.71 and over is accepted.
    labels = [0] * 100 + [1] * 2
    scores = [n / 100 for n in range(100)] + [0.705, 0.715]
    assert bpcer_at_apcer(labels, ["print-1"] * 100 + [""] * 2, scores, 0.29) == Rate(0, 2)
    assert bpcer_at_apcer(labels, ["print-1"] * 100 + [""] * 2, scores, 0.28) == Rate(1, 2)


def test_rejects_impossible_fixed_error_rates() -> None:
    for figure in (bpcer_at_apcer, apcer_at_bpcer):
        with pytest.raises(InputError, match=r"must lie in \[0, 1\], got 1.5"):
            figure([0, 1], ["print-1", ""], [0.1, 0.2], 1.5)
        with pytest.raises(InputError, match="needs both classes"):
            figure([1, 1], ["", ""], [0.1, 0.2], 0.1)
    with pytest.raises(InputError, match="choose a rate under 1"):
        apcer_at_bpcer([0, 1], ["print-1", ""], [0.1, 0.2], 1.0)
    of_scores: tuple[Callable[..., Any], ...] = (eer, auc, det_curve)
    for statistic in of_scores:
        with pytest.raises(InputError, match="needs both classes, but there is no bona fide"):
            statistic([0, 0], [0.1, 0.2])


@pytest.mark.parametrize("seed", range(200))
def test_the_eer_is_that_of_the_nearest_threshold_or_the_middle_of_two(seed: int) -> None:
    """bob.measure takes a single threshold where |FAR - FRR| is least, here each such by trying all.

    It differs from ours where two are equally near, for then it takes one of them and we take both.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, int(rng.integers(4, 60)))
    labels[:2] = [0, 1]
    scores = np.round(rng.normal(labels, 1.0), int(rng.integers(0, 3)))
    found: dict[Fraction, list[Fraction]] = {}
    for threshold in [*np.unique(scores), scores.max() + 1]:
        far = Fraction(int(np.sum(scores[labels == 0] >= threshold)), int(np.sum(labels == 0)))
        frr = Fraction(int(np.sum(scores[labels == 1] < threshold)), int(np.sum(labels == 1)))
        found.setdefault(abs(far - frr), []).append((far + frr) / 2)
    nearest = found[min(found)]
    assert len(nearest) <= 2
    assert eer(labels, scores) == pytest.approx(float(sum(nearest) / len(nearest)))
