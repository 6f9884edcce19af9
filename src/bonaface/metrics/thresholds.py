"""Where to set the threshold: the candidates, and the rules that choose among them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bonaface.core.errors import InputError
from bonaface.metrics.checks import Scores, both_classes, checked


@dataclass(frozen=True, slots=True)
class Sweep:
    """The errors at every candidate threshold, from below all scores to above all; U distinct scores.

    `thresholds` (U + 1,) rises; `accepted` (U + 1,) counts attacks accepted (it falls), `rejected` (U + 1,)
    bona fide presentations rejected (it rises). Built by `sweep`.
    """

    thresholds: Scores
    accepted: NDArray[np.int64]
    rejected: NDArray[np.int64]

    @property
    def apcer(self) -> Scores:
        """Return the pooled APCER, (U + 1,); NaN without attacks."""
        return _share(self.accepted, int(self.accepted[0]))

    @property
    def bpcer(self) -> Scores:
        """Return the BPCER, (U + 1,); NaN without bona fide presentations."""
        return _share(self.rejected, int(self.rejected[-1]))

    @property
    def balanced(self) -> slice:
        """Return the one or two neighbouring candidates that minimise |FRR - FAR|, compared as whole numbers.

        The difference rises strictly, so at most two candidates tie: one on either side of zero.
        """
        attacks, bona_fide = int(self.accepted[0]), int(self.rejected[-1])
        gap = np.abs(self.rejected * attacks - self.accepted * bona_fide)
        best = np.flatnonzero(gap == gap.min())
        return slice(int(best[0]), int(best[-1]) + 1)


def candidates(scores: ArrayLike) -> Scores:
    """Return the thresholds worth trying for `scores` (N,): (U + 1,) rising, for U distinct scores.

    One below all scores, the midpoints between neighbouring distinct scores, one above all. Each separates
    its neighbours also where no float lies between them.
    """
    values = np.asarray(scores, dtype=np.float64)
    checked(np.zeros(values.shape, dtype=np.int8), values)
    return _between(np.unique(values))


def sweep(labels: ArrayLike, scores: ArrayLike) -> Sweep:
    """Count the errors of `scores` (N,) with `labels` (N,) at every candidate threshold."""
    truth, values = checked(labels, scores)
    order = np.argsort(values)
    ordered, bona_fide = values[order], truth[order] == 1
    # Row i opens a run of equal scores: a threshold just below it rejects the i rows before it.
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1], True])
    rejected = np.r_[0, np.cumsum(bona_fide, dtype=np.int64)][first]
    attacks = truth.size - int(rejected[-1])
    return Sweep(_between(ordered[first[:-1]]), attacks - (first - rejected), rejected)


def eer_threshold(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the threshold where |FRR - FAR| is smallest (Bi-FPNFAS, eq. 6); labels and scores are (N,).

    Between two candidates that are equally good it is their middle; with all scores equal, that score.

    Raises:
        InputError: one of the classes is missing.
    """
    truth, values = checked(labels, scores)
    both_classes(truth, "the EER threshold")
    curve = sweep(truth, values)
    tied = curve.thresholds[curve.balanced]
    return float(tied[0] / 2 + tied[-1] / 2)


def bpcer_threshold(labels: ArrayLike, scores: ArrayLike, at: float = 0.01) -> float:
    """Return the highest candidate threshold whose BPCER is at most `at` (in [0, 1)); labels and scores are (N,).

    Of all thresholds that keep the BPCER it has the lowest APCER. Under 1 / `at` bona fide presentations
    it lies below all of them, for a single rejection would be too many.

    Raises:
        InputError: no bona fide presentation, or `at` outside [0, 1).
    """
    if not 0 <= at < 1:
        raise InputError(f"the BPCER to keep must lie in [0, 1), got {at}")
    curve = sweep(labels, scores)
    if not curve.rejected[-1]:
        raise InputError(f"a threshold at BPCER {at:g} needs bona fide presentations, and there is none")
    return float(curve.thresholds[np.flatnonzero(curve.bpcer <= at)[-1]])


def _between(distinct: Scores) -> Scores:
    low, high = distinct[:-1], distinct[1:]
    middle = low / 2 + high / 2
    return np.concatenate(
        (
            np.nextafter(distinct[:1], -np.inf),
            np.where(middle > low, middle, high),
            np.nextafter(distinct[-1:], np.inf),
        )
    )


def _share(counts: NDArray[np.int64], total: int) -> Scores:
    return counts / total if total else np.full(counts.shape, np.nan)
