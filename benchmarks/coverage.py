"""Measure how often the 95 % intervals of a report hold the true figure, in simulated studies; and those of 0.1.

    python benchmarks/coverage.py [--studies 2000] [--out benchmarks/coverage.json]
    python benchmarks/coverage.py --table          # coverage.json as the tables of coverage.md

A study has S subjects with 6 bona fide presentations and 8 attacks of each of three species, and two systems. A score
is normal: its class's mean, a part that a subject's presentations of one class share (the intraclass correlation of
the scores), and a rest; half of the variance is common to both systems. The threshold is fixed, every rate there has
the same true value, which is then the true EER and the true rate of the worst species as well. A third system has
half the first one's rates; its true differences are known. In the second part a subject's share of wrong decisions
has a beta distribution, so that the correlation is that of the decisions: a few people are mistaken nearly always.

Each cell is written when it is done, and a stopped run goes on after the last.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.core.files import write_json
from bonaface.metrics import clustered
from bonaface.metrics.clustered import Estimate, Owners
from bonaface.metrics.intervals import clopper_pearson

SUBJECTS, CORRELATIONS, RATES = (10, 20, 50), (0.09, 0.25), (0.01, 0.05, 0.2)
BONA_FIDE, SPECIES, OF_SPECIES = 6, 3, 8
ROUNDS = 1000
FIGURES = ("BPCER", "APCER of a species", "APCER, worst species", "ACER", "ACER, worst species", "EER")
Array = NDArray[np.float64]


class Study:
    """A simulated study: the presentations of `subjects` people, bona fide first, then species by species."""

    def __init__(self, subjects: int) -> None:
        sizes = [BONA_FIDE] + [OF_SPECIES] * SPECIES
        self.kind = np.repeat(np.arange(SPECIES + 1), [subjects * size for size in sizes])
        self.owners = Owners(
            np.concatenate([np.repeat(np.arange(subjects), size) for size in sizes]), subjects
        )
        self.labels = (self.kind == 0).astype(np.int8)

    def scores(self, rng: np.random.Generator, correlation: float) -> list[Array]:
        """Return two systems' scores (N,) of variance 1 about their class's mean."""
        common, *own = (self._normal(rng, correlation) for _ in range(3))
        return [(common + part) / np.sqrt(2) for part in own]

    def _normal(self, rng: np.random.Generator, correlation: float) -> Array:
        people = rng.normal(size=(2, self.owners.count))[self.labels, self.owners.codes]
        rest = rng.normal(size=self.kind.size)
        return np.asarray(np.sqrt(correlation) * people + np.sqrt(1 - correlation) * rest)

    def rates(self, wrong: NDArray[np.bool_]) -> dict[str, Estimate]:
        """Return the estimates of the figures at the threshold, and those that they are made of."""
        bpcer, *species = (
            clustered.share(wrong, self.kind == kind, self.owners) for kind in range(SPECIES + 1)
        )
        pooled = clustered.share(wrong, self.kind > 0, self.owners)
        worst = max(species, key=lambda rate: rate.value)
        return {
            "BPCER": bpcer,
            "APCER of a species": species[0],
            "APCER, worst species": worst,
            "ACER": clustered.weighted(pooled, bpcer),
            "ACER, worst species": clustered.weighted(worst, bpcer),
            **{f"species {n}": rate for n, rate in enumerate(species)},
            "pooled": pooled,
        }

    def intervals(self, found: dict[str, Estimate]) -> dict[str, tuple[float, float]]:
        """Return the intervals of a report."""
        species = [found[f"species {n}"] for n in range(SPECIES)]
        intervals = {
            "BPCER": clustered.interval(found["BPCER"]),
            "APCER of a species": clustered.interval(species[0]),
            "APCER, worst species": clustered.worst_interval(species),
            "ACER": clustered.mean_interval(found["pooled"], found["BPCER"]),
            "ACER, worst species": clustered.worst_interval(species, found["BPCER"]),
        }
        if "EER" in found:
            intervals["EER"] = clustered.interval(found["EER"])
        return {name: (bounds.low, bounds.high) for name, bounds in intervals.items()}


class Old:
    """The intervals of version 0.1: Clopper and Pearson's for rates, else a percentile bootstrap over subjects."""

    def __init__(self, study: Study, rng: np.random.Generator) -> None:
        self.study, people = study, study.owners.count
        self.draws = rng.multinomial(people, np.full(people, 1 / people), size=ROUNDS).astype(np.float64)

    def rounds(self, wrong: NDArray[np.bool_], scores: Array) -> dict[str, Array]:
        """Return (ROUNDS,) of each figure that was resampled."""
        people = self.study.owners.count
        cell = self.study.owners.codes * (SPECIES + 1) + self.study.kind
        counts = np.bincount(cell[wrong], minlength=people * (SPECIES + 1)).reshape(people, -1)
        sizes = np.array([BONA_FIDE] + [OF_SPECIES] * SPECIES) * people
        shares = self.draws @ counts / sizes
        pooled = shares[:, 1:].mean(axis=1)
        return {
            "ACER": (pooled + shares[:, 0]) / 2,
            "ACER, worst species": (shares[:, 1:].max(axis=1) + shares[:, 0]) / 2,
            "EER": self._eer(scores),
        }

    def _eer(self, scores: Array) -> Array:
        order = np.argsort(scores)
        real = (self.study.labels[order] == 1).astype(np.float32)
        # Thresholds at which one rate is far above the other are not tried.
        apart = np.abs(np.cumsum(real) / real.sum() - 1 + np.cumsum(1 - real) / (1 - real).sum())
        tried = np.flatnonzero(apart <= max(0.3, apart.min()))
        owner = np.zeros((order.size, self.study.owners.count), dtype=np.float32)
        owner[np.arange(order.size), self.study.owners.codes[order]] = 1
        rates = []
        for mask in (real, 1 - real):
            counts = np.cumsum(owner * mask[:, None], axis=0)[[*tried, -1]]
            drawn = self.draws.astype(np.float32) @ counts.T
            rates.append(drawn[:, :-1] / drawn[:, -1:])
        frr, far = rates[0], 1 - rates[1]
        best = np.argmin(np.abs(frr - far), axis=1)
        rows = np.arange(ROUNDS)
        return np.asarray((frr[rows, best] + far[rows, best]) / 2, dtype=np.float64)

    @staticmethod
    def interval(value: float, rounds: Array, bound: float) -> tuple[float, float]:
        """Return the middle 95 % of `rounds`, with `value` in it; up to `bound` where `value` is 0."""
        if value == 0:
            return 0.0, bound
        low, high = np.quantile(rounds, [0.025, 0.975])
        return min(low, value), max(high, value)


class Tally:
    """Count how often intervals held the true value, and how wide they were."""

    def __init__(self) -> None:
        self.held: dict[str, list[bool]] = {}
        self.widths: dict[str, list[float]] = {}

    def add(self, name: str, bounds: tuple[float, float], truth: float) -> None:
        """Count one interval."""
        self.held.setdefault(name, []).append(bounds[0] <= truth <= bounds[1])
        self.widths.setdefault(name, []).append(bounds[1] - bounds[0])

    def as_dict(self) -> dict[str, dict[str, float]]:
        """Return coverage and mean width in per cent, by name."""
        return {
            name: {
                "coverage": round(100 * float(np.mean(held)), 2),
                "width": round(100 * float(np.mean(self.widths[name])), 3),
            }
            for name, held in self.held.items()
        }


def scores_cell(subjects: int, correlation: float, rate: float, studies: int) -> dict[str, object]:
    """Return the coverage where the scores of a subject are correlated, new and old, and of the differences."""
    rng = np.random.default_rng([subjects, round(100 * correlation), round(1000 * rate)])
    study = Study(subjects)
    new, old, pairs, old_pairs, unequal = Tally(), Tally(), Tally(), Tally(), Tally()
    sign = np.where(study.labels == 1, 1.0, -1.0)
    mean, better = (-NormalDist().inv_cdf(share) for share in (rate, rate / 2))
    for _ in range(studies):
        noise = study.scores(rng, correlation)
        systems = [sign * mean + part for part in noise] + [sign * better + noise[1]]
        found, rounds = [], []
        past = Old(study, rng)
        for number, scores in enumerate(systems):
            wrong = (scores >= 0) != (study.labels == 1)
            estimates = study.rates(wrong)
            estimates["EER"] = clustered.equal_error(study.labels, scores, study.owners)
            found.append(estimates)
            if number < 2:
                rounds.append(past.rounds(wrong, scores))
        for name, bounds in study.intervals(found[0]).items():
            new.add(name, bounds, rate)
        _add_old(old, found[0], rounds[0], rate)
        for name in FIGURES:
            pairs.add(name, clustered.difference_interval(found[0][name], found[1][name]), 0.0)
            unequal.add(name, clustered.difference_interval(found[0][name], found[2][name]), rate / 2)
        for name in rounds[0]:
            low, high = np.quantile(rounds[0][name] - rounds[1][name], [0.025, 0.975])
            old_pairs.add(name, (low, high), 0.0)
    tallies = {"new": new, "old": old, "equal": pairs, "old equal": old_pairs, "unequal": unequal}
    return {name: tally.as_dict() for name, tally in tallies.items()}


def _add_old(old: Tally, found: dict[str, Estimate], rounds: dict[str, Array], rate: float) -> None:
    upper = {}
    for name in ("BPCER", "APCER of a species", "APCER, worst species", "pooled"):
        errors = round(found[name].value * found[name].size)
        bounds = clopper_pearson(errors, round(found[name].size))
        upper[name] = bounds.high
        if name != "pooled":
            old.add(name, bounds, rate)
    for name, drawn in rounds.items():
        attacks = upper["APCER, worst species" if "worst" in name else "pooled"]
        old.add(name, Old.interval(found[name].value, drawn, (attacks + upper["BPCER"]) / 2), rate)


def decisions_cell(subjects: int, correlation: float, rate: float, studies: int) -> dict[str, object]:
    """Return the coverage where the decisions of a subject are correlated (beta-binomial counts)."""
    rng = np.random.default_rng([1, subjects, round(100 * correlation), round(1000 * rate)])
    study, new = Study(subjects), Tally()
    weight = (1 - correlation) / correlation
    for _ in range(studies):
        tendency = rng.beta(rate * weight, (1 - rate) * weight, size=(2, subjects))[
            study.labels, study.owners.codes
        ]
        wrong = rng.random(study.kind.size) < tendency
        for name, bounds in study.intervals(study.rates(wrong)).items():
            new.add(name, bounds, rate)
    return {"new": new.as_dict()}


PARTS: dict[str, Callable[[int, float, float, int], dict[str, object]]] = {
    "scores": scores_cell,
    "decisions": decisions_cell,
}


def run(path: Path, studies: int) -> None:
    """Simulate every cell that `path` lacks."""
    done: dict[str, Any] = {"studies": studies, "cells": {}}
    if path.is_file():
        done = json.loads(path.read_text())
    if done["studies"] != studies:
        raise SystemExit(f"{path} has {done['studies']} studies a cell; give another --out, or remove it")
    for part, simulate in PARTS.items():
        for subjects in SUBJECTS:
            for correlation in CORRELATIONS:
                for rate in RATES:
                    name = f"{part} {subjects} {correlation} {rate}"
                    if name in done["cells"]:
                        continue
                    begun = time.perf_counter()
                    done["cells"][name] = simulate(subjects, correlation, rate, studies)
                    write_json(path, done)
                    print(f"{name}: {time.perf_counter() - begun:.0f} s", flush=True)


def tables(path: Path) -> str:
    """Return the results as Markdown: coverage and mean width in per cent."""
    cells = json.loads(path.read_text())["cells"]
    lines = [f"{platform.machine()}, {json.loads(path.read_text())['studies']} studies a cell."]
    for part, kinds in (("scores", ("new", "old", "equal", "old equal", "unequal")), ("decisions", ("new",))):
        for kind in kinds:
            rows = [(name.split()[1:], cell[kind]) for name, cell in cells.items() if name.startswith(part)]
            if not rows:
                continue
            names = list(rows[0][1])
            lines += ["", f"**{part}, {kind}**", ""]
            lines.append(f"| subjects | correlation | rate % | {' | '.join(names)} |")
            lines.append("|---:" * (3 + len(names)) + "|")
            for (subjects, correlation, rate), found in rows:
                shown = [_cell(found[name], kind) for name in names]
                lines.append(f"| {subjects} | {correlation} | {100 * float(rate):g} | {' | '.join(shown)} |")
            least = [min(found[name]["coverage"] for _, found in rows) for name in names]
            most = [max(found[name]["coverage"] for _, found in rows) for name in names]
            equal = "equal" in kind.split()
            said = [f"{100 - low:.1f}" if equal else f"{low:.1f}" for low in least]
            lines.append(f"| {'most' if equal else 'least'} | | | {' | '.join(said)} |")
            if equal:
                lines.append(f"| least | | | {' | '.join(f'{100 - high:.1f}' for high in most)} |")
    return "\n".join(lines)


def _cell(found: dict[str, float], kind: str) -> str:
    """Return coverage and width; of equal systems how often they are called different."""
    share = 100 - found["coverage"] if "equal" in kind.split() else found["coverage"]
    return f"{share:.1f} / {found['width']:.1f}"


def main() -> None:
    """Simulate, or print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--table", action="store_true", help="print the tables of what is done")
    arguments = parser.parse_args()
    if arguments.table:
        print(tables(arguments.out))
    else:
        run(arguments.out, arguments.studies)


if __name__ == "__main__":
    main()
