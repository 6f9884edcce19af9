"""Intervals of figures over subjects: the presentations of one person resemble each other.

A figure is an `Estimate`: its value, and what each subject adds to its error (its influence). The spread of the
influences over the subjects is the figure's variance (Taylor linearisation; Binder 1983), however the presentations
of a subject are correlated. Nothing is drawn at random. benchmarks/coverage.md shows how often the intervals contain
the true figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, log, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bonaface.core.errors import InputError
from bonaface.metrics.checks import Scores
from bonaface.metrics.intervals import Interval, binomial_low, t_quantile
from bonaface.metrics.thresholds import sweep

# The intraclass correlation of a subject's presentations, where hardly anybody has an error and it cannot be seen. With
# less than this, intervals hold the truth too seldom if it is 0.25 in fact (benchmarks/coverage.md).
_UNSEEN_CORRELATION = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A figure in [0, 1] and how it depends on the subjects.

    `influence` (S,) is what each subject adds to the error of `value`, summing up to 0. `subjects` counts those
    with a presentation that counts. `size` is the number of independent presentations that would say as much if
    those of a subject did not resemble each other, `step` by how much one presentation can change the figure.
    `least_design` is the least design effect that its interval assumes.
    """

    value: float
    influence: Scores
    subjects: int
    size: float
    step: float
    least_design: float = 1.0

    @property
    def variance(self) -> float:
        """Return the variance of `value` over subjects; 0 with a single subject, whose spread is unknown."""
        if self.subjects < 2:
            return 0.0
        return float(self.influence @ self.influence) * self.subjects / (self.subjects - 1)


@dataclass(frozen=True, slots=True)
class Owners:
    """Whose presentation each of N is: `codes` (N,) from 0 to `count` - 1."""

    codes: NDArray[np.intp]
    count: int

    @classmethod
    def of(cls, subjects: ArrayLike) -> "Owners":
        """Return the owners of presentations with `subjects` (N,), any values that can be compared.

        If all belong to one subject, each presentation counts as a subject: the interval then holds for that
        person, not for others.

        Raises:
            InputError: not one entry a presentation.
        """
        given = np.asarray(subjects)
        if given.ndim != 1:
            raise InputError(f"subjects must have one entry a presentation, (N,), got {given.shape}")
        names, codes = np.unique(given, return_inverse=True)
        if names.size == 1:
            return cls(np.arange(given.size), given.size)
        return cls(codes.astype(np.intp), names.size)


def share(wrong: ArrayLike, rows: ArrayLike, owners: Owners) -> Estimate:
    """Return the share of `wrong` (N,) among the presentations `rows` (N,), both boolean; NaN where there are none."""
    among, failed = np.asarray(rows, dtype=bool), np.asarray(wrong, dtype=bool)
    totals = np.bincount(owners.codes[among], minlength=owners.count)
    total = int(totals.sum())
    if not total:
        return Estimate(nan, np.zeros(owners.count), 0, 0.0, 0.0)
    errors = np.bincount(owners.codes[among & failed], minlength=owners.count)
    value = int(errors.sum()) / total
    influence = (errors - value * totals) / total
    return Estimate(
        value, influence, int(np.count_nonzero(totals)), total, 1 / total, _least_design(errors, totals)
    )


def _least_design(errors: NDArray[np.intp], totals: NDArray[np.intp]) -> float:
    """Return the design effect (Kish 1965) of `_UNSEEN_CORRELATION`, shared among the subjects who tell the real one.

    Those have an error, or, where most are errors, a right decision. Without any, the variance over subjects is 0
    however much they resemble each other; the more there are, the more is left to the variance.
    """
    telling = min(int(np.count_nonzero(errors)), int(np.count_nonzero(totals - errors)))
    alike = float(totals @ totals) / float(
        totals.sum()
    )  # presentations of a subject, as a presentation sees it
    return 1 + (alike - 1) * _UNSEEN_CORRELATION / max(1, telling)


def weighted(one: Estimate, two: Estimate, weight: float = 0.5) -> Estimate:
    """Return `weight` times the figure `one` plus the rest of `two`, both of the same subjects; one half gives ACER."""
    rest = 1 - weight
    parts = [(part, of) for part, of in ((one, weight), (two, rest)) if of]
    known = all(part.size for part, _ in parts)
    size = 1 / sum(of**2 / part.size for part, of in parts) if known else 0.0
    return Estimate(
        weight * one.value + rest * two.value,
        weight * one.influence + rest * two.influence,
        max(part.subjects for part, _ in parts),
        size,
        max(of * part.step for part, of in parts),
        sum(part.least_design * of**2 / part.size * size for part, of in parts) if known else 1.0,
    )


def mean_over(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of figures of different presentations of the same subjects, for example one figure a fold.

    Subjects of another fold have no presentation in this one, and an influence of 0.
    """
    influence = np.mean([estimate.influence for estimate in estimates], axis=0)
    return Estimate(
        float(np.mean([estimate.value for estimate in estimates])),
        influence,
        max(*(estimate.subjects for estimate in estimates), int(np.count_nonzero(influence))),
        sum(estimate.size for estimate in estimates),
        max(estimate.step for estimate in estimates) / len(estimates),
    )


def equal_error(labels: ArrayLike, scores: ArrayLike, owners: Owners) -> Estimate:
    """Return the EER of `scores` (N,) with `labels` (N,); both classes must be there.

    At a fixed threshold the EER would be the mean of the two rates. But the threshold follows the scores, and where
    it moves, one rate falls as the other rises: with the densities f of the attacks and g of the bona fide there,
    EER = (f FRR + g FAR) / (f + g) to first order. The ratio of f and g is counted over the thresholds where the
    difference of the rates is within its own standard error.
    """
    truth, values = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    curve = sweep(truth, values)
    best = curve.balanced
    apcer, bpcer = curve.apcer, curve.bpcer
    value = float(np.mean((apcer[best] + bpcer[best]) / 2))
    threshold = curve.thresholds[best]
    accepted = values >= threshold[0] / 2 + threshold[-1] / 2
    far = share(accepted, truth == 0, owners)
    frr = share(~accepted, truth == 1, owners)
    gap = bpcer - apcer
    unsure = max(sqrt(weighted_difference(frr, far).variance), far.step + frr.step)
    # The gap rises with the threshold; among many equal scores it may leap from one side of `unsure` to the other.
    near = np.flatnonzero(np.abs(gap) <= max(unsure, float(np.abs(gap[best]).max())))
    fallen, risen = apcer[near[0]] - apcer[near[-1]], bpcer[near[-1]] - bpcer[near[0]]
    weight = float(fallen / (fallen + risen)) if fallen + risen > 0 else 0.5
    found = weighted(frr, far, weight)
    return replace(found, value=value)


def weighted_difference(one: Estimate, two: Estimate) -> Estimate:
    """Return `one` minus `two`, of the same subjects; its value lies in [-1, 1]."""
    return Estimate(
        one.value - two.value,
        one.influence - two.influence,
        max(one.subjects, two.subjects),
        min(one.size, two.size),
        max(one.step, two.step),
    )


def interval(estimate: Estimate, level: float = 0.95) -> Interval:
    """Return Korn and Graubard's interval (Survey Methodology 24, 1998) of one figure; [0, 1] without presentations.

    Clopper and Pearson's, of the effective number of presentations: `size` divided by the design effect (what
    the variance over subjects is to that of independent presentations, but never under `least_design`) and reduced by
    the ratio of the quantiles of Student's t for presentations and for subjects, squared.
    """
    tail = (1 - level) / 2
    return Interval(_low(estimate, tail), _high(estimate, tail))


def mean_interval(one: Estimate, two: Estimate, level: float = 0.95) -> Interval:
    """Return the interval of (`one` + `two`) / 2, such as ACER, from the intervals of the two rates.

    The method of variance estimates recovery (Zou and Donner, Statistics in Medicine 27, 2008), with the
    correlation of the two over subjects; a rate of 0 errors still contributes its upper limit.
    """
    tail = (1 - level) / 2
    return Interval(_mean_low(one, two, tail), _mean_high(one, two, tail))


def worst_interval(rates: Sequence[Estimate], other: Estimate | None = None, level: float = 0.95) -> Interval:
    """Return the interval of the highest of `rates`, or of its mean with `other` (the ACER of the worst species).

    The highest rate is at least as high as any: its lower end is the highest lower end, each at a K-th of the
    error for K rates. And it is one of them: its upper end is the highest upper end.
    """
    known = [rate for rate in rates if rate.size]
    if not known or (other is not None and not other.size):
        return Interval(0.0, 1.0)
    tail = (1 - level) / 2
    lows, highs = [], []
    for rate in known:
        if other is None:
            lows.append(_low(rate, tail / len(known)))
            highs.append(_high(rate, tail))
        else:
            lows.append(_mean_low(rate, other, tail / len(known)))
            highs.append(_mean_high(rate, other, tail))
    return Interval(max(lows), max(highs))


def difference_interval(one: Estimate, two: Estimate, level: float = 0.95) -> Interval:
    """Return the interval of `one` - `two`, two systems' figures of the same presentations, by Student's t.

    However well the two agree, the interval is as wide as the limit for no disagreement in n presentations:
    -ln((1 - level) / 2) / n to either side, about 3.7 / n.
    """
    tail = (1 - level) / 2
    found = weighted_difference(one, two)
    spread = sqrt(found.variance)
    half = t_quantile(1 - tail, found.subjects - 1) * spread if found.subjects > 1 else inf
    half = max(half, -log(tail) * found.step)
    return Interval(max(found.value - half, -1.0), min(found.value + half, 1.0))


def effective_size(estimate: Estimate, level: float = 0.95) -> float:
    """Return how many independent presentations would say as much as those of `estimate`; see `interval`."""
    return _effective(estimate, (1 - level) / 2)


def _effective(estimate: Estimate, tail: float) -> float:
    """Return how many independent presentations would say as much as those of `estimate`."""
    size, value = estimate.size, estimate.value
    if size <= 1 or estimate.subjects < 2:
        return size
    independent = value * (1 - value) / (size - 1)
    design = max(estimate.least_design, estimate.variance / independent if independent > 0 else 0.0)
    ratio = t_quantile(1 - tail, size - 1) / t_quantile(1 - tail, estimate.subjects - 1)
    return float(size / design * min(1.0, ratio) ** 2)


def _low(estimate: Estimate, tail: float) -> float:
    if not estimate.size:
        return 0.0
    size = _effective(estimate, tail)
    return binomial_low(estimate.value * size, size, tail)


def _high(estimate: Estimate, tail: float) -> float:
    if not estimate.size:
        return 1.0
    size = _effective(estimate, tail)
    return 1 - binomial_low((1 - estimate.value) * size, size, tail)


def _mean_low(one: Estimate, two: Estimate, tail: float) -> float:
    below = one.value - _low(one, tail), two.value - _low(two, tail)
    return float(max(0.0, (one.value + two.value - _joined(one, two, *below)) / 2))


def _mean_high(one: Estimate, two: Estimate, tail: float) -> float:
    above = _high(one, tail) - one.value, _high(two, tail) - two.value
    return float(min(1.0, (one.value + two.value + _joined(one, two, *above)) / 2))


def _joined(one: Estimate, two: Estimate, first: float, second: float) -> float:
    """Return how far the sum of the two figures may be off, if they may be off by `first` and `second`."""
    norm = sqrt(float(one.influence @ one.influence) * float(two.influence @ two.influence))
    correlation = float(one.influence @ two.influence) / norm if norm else 0.0
    return sqrt(max(0.0, first**2 + second**2 + 2 * correlation * first * second))
