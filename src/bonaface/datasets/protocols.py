"""Protocols as data: which rows of a presentation table train, which tune (dev) and which test.

This module knows no data set: a set's module states its protocols with `Protocol`, `PublishedSplits` and
`BySubject`, and `split_rows` turns one of them into row numbers.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.records import Presentation
from bonaface.datasets.subjects import HOW_TO_NAME
from bonaface.datasets.table import PresentationTable, name_some

_ALONE = "\0"  # first character of the key of a row without a subject, which no subject's name has


@dataclass(frozen=True)
class Rows:
    """A selection of rows: a row is in it if each of these columns agrees.

    A column is a tuple of patterns (``*`` and ``?`` as in a shell; ``{fold}`` stands for the fold's name).
    Patterns that start with ``!`` forbid, the others allow; a column agrees if its value is allowed (or
    nothing is listed as allowed) and not forbidden. An empty tuple agrees with everything. The species of a
    bona fide row is ``""``: ``species=("", "print-*")`` is bona fide and printed attacks.
    """

    split: tuple[str, ...] = ()
    species: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()
    session: tuple[str, ...] = ()
    device: tuple[str, ...] = ()

    def matcher(self, fold: str) -> Callable[[Presentation], bool]:
        """Return a function that tells whether a row is in the selection, in the fold `fold`."""
        columns = {
            column.name: tuple(text.replace("{fold}", fold) for text in getattr(self, column.name))
            for column in fields(self)
            if getattr(self, column.name)
        }
        known: dict[tuple[str, str], bool] = {}  # a million rows have few distinct values

        def agrees(column: str, value: str) -> bool:
            if (column, value) not in known:
                known[column, value] = _agrees(columns[column], value)
            return known[column, value]

        return lambda row: all(agrees(column, getattr(row, column)) for column in columns)


@dataclass(frozen=True)
class PublishedSplits:
    """Splits that the set's authors fixed.

    `dev` is None if the set has no dev split: then `dev_share` of the train subjects (at least one) are
    set aside for it, seeded; they leave train. `train` None is a protocol that only tests.
    """

    train: Rows | None
    test: Rows
    dev: Rows | None = None
    dev_share: float = 0.2


@dataclass(frozen=True)
class BySubject:
    """Splits drawn over all subjects, seeded: `test` and `dev` are numbers of subjects (int) or shares
    (float).

    Fold number i takes the i-th run of test subjects in one shuffled circle of all subjects, so that the
    folds' test subjects differ as long as there are enough, and dev is the run after it.
    """

    test: int | float
    dev: int | float


@dataclass(frozen=True)
class PublishedCounts:
    """The published numbers of (bona fide, attack) presentations of each split, None if not published.

    Where dev is carved from train, `train` is the number before that.
    """

    train: tuple[int, int] | None = None
    dev: tuple[int, int] | None = None
    test: tuple[int, int] | None = None


@dataclass(frozen=True)
class Protocol:
    """The split of one experiment on a data set. `counts` holds for every fold.

    `shares_subjects` says that the published splits show the same people in train and test; in every other
    protocol a subject in two splits is an error. `outdated` is the rows that only an older version of the set's reader
    made, whose names mean something else today; a table that has one is refused. `splits_are_stated` says that whoever
    wrote the table may state the splits in it, and need not.
    """

    name: str
    description: str
    splits: PublishedSplits | BySubject
    folds: tuple[str, ...] = ("",)
    counts: PublishedCounts = field(default_factory=PublishedCounts)
    shares_subjects: bool = False
    outdated: Rows | None = None
    splits_are_stated: bool = False


@dataclass(frozen=True)
class Split:
    """Row numbers of a table, ascending in each split; `notes` are sentences for the user."""

    train: tuple[int, ...]
    dev: tuple[int, ...]
    test: tuple[int, ...]
    notes: tuple[str, ...] = ()


def find_protocol(protocols: Iterable[Protocol], name: str) -> Protocol:
    """Return the protocol called `name`.

    Raises:
        UnknownNameError: no protocol has that name.
    """
    known = {protocol.name: protocol for protocol in protocols}
    if name not in known:
        raise UnknownNameError("protocol", name, known)
    return known[name]


def split_rows(table: PresentationTable, protocol: Protocol, fold: str = "", seed: int = 0) -> Split:
    """Return the train, dev and test rows of `table` under `protocol`; the same for the same table, fold and seed.

    `fold` may be left empty where the protocol has one fold only. `seed` matters where subjects are drawn.

    Raises:
        UnknownNameError: the protocol has no such fold.
        InputError: a split that the protocol defines has no row, a row or subject lies in two splits, there are too
            few subjects to draw from, or an older version made the table and its names mean something else today.
    """
    chosen = protocol.folds[0] if not fold and len(protocol.folds) == 1 else fold
    if not chosen and "" not in protocol.folds:
        raise InputError(
            f"{table.dataset}/{protocol.name} has several folds; name one of {', '.join(protocol.folds)} (--fold)"
        )
    if chosen not in protocol.folds:
        raise UnknownNameError(f"fold of {table.dataset}/{protocol.name}", chosen, protocol.folds)
    where = f"{table.dataset}/{protocol.name}" + (f", fold {chosen}" if chosen else "")
    if protocol.outdated is not None:
        _reject_outdated(table.rows, protocol.outdated, chosen, where)
    if isinstance(protocol.splits, BySubject):
        split = _by_subject(table.rows, protocol.splits, protocol.folds.index(chosen), seed, where)
    else:
        split = _published(table.rows, protocol.splits, chosen, seed, where)
    _check(table.rows, split, protocol, where)
    return split


def _reject_outdated(rows: Iterable[Presentation], outdated: Rows, fold: str, where: str) -> None:
    old = next(filter(outdated.matcher(fold), rows), None)
    if old is None:
        return
    names = ", ".join(
        f"{each.name} {getattr(old, each.name)}" for each in fields(outdated) if getattr(outdated, each.name)
    )
    raise InputError(
        f"{where}: an older version of bonaface made this table, and its names mean something else today ({names} of "
        f"{old.sample_id}); run bonaface prepare again, into another folder"
    )


def _agrees(patterns: Iterable[str], value: str) -> bool:
    allowed = [text for text in patterns if not text.startswith("!")]
    forbidden = [text[1:] for text in patterns if text.startswith("!")]
    return (not allowed or any(fnmatchcase(value, text) for text in allowed)) and not any(
        fnmatchcase(value, text) for text in forbidden
    )


def _published(
    rows: Sequence[Presentation], splits: PublishedSplits, fold: str, seed: int, where: str
) -> Split:
    def select(selection: Rows | None) -> tuple[int, ...]:
        if selection is None:
            return ()
        wanted = selection.matcher(fold)
        return tuple(i for i, row in enumerate(rows) if wanted(row))

    train, dev, test = select(splits.train), select(splits.dev), select(splits.test)
    if splits.train is None or splits.dev is not None:
        return Split(train, dev, test)
    subjects = _subjects(rows, train)
    order = _draw(rows, subjects, seed)
    if len(order) < 2:
        raise InputError(
            f"{where}: needs at least two train subjects to set one aside for dev, got {_names(order)}"
        )
    aside = order[: _number(splits.dev_share, len(order))]
    dev = tuple(sorted(i for subject in aside for i in subjects[subject]))
    kept = set(train) - set(dev)
    return Split(tuple(sorted(kept)), dev, test, _notes(rows, train, where))


def _by_subject(rows: Sequence[Presentation], splits: BySubject, fold: int, seed: int, where: str) -> Split:
    subjects = _subjects(rows, range(len(rows)))
    order = _draw(rows, subjects, seed)
    n_test, n_dev = _number(splits.test, len(order)), _number(splits.dev, len(order))
    if n_test + n_dev >= len(order):
        raise InputError(
            f"{where}: {n_test} test and {n_dev} dev subjects leave none to train, as there are only "
            f"{len(order)}: {_names(order)}"
        )
    start = fold * n_test % len(order)
    circle = order[start:] + order[:start]
    parts = circle[n_test + n_dev :], circle[n_test : n_test + n_dev], circle[:n_test]
    train, dev, test = (tuple(sorted(i for subject in part for i in subjects[subject])) for part in parts)
    return Split(train, dev, test, _notes(rows, range(len(rows)), where))


def _subjects(rows: Sequence[Presentation], numbers: Iterable[int]) -> dict[str, list[int]]:
    """Return row numbers by subject; a row without a subject is its own group, under its sample_id."""
    groups: dict[str, list[int]] = defaultdict(list)
    for i in numbers:
        groups[rows[i].subject or _ALONE + rows[i].sample_id].append(i)
    return groups


def _draw(rows: Sequence[Presentation], subjects: dict[str, list[int]], seed: int) -> list[str]:
    """Draw an order of all subjects, by `seed`, in which every run has its share of each kind of subject.

    The kinds are bona fide only, attacks only, and both. Otherwise a small split could easily lack a class.
    """
    kinds: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for subject in sorted(subjects):
        kinds[tuple(sorted({rows[i].label for i in subjects[subject]}))].append(subject)
    placed: list[tuple[float, tuple[int, ...], str]] = []
    for kind, names in sorted(kinds.items()):
        random.Random(f"{seed} {kind}").shuffle(names)
        placed += [((i + 0.5) / len(names), kind, name) for i, name in enumerate(names)]
    return [name for _, _, name in sorted(placed)]


def _names(subjects: Iterable[str]) -> str:
    return name_some(name.removeprefix(_ALONE) for name in subjects) or "none"


def _number(share: int | float, total: int) -> int:
    return share if isinstance(share, int) else max(1, round(share * total))


def _notes(rows: Sequence[Presentation], drawn: Iterable[int], where: str) -> tuple[str, ...]:
    alone = [rows[i].sample_id for i in drawn if not rows[i].subject]
    if not alone:
        return ()
    return (
        f"{where}: {len(alone)} rows name no subject ({name_some(alone, 3)}), so each stood alone when the "
        f"splits were drawn: the same person may be in train and test; {HOW_TO_NAME}",
    )


def _check(rows: Sequence[Presentation], split: Split, protocol: Protocol, where: str) -> None:
    parts = {"train": split.train, "dev": split.dev, "test": split.test}
    only_test = isinstance(protocol.splits, PublishedSplits) and protocol.splits.train is None
    empty = [name for name, numbers in parts.items() if not numbers and (name == "test" or not only_test)]
    if empty:
        advice = "is the set complete?"
        if protocol.splits_are_stated:
            advice = "name their rows in the column split of a CSV file"
        raise InputError(f"{where}: no row of the table is in {' and '.join(empty)}; {advice}")
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        twice = sorted(set(parts[one]) & set(parts[other]))
        if twice:
            names = name_some(rows[i].sample_id for i in twice)
            raise InputError(f"{where}: rows in both {one} and {other}: {names}")
        if protocol.shares_subjects and other == "test":
            continue
        shared = {rows[i].subject for i in parts[one]} & {rows[i].subject for i in parts[other]} - {""}
        if shared:
            raise InputError(f"{where}: subjects in both {one} and {other}: {name_some(sorted(shared))}")
