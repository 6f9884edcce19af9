import math
from typing import Any

import numpy as np
import pytest

from bonaface.core.errors import InputError
from bonaface.metrics.rates import apcer, bpcer
from bonaface.metrics.thresholds import bpcer_threshold, candidates, eer_threshold, sweep


def test_candidates_are_midpoints_and_one_beyond_either_end() -> None:
    found = candidates([0.5, 0.1, 0.5, 0.9])
    assert found[1:-1] == pytest.approx([0.3, 0.7], abs=1e-15)
    assert found[0] < 0.1
    assert found[-1] > 0.9
    assert found.size == 4


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (0.5, np.nextafter(0.5, 1)),
        (np.nextafter(1, 0), 1.0),
        (0.0, 5e-324),
        (-1.7e308, 1.7e308),
        (1e-310, 2e-310),
    ],
)
def test_midpoint_separates_adjacent_floats(low: Any, high: Any) -> None:
    middle = candidates([low, high])[1]
    assert low < middle <= high


def test_sweep_agrees_with_the_rates() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 200)
    scores = np.round(rng.random(200), 1)
    curve = sweep(labels, scores)
    assert curve.thresholds.tolist() == candidates(scores).tolist()
    for threshold, accepted, rejected in zip(*(getattr(curve, n) for n in curve.__slots__), strict=True):
        assert apcer(labels, scores, threshold).errors == accepted
        assert bpcer(labels, scores, threshold).errors == rejected


def test_eer_threshold_of_separated_classes_lies_between_them() -> None:
    assert eer_threshold([0, 0, 1, 1], [0.1, 0.3, 0.7, 0.8]) == pytest.approx(0.5)


def test_eer_threshold_counted_by_hand() -> None:
    # Attacks 0.1 0.2 0.6, bona fide 0.3 0.7 0.8: between 0.3 and 0.6 one of three is wrong on either side.
    assert eer_threshold([0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.6, 0.3, 0.7, 0.8]) == pytest.approx(0.45)


def test_eer_threshold_is_the_middle_of_two_tied_candidates() -> None:
    # Below the shared score 0.4 FAR is 1/2 and FRR 0, above it the other way round: both miss by a half.
    labels, scores = [0, 0, 1, 1], [0.2, 0.4, 0.4, 0.8]
    assert eer_threshold(labels, scores) == pytest.approx(((0.2 + 0.4) / 2 + (0.4 + 0.8) / 2) / 2)


def test_constant_scores_have_their_own_value_as_threshold() -> None:
    assert eer_threshold([0, 1, 1], [0.25, 0.25, 0.25]) == 0.25


@pytest.mark.parametrize(("labels", "missing"), [([1, 1], "attack"), ([0, 0], "bona fide")])
def test_eer_threshold_needs_both_classes(labels: list[int], missing: str) -> None:
    with pytest.raises(
        InputError, match=f"EER threshold needs both classes, but there is no {missing} among"
    ):
        eer_threshold(labels, [0.1, 0.2])


def test_bpcer_threshold_keeps_the_rate_and_takes_the_highest() -> None:
    labels = [1] * 100 + [0] * 3
    scores = [*(n / 100 for n in range(100)), 0.003, 0.0111, 0.5]
    chosen = bpcer_threshold(labels, scores, at=0.02)
    # 0.00 and 0.01 may fall, 0.02 may not: the highest candidate below it is its midpoint with 0.0111.
    assert chosen == pytest.approx((0.0111 + 0.02) / 2)
    assert bpcer(labels, scores, chosen).errors == 2


def test_bpcer_threshold_of_few_presentations_rejects_none() -> None:
    chosen = bpcer_threshold([1, 1, 0], [0.5, 0.6, 0.1], at=0.01)
    assert chosen == pytest.approx(0.3)
    assert bpcer_threshold([1, 1], [0.5, 0.6]) == np.nextafter(0.5, 0)


def test_bpcer_threshold_rejects_impossible_input() -> None:
    with pytest.raises(InputError, match="needs bona fide presentations"):
        bpcer_threshold([0, 0], [0.1, 0.2])
    for at in (1.0, -0.1, math.nan):
        with pytest.raises(InputError, match=r"must lie in \[0, 1\)"):
            bpcer_threshold([1, 0], [0.1, 0.2], at=at)
