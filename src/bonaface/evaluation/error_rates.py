"""Every figure of one set of presentations at one threshold, with counts and 95 % intervals."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import NDArray

from bonaface.evaluation.aggregate import Samples
from bonaface.metrics.bootstrap import bootstrap_counts, bootstrap_eer, percentile_interval
from bonaface.metrics.checks import Groups
from bonaface.metrics.curves import apcer_at_bpcer, auc_of, bpcer_at_apcer, eer_of
from bonaface.metrics.intervals import Interval
from bonaface.metrics.rates import Rate, acer, by_category, category, worst
from bonaface.metrics.thresholds import sweep

# What an APCER is taken over; papers differ, so each is printed.
GROUPINGS = ("species", "category", "pooled")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure in [0, 1] with its 95 % interval, and the counts if it is one share; None where undefined."""

    value: float | None
    interval: Interval | None = None
    errors: int | None = None
    total: int | None = None

    @classmethod
    def of(cls, rate: Rate) -> "Figure":
        """A single share with Clopper and Pearson's interval."""
        if not rate.total:
            return cls(None, None, 0, 0)
        return cls(rate.value, rate.interval(), rate.errors, rate.total)


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors at the threshold. `apcer` and `acer` by grouping; `worst` names the species and category."""

    per_species: Mapping[str, Figure]
    per_category: Mapping[str, Figure]
    apcer: Mapping[str, Figure]
    worst: Mapping[str, str]
    bpcer: Figure
    acer: Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Ranking:
    """How well the scores part the classes, whatever the threshold.

    `bpcer_at` maps 10, 20, 100 to the smallest BPCER with the worst species' APCER at most 1/10, 1/20, 1/100;
    `apcer_at_bpcer1` is the worst species' APCER where BPCER is at most 1 %.
    """

    eer: Figure
    auc: float | None
    bpcer_at: Mapping[int, Figure]
    apcer_at_bpcer1: Figure


@dataclass(frozen=True, slots=True)
class SetFigures:
    """All figures of one set of presentations.

    `errors` leaves non-responses out, as APCER and BPCER do; `strict` counts them as rejected. HTER is ACER
    with the pooled APCER. `subjects` is None where none is named.
    """

    bona_fide: int
    attacks: int
    subjects: int | None
    errors: Errors
    strict: Errors
    apnrr_per_species: Mapping[str, Figure]
    apnrr: Figure
    bpnrr: Figure
    reasons: Mapping[str, int]
    hter: Figure
    ranking: Ranking


def figures_of(samples: Samples, threshold: float, rounds: int = 1000, seed: int = 0) -> SetFigures:
    """Every figure of `samples` at `threshold`; what needs a class that is missing has the value None.

    Args:
        samples: N presentations, with those that did not respond.
        threshold: a score >= threshold is accepted.
        rounds: of the bootstrap over subjects.
        seed: of the bootstrap.
    """
    non_response = np.isnan(samples.scores)
    accepted = samples.scores >= threshold  # never true for NaN
    wrong = accepted != (samples.labels == 1)
    scored = samples.scored()
    errors = _errors(scored, wrong[~non_response], rounds, seed)
    strict = errors if not non_response.any() else _errors(samples, wrong, rounds, seed)
    apnrr = _per_species(samples.species, non_response)
    bona_fide = samples.labels == 1
    return SetFigures(
        bona_fide=int(bona_fide.sum()),
        attacks=int((~bona_fide).sum()),
        subjects=int(np.unique(samples.subjects).size) if samples.named_subjects else None,
        errors=errors,
        strict=strict,
        apnrr_per_species=_figures(apnrr),
        apnrr=Figure.of(_pooled(apnrr)),
        bpnrr=Figure.of(Rate(int(non_response[bona_fide].sum()), int(bona_fide.sum()))),
        reasons=dict(sorted(Counter(samples.responses[non_response].tolist()).items())),
        hter=errors.acer["pooled"],
        ranking=_ranking(scored, rounds, seed),
    )


def _ranking(scored: Samples, rounds: int, seed: int) -> Ranking:
    bona_fide = int(scored.labels.sum())
    if bona_fide in (0, len(scored)):
        return Ranking(Figure(None), None, dict.fromkeys((10, 20, 100), Figure(None)), Figure(None))
    curve = sweep(scored.labels, scored.scores)
    spread = bootstrap_eer(scored.labels, scored.scores, scored.subjects, rounds, seed)
    point = eer_of(curve)
    rows = scored.labels, scored.species, scored.scores
    return Ranking(
        eer=Figure(point, _interval(point, spread, Rate(0, len(scored) - bona_fide), Rate(0, bona_fide))),
        auc=auc_of(curve),
        bpcer_at={n: Figure.of(bpcer_at_apcer(*rows, at=1 / n)) for n in (10, 20, 100)},
        apcer_at_bpcer1=Figure.of(apcer_at_bpcer(*rows, at=0.01)),
    )


def _errors(samples: Samples, wrong: NDArray[np.bool_], rounds: int, seed: int) -> Errors:
    """The errors of `samples` (N,), each decided wrongly or not (N,)."""
    per_species = _per_species(samples.species, wrong)
    per_category = by_category(per_species)
    bona_fide = samples.labels == 1
    bpcer = Rate(int(wrong[bona_fide].sum()), int(bona_fide.sum()))
    worst_species, species_rate = worst(per_species)
    worst_category, category_rate = worst(per_category)
    apcer = {"species": species_rate, "category": category_rate, "pooled": _pooled(per_species)}
    spread = error_rounds(samples, wrong, rounds, seed) if len(samples) else {}
    return Errors(
        per_species=_figures(per_species),
        per_category=_figures(per_category),
        apcer=_figures(apcer),
        worst={"species": worst_species, "category": worst_category},
        bpcer=Figure.of(bpcer),
        acer={name: _acer(rate, bpcer, spread.get(f"acer_{name}")) for name, rate in apcer.items()},
    )


def _acer(attack: Rate, bona_fide: Rate, spread: NDArray[np.float64] | None) -> Figure:
    value = acer(attack, bona_fide)
    if isnan(value) or spread is None:
        return Figure(None)
    return Figure(value, _interval(value, spread, attack, bona_fide))


def error_rounds(
    samples: Samples, wrong: NDArray[np.bool_], rounds: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """APCER and ACER by grouping, and BPCER, in each round of the bootstrap over subjects, (rounds,) each.

    Named as by `report.headline` (``apcer_species``, ``bpcer``, ...); NaN where a round drew no such
    presentation. Two systems' rounds over the same samples are paired.
    """
    names = samples.species.names
    group = np.where(samples.labels == 1, len(names), samples.species.codes)
    errors, totals = bootstrap_counts(group, wrong, samples.subjects, rounds, seed, kinds=len(names) + 1)
    bpcer = _shares(errors[:, len(names) :], totals[:, len(names) :])
    kinds = sorted({category(name) for name in names})
    member = np.array([[category(name) == kind for kind in kinds] for name in names], dtype=np.float64)
    attack_errors, attack_totals = errors[:, : len(names)], totals[:, : len(names)]
    sums = {"species": np.eye(len(names)), "category": member.reshape(len(names), len(kinds))}
    sums["pooled"] = np.ones((len(names), 1))
    found = {"bpcer": bpcer}
    for name, by in sums.items():
        apcer = _shares(attack_errors @ by, attack_totals @ by)
        found |= {f"apcer_{name}": apcer, f"acer_{name}": (apcer + bpcer) / 2}
    return found


def _shares(errors: NDArray[np.float64], totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R,) the highest share of each row of (R, G); NaN where no group of the row has anything."""
    shares = np.full(errors.shape, -np.inf)
    np.divide(errors, totals, out=shares, where=totals > 0)
    highest = shares.max(axis=1, initial=-np.inf)
    return np.where(np.isinf(highest), np.nan, highest)


def _interval(value: float, spread: NDArray[np.float64], attack: Rate, bona_fide: Rate) -> Interval:
    """The percentile interval of `spread`, never leaving `value` out.

    Without a single error every round says zero, which would be an interval without width: then its upper end
    is the mean of the two rates' own upper bounds.
    """
    if value == 0:
        return Interval(0.0, (attack.interval().high + bona_fide.interval().high) / 2)
    low, high = percentile_interval(spread)
    return Interval(min(low, value), max(high, value))


def _per_species(species: Groups, wrong: NDArray[np.bool_]) -> dict[str, Rate]:
    attack = species.codes >= 0
    totals = np.bincount(species.codes[attack], minlength=len(species.names))
    errors = np.bincount(species.codes[attack & wrong], minlength=len(species.names))
    return {name: Rate(int(e), int(t)) for name, e, t in zip(species.names, errors, totals, strict=True)}


def _pooled(rates: Mapping[str, Rate]) -> Rate:
    return Rate(sum(rate.errors for rate in rates.values()), sum(rate.total for rate in rates.values()))


def _figures(rates: Mapping[str, Rate]) -> dict[str, Figure]:
    return {name: Figure.of(rate) for name, rate in rates.items()}
