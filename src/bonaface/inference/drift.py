"""Tell whether today's scores still look like those that a bundle was calibrated on."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import InputError
from bonaface.evaluation.curves import Histogram
from bonaface.inference.bundle import BundleCard
from bonaface.inference.calibration import DIGITS, reference_of
from bonaface.metrics.two_samples import TwoSamples, compare_samples

P, DISTANCE = 0.01, 0.1  # drift: a smaller p-value and at least this distance
FEWEST = 30
_BINS = 20


@dataclass(frozen=True, slots=True)
class Drift:
    """Today's scores beside those of the calibration.

    `rejected` are the shares below the bundle's threshold, then and today; `histogram` has both samples.
    """

    test: TwoSamples
    then: int
    today: int
    threshold: float
    rejected: tuple[float, float]
    histogram: Histogram

    @property
    def least(self) -> float:
        """Return about the smallest distance that so many scores can show at `P`, were each of another person.

        It is Kolmogorov's: sqrt(-ln(P / 2) / 2 * (n + m) / (n m)) for n and m scores.
        """
        return math.sqrt(-math.log(P / 2) / 2 * (1 / self.then + 1 / self.today))

    @property
    def found(self) -> bool:
        """Return whether scores have drifted: more than chance explains, and enough to matter."""
        return self.test.p < P and self.test.distance >= DISTANCE


def compare_with_calibration(
    card: BundleCard, scores: NDArray[np.float64], subjects: NDArray[np.object_]
) -> Drift:
    """Compare `scores` (N,) of today's presentations, of people `subjects` (N,), with the bundle's calibration.

    Raises:
        ModelFileError: the bundle was never calibrated.
        InputError: there are too few scores, or one lies outside [0, 1].
    """
    reference = reference_of(card)
    if len(scores) < FEWEST:
        raise InputError(f"expected at least {FEWEST} scores to compare, got {len(scores)}")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise InputError(
            "a score of this model lies in [0, 1], and one of these does not; they are another system's"
        )
    then, scores = np.array(reference.scores), scores.round(DIGITS)  # as those of the calibration were
    test = compare_samples(then, scores, reference.subjects, np.unique(subjects, return_inverse=True)[1])
    threshold = card.threshold(reference.output, "frame")
    edges = np.linspace(min(then.min(), scores.min()), max(then.max(), scores.max()) + 1e-9, _BINS + 1)
    counts = {
        name: tuple(np.histogram(sample, edges)[0].tolist())
        for name, sample in (("calibration", then), ("today", scores))
    }
    return Drift(
        test,
        len(then),
        len(scores),
        threshold,
        (float((then < threshold).mean()), float((scores < threshold).mean())),
        Histogram(tuple(edges.tolist()), counts),
    )
