"""Kolmogorov and Smirnov's test: its distance against SciPy, its p-value against exact and known cases."""

import numpy as np
import pytest
from scipy import stats

from bonaface.core.errors import InputError
from bonaface.metrics.two_samples import compare_samples


def alone(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(len(first)), np.arange(len(second))


@pytest.mark.parametrize("digits", [1, 2, 6])
def test_distance_and_p_value_agree_with_scipy(digits: int) -> None:
    random = np.random.default_rng(digits)
    for shift in (0.0, 0.05, 0.3):
        first = random.beta(5, 2, 150).round(digits)
        second = np.clip(random.beta(5, 2, 90) - shift, 0, 1).round(digits)
        found = compare_samples(first, second, *alone(first, second))
        expected = stats.ks_2samp(first, second)
        assert found.distance == pytest.approx(expected.statistic)
        if digits == 6:  # with ties SciPy's p-value is too large, and a permutation's is not
            assert found.p == pytest.approx(expected.pvalue, abs=0.03)
        u = stats.mannwhitneyu(first, second).statistic / (len(first) * len(second))
        assert found.lower == pytest.approx(u)


def test_p_of_four_scores_by_hand() -> None:
    """Of the 6 ways to take two of four scores, two have the distance 1: those that take both ends apart."""
    found = compare_samples([0.1, 0.2], [0.8, 0.9], [0, 1], [0, 1])
    assert (found.distance, found.lower) == (1.0, 0.0)
    assert found.at == 0.2
    assert found.p == pytest.approx(2 / 6, abs=0.04)


def test_equal_scores_are_no_drift() -> None:
    found = compare_samples([0.5] * 40, [0.5] * 50, range(40), range(50))
    assert (found.distance, found.p, found.lower) == (0.0, 1.0, 0.5)


def test_scores_of_few_people_are_no_evidence() -> None:
    """Two people of the same population, 200 scores each of two means of their own, against five people."""
    random, alarms, naive = np.random.default_rng(0), 0, 0
    for seed in range(30):
        people = random.normal(0.5, 0.1, 12)
        scores = (people[:, None] + random.normal(0, 0.02, (12, 20))).clip(0, 1)
        first, second = scores[:6].ravel(), scores[6:].ravel()
        owners = np.repeat(np.arange(6), 20), np.repeat(np.arange(6), 20)
        alarms += compare_samples(first, second, *owners, seed=seed).p < 0.05
        naive += stats.ks_2samp(first, second).pvalue < 0.05
    assert naive > 20  # as if each score were somebody's own
    assert alarms <= 5


def test_a_shift_of_many_people_is_found() -> None:
    random = np.random.default_rng(1)
    people = random.normal(0.6, 0.1, 60)
    scores = people[:, None] + random.normal(0, 0.02, (60, 5))
    owners = np.repeat(np.arange(30), 5)
    found = compare_samples(scores[:30].ravel(), scores[30:].ravel() - 0.15, owners, owners)
    assert found.p < 0.01
    assert found.lower > 0.75


@pytest.mark.parametrize(
    ("first", "second", "owners"),
    [([], [0.1], ([], [0])), ([0.1, np.nan], [0.1], ([0, 1], [0])), ([0.1, 0.2], [0.1], ([0], [0]))],
)
def test_refuses_what_can_not_be_compared(
    first: list[float], second: list[float], owners: tuple[list[int], list[int]]
) -> None:
    with pytest.raises(InputError):
        compare_samples(first, second, *owners)
