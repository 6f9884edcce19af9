import io
import json
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bonaface.core.errors import InputError
from bonaface.core.records import Presentation, Response
from bonaface.datasets.table import PresentationTable
from bonaface.face.crop import context_crop
from bonaface.face.detect import Face
from bonaface.face.find import FacePolicy
from bonaface.store import crop_store as layout
from bonaface.store.crop_store import CropStore, FrameResult, PrepareSettings

TABLE = PresentationTable(
    "folder",
    (
        Presentation("bonafide/a.jpg", "bonafide/a.jpg", 1),
        Presentation("../b/ü.mov", "attack/print-1/b.mov", 0, "print-1"),
        Presentation("c" * 300, "bonafide/c.jpg", 1),
    ),
    ("a note",),
)
SETTINGS = PrepareSettings(frames=3, longer_side=320, policy=FacePolicy(min_side=20.0))


def seen(presentation: int, frame: int, seed: int) -> FrameResult:
    """A face somewhere in a picture of noise, in part outside of it."""
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    x, y = rng.uniform(-10, 50, 2).tolist()
    points = rng.uniform(0, 60, (5, 2)).tolist()
    landmarks = tuple((x, y) for x, y in points)
    face = Face((x, y, x + 20.3, y + 24.9), landmarks, 0.9)
    square = context_crop(picture, face, longest=40)
    return FrameResult(
        presentation, TABLE.rows[presentation].sample_id, frame, (80, 60), face=face, square=square
    )


FINDINGS = (
    (seen(0, 0, 1),),
    (
        seen(1, 0, 2),
        FrameResult(1, TABLE.rows[1].sample_id, 4, (80, 60), response=Response.NO_FACE),
        seen(1, 9, 3),
        FrameResult(2, TABLE.rows[2].sample_id, 0, response=Response.UNREADABLE, detail="no such file"),
    ),
)


def make(path: Path) -> Path:
    layout.begin(path, TABLE, layout.describe(TABLE, SETTINGS))
    for number, results in enumerate(FINDINGS):
        layout.write_shard(path, number, results)
    layout.finish(path, len(FINDINGS))
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("store") / "s")


def test_everything_comes_back(path: Path):
    store = CropStore.open(path)
    assert (store.dataset, store.table, store.presentations) == ("folder", TABLE, TABLE.rows)
    assert (store.settings, store.frames_per_video, store.longer_side) == (SETTINGS, 3, 320)
    results = [result for shard in FINDINGS for result in shard]
    assert len(store.frames) == len(results)
    for i, (frame, result) in enumerate(zip(store.frames, results, strict=True)):
        assert (frame.presentation, frame.frame) == (result.presentation, result.frame)
        assert (frame.response, frame.detail) == (result.response, result.detail)
        assert (frame.width, frame.height) == result.size
        if result.square is None:
            assert np.isnan([*frame.face, frame.confidence, frame.padded, frame.factor]).all()
            continue
        assert (frame.face, frame.confidence) == (result.face.box, result.face.score)
        assert (frame.padded, frame.factor) == (result.square.padded, result.square.factor)
        square = store.read(i)
        np.testing.assert_array_equal(square.image, result.square.image)
        assert asdict(square) | {"image": None} == asdict(result.square) | {"image": None}


def test_frames_are_a_sequence(path: Path):
    frames = CropStore.open(path).frames
    assert frames[-1].detail == "no such file"
    assert [frame.frame for frame in frames[1:4]] == [0, 4, 9]
    assert [frame.frame for frame in reversed(frames)] == [0, 9, 4, 0, 0]
    with pytest.raises(IndexError):
        frames[5]


def test_the_same_findings_give_the_same_bytes(path: Path, tmp_path: Path):
    again = make(tmp_path / "again")
    files = sorted(file.relative_to(path) for file in path.rglob("*") if file.is_file())
    assert len(files) == 7
    assert all((path / file).read_bytes() == (again / file).read_bytes() for file in files)
    assert CropStore.open(path).digest == CropStore.open(again).digest


def test_digest_knows_a_single_pixel(path: Path, tmp_path: Path):
    other = tmp_path / "other"
    layout.begin(other, TABLE, layout.describe(TABLE, SETTINGS))
    square = FINDINGS[0][0].square
    changed = square.image.copy()
    changed[0, 0, 0] ^= 1
    result = FrameResult(
        **{
            name: getattr(FINDINGS[0][0], name)
            for name in ("presentation", "sample_id", "frame", "size", "face")
        },
        square=type(square)(changed, square.box, square.landmarks, square.valid, square.factor),
    )
    layout.write_shard(other, 0, (result,))
    layout.write_shard(other, 1, FINDINGS[1])
    layout.finish(other, 2)
    assert CropStore.open(other).digest != CropStore.open(path).digest


def test_a_shard_is_a_plain_tar_of_pictures(path: Path):
    with tarfile.open(layout.shard_path(path, 1, "tar")) as tar:
        # parts of a name that would lead out of the folder are gone
        assert tar.getnames() == ["b/ü.mov/000000.png", "b/ü.mov/000009.png"]
        assert {(member.mtime, member.uid, member.uname) for member in tar} == {(0, 0, "")}
        image = Image.open(io.BytesIO(tar.extractfile("b/ü.mov/000009.png").read()))
    np.testing.assert_array_equal(np.asarray(image), FINDINGS[1][2].square.image)


def test_it_goes_to_other_processes_and_threads(path: Path, through_a_pipe):
    store = through_a_pipe(CropStore.open(path))
    with ThreadPoolExecutor(4) as pool:
        squares = list(pool.map(store.read, [0, 1, 3] * 20))
    for square, result in zip(squares, [FINDINGS[0][0], FINDINGS[1][0], FINDINGS[1][2]] * 20, strict=True):
        np.testing.assert_array_equal(square.image, result.square.image)


def test_a_frame_without_a_face_has_no_square(path: Path):
    with pytest.raises(InputError, match=r"frame 4 of \.\./b/ü\.mov has no face square: no face"):
        CropStore.open(path).read(2)


def test_what_is_no_finished_store_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"expected a crop store, but store\.json is not there"):
        CropStore.open(tmp_path)
    path = make(tmp_path / "s")
    (path / "frames.parquet").unlink()
    with pytest.raises(InputError, match="unfinished; run the same bonaface prepare again"):
        CropStore.open(str(path))
    (path / "store.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(InputError, match="a store of format 99, but this version reads 1"):
        CropStore.open(path)
    (path / "store.json").write_text("[]")
    with pytest.raises(InputError, match="expected the description of a crop store"):
        CropStore.open(path)


def test_damage_is_seen(tmp_path: Path):
    path = make(tmp_path / "s")
    tar = layout.shard_path(path, 0, "tar")
    data = bytearray(tar.read_bytes())
    data[1000] ^= 1
    tar.write_bytes(data)
    with pytest.raises(InputError, match=r"00000\.tar: damaged at byte \d+; delete it, 00000\.parquet and"):
        CropStore.open(path).read(0)
    tar.write_bytes(data[:600])
    with pytest.raises(InputError, match="damaged"):
        CropStore.open(path).read(0)
    tar.unlink()
    with pytest.raises(InputError, match=r"00000\.tar: this shard of the crop store cannot be read"):
        CropStore.open(path).read(0)


def test_settings_have_frames():
    with pytest.raises(InputError, match="frames, 0, and"):
        PrepareSettings(frames=0)
    with pytest.raises(InputError, match="longer side must be at least 32 pixels, got 10"):
        PrepareSettings(longer_side=10)
