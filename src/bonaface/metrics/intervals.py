"""Confidence intervals of a share of independent presentations, Wilson's and Clopper and Pearson's, and quantiles."""

from functools import lru_cache
from math import exp, lgamma, log, log1p, sqrt
from statistics import NormalDist
from typing import NamedTuple

from bonaface.core.errors import InputError


class Interval(NamedTuple):
    """The lower and upper end of an interval."""

    low: float
    high: float


def wilson(errors: int, total: int, level: float = 0.95) -> Interval:
    """Return Wilson's score interval (1927) of the rate `errors` / `total`; [0, 1] where `total` is 0."""
    _check(errors, total, level)
    if not total:
        return Interval(0.0, 1.0)
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    centre = (errors + z2 / 2) / (total + z2)
    half = sqrt(z2 * (errors * (total - errors) / total + z2 / 4)) / (total + z2)
    return Interval(
        max(0.0, centre - half) if errors else 0.0, min(1.0, centre + half) if errors < total else 1.0
    )


def clopper_pearson(errors: int, total: int, level: float = 0.95) -> Interval:
    """Return Clopper and Pearson's exact interval (1934) of `errors` / `total`; [0, 1] where `total` is 0.

    Its coverage is never under `level`. The ends are the quantiles (1 - level) / 2 of Beta(e, n - e + 1) and
    (1 + level) / 2 of Beta(e + 1, n - e).
    """
    _check(errors, total, level)
    tail = (1 - level) / 2
    # The upper tail is asked for from its own side, where 1 - tail would lose digits.
    return Interval(binomial_low(errors, total, tail), 1 - binomial_low(total - errors, total, tail))


def binomial_low(errors: float, total: float, tail: float) -> float:
    """Return the rate under which `errors` or more out of `total` have the probability `tail`; 0 without errors.

    Clopper and Pearson's lower end, the quantile `tail` of Beta(e, n - e + 1), also for numbers that are not
    whole, as effective ones. The upper end is 1 less the lower end of what was right.
    """
    if errors <= 0:
        return 0.0
    return beta_quantile(tail, errors, max(total - errors, 0.0) + 1)


@lru_cache(maxsize=4096)
def t_quantile(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t with `freedom` degrees of freedom; `probability` in [0.5, 1).

    T^2 / (freedom + T^2) has the distribution Beta(1/2, freedom / 2).

    Raises:
        InputError: another probability, or less than one degree of freedom.
    """
    if not 0.5 <= probability < 1 or not freedom >= 1:
        raise InputError(
            "a quantile of Student's t needs a probability in [0.5, 1) and a degree of freedom, "
            f"got {probability} and {freedom}"
        )
    if probability == 0.5:
        return 0.0
    x = beta_quantile(2 * probability - 1, 0.5, freedom / 2)
    return sqrt(freedom * x / (1 - x))


def beta_quantile(probability: float, a: float, b: float) -> float:
    """Return the x in (0, 1) with I_x(a, b) = `probability`, to a relative error of about 1e-9; a and b positive.

    Newton's steps on the regularised incomplete beta function, kept inside a bracket that halves otherwise.
    """
    low, high = 0.0, 1.0
    # For small x the function is x ** a / (a B(a, b)); a quantile there would take many halvings from the mean.
    small = (log(probability) + log(a) + _log_beta(a, b)) / a
    x = min(a / (a + b), exp(max(small, -690.0)))
    for _ in range(200):
        miss = beta_cdf(x, a, b) - probability
        low, high = (low, x) if miss > 0 else (x, high)
        density = exp(min((a - 1) * log(x) + (b - 1) * log1p(-x) - _log_beta(a, b), 690.0))
        step = x - miss / density if density > 0 else low
        following = step if low < step < high else (low + high) / 2
        if abs(following - x) <= 1e-14 * x or following in (0.0, 1.0):
            return following
        x = following
    return x


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), in [0, 1]; x in (0, 1), a and b positive.

    The continued fraction DLMF 8.17.22, on the side where it converges fast.
    """
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(1 - x, b, a)
    front = exp(a * log(x) + b * log1p(-x) - _log_beta(a, b)) / a
    # Lentz's method: c and d are the ratios of neighbouring numerators and denominators.
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 100_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            c, d = 1 + term / c, 1 / (1 + term * d)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * value


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _check(errors: int, total: int, level: float) -> None:
    if not 0 <= errors <= total:
        raise InputError(f"an interval needs 0 <= errors <= total, got {errors} out of {total}")
    if not 0 < level < 1:
        raise InputError(f"the level of an interval lies between 0 and 1, got {level}")
