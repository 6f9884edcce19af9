from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonaface.core.errors import InputError
from bonaface.datasets import casia_fasd
from bonaface.datasets.protocols import find_protocol, split_rows
from bonaface.datasets.table import PresentationTable

# Zhang et al. 2012, the seven scenarios of section 4: (bona fide, attack) of 20 train and 30 test subjects
COUNTS = {
    "low-quality": ((20, 60), (30, 90)),
    "normal-quality": ((20, 60), (30, 90)),
    "high-quality": ((20, 60), (30, 90)),
    "warped-photo": ((60, 60), (90, 90)),
    "cut-photo": ((60, 60), (90, 90)),
    "video": ((60, 60), (90, 90)),
    "overall": ((60, 180), (90, 270)),
}


@pytest.fixture(scope="module")
def table(complete: Callable[[str], Path]) -> PresentationTable:
    return casia_fasd.read(complete("casia-fasd"))


@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_every_protocol(table: PresentationTable, name: str) -> None:
    protocol = find_protocol(casia_fasd.DATASET.protocols, name)
    assert (protocol.counts.train, protocol.counts.test) == COUNTS[name]
    split = split_rows(table, protocol)
    assert table.counts(sorted(split.train + split.dev)) == COUNTS[name][0]
    assert table.counts(split.test) == COUNTS[name][1]
    subjects = [{table.rows[i].subject for i in part} for part in (split.train, split.dev, split.test)]
    assert [len(part) for part in subjects] == [16, 4, 30]  # a fifth of the train subjects is dev


def test_the_complete_set(table: PresentationTable) -> None:
    assert table.counts() == (150, 450)
    assert table.notes == ()
    assert Counter(row.device for row in table.rows) == dict.fromkeys(
        ("low-quality", "normal-quality", "high-quality"), 200
    )
    assert len({row.subject for row in table.rows}) == 50  # the numbers 1 to 20 are two people each


@pytest.mark.parametrize(
    ("name", "species", "device"),
    [
        ("1", "", "normal-quality"),
        ("2", "", "low-quality"),
        ("HR_1", "", "high-quality"),
        ("3", "print-warped", "normal-quality"),
        ("4", "print-warped", "low-quality"),
        ("HR_2", "print-warped", "high-quality"),
        ("5", "print-cut", "normal-quality"),
        ("6", "print-cut", "low-quality"),
        ("HR_3", "print-cut", "high-quality"),
        ("7", "display-video", "normal-quality"),
        ("8", "display-video", "low-quality"),
        ("HR_4", "display-video", "high-quality"),
    ],
)
def test_parses_file_names(name: str, species: str, device: str) -> None:
    row = casia_fasd.parse(f"test_release/7/{name}.avi")
    assert row is not None
    assert (row.species, row.device, row.subject, row.split) == (species, device, "test-7", "test")


def test_low_and_normal_quality_as_bob_has_them() -> None:
    """bob.db.casia_fasd 2.0.10, models.py: the files 1, 3, 5 and 7 are normal, 2, 4, 6 and 8 low."""
    for folder in ("train_release", "test_release"):
        for number in range(1, 9):
            row = casia_fasd.parse(f"{folder}/1/{number}.avi")
            assert row is not None
            assert (row.device, casia_fasd.size(row)) == (
                ("normal-quality", (640, 480)) if number % 2 else ("low-quality", (480, 640))
            )


@pytest.mark.parametrize("name", COUNTS)
def test_rejects_a_table_of_version_0_1(table: PresentationTable, name: str, tmp_path: Path) -> None:
    """Version 0.1, casia_fasd.py: ("low", "normal", "high") were the cameras of the files 1, 2 and HR_1, and so on."""
    former = {"normal-quality": "low", "low-quality": "normal", "high-quality": "high"}
    rows = tuple(replace(row, device=former[row.device]) for row in table.rows)
    PresentationTable("casia-fasd", rows).write(tmp_path / "presentations.parquet")
    old = PresentationTable.read(tmp_path / "presentations.parquet")
    with pytest.raises(
        InputError,
        match=rf"^casia-fasd/{name}: an older version of bonaface made this table, .*\(device [a-z]+ of .*\.avi\); "
        "run bonaface prepare again, into another folder$",
    ):
        split_rows(old, find_protocol(casia_fasd.DATASET.protocols, name))


def test_notes_name_missing_and_unexpected_files(tmp_path: Path) -> None:
    for name in ("train_release/3/1.avi", "train_release/21/1.avi", "train_release/3/9.avi"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    table = casia_fasd.read(tmp_path)
    assert [row.path for row in table.rows] == ["train_release/3/1.avi"]
    notes = "\n".join(table.notes)
    assert "599 files are missing" in notes
    assert "the folder test_release is not there" in notes
    assert (
        "2 files are no part of the set and left out (expected names like train_release/1/1.avi): "
        "train_release/21/1.avi, train_release/3/9.avi" in notes
    )


def test_rejects_another_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the folders train_release, test_release"):
        casia_fasd.read(tmp_path)


@given(st.text())
def test_names_of_another_form_give_no_row(name: str) -> None:
    assert casia_fasd.parse(name) is None
    row = casia_fasd.parse(f"train_release/1/{name}.avi")
    assert (row is not None) == (name in {*"12345678", "HR_1", "HR_2", "HR_3", "HR_4"})
