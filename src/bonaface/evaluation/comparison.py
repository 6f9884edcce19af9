"""Compare two systems on the same presentations: paired differences, McNemar's test, changed decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import InputError
from bonaface.evaluation.aggregate import Samples, Unit
from bonaface.evaluation.error_rates import estimates_of, wrong_at
from bonaface.evaluation.folds import EvaluationSettings, FoldData
from bonaface.evaluation.operating_point import Threshold, caution
from bonaface.evaluation.score_table import ScoreTable
from bonaface.metrics.clustered import Estimate, Owners, difference_interval, mean_over
from bonaface.metrics.intervals import Interval
from bonaface.metrics.paired import mcnemar

# The figures whose difference has an interval, in the order in which they are shown.
COMPARED = ("apcer_species", "apcer_pooled", "bpcer", "acer_species", "acer_pooled", "eer")


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of both systems, and first - second with its 95 % interval over subjects; means over the folds."""

    first: float
    second: float
    difference: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class McNemar:
    """Presentations that only one system decided wrongly, and the p-value of the exact two-sided test."""

    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True, slots=True)
class Flip:
    """A presentation that one system decided rightly and the other wrongly, with both scores."""

    fold: str
    id: str
    label: int
    species: str
    first: float
    second: float
    right: Literal["first", "second"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems over the N presentations that both scored, at each system's own thresholds.

    `notes` say how the tables were understood, `pictures` is true where each video is a single frame.
    `left_out` counts those to which only one responded, or neither. `mcnemar` is by kind: attacks, bona fide,
    all.
    """

    first: str
    second: str
    dataset: str
    protocol: str
    unit: Unit
    notes: tuple[str, ...]
    presentations: int
    left_out: int
    pictures: bool
    thresholds: Mapping[str, tuple[Threshold, Threshold]]
    differences: Mapping[str, Difference]
    mcnemar: Mapping[str, McNemar]
    flips: tuple[Flip, ...]

    @property
    def warning(self) -> str:
        """Return the first line of every output where figures need a `caution`; else empty."""
        return caution(self.dataset, any(t.from_test for pair in self.thresholds.values() for t in pair))

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain JSON values."""
        body = asdict(self)
        for name, difference in self.differences.items():
            body["differences"][name]["interval"] = difference.interval._asdict()
        return {**({"warning": self.warning} if self.warning else {}), **body}


@dataclass(frozen=True, slots=True)
class _Pair:
    """One fold of both systems, the same presentations in the same order, with what each decided wrongly."""

    fold: str
    first: Samples
    second: Samples
    wrong_first: NDArray[np.bool_]
    wrong_second: NDArray[np.bool_]
    thresholds: tuple[Threshold, Threshold]
    left_out: int


def compare_tables(
    first: ScoreTable,
    second: ScoreTable,
    *,
    dev_first: ScoreTable | None = None,
    dev_second: ScoreTable | None = None,
    settings: EvaluationSettings | None = None,
    names: tuple[str, str] = ("A", "B"),
) -> Comparison:
    """Compare two systems' scores of the same test presentations, fold by fold.

    Args:
        first: one system's scores on one protocol.
        second: the other's, of the same presentations.
        dev_first: scores to set the first system's threshold on, if they are not the dev rows of `first`.
        dev_second: the same for the second system.
        settings: where each system's threshold comes from, and the unit; by default its own dev EER, by video.
        names: what to call the two.

    Raises:
        InputError: what `EvaluationSettings.fold_data` refuses, or presentations, labels or species that differ.
    """
    for table, name in zip((first, second), names, strict=True):
        if not table.named:
            raise InputError(
                f"nothing in the table {name} names the presentations, and rows are not paired by their position; "
                "name the column that does with --map sample_id=COLUMN (or video_id=COLUMN)"
            )
    chosen = settings or EvaluationSettings()
    dataset, protocol, folds_data = chosen.fold_data(first, dev_first)
    *_, others = chosen.fold_data(second, dev_second)
    pairs = [_pair(one, two) for one, two in _matched(folds_data, others)]
    flips = tuple(flip for pair in pairs for flip in _flips(pair))
    return Comparison(
        *names,
        dataset=dataset,
        protocol=protocol,
        unit=chosen.unit,
        notes=tuple(dict.fromkeys((*first.notes, *second.notes))),
        presentations=sum(len(pair.first) for pair in pairs),
        left_out=sum(pair.left_out for pair in pairs),
        pictures=all(table.where("split", "test").pictures for table in (first, second)),
        thresholds={pair.fold: pair.thresholds for pair in pairs},
        differences=_differences(pairs),
        mcnemar=_tests(flips),
        flips=flips,
    )


def differences_of(first: Sequence[FoldData], second: Sequence[FoldData]) -> dict[str, Difference]:
    """Return how two systems differ in each figure of `COMPARED`, as means over pairs of folds of the same rows.

    Args:
        first: one system's folds; the same fold may be there several times, of trainings with several seeds.
        second: the other's, in the same order. A subject counts once, in however many folds its presentations are.

    Raises:
        InputError: presentations, labels or species of a pair that differ.
    """
    return _differences([_pair(one, two) for one, two in zip(first, second, strict=True)])


def _matched(first: list[FoldData], second: list[FoldData]) -> list[tuple[FoldData, FoldData]]:
    folds, others = (
        {fold_data.fold: fold_data for fold_data in folds_data} for folds_data in (first, second)
    )
    if folds.keys() != others.keys():
        raise InputError(
            f"both systems must have the same folds, got {', '.join(map(repr, folds))} "
            f"and {', '.join(map(repr, others))}"
        )
    return [(folds[name], others[name]) for name in folds]


def _pair(one: FoldData, two: FoldData) -> _Pair:
    """Return `one` and `two` in the same order, without the presentations that either did not respond to."""
    first, second = one.test, two.test
    index = {name: row for row, name in enumerate(second.ids)}
    alone = sorted(set(first.ids) ^ set(index))
    if alone:
        raise InputError(
            f"both systems must have scored the same presentations; {len(alone)} of them are in one table "
            f"only, {alone[0]!r} for one"
        )
    second = second.take(np.array([index[name] for name in first.ids], dtype=np.intp))
    _check_same(first, second)
    # Each table numbers its subjects for itself; the difference is one over the same subjects.
    people = first if first.named_subjects else second
    first, second = (
        replace(samples, subjects=people.subjects, subject_names=people.subject_names)
        for samples in (first, second)
    )
    both = np.flatnonzero(~np.isnan(first.scores) & ~np.isnan(second.scores))
    thresholds = one.threshold, two.threshold
    left_out = len(first) - both.size
    first, second = first.take(both), second.take(both)
    wrong = [
        wrong_at(samples, threshold.value)
        for samples, threshold in zip((first, second), thresholds, strict=True)
    ]
    return _Pair(one.fold, first, second, wrong[0], wrong[1], thresholds, left_out)


def _check_same(first: Samples, second: Samples) -> None:
    for what, one, two in (
        ("labels", first.labels, second.labels),
        ("species", _species(first), _species(second)),
    ):
        differ = np.flatnonzero(one != two)
        if differ.size:
            row = int(differ[0])
            raise InputError(
                f"the two tables give {first.ids[row]!r} different {what}, {one[row]!s} and {two[row]!s}"
            )


def _species(samples: Samples) -> NDArray[np.object_]:
    return np.array([*samples.species.names, ""], dtype=object)[samples.species.codes]


def _differences(pairs: list[_Pair]) -> dict[str, Difference]:
    """Return each figure's mean over the folds, by subjects; a subject in several folds counts once."""
    firsts: dict[str, list[Estimate]] = {}
    seconds: dict[str, list[Estimate]] = {}
    for pair, owners in zip(pairs, _owners(pairs), strict=True):
        one = estimates_of(pair.first, pair.thresholds[0].value, owners)
        two = estimates_of(pair.second, pair.thresholds[1].value, owners)
        for name in COMPARED:
            if name in one and name in two:
                firsts.setdefault(name, []).append(one[name])
                seconds.setdefault(name, []).append(two[name])
    found = {}
    for name in firsts:
        first, second = mean_over(firsts[name]), mean_over(seconds[name])
        difference = first.value - second.value
        found[name] = Difference(first.value, second.value, difference, difference_interval(first, second))
    return found


def _owners(pairs: list[_Pair]) -> list[Owners]:
    """Return the subjects of each fold, numbered over all folds; a presentation without a name stands alone."""
    numbers: dict[tuple[str, str | int], int] = {}
    codes = []
    for pair in pairs:
        names = dict(enumerate(pair.first.subject_names))
        for_code = {
            code: numbers.setdefault(
                ("", names[code]) if names.get(code) else (f"fold {pair.fold}", code), len(numbers)
            )
            for code in np.unique(pair.first.subjects).tolist()
        }
        codes.append(np.array([for_code[code] for code in pair.first.subjects.tolist()], dtype=np.intp))
    if len(numbers) > 1:
        return [Owners(numbered, len(numbers)) for numbered in codes]
    sizes = np.cumsum([0, *(numbered.size for numbered in codes)])
    return [Owners(np.arange(start, stop), int(sizes[-1])) for start, stop in pairwise(sizes)]


def _flips(pair: _Pair) -> list[Flip]:
    species = _species(pair.first)
    return [
        Flip(
            fold=pair.fold,
            id=pair.first.ids[row],
            label=int(pair.first.labels[row]),
            species=species[row],
            first=float(pair.first.scores[row]),
            second=float(pair.second.scores[row]),
            right="second" if pair.wrong_first[row] else "first",
        )
        for row in np.flatnonzero(pair.wrong_first != pair.wrong_second)
    ]


def _tests(flips: tuple[Flip, ...]) -> dict[str, McNemar]:
    found = {}
    for kind, labels in (("attacks", {0}), ("bona fide", {1}), ("all", {0, 1})):
        ours = [flip for flip in flips if flip.label in labels]
        only_first = sum(flip.right == "second" for flip in ours)
        only_second = len(ours) - only_first
        found[kind] = McNemar(only_first, only_second, mcnemar(only_first, only_second))
    return found
