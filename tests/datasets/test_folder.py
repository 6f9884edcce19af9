import os
from pathlib import Path

import pytest

from bonaface.core.errors import InputError
from bonaface.core.records import Presentation
from bonaface.datasets import folder
from bonaface.datasets.protocols import find_protocol, split_rows


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_subjects_are_optional(tmp_path: Path) -> None:
    touch(tmp_path, "bonafide/b.JPG", "bonafide/Ann/a.mov", "attack/print-1/c.png", "attack/mask/Bob/d.webm")
    table = folder.read(tmp_path)
    assert table.dataset == "folder"
    assert table.notes == ()
    assert table.rows == (
        Presentation("bonafide/Ann/a.mov", "bonafide/Ann/a.mov", 1, subject="Ann"),
        Presentation("bonafide/b.JPG", "bonafide/b.JPG", 1),
        Presentation("attack/mask/Bob/d.webm", "attack/mask/Bob/d.webm", 0, "mask", "Bob"),
        Presentation("attack/print-1/c.png", "attack/print-1/c.png", 0, "print-1"),
    )


def test_odd_links_are_left_out_and_counted(tmp_path: Path) -> None:
    touch(tmp_path, "bonafide/Ann/a.jpg", "attack/print/b.png")
    for name in ("bonafide/loop", "attack/print/loop"):
        (tmp_path / name).symlink_to("loop")
    (tmp_path / "bonafide" / "Ann" / "long").symlink_to("a" * 300)
    table = folder.read(tmp_path)
    assert [row.path for row in table.rows] == ["bonafide/Ann/a.jpg", "attack/print/b.png"]
    assert table.notes[0].startswith("3 files are neither picture nor video and were left out")


def test_other_files_are_left_out_and_counted(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "bonafide/a.jpg",
        "bonafide/Thumbs.db",
        "bonafide/.hidden.jpg",
        "attack/.DS_Store",
        "notes.txt",
    )
    table = folder.read(tmp_path)
    assert [row.path for row in table.rows] == ["bonafide/a.jpg"]
    assert table.notes == ("1 files are neither picture nor video and were left out: 'bonafide/Thumbs.db'",)


def test_names_that_are_not_utf8_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "bonafide/a.jpg")
    (tmp_path / "bonafide" / os.fsdecode(b"\xff.jpg")).touch()
    table = folder.read(tmp_path)
    (tmp_path / "bonafide" / "a\nb.jpg").touch()
    table = folder.read(tmp_path)
    assert len(table) == 1
    assert table.notes[0].startswith(
        "2 files have control characters or no UTF-8 in their paths and were left out"
    )
    assert r"'bonafide/\udcff.jpg'" in table.notes[0]


@pytest.mark.parametrize(
    "name", ["山田\u3000太郎", "9.41\u202fAM", "a\xa0b", "soft\xadhyphen", "\U0001f468\u200d\U0001f469"]
)
def test_any_letters_and_blanks_may_be_in_a_name(name: str, tmp_path: Path) -> None:
    table = folder.read(touch(tmp_path, f"bonafide/{name}/{name}.jpg"))
    assert [(row.path, row.subject) for row in table.rows] == [(f"bonafide/{name}/{name}.jpg", name)]
    assert table.notes == ()


def test_a_name_in_two_spellings_is_one_person(tmp_path: Path) -> None:
    """Composed as on Linux and Windows, and taken apart as by macOS."""
    table = folder.read(touch(tmp_path, "bonafide/Jos\xe9/a.jpg", "attack/print/Jose\u0301/b.jpg"))
    assert {row.subject for row in table.rows} == {"Jos\xe9"}
    assert (tmp_path / table.rows[1].path).is_file()


def test_splits_of_a_csv_file_are_a_protocol(tmp_path: Path) -> None:
    lines = [
        f"{kind}{number}.jpg,{int(kind == 'a')},{'' if kind == 'a' else 'print'},p{number},{split}"
        for number, split in enumerate(("train", "train", "dev", "test", ""))
        for kind in "ab"
    ]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(["path,label,species,subject,split", *lines]) + "\n")
    split = split_rows(folder.read(path), find_protocol(folder.DATASET.protocols, "given"))
    assert (split.train, split.dev, split.test) == ((0, 1, 2, 3), (4, 5), (6, 7))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("attack/c.png", r"attack/c\.png: expected a folder named after the attack's species"),
        ("bonafide/Ann/more/a.jpg", r"bonafide/Ann/more: expected a file"),
        ("attack/mask/Bob/more/a.jpg", r"attack/mask/Bob/more: expected a file"),
        ("genuine/a.jpg", r"expected a folder with bonafide/.*neither bonafide nor attack is there"),
        ("bonafide/a.txt", "no presentation was found"),
    ],
)
def test_rejects_another_layout(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        folder.read(touch(tmp_path, name))


def test_reads_a_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("path,label,subject\nx/a.jpg,1,Ann\n")
    assert folder.read(path).rows == (Presentation("x/a.jpg", "x/a.jpg", 1, subject="Ann"),)


def test_split_keeps_a_person_of_both_classes_together(tmp_path: Path) -> None:
    for person in range(10):
        touch(
            tmp_path, f"bonafide/{person}/a.jpg", f"bonafide/{person}/b.jpg", f"attack/print-1/{person}/c.jpg"
        )
    table = folder.read(tmp_path)
    split = split_rows(table, find_protocol(folder.DATASET.protocols, "split"), seed=4)
    assert [table.counts(rows) for rows in (split.train, split.dev, split.test)] == [(12, 6), (4, 2), (4, 2)]
    assert split.notes == ()


def test_test_protocol_takes_every_row(tmp_path: Path) -> None:
    table = folder.read(touch(tmp_path, "bonafide/a.jpg", "attack/mask/b.jpg"))
    assert split_rows(table, find_protocol(folder.DATASET.protocols, "test")).test == (0, 1)
