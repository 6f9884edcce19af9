"""Resampling whole subjects: the spread of a figure that is not one simple share.

The presentations of one person resemble each other, so a round draws subjects with replacement and takes each
with all of its presentations. A draw depends on nothing but the seed and the number of subjects: two systems'
rounds over the same subjects are paired, and the difference of the two arrays is a paired difference.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bonaface.core.errors import InputError
from bonaface.metrics.checks import Scores, both_classes, checked
from bonaface.metrics.intervals import Interval

# Elements of the largest working array: 2 ** 24 float64 are 128 MiB.
_ELEMENTS = 2**24


def bootstrap_counts(
    groups: ArrayLike,
    errors: ArrayLike,
    subjects: ArrayLike,
    rounds: int = 1000,
    seed: int = 0,
    kinds: int | None = None,
) -> tuple[Scores, Scores]:
    """Errors and totals of each group in each round: two arrays (rounds, G), whole numbers as float64.

    Args:
        groups: (N,) which group a presentation counts for (a species, the bona fide), 0 to G - 1.
        errors: (N,) whether it was decided wrongly, at a threshold that stays as it is.
        subjects: (N,) whose presentation it is, any values that compare.
        rounds: how often to draw.
        seed: of the draws.
        kinds: G, where the last groups may have no presentation.
    """
    group, wrong = np.asarray(groups, dtype=np.intp), np.asarray(errors, dtype=bool)
    owner, people = _numbered(subjects, group.shape)
    kinds = kinds or int(group.max()) + 1
    cell = owner * kinds + group
    totals = np.bincount(cell, minlength=people * kinds).reshape(people, kinds)
    failures = np.bincount(cell[wrong], minlength=people * kinds).reshape(people, kinds)
    both = np.concatenate((failures, totals), axis=1).astype(np.float64)  # (S, 2 G)
    drawn = np.concatenate([weights @ both for weights in _draws(people, rounds, seed)])
    return drawn[:, :kinds], drawn[:, kinds:]


def bootstrap_eer(
    labels: ArrayLike, scores: ArrayLike, subjects: ArrayLike, rounds: int = 1000, seed: int = 0
) -> Scores:
    """The EER of each round, (rounds,), in [0, 1]; NaN for a round that drew only one class.

    Labels, scores and subjects are (N,). Per subject the errors are counted once, at some hundred thresholds;
    a round adds those up, and looks at single scores only between the two thresholds where the rates cross.

    Raises:
        InputError: one of the classes is missing.
    """
    truth, values = checked(labels, scores)
    both_classes(truth, "the EER")
    owner, people = _numbered(subjects, truth.shape)
    blocks = _Blocks.of(truth, values, owner, people)
    return np.concatenate([blocks.eers(weights) for weights in _draws(people, rounds, seed)])


def percentile_interval(rounds: ArrayLike, level: float = 0.95) -> Interval:
    """The middle share `level` of the figures of `rounds` (R,) that are not NaN; [0, 1] if all are."""
    values = np.asarray(rounds, dtype=np.float64)
    known = values[~np.isnan(values)]
    if not known.size:
        return Interval(0.0, 1.0)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def _draws(subjects: int, rounds: int, seed: int) -> Iterator[Scores]:
    """(R, S) how often each of S subjects was drawn, some rounds at a time."""
    if rounds < 1:
        raise InputError(f"the bootstrap needs at least one round, got {rounds}")
    generator = np.random.default_rng(seed)
    at_once = max(1, _ELEMENTS // subjects)
    for start in range(0, rounds, at_once):
        weights = np.empty((min(at_once, rounds - start), subjects))
        for row in weights:
            drawn = generator.integers(0, subjects, size=subjects, dtype=np.int32)
            row[:] = np.bincount(drawn, minlength=subjects)
        yield weights


def _numbered(subjects: ArrayLike, shape: tuple[int, ...]) -> tuple[NDArray[np.intp], int]:
    given = np.asarray(subjects)
    if given.shape != shape or given.ndim != 1 or not given.size:
        raise InputError(f"subjects must have one entry a presentation, got {given.shape} for {shape}")
    names, numbers = np.unique(given, return_inverse=True)
    return numbers.astype(np.intp), names.size


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Presentations in the order of their scores, cut into B blocks of about the same size.

    `edges` (B + 1,) are row numbers; equal scores are never parted. `ends` (N + 1,) is true at a row that
    opens a new score. `counts` (S, 2 B) has each subject's bona fide, then attacks, in each block.
    """

    bona_fide: NDArray[np.bool_]
    owner: NDArray[np.intp]
    edges: NDArray[np.intp]
    ends: NDArray[np.bool_]
    counts: Scores

    @classmethod
    def of(cls, labels: ArrayLike, scores: Scores, owner: NDArray[np.intp], people: int) -> "_Blocks":
        order = np.argsort(scores)
        ordered, bona_fide, owner = scores[order], np.asarray(labels)[order] == 1, owner[order]
        ends = np.r_[True, ordered[1:] != ordered[:-1], True]
        starts = np.flatnonzero(ends)
        wanted = np.linspace(0, ordered.size, int(np.clip(_ELEMENTS // (2 * people), 16, 1024)) + 1)
        edges = np.unique(starts[np.searchsorted(starts, wanted)])
        size = edges.size - 1
        block = np.repeat(np.arange(size), np.diff(edges))
        cell = owner * (2 * size) + np.where(bona_fide, block, size + block)
        counts = np.bincount(cell, minlength=people * 2 * size).reshape(people, 2 * size)
        return cls(bona_fide, owner, edges, ends, counts.astype(np.float64))

    def eers(self, weights: Scores) -> Scores:
        """(R,) the EER under each row of `weights` (R, S)."""
        size = self.edges.size - 1
        sums = (weights @ self.counts).reshape(-1, 2, size)
        edges = np.zeros((len(weights), 2, size + 1))
        np.cumsum(sums, axis=2, out=edges[:, :, 1:])
        return np.array([self._eer(weight, *pair) for weight, pair in zip(weights, edges, strict=True)])

    def _eer(self, weight: Scores, rejected: Scores, refused: Scores) -> float:
        """The EER from bona fide rejected and attacks refused at the blocks' edges, both (B + 1,)."""
        bona_fide, attacks = rejected[-1], refused[-1]
        if not bona_fide or not attacks:
            return float("nan")
        # FRR - FAR rises from -1 at the first edge to 1 at the last: it crosses zero in block `crossing`.
        gap = rejected / bona_fide + refused / attacks - 1
        crossing = int(np.flatnonzero(gap <= 0)[-1])
        rows = slice(int(self.edges[crossing]), int(self.edges[crossing + 1]))
        inner = self.ends[rows.start + 1 : rows.stop + 1]
        weighed, real = weight[self.owner[rows]], self.bona_fide[rows]
        # The crossing block's own first edge, then each index in it where a new score begins.
        lost, caught = np.full((2, np.count_nonzero(inner) + 1), [[rejected[crossing]], [refused[crossing]]])
        lost[1:] += np.cumsum(weighed * real)[inner]
        caught[1:] += np.cumsum(weighed * ~real)[inner]
        distance = np.abs(lost * attacks - (attacks - caught) * bona_fide)
        best = distance == distance.min()
        return float(np.mean((lost[best] / bona_fide + 1 - caught[best] / attacks) / 2))
