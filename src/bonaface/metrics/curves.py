"""Figures over all thresholds: EER, AUC, the DET curve, and one error rate at a limit of the other."""

import numpy as np
from numpy.typing import ArrayLike

from bonaface.core.errors import InputError
from bonaface.metrics.checks import Groups, Scores, both_classes, checked, grouped
from bonaface.metrics.rates import Rate, bpcer, worst_apcer
from bonaface.metrics.thresholds import Sweep, sweep


def eer(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the equal error rate, in [0, 1] (Bi-FPNFAS, eq. 6); labels and scores are (N,).

    (FRR + FAR) / 2 at the candidate threshold that minimises |FRR - FAR|; the mean of the two where two
    neighbours are equally good, which is where the straight line between them crosses FRR = FAR.

    Raises:
        InputError: one of the classes is missing.
    """
    truth, values = checked(labels, scores)
    both_classes(truth, "the EER")
    return eer_of(sweep(truth, values))


def eer_of(curve: Sweep) -> float:
    """Return the equal error rate of errors that were counted before; NaN where a class is missing."""
    best = curve.balanced
    return float(np.mean((curve.apcer[best] + curve.bpcer[best]) / 2))


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the share of pairs (bona fide, attack) in which the bona fide scores higher; ties count half.

    Raises:
        InputError: one of the classes is missing.
    """
    truth, values = checked(labels, scores)
    both_classes(truth, "the AUC")
    return auc_of(sweep(truth, values))


def auc_of(curve: Sweep) -> float:
    """Return the area under the ROC curve of errors that were counted before; NaN where a class is missing."""
    return float(np.sum(np.diff(curve.bpcer) * (1 - (curve.apcer[:-1] + curve.apcer[1:]) / 2)))


def det_curve(labels: ArrayLike, scores: ArrayLike) -> tuple[Scores, Scores, Scores]:
    """Return pooled APCER, BPCER and threshold, each (U + 1,), at every candidate threshold; the thresholds rise.

    Raises:
        InputError: one of the classes is missing.
    """
    truth, values = checked(labels, scores)
    both_classes(truth, "the DET curve")
    curve = sweep(truth, values)
    return curve.apcer, curve.bpcer, curve.thresholds


def bpcer_at_apcer(labels: ArrayLike, species: ArrayLike | Groups, scores: ArrayLike, at: float) -> Rate:
    """Return the smallest BPCER over thresholds where every species' APCER is at most `at` (BPCER10 is `at` = 0.1).

    All arrays are (N,); `at` lies in [0, 1].

    Raises:
        InputError: one of the classes is missing, or `at` is out of range.
    """
    truth, values = checked(labels, scores)
    both_classes(truth, f"BPCER at APCER {at:g}")
    return bpcer(truth, values, apcer_threshold(truth, species, values, at))


def apcer_threshold(labels: ArrayLike, species: ArrayLike | Groups, scores: ArrayLike, at: float) -> float:
    """Return the lowest threshold where every species' APCER is at most `at`, in [0, 1]; -inf where all may pass.

    All arrays are (N,). It lies just above the attack that must no longer be accepted.
    """
    truth, values = checked(labels, scores)
    groups = grouped(truth, species)
    # The errors are monotone, so each species sets a floor: its first score that must no longer be accepted.
    floor = -np.inf
    for code in range(len(groups.names)):
        attacks = np.sort(values[groups.codes == code])
        allowed = _most(at, attacks.size)
        if allowed < attacks.size:
            floor = max(floor, float(attacks[-1 - allowed]))
    return float(np.nextafter(floor, np.inf)) if np.isfinite(floor) else floor


def apcer_at_bpcer(labels: ArrayLike, species: ArrayLike | Groups, scores: ArrayLike, at: float) -> Rate:
    """Return the worst species' APCER at the highest threshold whose BPCER is at most `at`, in [0, 1).

    All arrays are (N,). `at` = 0.01 is NIST's "convenience" point.

    Raises:
        InputError: one of the classes is missing, or `at` is out of range.
    """
    truth, values = checked(labels, scores)
    both_classes(truth, f"APCER at BPCER {at:g}")
    return worst_apcer(truth, species, values, bpcer_limit(truth, values, at))


def bpcer_limit(labels: ArrayLike, scores: ArrayLike, at: float) -> float:
    """Return the highest threshold whose BPCER is at most `at`, in [0, 1): a bona fide presentation's score.

    Raises:
        InputError: no bona fide presentation, or `at` is out of range.
    """
    truth, values = checked(labels, scores)
    bona_fide = np.sort(values[truth == 1])
    allowed = _most(at, bona_fide.size)
    if allowed == bona_fide.size:
        raise InputError(
            f"there is no highest threshold at BPCER {at:g} of {bona_fide.size} bona fide presentations: everything "
            "may be rejected; choose a rate under 1"
        )
    return float(bona_fide[allowed])


def _most(at: float, total: int) -> int:
    """Return the most errors out of `total` whose share is at most `at`; 0 out of 0."""
    if not 0 <= at <= 1:
        raise InputError(f"the error rate to hold must lie in [0, 1], got {at}")
    if not total:
        return 0
    errors = int(at * total)
    # Rounding may put at * total just below or above a whole number (0.07 * 100).
    return errors + 1 if (errors + 1) / total <= at else errors - (errors / total > at)
