from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonaface.core.errors import InputError
from bonaface.core.records import Presentation
from bonaface.datasets.reader import files_below, make_row, numbers_in, read_boxes, read_layout


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def parse(path: str) -> Presentation | None:
    return None if "strange" in path else make_row(path, "print-1" if "attack" in path else "", split="train")


def test_files_are_listed_by_path(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "b/x/2.avi",
        "b/1.AVI",
        "a/3.mov",
        "a/notes.txt",
        "a/.hidden.avi",
        "a/.trash/4.avi",
        "c/5.avi",
    )
    assert files_below(tmp_path, ("b", "a", "missing"), (".avi", ".mov")) == [
        "a/3.mov",
        "b/1.AVI",
        "b/x/2.avi",
    ]


@pytest.mark.usefixtures("closed")
def test_a_folder_that_can_not_be_read_is_none_that_is_not_there(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.avi", "a/closed/2.avi")
    with pytest.raises(PermissionError, match="closed"):
        files_below(tmp_path, ("a",), (".avi",))


def test_a_complete_set_has_no_notes(tmp_path: Path) -> None:
    touch(tmp_path, "a/attack.avi", "a/real.avi")
    table = read_layout(
        "set",
        tmp_path,
        ("a",),
        (".avi",),
        parse,
        expected=("a/attack.avi", "a/real.avi"),
        counts={"train": (1, 1)},
    )
    assert [(row.path, row.sample_id, row.label, row.species) for row in table.rows] == [
        ("a/attack.avi", "a/attack.avi", 0, "print-1"),
        ("a/real.avi", "a/real.avi", 1, ""),
    ]
    assert table.notes == ()


def test_differences_are_noted_and_the_rest_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.avi", "a/strange.avi", "a/other.avi")
    expected = [f"a/{i}.avi" for i in range(1, 9)]
    table = read_layout(
        "set",
        tmp_path,
        ("a", "b"),
        (".avi",),
        parse,
        expected=expected,
        counts={"train": (8, 0), "test": (1, 0)},
    )
    assert [row.path for row in table.rows] == ["a/1.avi"]
    assert table.notes == (
        "the folder b is not there",
        "7 files are missing: a/2.avi, a/3.avi, a/4.avi, a/5.avi, a/6.avi and 2 more",
        "2 files are no part of the set and left out (expected names like a/1.avi): a/other.avi, a/strange.avi",
        "train has 1 bona fide and 0 attack presentations, and 8 and 0 are published",
        "test has 0 bona fide and 0 attack presentations, and 1 and 0 are published",
    )


def test_counts_of_a_set_without_splits(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.avi")
    table = read_layout("set", tmp_path, ("a",), (".avi",), parse, counts={"": (2, 1)})
    assert table.notes == ("the set has 1 bona fide and 0 attack presentations, and 2 and 1 are published",)


def test_rejects_a_folder_without_a_fitting_file(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="expected the folder a of set, and found none; give the folder that holds it"
    ):
        read_layout("set", tmp_path, ("a",), (".avi",), parse)
    touch(tmp_path, "a/strange.avi")
    with pytest.raises(InputError, match=r"found no file of set in a; expected files like a/1\.avi"):
        read_layout("set", tmp_path, ("a",), (".avi",), parse, expected=("a/1.avi",))


@pytest.mark.parametrize(
    ("text", "arguments", "boxes"),
    [
        ("0 1 2 10 20\n3 5 6 7 8\n", {}, {0: (1, 2, 11, 22), 3: (5, 6, 12, 14)}),
        ("0,1,2,10,20\r\n\r\n3, 5, 6, 7, 8\r\n", {}, {0: (1, 2, 11, 22), 3: (5, 6, 12, 14)}),
        ("0 1 2 10 20 9 9 9 9\n", {"corners": True}, {0: (1, 2, 10, 20)}),
        (
            "1 2 10 20\n0 0 0 0\n\n5 6 7 8\n",
            {"corners": True, "numbered": False},
            {0: (1, 2, 10, 20), 3: (5, 6, 7, 8)},
        ),
        ("0 0 0 0 0\n1 5 5 0 9\n2 5 5 -3 9\n", {}, {}),
        ("0 1.5 2.5 10 20\n", {}, {0: (1.5, 2.5, 11.5, 22.5)}),
        ("", {}, {}),
    ],
)
def test_boxes(
    tmp_path: Path, text: str, arguments: dict[str, bool], boxes: dict[int, tuple[float, ...]]
) -> None:
    (tmp_path / "x.face").write_bytes(text.encode())
    assert read_boxes(tmp_path / "x.face", **arguments) == boxes


@pytest.mark.parametrize(
    "line", ["1 2 3 4", "1 2 3 4 x", "nan 1 2 3 4", "1 2 3 4 inf", "1 2 3 4 1e30", "één"]
)
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.face").write_text(f"0 1 2 10 20\n{line}\n")
    with pytest.raises(InputError, match=r"x\.face, line 2: expected at least 5 numbers, got"):
        read_boxes(tmp_path / "x.face")


def test_a_missing_file_has_no_boxes(tmp_path: Path) -> None:
    assert read_boxes(tmp_path / "x.face") == {}


@given(
    st.lists(st.tuples(*[st.integers(-9999, 9999)] * 5), max_size=20), st.sampled_from((" ", ",", ", ", "\t"))
)
def test_written_numbers_round_trip(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, ...]], between: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "numbers.face"
    path.write_text("".join(between.join(map(str, row)) + "\n" for row in rows))
    assert list(numbers_in(path, 5)) == [(i, list(row)) for i, row in enumerate(rows, start=1)]
