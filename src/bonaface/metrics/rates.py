"""Error rates at a threshold, by ISO/IEC 30107-3:2023. A score >= threshold is accepted as bona fide."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from bonaface.core.errors import InputError
from bonaface.metrics.checks import Groups, both_classes, checked, checked_threshold, grouped
from bonaface.metrics.intervals import Interval, clopper_pearson, wilson


@dataclass(frozen=True, slots=True)
class Rate:
    """`errors` out of `total`. Nothing out of nothing has the value NaN and the interval [0, 1].

    Raises:
        InputError: not 0 <= errors <= total.
    """

    errors: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.errors <= self.total:
            raise InputError(f"a rate needs 0 <= errors <= total, got {self.errors} out of {self.total}")

    @property
    def value(self) -> float:
        """Return the share, in [0, 1]; NaN where the total is 0."""
        return self.errors / self.total if self.total else nan

    def interval(
        self, method: Literal["clopper-pearson", "wilson"] = "clopper-pearson", level: float = 0.95
    ) -> Interval:
        """Return the two-sided confidence interval of the rate at `level`; it is informative for 0 errors, too."""
        return (wilson if method == "wilson" else clopper_pearson)(self.errors, self.total, level)


def apcer(labels: ArrayLike, scores: ArrayLike, threshold: float) -> Rate:
    """Return APCER over all attacks together (A-DeepPixBiS, eq. 1): attacks accepted / attacks. Arrays: (N,)."""
    truth, values = checked(labels, scores)
    attacks = values[truth == 0]
    return Rate(int(np.count_nonzero(attacks >= checked_threshold(threshold))), attacks.size)


def bpcer(labels: ArrayLike, scores: ArrayLike, threshold: float) -> Rate:
    """Return BPCER: bona fide presentations rejected / bona fide presentations. Labels and scores are (N,)."""
    truth, values = checked(labels, scores)
    bona_fide = values[truth == 1]
    return Rate(int(np.count_nonzero(bona_fide < checked_threshold(threshold))), bona_fide.size)


def apcer_per_species(
    labels: ArrayLike, species: ArrayLike | Groups, scores: ArrayLike, threshold: float
) -> dict[str, Rate]:
    """Return APCER of each attack instrument species, by name in sorted order. `species`: text or `Groups`."""
    truth, values = checked(labels, scores)
    groups = grouped(truth, species)
    attack = truth == 0
    accepted = attack & (values >= checked_threshold(threshold))
    totals = np.bincount(groups.codes[attack], minlength=len(groups.names))
    errors = np.bincount(groups.codes[accepted], minlength=len(groups.names))
    return {name: Rate(int(e), int(t)) for name, e, t in zip(groups.names, errors, totals, strict=True)}


def category(species: str) -> str:
    """Return the instrument category of a species: its text before the first ``-`` (``print-1`` is ``print``)."""
    return species.split("-", 1)[0]


def by_category(per_species: Mapping[str, Rate]) -> dict[str, Rate]:
    """Return the rates of `per_species` summed up within each instrument category, by name in sorted order."""
    sums: dict[str, Rate] = {}
    for name in sorted(per_species):
        so_far, rate = sums.get(category(name), Rate(0, 0)), per_species[name]
        sums[category(name)] = Rate(so_far.errors + rate.errors, so_far.total + rate.total)
    return dict(sorted(sums.items()))


def category_apcer(
    labels: ArrayLike, species: ArrayLike | Groups, scores: ArrayLike, threshold: float
) -> dict[str, Rate]:
    """Return APCER of each instrument category, print or display (A-DeepPixBiS, eq. 2). All arrays are (N,)."""
    return by_category(apcer_per_species(labels, species, scores, threshold))


def worst(rates: Mapping[str, Rate]) -> tuple[str, Rate]:
    """Name and rate of the highest of `rates`; the first by name among equals.

    Entries without presentations are passed over; where no other is left, the answer is ``("", Rate(0, 0))``.
    """
    known = [name for name in sorted(rates) if rates[name].total]
    if not known:
        return "", Rate(0, 0)
    name = max(known, key=lambda n: rates[n].value)
    return name, rates[name]


def worst_apcer(labels: ArrayLike, species: ArrayLike | Groups, scores: ArrayLike, threshold: float) -> Rate:
    """Return ISO's APCER: that of the worst species; ``Rate(0, 0)`` without attacks. All arrays are (N,)."""
    return worst(apcer_per_species(labels, species, scores, threshold))[1]


def acer(attack: Rate, bona_fide: Rate) -> float:
    """Return (APCER + BPCER) / 2, an academic figure that ISO does not define; NaN where either rate is NaN."""
    return (attack.value + bona_fide.value) / 2


def acer_at(labels: ArrayLike, scores: ArrayLike, threshold: float) -> float:
    """Return ACER with the pooled APCER at `threshold`, in [0, 1]. Labels and scores are (N,).

    Raises:
        InputError: one of the classes is missing.
    """
    truth, values = checked(labels, scores)
    both_classes(truth, "ACER")
    return acer(apcer(truth, values, threshold), bpcer(truth, values, threshold))


def hter(labels: ArrayLike, scores: ArrayLike, threshold: float) -> float:
    """Return HTER = (FAR + FRR) / 2 at a `threshold` that was fixed on another set (Bi-FPNFAS, eq. 5).

    FAR is the pooled APCER and FRR the BPCER, so at the same threshold this is the pooled ACER.
    """
    return acer_at(labels, scores, threshold)
