from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonaface.core.errors import InputError
from bonaface.core.records import Presentation
from bonaface.datasets import siw
from bonaface.datasets.protocols import find_protocol, split_rows
from bonaface.datasets.table import PresentationTable


@pytest.fixture(scope="module")
def table(complete: Callable[[str], Path]) -> PresentationTable:
    return siw.read(complete("siw"))


def test_the_complete_set(table: PresentationTable) -> None:
    assert len(table) == 4478
    assert table.notes == ()
    assert {split: len({r.subject for r in table.rows if r.split == split}) for split in ("train", "test")} == {
        "train": 90, "test": 75,
    }  # fmt: skip


def test_notes_another_number_of_videos(tmp_path: Path) -> None:
    path = tmp_path / "Train" / "live" / "003" / "003-1-1-1-1.mov"
    path.parent.mkdir(parents=True)
    path.touch()
    (path.parent / "004-1-1-1-1.mov").touch()
    table = siw.read(tmp_path)
    notes = "\n".join(table.notes)
    assert "there are 1 videos of 1 train and 0 test subjects, and 4478 of 90 and 75 are published" in notes
    assert "1 file is no part of the set and left out: Train/live/003/004-1-1-1-1.mov" in notes
    assert "the folder Test is not there" in notes


def belongs(row: Presentation, protocol: str, fold: str, test: bool) -> bool:
    """Return whether a video is in train (with dev) or test, by the paper's text (section 4.2)."""
    _, _, kind, medium, _ = Path(row.path).stem.split("-")
    if row.path.startswith("Test") != test:
        return False
    if kind == "1" or protocol == "1":
        return True
    if protocol == "2":
        return kind == "3" and (medium == fold) == test
    return (kind == {"print": "2", "display": "3"}[fold]) != test


@pytest.mark.parametrize(
    ("name", "fold"), [("1", ""), *product("2", "1234"), ("3", "print"), ("3", "display")]
)
def test_every_row_of_every_protocol_and_fold(table: PresentationTable, name: str, fold: str) -> None:
    split = split_rows(table, find_protocol(siw.DATASET.protocols, name), fold)
    for rows, test in ((split.train + split.dev, False), (split.test, True)):
        assert {table.rows[i].path for i in rows} == {
            r.path for r in table.rows if belongs(r, name, fold, test)
        }
    assert len({table.rows[i].subject for i in split.dev}) == 18


def test_rejects_another_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the folders Train, Test"):
        siw.read(tmp_path)


def test_boxes_are_one_a_line(tmp_path: Path, table: PresentationTable) -> None:
    path = (tmp_path / table.rows[0].path).with_suffix(".face")
    path.parent.mkdir(parents=True)
    path.write_text("785 425 1070 710\n0 0 0 0\n786 425 1071 710\n")
    assert siw.boxes(tmp_path, table.rows[0]) == {0: (785, 425, 1070, 710), 2: (786, 425, 1071, 710)}


@given(
    kind=st.sampled_from(("live", "spoof")),
    sensor=st.integers(0, 3),
    attack=st.integers(0, 4),
    medium=st.integers(0, 5),
    session=st.integers(0, 5),
)
def test_parses_file_names(kind: str, sensor: int, attack: int, medium: int, session: int) -> None:
    row = siw.parse(f"Test/{kind}/007/007-{sensor}-{attack}-{medium}-{session}.mp4")
    fits = sensor in (1, 2) and 1 <= medium <= 4 and 1 <= session <= 4
    fits = fits and attack in ((1,) if kind == "live" else (2, 3))
    assert (row is not None) == fits
    if row:
        assert row.species == {1: "", 2: f"print-{medium}", 3: f"display-{medium}"}[attack]
        assert (row.subject, row.device, row.session, row.split) == ("007", str(sensor), str(session), "test")


@given(st.text())
def test_names_of_another_form_give_no_row(name: str) -> None:
    assert siw.parse(name) is None
    assert siw.parse(f"Train/live/001/{name}.mov") is None


@pytest.mark.parametrize("face", ["153-2-1-1-1.m.face", "153-2-1-1-1.face"])
def test_names_with_an_m_in_them_are_read_with_their_boxes(face: str, tmp_path: Path) -> None:
    """Sixteen live videos of the test part have such names."""
    folder = tmp_path / "Test" / "live" / "153"
    folder.mkdir(parents=True)
    (folder / "153-2-1-1-1.m.mov").touch()
    (folder / face).write_text("1 2 30 40\n")
    table = siw.read(tmp_path)
    (row,) = table.rows
    assert (row.species, row.subject, row.device, row.session, row.split) == ("", "153", "2", "1", "test")
    assert siw.boxes(tmp_path, row) == {0: (1, 2, 30, 40)}
    assert not any("no part of the set" in note for note in table.notes)
    for other in ("Test/live/153/153-2-1-1-1.n.mov", "Test/live/153/153-2-1-1-1.m.m.mov"):
        assert siw.parse(other) is None
