"""Turning, the set's own boxes and tracking in one shard, on a stand-in of Replay-Mobile."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from bonaface.core.errors import BonafaceError, InputError
from bonaface.core.records import Response
from bonaface.datasets.registry import open_dataset
from bonaface.datasets.table import PresentationTable
from bonaface.face.detect import Detector
from bonaface.face.upright import turned
from bonaface.media import decoder as decoding
from bonaface.media.video import read_frames
from bonaface.store import crop_store as layout
from bonaface.store import shard_writer
from bonaface.store.crop_store import CropStore, PrepareSettings
from bonaface.store.prepare import prepare
from bonaface.store.shard_writer import Shard, ShardWriter
from bonaface.testing import make_layout
from bonaface.testing.scenes import face_box

LYING = "train/real/client001_session02_authenticate_mobile_adverse.mov"
STANDING = "train/real/client001_session02_authenticate_tablet_adverse.mov"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_layout("replay-mobile", tmp_path_factory.mktemp("writer") / "replay-mobile")


@pytest.fixture(scope="module")
def two(root: Path) -> PresentationTable:
    """Return a video that lies on its side without a rotation tag, and an upright one."""
    table = open_dataset("replay-mobile").read(root)
    return replace(table, rows=tuple(row for row in table.rows if row.path in (LYING, STANDING)), notes=())


def test_boxes_lie_in_upright_frames_also_before_a_face_is_seen(
    root: Path, two: PresentationTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first frames of the lying video show nobody, so that only later ones tell how it is turned."""
    read = shard_writer._read

    def dark(path: Path, n: int) -> Iterator[tuple[int, Any]]:
        for number, (index, picture) in enumerate(read(path, n)):
            yield index, picture // 50 if number < 2 and path.name == Path(LYING).name else picture

    monkeypatch.setattr(shard_writer, "_read", dark)
    prepare(two, root, tmp_path / "s", settings=PrepareSettings(boxes=True), workers=0)
    rows = rows_of(tmp_path / "s")
    assert [row["turn"] for row in rows] == [90, 90, 90, 0, 0, 0]
    assert {(row["width"], row["height"]) for row in rows} == {(144, 256)}


def rows_of(store: Path) -> list[dict]:
    return pq.read_table(store / layout.FRAMES).to_pylist()


def test_turned_videos_are_made_upright_and_the_turn_is_recorded(
    root: Path, two: PresentationTable, tmp_path: Path
) -> None:
    prepare(two, root, tmp_path / "s", workers=0)
    store = CropStore.open(tmp_path / "s")
    assert [row["turn"] for row in rows_of(store.path)] == [90, 90, 90, 0, 0, 0]
    assert {(frame.width, frame.height) for frame in store.frames} == {(144, 256)}
    assert not any(frame.response for frame in store.frames)
    (_, first), *_ = read_frames(root / LYING, 3)
    (face, *_) = Detector(640, threads=1).detect(turned(first, 90))
    assert store.frames[0].face == face.box
    for square in (store.read(0), store.read(3)):
        (eyes, _, _, mouth, _) = square.landmarks
        assert eyes[1] < mouth[1]


def test_turned_videos_of_any_set_are_made_upright(
    root: Path, two: PresentationTable, tmp_path: Path
) -> None:
    """`check` knows no data set, and must see the same pixels."""
    prepare(PresentationTable("mine", two.rows), root, tmp_path / "s", workers=0)
    assert [row["turn"] for row in rows_of(tmp_path / "s")] == [90, 90, 90, 0, 0, 0]


def test_a_file_that_crashes_the_decoder_gives_one_unreadable_row(
    root: Path, two: PresentationTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "import os, sys; sys.path[:] = {path!r}\n"
        "from bonaface.media import decoder, frames\n"
        f"decoder.open_media = lambda p, n: os.abort() if p.name == {Path(LYING).name!r} else frames.open_media(p, n)\n"
        "decoder.serve()\n"
    )
    monkeypatch.setattr(decoding, "_START", script)
    monkeypatch.setattr(shard_writer, "_decoder", decoding.Decoder())
    summary = prepare(two, root, tmp_path / "s", workers=0)
    ((path, detail),) = summary.unreadable
    assert path == LYING
    assert detail == "the decoder crashed over it (SIGABRT); it is damaged, or made to do so"
    assert [frame.response for frame in CropStore.open(tmp_path / "s").frames] == ["unreadable", "", "", ""]


def test_uses_the_sets_boxes_instead_of_the_detector(
    root: Path, two: PresentationTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    detect = Detector.detect

    def counted(self: Detector, picture: np.ndarray) -> list:
        looked.append(0)
        return detect(self, picture)

    monkeypatch.setattr(Detector, "detect", counted)
    prepare(two, root, tmp_path / "s", settings=PrepareSettings(boxes=True), workers=0)
    assert len(looked) <= 5  # which way is up: four ways, and at once
    store = CropStore.open(tmp_path / "s")
    assert store.settings.boxes
    for i, frame in enumerate(store.frames):
        assert frame.face == face_box((144, 256), i % 3)
        assert np.isnan(frame.confidence)
        assert np.isnan(store.read(i).landmarks).all()
    assert [row["turn"] for row in rows_of(store.path)] == [90, 90, 90, 0, 0, 0]


def test_missing_broken_and_outside_boxes_give_non_responses(
    root: Path, two: PresentationTable, tmp_path: Path
) -> None:
    copy = tmp_path / "set"
    for path in (LYING, STANDING, "faceloc/rect/train/real"):
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (root / path).is_dir() else shutil.copy)(root / path, copy / path)
    (copy / "faceloc" / "rect" / LYING).with_suffix(".face").write_text("0 10 10 60 80\n2 900 900 60 80\n")
    (copy / "faceloc" / "rect" / STANDING).with_suffix(".face").write_text("0 1 x\n")
    summary = prepare(two, copy, tmp_path / "s", settings=PrepareSettings(boxes=True), workers=0)
    store = CropStore.open(tmp_path / "s")
    assert [(frame.response, frame.detail) for frame in store.frames] == [
        ("", ""),
        (Response.NO_FACE, "the set has no face box for this frame"),
        (Response.NO_FACE, "the set's face box lies outside the picture"),
        (
            Response.UNREADABLE,
            f"faceloc/rect/{STANDING[:-4]}.face, line 1: expected at least 5 numbers, got '0 1 x'",
        ),
    ]
    assert [path for path, _ in summary.unreadable] == [STANDING]


def test_broken_boxes_in_the_first_row_do_not_stop_the_work(
    root: Path, two: PresentationTable, tmp_path: Path
) -> None:
    copy = shutil.copytree(root, tmp_path / "set")
    first, second = (row.path for row in two.rows)
    (copy / "faceloc" / "rect" / first).with_suffix(".face").write_text("no box\n")
    summary = prepare(two, copy, tmp_path / "s", settings=PrepareSettings(boxes=True), workers=0)
    assert [path for path, _ in summary.unreadable] == [first]
    assert {
        two.rows[f.presentation].path for f in CropStore.open(tmp_path / "s").frames if not f.response
    } == {second}


def test_reports_a_set_without_boxes_before_the_work(
    root: Path, two: PresentationTable, tmp_path: Path
) -> None:
    shutil.copytree(root / "train", tmp_path / "set" / "train")
    with pytest.raises(
        InputError, match="none of the face boxes that come with replay-mobile is there; add them"
    ):
        prepare(two, tmp_path / "set", tmp_path / "s", settings=PrepareSettings(boxes=True))
    nuaa = PresentationTable("nuaa", two.rows)
    with pytest.raises(InputError, match="nuaa comes with no face boxes"):
        prepare(nuaa, root, tmp_path / "s", settings=PrepareSettings(boxes=True))
    assert not (tmp_path / "s").exists()


def test_only_the_first_frame_of_a_video_is_searched_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_layout("folder", tmp_path / "mine")
    table = open_dataset("folder").read(root)
    clips = [row for row in table.rows if row.path.endswith(".mp4")][:2]
    sizes: list[tuple[int, int]] = []
    detect = Detector.detect

    def seen(self: Detector, picture: np.ndarray) -> list:
        sizes.append(picture.shape[:2])
        return detect(self, picture)

    monkeypatch.setattr(Detector, "detect", seen)
    # a face of half the height, so that the window around it is smaller than half of the frame
    monkeypatch.setattr("bonaface.face.track._ENLARGED", 1.2)
    prepare(PresentationTable("folder", tuple(clips)), root, tmp_path / "s", workers=0)
    assert sizes[0] == sizes[3] == (240, 320)
    assert all(height * width < 240 * 320 / 2 for height, width in (*sizes[1:3], *sizes[4:]))
    assert len(sizes) == 6


def test_a_worker_without_the_files_makes_nothing(two: PresentationTable, tmp_path: Path) -> None:
    shard = Shard(0, 0, two.rows)
    writer = ShardWriter(
        tmp_path / "away", tmp_path / "s", PrepareSettings(), "replay-mobile", layout.software()
    )
    with pytest.raises(BonafaceError, match="away: a worker process cannot see this folder"):
        writer(shard, lambda n: None)
    writer = replace(writer, root=tmp_path, software={**layout.software(), "pillow": "1.0"})
    with pytest.raises(BonafaceError, match=r"a worker's machine has pillow [\d.]+, and this one has other"):
        writer(shard, lambda n: None)
    assert not (tmp_path / "s").exists()
