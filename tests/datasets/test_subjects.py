from pathlib import Path

import pytest

from bonaface.core.errors import InputError
from bonaface.core.records import Presentation
from bonaface.datasets.protocols import find_protocol, split_rows
from bonaface.datasets.registry import open_dataset
from bonaface.datasets.subjects import name_subjects, note_unnamed
from bonaface.datasets.table import PresentationTable


def table(*paths: str) -> PresentationTable:
    return PresentationTable("folder", tuple(Presentation(path, path, 1) for path in paths), ("a note",))


@pytest.mark.parametrize(
    "pattern",
    [r"/([a-z]+)_", r"(?P<subject>[a-z]+)_\d", r"(bonafide)/(?P<subject>[a-z]+)_", r"([^/_]+)_[^/]*$"],
)
def test_the_subject_is_the_named_group_or_the_first(pattern: str) -> None:
    named = name_subjects(table("bonafide/ann_1.jpg", "bonafide/ann_2.jpg", "bonafide/bob_1.jpg"), pattern)
    assert [row.subject for row in named.rows] == ["ann", "ann", "bob"]
    assert named.notes == ("a note",)


def test_rows_with_a_subject_keep_it() -> None:
    rows = (Presentation("a", "x_1.jpg", 1, subject="Ann"), Presentation("b", "y_1.jpg", 1))
    named = name_subjects(PresentationTable("folder", rows), r"([a-z])_")
    assert [row.subject for row in named.rows] == ["Ann", "y"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "is no regular expression"),
        ("[a-z]+_", "needs a group, in brackets"),
        (r"/([a-z]+)-", "finds nobody in 2 of 2 paths: bonafide/ann_1.jpg, bonafide/7.jpg"),
        (r"/([a-z]+)_", "finds nobody in 1 of 2 paths: bonafide/7.jpg"),
        (r"/(x?)", "finds nobody in 2 of 2"),
        (r"7|/([a-z]+)_", "finds nobody in 1 of 2 paths: bonafide/7.jpg"),
    ],
)
def test_rejects_a_pattern_that_misses_a_row(pattern: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        name_subjects(table("bonafide/ann_1.jpg", "bonafide/7.jpg"), pattern)


def test_rejects_a_pattern_if_all_rows_have_a_subject() -> None:
    rows = (Presentation("a", "a.jpg", 1, subject="Ann"),)
    with pytest.raises(InputError, match="every presentation names its subject"):
        name_subjects(PresentationTable("folder", rows), "(.)")


def test_rows_without_a_subject_are_counted_in_a_note() -> None:
    rows = tuple(Presentation(n, f"{n}.jpg", 1, subject=subject) for n, subject in (("a", ""), ("b", "B")))
    (note,) = note_unnamed(PresentationTable("folder", rows)).notes
    assert note.startswith(
        "1 of 2 presentations name no subject (a.jpg), so each stands for a person of its own"
    )
    named = PresentationTable("folder", rows[1:])
    assert note_unnamed(named) is named


def flat_folder(root: Path, persons: int = 10, shots: int = 4) -> Path:
    """Make a user's pictures as a phone names them: no folder for each person, the person in the name alone."""
    for kind in ("bonafide", "attack/print-1"):
        (root / kind).mkdir(parents=True)
        for person in range(persons):
            for shot in range(shots):
                (root / kind / f"p{person}_{shot}.jpg").touch()
    return root


def test_subject_pattern_keeps_a_person_of_a_flat_folder_in_one_split(
    tmp_path: Path,
) -> None:
    root = flat_folder(tmp_path)

    def persons_in_both(table: PresentationTable) -> set[str]:
        split = split_rows(table, find_protocol(open_dataset("folder").protocols, "split"))
        train, test = (
            {Path(table.rows[i].path).name[:2] for i in part} for part in (split.train, split.test)
        )
        return train & test

    unnamed = open_dataset("folder").read(root)
    assert persons_in_both(unnamed)
    assert unnamed.notes[0].startswith("80 of 80 presentations name no subject")
    named = open_dataset("folder", r"/(p\d+)_").read(root)
    assert not persons_in_both(named)
    assert named.notes == ()


def test_the_rows_of_a_csv_file_are_named_in_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("path,label\nx/ann-1.jpg,1\nx/bob-1.jpg,1\n")
    assert open_dataset("folder").read(path).notes[0].startswith("2 of 2 presentations name no subject")
    assert [row.subject for row in open_dataset("folder", "([a-z]+)-").read(path).rows] == ["ann", "bob"]
