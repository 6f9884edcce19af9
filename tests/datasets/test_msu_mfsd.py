from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonaface.core.errors import InputError
from bonaface.datasets import msu_mfsd
from bonaface.datasets.protocols import split_rows
from bonaface.datasets.table import PresentationTable


@pytest.fixture(scope="module")
def table(complete: Callable[[str], Path]) -> PresentationTable:
    return msu_mfsd.read(complete("msu-mfsd"))


def test_the_complete_set(table: PresentationTable) -> None:
    # Wen et al. 2015: 35 clients, 70 bona fide videos, 210 attacks
    assert table.counts() == (70, 210)
    assert table.notes == ()
    assert {split: len({r.subject for r in table.rows if r.split == split}) for split in ("train", "test")} == {
        "train": 15, "test": 20,
    }  # fmt: skip


def test_the_protocol(table: PresentationTable) -> None:
    (protocol,) = msu_mfsd.DATASET.protocols
    split = split_rows(table, protocol)
    assert table.counts(sorted(split.train + split.dev)) == (30, 90) == protocol.counts.train
    assert table.counts(split.test) == (40, 120) == protocol.counts.test
    assert len({table.rows[i].subject for i in split.dev}) == 3


def test_a_row(table: PresentationTable) -> None:
    path = "scene01/attack/attack_client055_laptop_SD_ipad_video_scene01.mov"
    row = next(row for row in table.rows if row.path == path)
    assert (row.species, row.subject, row.device, row.split) == ("display-ipad", "055", "laptop", "train")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "scene01" / "real").mkdir(parents=True)
    (tmp_path / "scene01" / "real" / "real_client002_android_SD_scene01.mp4").touch()
    (tmp_path / "train_sub_list.txt").write_text("02\r\n03\r\n")
    (tmp_path / "test_sub_list.txt").write_text("01\n")
    return tmp_path


def test_notes_name_missing_and_unexpected_files(root: Path) -> None:
    (root / "scene01" / "real" / "real_client004_android_SD_scene01.mp4").touch()  # in no list
    table = msu_mfsd.read(root)
    notes = "\n".join(table.notes)
    assert [row.subject for row in table.rows] == ["002"]
    assert "23 files are missing: scene01/real/real_client001_android_SD_scene01.mp4" in notes
    assert "_android_SD_scene01.mp4): scene01/real/real_client004_android" in notes
    assert "train has 1 bona fide and 0 attack presentations, and 30 and 90 are published" in notes


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        (
            "train_sub_list.txt",
            None,
            r"train_sub_list\.txt: expected MSU-MFSD's list of train clients, and it is not",
        ),
        (
            "test_sub_list.txt",
            "01\n03\n",
            r"test_sub_list\.txt: the clients 003 are in the list of train clients too",
        ),
        (
            "test_sub_list.txt",
            "client1\n",
            r"test_sub_list\.txt: expected a client's number on each line, got client1",
        ),
        ("test_sub_list.txt", "\n", r"expected a client's number on each line, got nothing"),
    ],
)
def test_rejects_a_bad_list(root: Path, name: str, text: str | None, says: str) -> None:
    (root / name).unlink()
    if text is not None:
        (root / name).write_text(text)
    with pytest.raises(InputError, match=says):
        msu_mfsd.read(root)


def test_boxes_have_corners_and_eyes(root: Path) -> None:
    row = msu_mfsd.read(root).rows[0]
    (root / row.path).with_suffix(".face").write_text("1,10,20,110,140,30,50,90,50\n2,0,0,0,0,0,0,0,0\n")
    assert msu_mfsd.boxes(root, row) == {1: (10, 20, 110, 140)}


@given(
    kind=st.sampled_from(("real", "attack")),
    begin=st.sampled_from(("real", "attack")),
    instrument=st.sampled_from(("", "ipad_video_", "iphone_video_", "printed_photo_", "mask_")),
)
def test_parses_file_names(kind: str, begin: str, instrument: str) -> None:
    row = msu_mfsd.parse(
        f"scene01/{kind}/{begin}_client012_android_SD_{instrument}scene01.mp4", {"012": "train"}
    )
    fits = kind == begin and bool(instrument) == (kind == "attack") and instrument != "mask_"
    assert (row is not None) == fits
    assert row is None or (row.subject, row.split, row.label) == ("012", "train", int(kind == "real"))


@given(st.text())
def test_names_of_another_form_give_no_row(name: str) -> None:
    assert msu_mfsd.parse(name, {}) is None
    assert msu_mfsd.parse(f"scene01/real/{name}", {}) is None
