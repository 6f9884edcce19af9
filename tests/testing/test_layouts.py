from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.datasets.protocols import split_rows
from bonaface.datasets.registry import dataset_names, open_dataset
from bonaface.media.kinds import is_video
from bonaface.media.video import probe
from bonaface.testing import make_layout


@pytest.fixture(scope="module", params=dataset_names())
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return request.param, make_layout(request.param, tmp_path_factory.mktemp("layouts") / request.param)


def test_reader_reads_the_stand_in_of_every_set(made: tuple[str, Path]) -> None:
    name, root = made
    dataset = open_dataset(name)
    table = dataset.read(root)
    stated = any(row.split for row in table.rows)
    for protocol in dataset.protocols:
        if protocol.splits_are_stated and not stated:
            continue
        for fold in protocol.folds:
            split = split_rows(table, protocol, fold)
            assert all(min(table.counts(rows)) > 0 for rows in (split.train, split.dev, split.test) if rows)
    if dataset.expected:
        assert {row.path for row in table.rows} <= set(dataset.expected(root))
    assert not [note for note in table.notes if "no part of" in note]


def test_files_match_their_suffix(made: tuple[str, Path]) -> None:
    name, root = made
    rows = open_dataset(name).read(root).rows
    for row in rows[:: max(1, len(rows) // 4)]:
        if is_video(row.path):
            info = probe(root / row.path)
            assert (info.frames, info.damage) == (3, "")
            assert min(info.width, info.height) >= 144
        else:
            with Image.open(root / row.path) as picture:
                picture.load()


def test_its_boxes_hold_the_face(made: tuple[str, Path]) -> None:
    name, root = made
    dataset = open_dataset(name)
    if not dataset.boxes:
        return
    row = next(row for row in dataset.read(root).rows if row.label == 1)
    boxes = dataset.boxes(root, row)
    assert sorted(boxes) == [0, 1, 2] or (sorted(boxes) == [0] and not is_video(row.path))
    x0, y0, x1, y1 = boxes[0]
    assert 60 < x1 - x0 < 160
    assert 80 < y1 - y0 < 220


def test_layout_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    one, other = (make_layout("folder", tmp_path / name, frames=2) for name in ("one", "other"))
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) == 40
    assert all((one / file).read_bytes() == (other / file).read_bytes() for file in files)


def test_videos_are_rotated_as_in_the_set(tmp_path: Path) -> None:
    """The phone's videos lie on their side without saying so, the tablet's say so."""
    root = make_layout("replay-mobile", tmp_path / "set")
    phone = probe(root / "train/real/client001_session02_authenticate_mobile_adverse.mov")
    tablet = probe(root / "train/real/client001_session02_authenticate_tablet_adverse.mov")
    assert (phone.width, phone.height, phone.rotation) == (256, 144, 0)
    assert (tablet.width, tablet.height, tablet.rotation) == (144, 256, 270)


def test_rejects_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(InputError, match="expected an empty folder"):
        make_layout("oulu-npu", tmp_path)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "holiday.jpg"]


def test_rejects_unknown_and_too_large_sets(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'oulu-npu'"):
        make_layout("oulu", tmp_path / "x")
    with pytest.raises(InputError, match="too large for a stand-in"):
        make_layout("celeba-spoof", tmp_path / "x", full=True)
    assert not (tmp_path / "x").exists()


def test_full_layouts_have_empty_videos(tmp_path: Path) -> None:
    root = make_layout("casia-fasd", tmp_path / "set", full=True)
    files = [path for path in root.rglob("*") if path.is_file()]
    assert len(files) == 600
    assert np.sum([path.stat().st_size for path in files]) == 0
