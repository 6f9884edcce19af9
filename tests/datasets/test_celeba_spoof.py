import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from bonaface.core.errors import InputError
from bonaface.datasets import celeba_spoof
from bonaface.datasets.protocols import split_rows
from bonaface.store.crop_store import PrepareSettings
from bonaface.store.prepare import prepare
from bonaface.testing import make_layout

SPECIES = [
    "", "print-photo", "print-poster", "print-a4", "papercut-face", "papercut-upper-body", "papercut-region",
    "display-pc", "display-pad", "display-phone", "mask-3d",
]  # fmt: skip


def label(kind: int, light: int, place: int, attack: int) -> list[int]:
    return [0] * 40 + [kind, light, place, attack]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a picture of each kind for train person 7, and a live test picture."""
    train = {
        f"Data/train/7/{'spoof' if kind else 'live'}/{kind:06d}.jpg": label(
            kind, min(kind, 1), 2 * min(kind, 1), min(kind, 1)
        )
        for kind in range(11)
    }
    test = {"Data/test/9/live/000100.png": label(0, 0, 0, 0)}
    for name, labels in (("train", train), ("test", test)):
        write(tmp_path, name, labels)
        for path in labels:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
    return tmp_path


def write(root: Path, name: str, labels: object) -> None:
    path = root / "metas" / "intra_test" / f"{name}_label.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(labels))


def test_rows_follow_the_lists(root: Path) -> None:
    table = celeba_spoof.read(root)
    assert [row.species for row in table.rows] == [*SPECIES, ""]
    assert [row.label for row in table.rows] == [1, *[0] * 10, 1]
    assert {row.subject for row in table.rows if row.split == "train"} == {"7"}
    assert (table.rows[3].session, table.rows[0].session) == ("outdoor-normal", "")
    assert table.notes == ()


def test_missing_pictures_are_named(root: Path) -> None:
    (root / "Data/train/7/spoof/000004.jpg").unlink()
    table = celeba_spoof.read(root)
    assert len(table) == 11
    assert table.notes == ("1 listed pictures are missing and left out: Data/train/7/spoof/000004.jpg",)


def test_splits_have_the_counts_of_the_lists(tmp_path: Path) -> None:
    table = celeba_spoof.read(make_layout("celeba-spoof", tmp_path / "set"))
    split = split_rows(table, celeba_spoof.DATASET.protocols[0])
    assert table.counts(split.test) == (2, 20)
    assert table.counts(sorted(split.train + split.dev)) == (3, 30)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([1, 2], "expected a JSON object"),
        ({"Data/train/7/live/000000.jpg": [1, 2]}, "000000.jpg: expected 44 whole numbers"),
        ({"Data/train/7/live/000000.jpg": label(0, 0, 0, 1)}, "000000.jpg: expected 44 whole numbers"),
        ({"Data/train/7/live/000000.jpg": label(11, 1, 1, 1)}, "000000.jpg: expected 44 whole numbers"),
        ({"Data/train/7/live/000000.jpg": [*label(0, 0, 0, 0), 0]}, "000000.jpg: expected 44 whole numbers"),
        ({"Data/train/7/live/000000.jpg": label(-1, 1, 1, 1)}, "000000.jpg: expected 44 whole numbers"),
    ],
)
def test_rejects_a_list_of_another_kind(root: Path, labels: object, says: str) -> None:
    write(root, "train", labels)
    with pytest.raises(InputError, match=says) as caught:
        celeba_spoof.read(root)
    assert "train_label.json" in str(caught.value)


def test_rejects_a_missing_or_broken_list(root: Path) -> None:
    path = root / "metas" / "intra_test" / "test_label.json"
    for text in ("{", "[" * 100_000):
        path.write_text(text)
        with pytest.raises(
            InputError, match=r"test_label\.json: expected CelebA-Spoof's list, but it cannot be read"
        ):
            celeba_spoof.read(root)
    path.unlink()
    with pytest.raises(
        InputError,
        match=r"test_label\.json: expected CelebA-Spoof's list, and it is not there; copy it there",
    ):
        celeba_spoof.read(root)


def test_boxes_are_scaled_to_the_picture(root: Path) -> None:
    row = celeba_spoof.read(root).rows[0]
    Image.new("RGB", (448, 112)).save(root / row.path)
    (root / row.path).with_name("000000_BB.txt").write_text("10 20 100 120 0.99 \n")
    assert celeba_spoof.boxes(root, row) == {0: (20, 10, 220, 70)}
    assert celeba_spoof.boxes(root, celeba_spoof.read(root).rows[1]) == {}


def test_a_damaged_picture_gives_one_row_without_a_box(root: Path, tmp_path: Path) -> None:
    table = celeba_spoof.read(root)
    for row in table.rows[:2]:
        Image.new("RGB", (224, 224)).save(root / row.path)
        (root / row.path).with_name(f"{Path(row.path).stem}_BB.txt").write_text("50 60 80 90 0.99\n")
    (root / table.rows[1].path).write_bytes(b"no picture")
    two = replace(table, rows=table.rows[:2])
    summary = prepare(two, root, tmp_path / "store", settings=PrepareSettings(boxes=True), workers=0)
    ((path, why),) = summary.unreadable
    assert path == two.rows[1].path
    assert why.startswith(f"{path}: expected a picture, whose size its box needs")
    assert summary.frames["", ""] == 1
