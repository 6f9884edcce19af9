"""Properties of the metrics on sets of scores drawn by hypothesis, with few distinct values to get ties."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bonaface.metrics.curves import apcer_at_bpcer, auc, bpcer_at_apcer, eer
from bonaface.metrics.intervals import clopper_pearson, wilson
from bonaface.metrics.rates import Rate, apcer, apcer_per_species, bpcer, by_category, hter, worst_apcer
from bonaface.metrics.thresholds import bpcer_threshold, candidates, eer_threshold

KINDS = ("print-1", "print-2", "display-1")
MAPS = (np.exp, lambda x: 5 * x - 3, lambda x: x**3, lambda x: 1 / (1 + np.exp(-x)))


@st.composite
def score_sets(draw: Callable[..., Any]) -> tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.float64]]:
    size = draw(st.integers(2, 40))
    labels = draw(st.lists(st.integers(0, 1), min_size=size, max_size=size))
    labels[:2] = [0, 1]
    top = draw(st.sampled_from([1, 5, 1000]))
    scores = draw(st.lists(st.integers(0, top), min_size=size, max_size=size))
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=size, max_size=size))
    species = ["" if label else kind for label, kind in zip(labels, kinds, strict=True)]
    return np.array(labels), np.array(species), np.array(scores) / top


def _figures(
    labels: NDArray[np.int64], species: NDArray[np.str_], scores: NDArray[np.float64]
) -> tuple[float, ...]:
    return (
        eer(labels, scores),
        auc(labels, scores),
        *(bpcer_at_apcer(labels, species, scores, at).value for at in (0.01, 0.1, 0.5)),
        *(apcer_at_bpcer(labels, species, scores, at).value for at in (0.01, 0.3)),
    )


@given(score_sets(), st.sampled_from(MAPS))
def test_monotone_score_transforms_change_nothing(
    drawn: tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.float64]], rising: Callable[..., Any]
) -> None:
    labels, species, scores = drawn
    assert _figures(labels, species, rising(scores)) == pytest.approx(_figures(labels, species, scores))


@given(score_sets(), st.randoms())
def test_the_order_of_the_rows_changes_nothing(
    drawn: tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.float64]], random: Any
) -> None:
    order = list(range(drawn[0].size))
    random.shuffle(order)
    shuffled: tuple[Any, ...] = tuple(column[order] for column in drawn)
    assert _figures(*shuffled) == _figures(*drawn)
    assert eer_threshold(shuffled[0], shuffled[2]) == eer_threshold(drawn[0], drawn[2])


@given(score_sets(), st.integers(2, 3))
def test_the_set_twice_or_thrice_changes_nothing(
    drawn: tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.float64]], times: int
) -> None:
    doubled: tuple[Any, ...] = tuple(np.tile(column, times) for column in drawn)
    assert _figures(*doubled)[:2] == pytest.approx(_figures(*drawn)[:2])
    assert eer_threshold(doubled[0], doubled[2]) == eer_threshold(drawn[0], drawn[2])
    # More presentations of the same kind never make a held error worse: the shares on offer are the same.
    assert _figures(*doubled)[2:] == _figures(*drawn)[2:]


@given(score_sets())
def test_apcer_falls_and_bpcer_rises_with_the_threshold(
    drawn: tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.float64]],
) -> None:
    labels, species, scores = drawn
    tried = candidates(scores)
    for figure in (apcer, lambda *a: worst_apcer(labels, species, *a[1:])):
        falling = [figure(labels, scores, t).value for t in tried]
        assert falling == sorted(falling, reverse=True)
        assert (falling[0], falling[-1]) == (1, 0)
    rising = [bpcer(labels, scores, t).value for t in tried]
    assert rising == sorted(rising)
    assert (rising[0], rising[-1]) == (0, 1)


@given(score_sets())
def test_the_eer_lies_between_the_errors_of_its_neighbours(
    drawn: tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.float64]],
) -> None:
    labels, _, scores = drawn
    rates = [(apcer(labels, scores, t).value, bpcer(labels, scores, t).value) for t in candidates(scores)]
    crossing = max(i for i, (far, frr) in enumerate(rates) if frr <= far)
    around = rates[crossing], rates[crossing + 1]
    low = min(min(pair) for pair in around)
    high = max(max(pair) for pair in around)
    assert low - 1e-12 <= eer(labels, scores) <= high + 1e-12


@given(score_sets())
def test_no_threshold_is_better_balanced_than_the_eer_threshold(
    drawn: tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.float64]],
) -> None:
    labels, _, scores = drawn

    def gap(threshold: Any) -> float:
        return abs(bpcer(labels, scores, threshold).value - apcer(labels, scores, threshold).value)

    best = min(gap(t) for t in candidates(scores))
    assert gap(eer_threshold(labels, scores)) == pytest.approx(best, abs=1e-12)


@given(score_sets(), st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.5]))
def test_bpcer_threshold_is_the_highest_that_keeps_the_rate(
    drawn: tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.float64]], at: float
) -> None:
    labels, _, scores = drawn
    keeping = [t for t in candidates(scores) if bpcer(labels, scores, t).value <= at]
    assert bpcer_threshold(labels, scores, at) == max(keeping)


@given(score_sets(), st.floats(-0.5, 1.5))
def test_the_parts_add_up(
    drawn: tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.float64]], threshold: float
) -> None:
    labels, species, scores = drawn
    per_species = apcer_per_species(labels, species, scores, threshold)
    pooled = apcer(labels, scores, threshold)
    for parts in (per_species, by_category(per_species)):
        assert Rate(sum(r.errors for r in parts.values()), sum(r.total for r in parts.values())) == pooled
        assert max(r.value for r in parts.values()) >= pooled.value
    assert hter(labels, scores, threshold) == (pooled.value + bpcer(labels, scores, threshold).value) / 2


@given(score_sets())
def test_swapping_classes_and_negating_scores_swaps_the_errors(
    drawn: tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.float64]],
) -> None:
    labels, _, scores = drawn
    assert eer(1 - labels, -scores) == pytest.approx(eer(labels, scores))
    assert auc(1 - labels, -scores) == pytest.approx(auc(labels, scores))
    assert auc(labels, -scores) == pytest.approx(1 - auc(labels, scores))


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.99))
def test_intervals_contain_the_rate_and_are_symmetric(counts: tuple[int, int], level: float) -> None:
    errors, total = counts
    for interval in (wilson, clopper_pearson):
        low, high = interval(errors, total, level)
        assert 0 <= low <= errors / total <= high <= 1
        assert interval(total - errors, total, level) == pytest.approx((1 - high, 1 - low), abs=1e-9)
