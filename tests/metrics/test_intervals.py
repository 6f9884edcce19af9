from collections.abc import Callable
from typing import Any

import pytest
from scipy.stats import beta, binomtest, t

from bonaface.core.errors import InputError
from bonaface.metrics.intervals import beta_quantile, binomial_low, clopper_pearson, t_quantile, wilson

COUNTS = [(e, n) for n in (1, 2, 5, 20, 100, 4950, 10**6) for e in sorted({0, 1, n // 7, n // 2, n - 1, n})]


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize(("errors", "total"), COUNTS)
def test_intervals_agree_with_scipy(errors: int, total: int, level: float) -> None:
    theirs = binomtest(errors, total)
    assert clopper_pearson(errors, total, level) == pytest.approx(
        theirs.proportion_ci(level, "exact"), rel=1e-6
    )
    expected = theirs.proportion_ci(level, "wilson")
    assert wilson(errors, total, level) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_known_values() -> None:
    # One error among 20 bona fide videos: 5 %, and an interval from 0.13 % to 24.9 %.
    assert clopper_pearson(1, 20) == pytest.approx((0.0013, 0.2487), abs=5e-5)
    # No error in 20: up to 1 - 0.025 ** (1 / 20).
    assert clopper_pearson(0, 20) == (0.0, pytest.approx(1 - 0.025 ** (1 / 20), rel=1e-12))
    assert clopper_pearson(20, 20) == (pytest.approx(0.025 ** (1 / 20), rel=1e-12), 1.0)


@pytest.mark.parametrize("probability", [1e-12, 0.025, 0.5, 0.975])
@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 500), (500, 1), (2.5, 3.5), (3000, 7), (10**5, 10**5)])
def test_beta_quantile_agrees_with_scipy(probability: float, a: float, b: float) -> None:
    assert beta_quantile(probability, a, b) == pytest.approx(beta.ppf(probability, a, b), rel=1e-7)


def test_interval_of_zero_trials_is_zero_to_one() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert clopper_pearson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
def test_impossible_counts_and_levels_are_refused(interval: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="got 3 out of 2"):
        interval(3, 2)
    with pytest.raises(InputError, match="between 0 and 1, got 1"):
        interval(1, 2, 1.0)


@pytest.mark.parametrize("freedom", [1, 2, 9, 19, 49, 999, 10**6])
@pytest.mark.parametrize("probability", [0.5, 0.6, 0.975, 0.995, 1 - 0.025 / 30])
def test_quantiles_of_students_t_agree_with_scipy(probability: float, freedom: int) -> None:
    assert t_quantile(probability, freedom) == pytest.approx(t.ppf(probability, freedom), rel=1e-7, abs=1e-12)


@pytest.mark.parametrize(("probability", "freedom"), [(0.4, 5), (1.0, 5), (0.9, 0)])
def test_impossible_quantiles_of_students_t_are_refused(probability: float, freedom: float) -> None:
    with pytest.raises(InputError, match="Student's t"):
        t_quantile(probability, freedom)


@pytest.mark.parametrize(("errors", "total"), [(0.04, 3.7), (0.5, 12.2), (3.3, 9.9), (9.9, 9.9)])
def test_effective_numbers_need_not_be_whole(errors: float, total: float) -> None:
    expected = beta.ppf(0.025, errors, total - errors + 1)
    assert binomial_low(errors, total, 0.025) == pytest.approx(expected, rel=1e-7)
