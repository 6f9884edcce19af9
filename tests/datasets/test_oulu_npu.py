import shutil
from collections.abc import Callable
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonaface.core.errors import InputError
from bonaface.datasets import oulu_npu, protocols
from bonaface.datasets.protocols import find_protocol, split_rows
from bonaface.datasets.table import PresentationTable

# table 1 of both papers: (bona fide, attack) of train, dev and test
TABLE_1 = {
    "1": ((240, 960), (180, 720), (120, 480)),
    "2": ((360, 720), (270, 540), (360, 720)),
    "3": ((300, 1200), (225, 900), (60, 240)),
    "4": ((200, 400), (150, 300), (20, 40)),
}
FOLDS = [("1", ""), ("2", ""), *product("34", "123456")]


@pytest.fixture(scope="module")
def table(complete: Callable[[str], Path]) -> PresentationTable:
    return oulu_npu.read(complete("oulu-npu"))


def belongs(name: str, protocol: str, fold: str, part: str) -> bool:
    """Return whether a video is in a part of a protocol, by the paper's text (FG 2017, section IV)."""
    phone, session, user, file = (int(number) for number in name.split("_"))
    test = part == "test"
    users = {"train": range(1, 21), "dev": range(21, 36), "test": range(36, 56)}[part]
    printer_or_display = 2 if file in (3, 5) else 1
    session_fits = protocol in "23" or (session == 3) == test
    instrument_fits = protocol in "13" or file == 1 or printer_or_display == (2 if test else 1)
    phone_fits = protocol in "12" or (phone == int(fold)) == test
    return user in users and session_fits and instrument_fits and phone_fits


@pytest.mark.parametrize(("protocol", "fold"), FOLDS)
def test_every_row_of_every_protocol_and_fold(table: PresentationTable, protocol: str, fold: str) -> None:
    found = find_protocol(oulu_npu.DATASET.protocols, protocol)
    split = split_rows(table, found, fold)
    for part, counts, published in zip(
        ("train", "dev", "test"),
        TABLE_1[protocol],
        (found.counts.train, found.counts.dev, found.counts.test),
        strict=True,
    ):
        rows = getattr(split, part)
        assert table.counts(rows) == counts == published
        names = {table.rows[i].sample_id for i in rows}
        assert names == {row.sample_id for row in table.rows if belongs(row.sample_id, protocol, fold, part)}


def test_the_complete_set(table: PresentationTable) -> None:
    assert len(table) == 4950
    assert table.counts() == (990, 3960)
    assert table.notes == ()
    row = next(row for row in table.rows if row.path == "Dev_files/6_2_21_5.avi")
    assert (row.sample_id, row.label, row.species, row.subject, row.session, row.device, row.split) == (
        "6_2_21_5", 0, "display-2", "21", "2", "6", "dev",
    )  # fmt: skip
    assert [row.species for row in table.rows[:5]] == ["", "print-1", "print-2", "display-1", "display-2"]


def test_the_lists_may_be_left_out(
    tmp_path: Path, table: PresentationTable, complete: Callable[[str], Path]
) -> None:
    for folder in ("Train_files", "Dev_files", "Test_files"):
        (tmp_path / folder).symlink_to(complete("oulu-npu") / folder)
    assert oulu_npu.read(tmp_path).rows == table.rows


def test_a_protocol_asks_once_for_each_distinct_name(
    complete: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The complete set has 4,950 rows, and few subjects, phones, sessions and species."""
    asked: list[tuple[str, str]] = []

    def counted(value: str, pattern: str) -> bool:
        asked.append((value, pattern))
        return fnmatchcase(value, pattern)

    monkeypatch.setattr(protocols, "fnmatchcase", counted)
    table = oulu_npu.read(complete("oulu-npu"))
    split_rows(table, find_protocol(oulu_npu.DATASET.protocols, "4"), "3")
    assert len(table) == 4950
    assert 0 < len(asked) < 1000


@pytest.fixture
def root(tmp_path: Path, complete: Callable[[str], Path]) -> Path:
    """Make two empty videos and the set's lists."""
    for name in ("Train_files/1_1_01_1.avi", "Test_files/2_3_36_5.avi"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    shutil.copytree(complete("oulu-npu") / "Protocols", tmp_path / "Protocols")
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("+1,2_3_37_1\n", "", "lacks: 2_3_37_1"),
        (
            "+1,2_3_37_1\n",
            "+1,2_3_37_1\n+1,1_3_37_1\n",
            "lists what the published protocol does not: 1_3_37_1",
        ),
        ("-1,2_3_37_3\n", "-2,2_3_37_3\n", "has another label for: 2_3_37_3"),
        ("-1,2_3_37_3\n", "3,2_3_37_3\n", "line 5: expected a line like"),
    ],
)
def test_a_list_that_differs_is_an_error_that_names_the_row(
    root: Path, old: str, new: str, says: str
) -> None:
    path = root / "Protocols" / "Protocol_4" / "Test_2.txt"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=says) as caught:
        oulu_npu.read(root)
    assert str(path) in str(caught.value)


def test_a_missing_list_is_named(root: Path) -> None:
    (root / "Protocols" / "Protocol_3" / "Dev_5.txt").unlink()
    table = oulu_npu.read(root)
    assert table.notes[0] == (
        "lists are missing, and the protocols are taken from the videos' names: Protocols/Protocol_3/Dev_5.txt"
    )
    shutil.rmtree(root / "Protocols")
    assert "lists are missing" not in "".join(oulu_npu.read(root).notes)


def test_lists_of_a_partial_set_are_accepted(root: Path) -> None:
    assert len(oulu_npu.read(root)) == 2


def test_notes_name_missing_and_unexpected_files(root: Path) -> None:
    (root / "Train_files" / "1_1_36_1.avi").touch()  # a test user
    (root / "Test_files" / "copy of 2_3_36_5.avi").touch()
    table = oulu_npu.read(root)
    notes = "\n".join(table.notes)
    assert [row.sample_id for row in table.rows] == ["2_3_36_5", "1_1_01_1"]
    assert "the folder Dev_files is not there" in notes
    assert "4948 files are missing: Train_files/1_1_01_2.avi, " in notes
    assert (
        "2 files are no part of the set and left out (expected names like Train_files/1_1_01_1.avi): "
        "Test_files/copy of 2_3_36_5.avi, Train_files/1_1_36_1.avi" in notes
    )
    assert "train has 1 bona fide and 0 attack presentations, and 360 and 1440 are published" in notes


def test_rejects_another_folder(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="expected the folders Train_files, Dev_files, Test_files of oulu-npu"
    ):
        oulu_npu.read(tmp_path)
    (tmp_path / "Train_files").mkdir()
    with pytest.raises(InputError, match="found no file of oulu-npu"):
        oulu_npu.read(tmp_path)


def test_boxes_are_drawn_around_the_eyes(root: Path) -> None:
    row = oulu_npu.read(root).rows[0]
    (root / "Test_files" / "2_3_36_5.txt").write_text("0,400,600,500,600\n1,0,0,0,0\n\n7,500,610,400,590\n")
    boxes = oulu_npu.boxes(root, row)
    assert sorted(boxes) == [0, 7]
    assert boxes[0] == pytest.approx((342, 478, 558, 781))
    assert boxes[7] == pytest.approx((342, 478, 558, 781))


def test_a_broken_line_of_eyes_is_named(root: Path) -> None:
    row = oulu_npu.read(root).rows[0]
    (root / "Test_files" / "2_3_36_5.txt").write_text("0,400,600,500,600\n1,400,600,500\n")
    with pytest.raises(InputError, match=r"2_3_36_5\.txt, line 2: expected at least 5 numbers"):
        oulu_npu.boxes(root, row)


def test_no_boxes_without_a_file(root: Path) -> None:
    assert oulu_npu.boxes(root, oulu_npu.read(root).rows[0]) == {}


@given(
    folder=st.sampled_from(("Train_files", "Dev_files", "Test_files")),
    phone=st.integers(0, 9),
    session=st.integers(0, 9),
    user=st.integers(0, 99),
    file=st.integers(0, 9),
)
def test_parses_file_names(folder: str, phone: int, session: int, user: int, file: int) -> None:
    row = oulu_npu.parse(f"{folder}/{phone}_{session}_{user:02d}_{file}.avi")
    if 1 <= phone <= 6 and 1 <= session <= 3 and 1 <= file <= 5:
        assert row is not None
        assert (row.device, row.session, row.subject) == (str(phone), str(session), f"{user:02d}")
        assert (row.label == 1) == (file == 1)
        assert row.split == folder.removesuffix("_files").lower()
    else:
        assert row is None


@given(st.text())
def test_names_of_another_form_give_no_row(name: str) -> None:
    assert oulu_npu.parse(name) is None
    assert oulu_npu.parse(f"Train_files/{name}") is None
