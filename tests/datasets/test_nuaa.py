from collections import Counter
from pathlib import Path

import pytest

from bonaface.core.errors import InputError
from bonaface.datasets import nuaa
from bonaface.datasets.protocols import find_protocol, split_rows

LISTS = {
    "client_train_raw.txt": b"0001/0001_00_00_01_0.jpg\r\n0002/0002_00_00_02_5.jpg\r\n0018/ghost (1).jpeg\r\n",
    "client_test_raw.txt": b"0003\\0003_01_05_03_1.jpg\r0001\\0001_00_00_03_9.jpg\r",
    "imposter_train_raw.txt": b"0001/0001_00_00_01_0.jpg\n\n0002/plain.jpg",
    "imposter_test_raw.txt": b"0016\\0016_00_00_03_1.jpg\r\n0019/a.jpg\r\n0019/b.jpg\r\n0021/c.jpg",
}
FILES = {
    "ClientRaw": (
        "0001/0001_00_00_01_0",
        "0002/0002_00_00_02_5",
        "0003/0003_01_05_03_1",
        "0001/0001_00_00_03_9",
    ),
    "ImposterRaw": ("0001/0001_00_00_01_0", "0002/plain", "0016/0016_00_00_03_1"),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in LISTS.items():
        (tmp_path / name).write_bytes(text)
    for folder, names in FILES.items():
        for name in names:
            path = tmp_path / folder / f"{name}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        (tmp_path / folder / "0001" / "Thumbs.db").touch()
    return tmp_path


def test_rows_follow_the_lists(root: Path) -> None:
    rows = nuaa.read(root).rows
    assert [(row.path, row.label, row.species, row.subject, row.session, row.split) for row in rows] == [
        ("ClientRaw/0001/0001_00_00_01_0.jpg", 1, "", "0001", "01", "train"),
        ("ClientRaw/0002/0002_00_00_02_5.jpg", 1, "", "0002", "02", "train"),
        ("ClientRaw/0003/0003_01_05_03_1.jpg", 1, "", "0003", "03", "test"),
        ("ClientRaw/0001/0001_00_00_03_9.jpg", 1, "", "0001", "03", "test"),
        ("ImposterRaw/0001/0001_00_00_01_0.jpg", 0, "print-1", "0001", "01", "train"),
        ("ImposterRaw/0002/plain.jpg", 0, "print-1", "0002", "", "train"),
        ("ImposterRaw/0016/0016_00_00_03_1.jpg", 0, "print-1", "0016", "03", "test"),
    ]
    assert all(row.sample_id == row.path and row.device == "webcam" for row in rows)


def test_odd_links_among_the_subjects_change_nothing(root: Path) -> None:
    before = nuaa.read(root)
    (root / "ClientRaw" / "0004").symlink_to("a" * 300)
    (root / "ImposterRaw" / "loop").symlink_to("loop")
    assert nuaa.read(root) == before


def test_listed_pictures_without_a_file_are_counted(root: Path) -> None:
    assert nuaa.read(root).notes == (
        "client_train_raw.txt: 1 of the 3 listed pictures have no file and were left out (subject 0018: 1)",
        "imposter_test_raw.txt: 3 of the 4 listed pictures have no file and were left out "
        "(subject 0019: 2, 0021: 1)",
    )


def test_missing_files_are_named(root: Path) -> None:
    (root / "client_test_raw.txt").unlink()
    with pytest.raises(
        InputError, match=r"expected NUAA's raw pictures .* but client_test_raw\.txt is not there"
    ):
        nuaa.read(root)


def test_rejects_another_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ClientRaw, ImposterRaw, client_train_raw.txt, .* are not there"):
        nuaa.read(tmp_path)


def test_rejects_a_line_that_names_no_picture(root: Path) -> None:
    with (root / "client_train_raw.txt").open("ab") as file:
        file.write(b"0001.jpg\r\n")
    with pytest.raises(
        InputError, match=r"client_train_raw\.txt, line 4: expected NNNN/name\.jpg, got '0001\.jpg'"
    ):
        nuaa.read(root)


def full_size(root: Path) -> None:
    """Make empty files in the real set's numbers of subjects and pictures (published counts, docs/decisions.md)."""
    client = {"train": [(s, 1743 // 9 + (s <= 1743 % 9)) for s in range(1, 10)]}
    client["test"] = [(s, 3362 // 9 + (s - 6 <= 3362 % 9)) for s in range(7, 16)]
    imposter = {"train": [(s, 1748 // 9 + (s <= 1748 % 9)) for s in range(1, 10)]}
    others = [s for s in range(1, 17) if s != 13]
    imposter["test"] = [(s, 5761 // 15 + (i < 5761 % 15)) for i, s in enumerate(others)]
    for person, folder, splits in (("client", "ClientRaw", client), ("imposter", "ImposterRaw", imposter)):
        for split, subjects in splits.items():
            lines = []
            for subject, pictures in subjects:
                (root / folder / f"{subject:04d}").mkdir(parents=True, exist_ok=True)
                for picture in range(pictures):
                    lines.append(f"{subject:04d}\\{subject:04d}_00_00_0{1 + (split == 'test')}_{picture}.jpg")
                    (root / folder / lines[-1].replace("\\", "/")).touch()
            (root / f"{person}_{split}_raw.txt").write_text("\r\n".join(lines), newline="")


def test_protocols_of_the_full_set(tmp_path: Path) -> None:
    full_size(tmp_path)
    table = nuaa.read(tmp_path)
    official = find_protocol(nuaa.DATASET.protocols, "official")
    split = split_rows(table, official, seed=1)
    train, dev, test = (table.counts(rows) for rows in (split.train, split.dev, split.test))
    assert (train[0] + dev[0], train[1] + dev[1]) == official.counts.train == (1743, 1748)
    assert test == official.counts.test == (3362, 5761)
    assert len({table.rows[i].subject for i in split.dev}) == 2  # a fifth of nine
    assert min(dev) > 0
    disjoint = find_protocol(nuaa.DATASET.protocols, "subject-disjoint")
    tested: Counter[str] = Counter()
    for fold in disjoint.folds:
        split = split_rows(table, disjoint, fold)
        in_each = [{table.rows[i].subject for i in rows} for rows in (split.train, split.dev, split.test)]
        assert [len(names) for names in in_each] == [10, 3, 3]
        assert len(set.union(*in_each)) == 16
        assert all(min(table.counts(rows)) > 0 for rows in (split.train, split.dev, split.test))
        tested.update(in_each[2])
    assert len(disjoint.folds) == 5
    assert len(tested) == 15
    assert set(tested.values()) == {1}
