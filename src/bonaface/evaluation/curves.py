"""Compute what a report draws: DET curve, score histograms, calibration; reduced to as many points as show."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from bonaface.evaluation.aggregate import Samples
from bonaface.metrics.thresholds import sweep

# Normal-deviate axes can't show 0 and 1; below this share (and above 1 - it) a curve leaves the plot.
LEAST = 1e-4
_POINTS = 300
_BINS = (10, 40)
_PROBABILITY_BINS = 10


@dataclass(frozen=True, slots=True)
class Det:
    """P points of a DET curve, by rising threshold: (P,) each. `worst` is the worst species' APCER."""

    thresholds: tuple[float, ...]
    pooled: tuple[float, ...]
    worst: tuple[float, ...]
    bpcer: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of scores between `edges` (B + 1,), by kind: ``bona fide`` and each species, (B,) each."""

    edges: tuple[float, ...]
    counts: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far scores in [0, 1] are probabilities of bona fide, over those of ten equal bins that have any score.

    Of each bin its mean `scores`, its `bona_fide` presentations and all (`totals`), (B,) each. `error` is the expected
    calibration error: the mean distance of the bins from the diagonal, each weighed by its presentations.
    """

    scores: tuple[float, ...]
    bona_fide: tuple[int, ...]
    totals: tuple[int, ...]
    error: float


def det_of(samples: Samples) -> Det | None:
    """Return the DET curve of those of `samples` that responded; None where a class is missing."""
    scored = samples.scored()
    bona_fide = int(scored.labels.sum())
    if bona_fide in (0, len(scored)):
        return None
    curve = sweep(scored.labels, scored.scores)
    rows = _thinned(curve.apcer, curve.bpcer)
    thresholds = curve.thresholds[rows]
    worst = np.zeros(rows.size)
    for code in range(len(scored.species.names)):
        attacks = np.sort(scored.scores[scored.species.codes == code])
        if attacks.size:
            accepted = attacks.size - np.searchsorted(attacks, thresholds, side="left")
            worst = np.maximum(worst, accepted / attacks.size)
    columns = thresholds, curve.apcer[rows], worst, curve.bpcer[rows]
    return Det(*(tuple(column.tolist()) for column in columns))


def histogram_of(samples: Samples) -> Histogram | None:
    """Return how often each score came, for bona fide and each species; None where nothing responded."""
    scored = samples.scored()
    if not len(scored):
        return None
    low, high = float(scored.scores.min()), float(scored.scores.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    # Rice's rule, so that a few scores do not each stand alone.
    bins = int(np.clip(np.ceil(2 * len(scored) ** (1 / 3)), *_BINS))
    edges = np.linspace(low, high, bins + 1)
    kinds = {"bona fide": -1} | {name: code for code, name in enumerate(scored.species.names)}
    counts = {
        name: tuple(np.histogram(scored.scores[scored.species.codes == code], edges)[0].tolist())
        for name, code in kinds.items()
    }
    return Histogram(tuple(edges.tolist()), counts)


def calibration_of(samples: Samples) -> Calibration | None:
    """Return the calibration of those of `samples` that responded; None where a class is missing.

    Nor is there any where a score lies outside [0, 1]: such scores are no probabilities.
    """
    scored = samples.scored()
    bona_fide = int(scored.labels.sum())
    if bona_fide in (0, len(scored)) or scored.scores.min() < 0 or scored.scores.max() > 1:
        return None
    bins = np.minimum((scored.scores * _PROBABILITY_BINS).astype(np.intp), _PROBABILITY_BINS - 1)
    totals = np.bincount(bins, minlength=_PROBABILITY_BINS)
    full = np.flatnonzero(totals)
    totals = totals[full]
    sums = np.bincount(bins, scored.scores, _PROBABILITY_BINS)[full]
    real = np.bincount(bins, scored.labels, _PROBABILITY_BINS)[full]
    error = float(np.abs(sums - real).sum() / len(scored))
    counts = tuple(real.astype(np.intp).tolist())
    return Calibration(tuple((sums / totals).tolist()), counts, tuple(totals.tolist()), error)


def deviate(share: float) -> float:
    """Return the normal deviate of `share`, clipped to the range of the axes."""
    return NormalDist().inv_cdf(min(max(share, LEAST), 1 - LEAST))


def _thinned(apcer: NDArray[np.float64], bpcer: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return at most about `_POINTS` row numbers, evenly spaced along the curve as it is drawn."""
    if apcer.size <= _POINTS:
        return np.arange(apcer.size)
    # A logit has the shape of the normal deviate, and numpy has it.
    x, y = (np.log(s / (1 - s)) for s in (np.clip(apcer, LEAST, 1 - LEAST), np.clip(bpcer, LEAST, 1 - LEAST)))
    length = np.r_[0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))]
    wanted = np.linspace(0, length[-1], _POINTS)
    return np.unique(np.r_[0, np.searchsorted(length, wanted).clip(max=apcer.size - 1), apcer.size - 1])
