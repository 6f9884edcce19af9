import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.records import Presentation
from bonaface.datasets.protocols import BySubject, Protocol, PublishedSplits, Rows, find_protocol, split_rows
from bonaface.datasets.table import PresentationTable


def row(n: int, label: int = 1, **columns: str) -> Presentation:
    species = columns.pop("species", "" if label else "print-1")
    return Presentation(f"s{n}", f"s{n}.jpg", label, species, **columns)


def table_of(*rows: Presentation) -> PresentationTable:
    return PresentationTable("drawn", rows)


@st.composite
def tables(draw: st.DrawFn, subjects: int = 3) -> PresentationTable:
    """Draw tables of at least `subjects` subjects, each with bona fide rows, attacks or both."""
    people = draw(st.integers(subjects, 15))
    rows: list[Presentation] = []
    for person in range(people):
        for label in draw(st.lists(st.integers(0, 1), min_size=1, max_size=4)):
            split = draw(st.sampled_from(("train", "test")))
            rows.append(row(len(rows), label, subject=f"p{person}", split=split))
    return table_of(*draw(st.permutations(rows)))


def people(table: PresentationTable, numbers: tuple[int, ...]) -> set[str]:
    return {table.rows[i].subject for i in numbers}


DRAWN = Protocol("drawn", "", BySubject(test=0.2, dev=0.2))
CARVED = Protocol(
    "carved", "", PublishedSplits(Rows(split=("train",)), Rows(split=("test",))), shares_subjects=True
)


@given(tables(), st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_drawn_splits_are_a_partition_and_disjoint_in_subjects(table: PresentationTable, seed: int) -> None:
    split = split_rows(table, DRAWN, seed=seed)
    assert sorted(split.train + split.dev + split.test) == list(range(len(table)))
    in_each = [people(table, numbers) for numbers in (split.train, split.dev, split.test)]
    every = people(table, tuple(range(len(table))))
    assert sum(map(len, in_each)) == len(every)
    assert [len(names) for names in in_each[1:]] == [max(1, round(0.2 * len(every)))] * 2
    assert split == split_rows(table, DRAWN, seed=seed)
    assert split.notes == ()


@pytest.mark.parametrize("old", [0, 3])
def test_one_row_of_an_older_version_is_refused_and_named(old: int) -> None:
    rows = [row(i, i % 2, subject=f"s{i // 2}") for i in range(12)]
    protocol = replace(DRAWN, outdated=Rows(device=("low",)))
    assert split_rows(table_of(*rows), protocol) == split_rows(table_of(*rows), DRAWN)
    rows[old] = replace(rows[old], device="low")
    assert split_rows(table_of(*rows), DRAWN).train
    with pytest.raises(
        InputError, match=rf"\(device low of {rows[old].sample_id}\); run bonaface prepare again"
    ):
        split_rows(table_of(*rows), protocol)


@given(tables(), st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_dev_is_carved_from_train_by_subject(table: PresentationTable, seed: int) -> None:
    marked = [i for i, each in enumerate(table.rows) if each.split == "train"]
    tested = [i for i, each in enumerate(table.rows) if each.split == "test"]
    subjects = people(table, tuple(marked))
    if len(subjects) < 2 or not tested:
        with pytest.raises(InputError):
            split_rows(table, CARVED, seed=seed)
        return
    split = split_rows(table, CARVED, seed=seed)
    assert sorted(split.train + split.dev) == marked
    assert list(split.test) == tested
    assert not people(table, split.train) & people(table, split.dev)
    assert len(people(table, split.dev)) == max(1, round(0.2 * len(subjects)))
    assert split == split_rows(table, CARVED, seed=seed)


@given(tables(subjects=5), st.randoms())
@settings(max_examples=30, deadline=None)
def test_drawn_subjects_do_not_depend_on_the_order_of_rows(table: PresentationTable, random: Any) -> None:
    rows = list(table.rows)
    random.shuffle(rows)
    other = table_of(*rows)
    one, two = split_rows(table, DRAWN, seed=3), split_rows(other, DRAWN, seed=3)
    assert people(table, one.test) == people(other, two.test)
    assert people(table, one.dev) == people(other, two.dev)


def test_seeds_draw_different_subjects() -> None:
    table = table_of(
        *(row(i, subject=f"p{i}") for i in range(50)),
        *(row(i, 0, subject=f"p{i % 50}") for i in range(50, 99)),
    )
    tested = {frozenset(people(table, split_rows(table, DRAWN, seed=seed).test)) for seed in range(10)}
    assert len(tested) == 10


def test_folds_test_every_subject() -> None:
    table = table_of(*(row(i, i % 2, subject=f"p{i // 2}") for i in range(30)))
    protocol = Protocol("five", "", BySubject(test=3, dev=3), folds=("1", "2", "3", "4", "5"))
    splits = [split_rows(table, protocol, fold) for fold in protocol.folds]
    assert all(len(split.test) == 6 and len(split.dev) == 6 and len(split.train) == 18 for split in splits)
    tested = [people(table, split.test) for split in splits]
    assert set.union(*tested) == {f"p{i}" for i in range(15)}
    assert sum(map(len, tested)) == 15
    assert [people(table, split.dev) for split in splits] == [*tested[1:], tested[0]]


def test_each_split_has_its_share_of_each_kind_of_subject() -> None:
    # bona fide and attack subjects are different people: an unlucky draw would leave a class out
    table = table_of(
        *(row(i, subject=f"a{i}") for i in range(5)), *(row(i, 0, subject=f"b{i}") for i in range(5, 20))
    )
    for seed in range(20):
        split = split_rows(table, DRAWN, seed=seed)
        assert [table.counts(rows) for rows in (split.train, split.dev, split.test)] == [
            (3, 9),
            (1, 3),
            (1, 3),
        ]


def test_rows_without_a_subject_stand_alone_with_a_warning() -> None:
    table = table_of(*(row(i, i % 2) for i in range(10)), row(10, subject="p"), row(11, subject="p"))
    split = split_rows(table, DRAWN)
    assert sorted(split.train + split.dev + split.test) == list(range(12))
    assert len(split.notes) == 1
    assert "drawn/drawn: 10 rows name no subject (s0, s1, s2 and 7 more)" in split.notes[0]


def test_rejects_too_few_subjects() -> None:
    table = table_of(row(0, subject="Ann"), row(1), row(2, 0, subject="Ann"))
    with pytest.raises(
        InputError, match=r"drawn/drawn: 1 test and 1 dev subjects leave none to train, .* only 2: .*Ann"
    ):
        split_rows(table, DRAWN)
    one = table_of(row(0, subject="Ann", split="train"), row(1, subject="Bob", split="test"))
    with pytest.raises(InputError, match=r"drawn/carved: needs at least two train subjects .* got Ann"):
        split_rows(one, CARVED)


@pytest.mark.parametrize(
    ("patterns", "value", "agrees"),
    [
        ((), "anything", True),
        (("1", "2"), "2", True),
        (("1", "2"), "12", False),
        (("!{fold}",), "3", True),
        (("!{fold}",), "7", False),
        (("{fold}",), "7", True),
        (("print-*",), "print-2", True),
        (("print-*",), "", False),
        (("", "print-*"), "", True),
        (("print-*", "!print-2"), "print-2", False),
        (("print-*", "!print-2"), "print-1", True),
        (("{fold}-*",), "7-x", True),
        (("A",), "a", False),
    ],
)
def test_rows_select_by_patterns(patterns: tuple[str, ...], value: str, agrees: bool) -> None:
    assert Rows(device=patterns).matcher("7")(row(0, device=value)) is agrees


def test_rows_join_columns_by_and() -> None:
    wanted = Rows(split=("train",), session=("1",)).matcher("")
    assert wanted(row(0, split="train", session="1"))
    assert not wanted(row(0, split="train", session="2"))
    assert not wanted(row(0, split="test", session="1"))


def test_rejects_an_empty_split() -> None:
    table = table_of(row(0, split="train", subject="a"), row(1, split="train", subject="b"))
    with pytest.raises(InputError, match="drawn/carved: no row of the table is in test"):
        split_rows(table, CARVED)


def test_a_row_in_two_splits_is_named() -> None:
    every = Protocol("all", "", PublishedSplits(Rows(), Rows(), dev=Rows(split=("dev",))))
    table = table_of(row(0, split="dev"), row(1))
    with pytest.raises(InputError, match="drawn/all: rows in both train and dev: s0"):
        split_rows(table, every)


def test_a_subject_in_two_splits_is_named() -> None:
    published = Protocol(
        "own", "", PublishedSplits(Rows(split=("train",)), Rows(split=("test",)), Rows(split=("dev",)))
    )
    rows = [
        row(0, split="train", subject="Ann"),
        row(1, split="dev", subject="Bob"),
        row(2, split="test", subject="Ann"),
    ]
    with pytest.raises(InputError, match="drawn/own: subjects in both train and test: Ann"):
        split_rows(table_of(*rows), published)
    # Where train and test may share them, dev, which the threshold comes from, still has its own.
    shared = replace(published, shares_subjects=True)
    assert split_rows(table_of(*rows), shared).test == (2,)
    with pytest.raises(InputError, match="drawn/own: subjects in both train and dev: Ann"):
        split_rows(table_of(*rows, row(3, split="dev", subject="Ann")), shared)


def test_a_protocol_that_only_tests() -> None:
    protocol = Protocol("test", "", PublishedSplits(train=None, test=Rows()))
    split = split_rows(table_of(row(0), row(1, 0)), protocol)
    assert (split.train, split.dev, split.test, split.notes) == ((), (), (0, 1), ())


def test_unknown_names_list_the_known_ones() -> None:
    protocol = Protocol("own", "", BySubject(1, 1), folds=("1", "2"))
    with pytest.raises(UnknownNameError, match=r"unknown fold of drawn/own '3'.*Known: 1, 2"):
        split_rows(table_of(row(0)), protocol, "3")
    with pytest.raises(InputError, match=r"drawn/own has several folds; name one of 1, 2 \(--fold\)"):
        split_rows(table_of(row(0)), protocol)
    assert find_protocol([protocol, DRAWN], "drawn") is DRAWN
    with pytest.raises(UnknownNameError, match=r"unknown protocol 'grandtets'.*Known: drawn, own"):
        find_protocol([protocol, DRAWN], "grandtets")


# OULU-NPU's four protocols (docs/decisions.md), as the hardest thing that `Rows` has to say

SPLITS = {"train": range(1, 21), "dev": range(21, 36), "test": range(36, 56)}
FILES = {"1": (1, ""), "2": (0, "print-1"), "3": (0, "print-2"), "4": (0, "display-1"), "5": (0, "display-2")}
FIRST, SECOND = ("", "print-1", "display-1"), ("", "print-2", "display-2")


def published(seen: Rows, unseen: Rows) -> PublishedSplits:
    def of(split: str, rows: Rows) -> Rows:
        return Rows((split,), rows.species, (), rows.session, rows.device)

    return PublishedSplits(of("train", seen), of("test", unseen), of("dev", seen))


OULU = (
    ("1", Rows(session=("1", "2")), Rows(session=("3",)), 1, (240, 960, 180, 720, 120, 480)),
    ("2", Rows(species=FIRST), Rows(species=SECOND), 1, (360, 720, 270, 540, 360, 720)),
    ("3", Rows(device=("!{fold}",)), Rows(device=("{fold}",)), 6, (300, 1200, 225, 900, 60, 240)),
    (
        "4",
        Rows(session=("1", "2"), species=FIRST, device=("!{fold}",)),
        Rows(session=("3",), species=SECOND, device=("{fold}",)),
        6,
        (200, 400, 150, 300, 20, 40),
    ),
)


@pytest.fixture(scope="module")
def oulu() -> PresentationTable:
    rows = [
        Presentation(f"{p}_{s}_{u:02d}_{f}", f"{f}.avi", *FILES[f], f"{u:02d}", str(s), str(p), split)
        for split, users in SPLITS.items()
        for u in users
        for p in range(1, 7)
        for s in range(1, 4)
        for f in FILES
    ]
    assert len(rows) == 4950
    return PresentationTable("oulu", tuple(rows))


@pytest.mark.parametrize(("name", "seen", "unseen", "folds", "counts"), OULU)
def test_published_protocols_in_every_form(
    oulu: PresentationTable, name: str, seen: Rows, unseen: Rows, folds: int, counts: tuple[int, ...]
) -> None:
    names = ("",) if folds == 1 else tuple(str(k + 1) for k in range(folds))
    protocol = Protocol(name, "", published(seen, unseen), folds=names)
    for fold in names:
        split = split_rows(oulu, protocol, fold)
        assert (*oulu.counts(split.train), *oulu.counts(split.dev), *oulu.counts(split.test)) == counts
        if name == "4":
            test = [oulu.rows[i].sample_id for i in split.test]
            assert all(re.fullmatch(rf"{fold}_3_\d\d_[135]", sample) for sample in test)
