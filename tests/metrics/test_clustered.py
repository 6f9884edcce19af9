from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta, t

from bonaface.core.errors import InputError
from bonaface.metrics.clustered import (
    Estimate,
    Owners,
    difference_interval,
    equal_error,
    interval,
    mean_interval,
    mean_over,
    share,
    weighted,
    worst_interval,
)
from bonaface.metrics.curves import eer
from bonaface.metrics.intervals import clopper_pearson


def _drawn(
    seed: int, people: int = 20, correlation: float = 0.25, rate: float = 0.2, sd: float = 1.0
) -> tuple[Any, Any, Any]:
    """Draw labels, scores and subjects: 6 bona fide and 24 attacks each, true EER `rate` where `sd` is 1."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([1, 0], [6 * people, 24 * people])
    subjects = np.r_[np.repeat(np.arange(people), 6), np.repeat(np.arange(people), 24)]
    shared = rng.normal(size=(2, people))[labels, subjects]
    scores = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * rng.normal(size=labels.size)
    mean = -NormalDist().inv_cdf(rate)
    return labels, np.where(labels == 1, mean + scores, sd * (scores - mean)), subjects


def _rate(labels: Any, scores: Any, subjects: Any, label: int, threshold: float = 0.0) -> Estimate:
    wrong = (scores >= threshold) != (labels == 1)
    return share(wrong, labels == label, Owners.of(subjects))


def test_a_share_by_hand() -> None:
    # Subjects a: 1 of 2 wrong, b: 0 of 1, c: 2 of 3; the fourth has none that counts.
    subjects = np.array(["a", "a", "b", "c", "c", "c", "d"])
    wrong = np.array([1, 0, 0, 1, 1, 0, 1], dtype=bool)
    rows = np.array([1, 1, 1, 1, 1, 1, 0], dtype=bool)
    found = share(wrong, rows, Owners.of(subjects))
    assert (found.value, found.subjects, found.size, found.step) == (0.5, 3, 6, 1 / 6)
    assert found.influence.tolist() == pytest.approx([0, -0.5 / 6, 0.5 / 6, 0])
    assert found.variance == pytest.approx(3 / 2 * 2 * (0.5 / 6) ** 2)


def test_the_interval_is_korn_and_graubards() -> None:
    found = _rate(*_drawn(1), label=0)
    design = found.variance / (found.value * (1 - found.value) / 479)
    assert design > 1.5
    size = 480 / design * (t.ppf(0.975, 479) / t.ppf(0.975, 19)) ** 2
    errors = found.value * size
    expected = beta.ppf(0.025, errors, size - errors + 1), beta.ppf(0.975, errors + 1, size - errors)
    assert interval(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("errors", [0, 1, 7, 20])
def test_one_presentation_a_subject_gives_clopper_and_pearsons(errors: int) -> None:
    wrong, rows = np.arange(20) < errors, np.ones(20, dtype=bool)
    for subjects in (np.arange(20), np.zeros(20)):  # each alone, also where all are one person's
        found = interval(share(wrong, rows, Owners.of(subjects)))
        assert found == pytest.approx(clopper_pearson(errors, 20), rel=1e-9)


def test_fully_correlated_presentations_count_once_per_subject() -> None:
    subjects, wrong = np.repeat(np.arange(10), 50), np.repeat(np.arange(10) < 3, 50)
    bounds = interval(share(wrong, np.ones(500, dtype=bool), Owners.of(subjects)))
    # The variance over 10 subjects is 0.3 * 0.7 / 9: that of 9 facts, less the toll of t.
    size = 500 / 499 * 9 * (t.ppf(0.975, 499) / t.ppf(0.975, 9)) ** 2
    assert 6 < size < 10
    assert bounds.low == pytest.approx(beta.ppf(0.025, 0.3 * size, 0.7 * size + 1), rel=1e-6)


def test_too_few_errors_to_see_how_alike_a_subjects_presentations_are() -> None:
    """Subjects with 4, 4, 2 and 2 presentations: one sees (16 + 16 + 4 + 4) / 12 of its own subject's."""
    owners = Owners.of(np.repeat(np.arange(4), [4, 4, 2, 2]))
    rows = np.ones(12, dtype=bool)
    whole = 1 + 0.1 * (40 / 12 - 1)
    for wrong in (np.zeros(12, dtype=bool), rows):
        found = share(wrong, rows, owners)
        assert found.least_design == pytest.approx(whole)
        size = 12 / whole * (t.ppf(0.975, 11) / t.ppf(0.975, 3)) ** 2
        bound = 1 - 0.025 ** (1 / size)
        assert interval(found) == pytest.approx((1 - bound, 1) if wrong.any() else (0, bound))
    two = share(np.isin(np.arange(12), [0, 1, 8]), rows, owners)  # errors of two subjects
    assert two.least_design == pytest.approx(1 + 0.1 * (40 / 12 - 1) / 2)
    # the mean of a rate with errors of 2 subjects and of one without: as their variances
    none = share(np.zeros(12, dtype=bool), rows, owners)
    mixed = weighted(two, none, 0.25)
    assert mixed.least_design == pytest.approx(
        (two.least_design / 16 + none.least_design * 9 / 16) / (10 / 16)
    )


def test_intervals_cover_a_rate_that_few_people_cause() -> None:
    """The hardest cell of benchmarks/coverage.md: without a least design effect it holds 87 %."""
    rng = np.random.default_rng(0)
    owners, rows = Owners.of(np.repeat(np.arange(50), 8)), np.ones(400, dtype=bool)
    held, without = [], []
    for _ in range(400):
        found = share(rng.random(400) < np.repeat(rng.beta(0.03, 2.97, 50), 8), rows, owners)
        held.append(interval(found).low <= 0.01 <= interval(found).high)
        bounds = interval(replace(found, least_design=1.0))
        without.append(bounds.low <= 0.01 <= bounds.high)
    assert np.mean(held) > 0.95
    assert np.mean(without) < 0.92


def test_the_variance_is_that_of_leaving_out_each_subject() -> None:
    """Delete-one jackknife of the share, by hand."""
    labels, scores, subjects = _drawn(2)
    keep = np.random.default_rng(0).random(labels.size) < 0.7  # subjects of different sizes
    labels, scores, subjects = labels[keep], scores[keep], subjects[keep]
    found = _rate(labels, scores, subjects, label=0)
    attacks = labels == 0
    without = [np.mean(scores[attacks & (subjects != who)] >= 0) for who in range(20)]
    jackknife = 19 / 20 * np.sum((np.array(without) - np.mean(without)) ** 2)
    assert found.variance == pytest.approx(jackknife, rel=0.02)


@pytest.mark.parametrize("sd", [1.0, 2.0])
def test_eer_variance_agrees_with_simulated_studies(sd: float) -> None:
    """The mean standard deviation that a study gives its EER agrees with the spread of the EERs of 300 studies."""
    studies = [_drawn(seed, sd=sd) for seed in range(300)]
    found = [equal_error(labels, scores, Owners.of(subjects)) for labels, scores, subjects in studies]
    assert found[0].value == eer(*studies[0][:2])
    spread = np.std([one.value for one in found])
    assert np.sqrt(np.mean([one.variance for one in found])) == pytest.approx(spread, rel=0.1)


def test_eer_weighs_the_class_with_fewer_scores_at_the_threshold_more() -> None:
    """Attacks spread twice as wide: a bona fide error moves the threshold past few attacks, so it weighs less than
    half.
    """
    weights = [equal_error(*_with_owners(_drawn(seed, sd=2.0))).size for seed in range(30)]
    even = 4 / (1 / 120 + 1 / 480)
    # size is 1 / (w ** 2 / 120 + (1 - w) ** 2 / 480), and w is about 1/3 there.
    assert np.median(weights) == pytest.approx(1 / (1 / 9 / 120 + 4 / 9 / 480), rel=0.25)
    assert np.median(weights) > 1.3 * even


def _with_owners(drawn: tuple[Any, Any, Any]) -> tuple[Any, Any, Owners]:
    labels, scores, subjects = drawn
    return labels, scores, Owners.of(subjects)


def test_the_eer_of_equal_scores_and_of_scores_apart() -> None:
    owners = Owners.of(np.repeat(np.arange(5), 4))
    labels = np.tile([0, 1], 10)
    same = equal_error(labels, np.full(20, 0.25), owners)
    assert same.value == 0.5
    assert 0 < interval(same).low < 0.5 < interval(same).high < 1
    apart = equal_error(labels, labels, owners)
    assert (apart.value, interval(apart).low) == (0, 0)
    assert 0.05 < interval(apart).high < 0.5


def test_the_mean_of_two_rates_by_zou_and_donner() -> None:
    labels, scores, subjects = _drawn(3)
    one, two = (_rate(labels, scores, subjects, label) for label in (0, 1))
    (l1, u1), (l2, u2) = interval(one), interval(two)
    correlation = np.corrcoef(one.influence, two.influence)[0, 1]
    below, above = (one.value - l1, two.value - l2), (u1 - one.value, u2 - two.value)
    half = [
        np.sqrt(a**2 + b**2 + 2 * correlation * a * b) / 2
        for a, b in ((below[0], below[1]), (above[0], above[1]))
    ]
    middle = (one.value + two.value) / 2
    assert mean_interval(one, two) == pytest.approx((middle - half[0], middle + half[1]))
    acer = weighted(one, two)
    assert acer.value == middle
    assert acer.influence.tolist() == pytest.approx(((one.influence + two.influence) / 2).tolist())


def test_worst_interval_corrects_for_selection() -> None:
    labels, scores, subjects = _drawn(4)
    owners, wrong = Owners.of(subjects), scores >= 0
    kinds = np.arange(labels.size) % 3
    rates = [share(wrong, (labels == 0) & (kinds == kind), owners) for kind in range(3)]
    highest = max(rates, key=lambda rate: rate.value)
    bounds = worst_interval(rates)
    assert bounds.low <= max(interval(rate, 1 - 0.05 / 3).low for rate in rates) + 1e-9
    assert bounds.low < interval(highest).low
    assert bounds.high == max(interval(rate).high for rate in rates)
    assert worst_interval(rates[:1]) == interval(rates[0])
    other = share(~wrong, labels == 1, owners)
    assert worst_interval(rates[:1], other) == mean_interval(rates[0], other)


def test_interval_without_presentations_is_zero_to_one() -> None:
    nobody = share([True, False], [False, False], Owners.of(["a", "b"]))
    assert np.isnan(nobody.value)
    assert interval(nobody) == (0, 1)
    assert worst_interval([nobody]) == worst_interval([]) == (0, 1)


def test_difference_interval_by_students_t() -> None:
    labels, one, subjects = _drawn(5)
    two = one + np.random.default_rng(0).normal(0, 0.5, one.size)
    first, second = (_rate(labels, scores, subjects, label=0) for scores in (one, two))
    each = [np.mean((one[r] >= 0).astype(int) - (two[r] >= 0)) for r in _rows(labels, subjects)]
    half = t.ppf(0.975, 19) * np.std(each, ddof=1) / np.sqrt(20)
    middle = first.value - second.value
    assert difference_interval(first, second) == pytest.approx((middle - half, middle + half))


def _rows(labels: Any, subjects: Any) -> list[Any]:
    return [np.flatnonzero((labels == 0) & (subjects == who)) for who in range(20)]


def test_difference_interval_has_a_minimum_width() -> None:
    one = _rate(*_drawn(6), label=1)
    low, high = difference_interval(one, one)
    assert -low == high == pytest.approx(-np.log(0.025) / 120)


def test_folds_with_other_subjects_give_narrower_intervals() -> None:
    one = _rate(*_drawn(7), label=0)
    again = mean_over([one, one])
    assert (again.value, again.variance, again.step) == (one.value, pytest.approx(one.variance), one.step / 2)
    labels, scores, subjects = _drawn(7)
    owners = [Owners(subjects + shift, 40) for shift in (0, 20)]
    apart = mean_over([share(scores >= 0, labels == 0, fold) for fold in owners])
    assert apart.subjects == 40
    assert apart.variance == pytest.approx(one.variance / 2, rel=0.05)


def test_intervals_cover_the_true_rate_of_simulated_studies() -> None:
    """A small piece of benchmarks/coverage.py; Clopper and Pearson's intervals, which ignore subjects, fail it."""
    held, naive = [], []
    for seed in range(300):
        found = _rate(*_drawn(seed, rate=0.05), label=0)
        held.append(interval(found).low <= 0.05 <= interval(found).high)
        bounds = clopper_pearson(round(found.value * 480), 480)
        naive.append(bounds.low <= 0.05 <= bounds.high)
    assert np.mean(held) > 0.92
    assert np.mean(naive) < 0.87


def test_subjects_must_be_one_a_presentation() -> None:
    with pytest.raises(InputError, match="one entry a presentation"):
        Owners.of(np.zeros((2, 2)))
