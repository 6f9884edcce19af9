"""Compute every figure of one set of presentations at one threshold, with counts and 95 % intervals."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonaface.evaluation.aggregate import Samples
from bonaface.metrics.clustered import (
    Estimate,
    Owners,
    equal_error,
    interval,
    mean_interval,
    share,
    weighted,
    worst_interval,
)
from bonaface.metrics.curves import apcer_threshold, auc, bpcer_limit
from bonaface.metrics.intervals import Interval
from bonaface.metrics.rates import Rate, category, worst

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
    def of(cls, rate: Rate, bounds: Interval) -> "Figure":
        """Return a single share with its interval."""
        return cls(rate.value, bounds, rate.errors, rate.total) if rate.total else cls(None, None, 0, 0)


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
    """How well the scores separate the classes, whatever the threshold.

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


def figures_of(samples: Samples, threshold: float) -> SetFigures:
    """Return every figure of `samples` at `threshold`; one that needs a missing class has the value None.

    Args:
        samples: N presentations, with those that did not respond.
        threshold: a score >= threshold is accepted.
    """
    non_response = np.isnan(samples.scores)
    wrong, owners = wrong_at(samples, threshold), Owners.of(samples.subjects)
    strict = errors = _errors(Counts.of(samples, wrong, owners))
    scored, of_scored = samples, owners
    if non_response.any():
        answered = np.flatnonzero(~non_response)
        scored, of_scored = samples.take(answered), Owners(owners.codes[answered], owners.count)
        errors = _errors(Counts.of(scored, wrong[answered], of_scored))
    non_responses = Counts.of(samples, non_response, owners)
    bona_fide = samples.labels == 1
    return SetFigures(
        bona_fide=int(bona_fide.sum()),
        attacks=int((~bona_fide).sum()),
        subjects=int(np.unique(samples.subjects).size) if samples.named_subjects else None,
        errors=errors,
        strict=strict,
        apnrr_per_species=non_responses.figures("species"),
        apnrr=non_responses.figures("pooled").get("", Figure(None, None, 0, 0)),
        bpnrr=non_responses.bona_fide_figure,
        reasons=dict(sorted(Counter(samples.responses[non_response].tolist()).items())),
        hter=errors.acer["pooled"],
        ranking=_ranking(scored, of_scored),
    )


@dataclass(frozen=True, slots=True)
class Counts:
    """Wrong decisions: a rate and its estimate over subjects for each group of each grouping.

    `attacks` has the groups of ``species``, ``category`` and ``pooled`` (one group, named ``""``) by name.
    """

    attacks: Mapping[str, Mapping[str, tuple[Rate, Estimate]]]
    bona_fide: tuple[Rate, Estimate]

    @classmethod
    def of(cls, samples: Samples, wrong: NDArray[np.bool_], owners: Owners) -> "Counts":
        """Return the counts of `samples` (N,), each decided wrongly or not (N,); `owners` are their subjects."""
        codes, names = samples.species.codes, samples.species.names

        def counted(rows: NDArray[np.bool_]) -> tuple[Rate, Estimate]:
            return _counted(wrong, rows, owners)

        kinds = sorted({category(name) for name in names})
        kind_of = np.array([*(kinds.index(category(name)) for name in names), -1], dtype=np.intp)[codes]
        attacks = {
            "species": {name: counted(codes == code) for code, name in enumerate(names)},
            "category": {name: counted(kind_of == code) for code, name in enumerate(kinds)},
            "pooled": {"": counted(codes >= 0)} if names else {},
        }
        return cls(attacks, counted(samples.labels == 1))

    @property
    def bona_fide_figure(self) -> Figure:
        """Return BPCER."""
        rate, estimate = self.bona_fide
        return Figure.of(rate, interval(estimate))

    def figures(self, grouping: str) -> dict[str, Figure]:
        """Return the APCER of each group."""
        groups = self.attacks[grouping].items()
        return {name: Figure.of(rate, interval(estimate)) for name, (rate, estimate) in groups}

    def worst(self, grouping: str) -> tuple[str, Rate, Estimate | None]:
        """Return name, rate and estimate of the group with the highest APCER; no estimate without attacks."""
        groups = self.attacks[grouping]
        name, rate = worst({name: rate for name, (rate, _) in groups.items()})
        return name, rate, groups[name][1] if rate.total else None

    def apcer(self, grouping: str) -> Figure:
        """Return the APCER of the worst group."""
        _, rate, _ = self.worst(grouping)
        return Figure.of(rate, worst_interval(self._estimates(grouping)))

    def acer(self, grouping: str) -> Figure:
        """Return ACER with the APCER of the worst group."""
        _, rate, estimate = self.worst(grouping)
        bpcer, of_bona_fide = self.bona_fide
        if estimate is None or not bpcer.total:
            return Figure(None)
        groups = self._estimates(grouping)
        bounds = (
            mean_interval(groups[0], of_bona_fide)
            if len(groups) == 1
            else worst_interval(groups, of_bona_fide)
        )
        return Figure((rate.value + bpcer.value) / 2, bounds)

    def estimates(self) -> dict[str, Estimate]:
        """Return APCER and ACER by grouping, and BPCER, over subjects; keyed by the names of `report.headline`."""
        _, bpcer = self.bona_fide
        found = {"bpcer": bpcer} if bpcer.size else {}
        for grouping in GROUPINGS:
            _, _, estimate = self.worst(grouping)
            if estimate is not None:
                found[f"apcer_{grouping}"] = estimate
                if bpcer.size:
                    found[f"acer_{grouping}"] = weighted(estimate, bpcer)
        return found

    def _estimates(self, grouping: str) -> list[Estimate]:
        return [estimate for rate, estimate in self.attacks[grouping].values() if rate.total]


def estimates_of(samples: Samples, threshold: float, owners: Owners) -> dict[str, Estimate]:
    """Return the figures that compare two systems: rates at `threshold`, and EER, over the subjects `owners`.

    All of `samples` responded. Figures that need a class that is missing are left out.
    """
    found = Counts.of(samples, wrong_at(samples, threshold), owners).estimates()
    if 0 < samples.labels.sum() < len(samples):
        found["eer"] = equal_error(samples.labels, samples.scores, owners)
    return found


def _counted(wrong: NDArray[np.bool_], rows: NDArray[np.bool_], owners: Owners) -> tuple[Rate, Estimate]:
    """Return the share of `wrong` (N,) among `rows` (N,)."""
    return Rate(int(np.count_nonzero(wrong & rows)), int(np.count_nonzero(rows))), share(wrong, rows, owners)


def wrong_at(samples: Samples, threshold: float) -> NDArray[np.bool_]:
    """Return (N,) whether each was decided wrongly; a non-response is never accepted."""
    return np.asarray((samples.scores >= threshold) != (samples.labels == 1))


def _errors(counts: Counts) -> Errors:
    return Errors(
        per_species=counts.figures("species"),
        per_category=counts.figures("category"),
        apcer={grouping: counts.apcer(grouping) for grouping in GROUPINGS},
        worst={grouping: counts.worst(grouping)[0] for grouping in ("species", "category")},
        bpcer=counts.bona_fide_figure,
        acer={grouping: counts.acer(grouping) for grouping in GROUPINGS},
    )


def _ranking(scored: Samples, owners: Owners) -> Ranking:
    bona_fide = scored.labels == 1
    if bona_fide.all() or not bona_fide.any():
        return Ranking(Figure(None), None, dict.fromkeys((10, 20, 100), Figure(None)), Figure(None))
    rows = scored.labels, scored.species, scored.scores
    eer = equal_error(scored.labels, scored.scores, owners)
    bpcer_at = {}
    for n in (10, 20, 100):
        rejected = scored.scores < apcer_threshold(*rows, at=1 / n)
        rate, estimate = _counted(rejected, bona_fide, owners)
        bpcer_at[n] = Figure.of(rate, interval(estimate))
    accepted = scored.scores >= bpcer_limit(scored.labels, scored.scores, 0.01)
    return Ranking(
        eer=Figure(eer.value, interval(eer)),
        auc=auc(scored.labels, scored.scores),
        bpcer_at=bpcer_at,
        apcer_at_bpcer1=Counts.of(scored, accepted == ~bona_fide, owners).apcer("species"),
    )
