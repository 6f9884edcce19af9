"""Tell whether two samples of scores come from the same distribution: Kolmogorov and Smirnov's test, over subjects."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bonaface.core.errors import InputError
from bonaface.metrics.checks import Scores

_ROUNDS = 1999  # permutations: the least p-value is 1 / 2000


@dataclass(frozen=True, slots=True)
class TwoSamples:
    """What the test found.

    `distance` in [0, 1] is the largest difference between the shares of both samples below one score, and `at` that
    score; `p` the share of permutations with a distance at least as large; `lower` the probability that a score of the
    second sample lies below one of the first, ties counting one half.
    """

    distance: float
    at: float
    p: float
    lower: float


def compare_samples(
    first: ArrayLike, second: ArrayLike, first_subjects: ArrayLike, second_subjects: ArrayLike, seed: int = 0
) -> TwoSamples:
    """Compare the scores `first` (N,) with `second` (M,), of people `first_subjects` (N,) and `second_subjects` (M,).

    The p-value is that of a permutation test which draws people and not scores, for scores of one person resemble each
    other. Subjects are numbers that mean nothing between the samples.

    Raises:
        InputError: an empty sample, or a score that is no finite number.
    """
    samples = [_checked(given) for given in (first, second)]
    scores = np.concatenate(samples)
    in_second = np.repeat([False, True], [len(sample) for sample in samples])
    people = _numbered(first_subjects, second_subjects, len(samples[0]))
    order = np.argsort(scores, kind="stable")
    # Between equal scores no share is read off.
    ends = np.flatnonzero(np.r_[np.diff(scores[order]) > 0, True])
    of_people, belongs = people[order], np.zeros(people.max() + 1, bool)
    belongs[people] = in_second
    differences = _differences(belongs[of_people], ends)
    place = int(np.argmax(np.abs(differences)))
    distance = float(np.abs(differences[place]))
    random = np.random.default_rng(seed)
    as_far = sum(
        float(np.abs(_differences(random.permutation(belongs)[of_people], ends)).max()) >= distance - 1e-12
        for _ in range(_ROUNDS)
    )
    below = np.searchsorted(np.sort(samples[1]), samples[0], "left")
    ties = np.searchsorted(np.sort(samples[1]), samples[0], "right") - below
    lower = float((below + ties / 2).mean() / len(samples[1]))
    return TwoSamples(distance, float(scores[order][ends[place]]), (1 + as_far) / (1 + _ROUNDS), lower)


def _differences(second: NDArray[np.bool_], ends: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the share of the second sample less that of the first, up to each of `ends` of the ordered scores."""
    until = np.cumsum(second)[ends]
    all_second = int(np.count_nonzero(second))
    all_first = second.size - all_second
    if not (all_first and all_second):
        return np.zeros(1)
    return until / all_second - (ends + 1 - until) / all_first


def _checked(given: ArrayLike) -> Scores:
    values = np.asarray(given, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise InputError("two samples of finite scores are compared, each (N,) with at least one score")
    return values


def _numbered(first: ArrayLike, second: ArrayLike, count: int) -> NDArray[np.intp]:
    """Return whose each score is, from 0 on, nobody of the first sample being one of the second."""
    one, two = (np.unique(np.asarray(given), return_inverse=True)[1] for given in (first, second))
    if len(one) != count:
        raise InputError(f"expected a subject for each of {count} scores, got {len(one)}")
    return np.concatenate([one, two + one.max() + 1]).astype(np.intp)
