import io
import json
import re
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from bonaface.core.errors import InputError
from bonaface.core.files import checksum_of, sha256
from bonaface.core.records import Presentation, Response
from bonaface.datasets.table import PresentationTable
from bonaface.face.crop import context_crop
from bonaface.face.detect import Face
from bonaface.face.find import FacePolicy
from bonaface.store import crop_store as layout
from bonaface.store.crop_store import CropStore, FrameResult, PrepareSettings
from bonaface.store.png import write_png

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
    """Draw a face somewhere in a picture of noise, partly outside of it."""
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    x, y = rng.uniform(-10, 50, 2).tolist()
    points = rng.uniform(0, 60, (5, 2)).tolist()
    landmarks: Any = tuple((x, y) for x, y in points)
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


def test_store_round_trips(path: Path) -> None:
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


def test_frames_are_a_sequence(path: Path) -> None:
    frames = CropStore.open(path).frames
    assert frames[-1].detail == "no such file"
    assert [frame.frame for frame in frames[1:4]] == [0, 4, 9]
    assert [frame.frame for frame in reversed(frames)] == [0, 9, 4, 0, 0]
    with pytest.raises(IndexError):
        frames[5]


def test_the_same_results_give_the_same_bytes(path: Path, tmp_path: Path) -> None:
    again = make(tmp_path / "caf\udce9")  # whatever the folder is called
    files = sorted(file.relative_to(path) for file in path.rglob("*") if file.is_file())
    assert len(files) == 7
    assert all((path / file).read_bytes() == (again / file).read_bytes() for file in files)
    assert CropStore.open(path).digest == CropStore.open(again).digest


def test_digest_changes_with_a_single_pixel(path: Path, tmp_path: Path) -> None:
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
        square=replace(square, image=changed),
    )
    layout.write_shard(other, 0, (result,))
    layout.write_shard(other, 1, FINDINGS[1])
    layout.finish(other, 2)
    assert CropStore.open(other).digest != CropStore.open(path).digest


def test_a_shard_is_a_plain_tar_of_pictures(path: Path) -> None:
    with tarfile.open(layout.shard_path(path, 1, "tar")) as tar:
        # parts of a name that would lead out of the folder are gone
        assert tar.getnames() == ["b/ü.mov/000000.png", "b/ü.mov/000009.png"]
        assert {(member.mtime, member.uid, member.uname) for member in tar} == {(0, 0, "")}
        image = Image.open(io.BytesIO(tar.extractfile("b/ü.mov/000009.png").read()))
    np.testing.assert_array_equal(np.asarray(image), FINDINGS[1][2].square.image)


def test_store_can_be_used_by_processes_and_threads(path: Path, through_a_pipe: Callable[..., Any]) -> None:
    store = through_a_pipe(CropStore.open(path))
    with ThreadPoolExecutor(4) as pool:
        squares = list(pool.map(store.read, [0, 1, 3] * 20))
    for square, result in zip(squares, [FINDINGS[0][0], FINDINGS[1][0], FINDINGS[1][2]] * 20, strict=True):
        np.testing.assert_array_equal(square.image, result.square.image)


def test_a_frame_without_a_face_has_no_square(path: Path) -> None:
    with pytest.raises(InputError, match=r"frame 4 of \.\./b/ü\.mov has no face square: no face"):
        CropStore.open(path).read(2)


def test_rejects_a_store_that_is_not_finished(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a crop store, but store\.json is not there"):
        CropStore.open(tmp_path)
    path = make(tmp_path / "s")
    (path / "frames.parquet").unlink()
    with pytest.raises(InputError, match="unfinished; run the same bonaface prepare again"):
        CropStore.open(str(path))
    (path / "store.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(InputError, match="a store of format 99, but this version reads 1"):
        CropStore.open(path)
    for text in ("[]", "7", "[" * 100_000, '{"format": 1}', '{"format": 1, "settings": 3}', "\0"):
        (path / "store.json").write_text(text)
        with pytest.raises(InputError, match="expected the description of a crop store"):
            CropStore.open(path)


def test_detects_damage(tmp_path: Path) -> None:
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


def test_settings_have_frames() -> None:
    with pytest.raises(InputError, match="frames, 0, and"):
        PrepareSettings(frames=0)
    with pytest.raises(InputError, match="longer side must be at least 32 pixels, got 10"):
        PrepareSettings(longer_side=10)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def refusal(do: Callable[[], object]) -> str:
    """Return the sentence with which `do` is rejected, or nothing."""
    try:
        do()
    except InputError as error:
        return str(error)
    return ""


def without_checksums(path: Path) -> None:
    """Turn the store into one of version 0.1."""
    description = json.loads((path / "store.json").read_text())
    del description["checksum"], description["checksums"]
    description["recipe"] = description.pop("settings")
    (path / "store.json").write_text(json.dumps(description))
    for index in path.glob("shards/*.parquet"):
        pq.write_table(pq.read_table(index).replace_schema_metadata(None), index)


@pytest.mark.parametrize("name", ["presentations.parquet", "frames.parquet"])
def test_any_flipped_bit_of_a_table_is_refused(tmp_path: Path, name: str) -> None:
    path = make(tmp_path / "s")
    data = (path / name).read_bytes()
    for bit in np.random.default_rng(0).integers(0, 8 * len(data), 600).tolist():
        (path / name).write_bytes(flipped(data, bit))
        with pytest.raises(
            InputError, match=rf"{name}: the file is damaged.*; delete it and run the same bonaface"
        ):
            CropStore.open(path)
    (path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=f"{name}: the file is damaged"):
        CropStore.open(path)


def test_any_flipped_bit_of_the_description_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    path = make(tmp_path / "s")
    data = (path / "store.json").read_bytes()
    said = json.loads(data)
    harmless = 0
    for bit in np.random.default_rng(0).integers(0, 8 * len(data), 600).tolist():
        (path / "store.json").write_bytes(flipped(data, bit))
        said_no = refusal(lambda: CropStore.open(path))
        if not said_no:
            assert json.loads((path / "store.json").read_bytes()) == said
            harmless += 1
        assert not said_no or "store.json: " in said_no
    assert (
        harmless < 60
    )  # blanks that become another kind of blank, and letters in a hexadecimal digit's case


def test_any_flipped_bit_of_a_shard_is_refused_or_changes_nothing(path: Path, tmp_path: Path) -> None:
    copy = make(tmp_path / "s")
    whole = CropStore.open(path)
    tar = layout.shard_path(copy, 1, "tar")
    data = tar.read_bytes()
    squares = [i for i, frame in enumerate(whole.frames) if not frame.response and i]
    used = sum(whole.frames.location(i)[2] for i in squares)
    refused = 0
    for bit in np.random.default_rng(0).integers(0, 8 * len(data), 300).tolist():
        tar.write_bytes(flipped(data, bit))
        store = CropStore.open(copy)
        for i in squares:
            said_no = refusal(partial(store.read, i))
            if not said_no:
                np.testing.assert_array_equal(store.read(i).image, whole.read(i).image)
            assert not said_no or "damaged at byte" in said_no
            refused += bool(said_no)
    assert refused / 300 == pytest.approx(used / len(data), abs=0.1)


def test_any_flipped_bit_of_a_shards_rows_is_refused_or_changes_nothing(path: Path, tmp_path: Path) -> None:
    copy = make(tmp_path / "s")
    index = layout.shard_path(copy, 1, "parquet")
    data, wanted = index.read_bytes(), (path / "frames.parquet").read_bytes()
    refused = 0
    for bit in np.random.default_rng(0).integers(0, 8 * len(data), 300).tolist():
        index.write_bytes(flipped(data, bit))
        said_no = refusal(lambda: layout.finish(copy, 2))
        if not said_no:
            assert (copy / "frames.parquet").read_bytes() == wanted
        assert not said_no or re.search(
            r"00001\.parquet: .*; delete it and run the same bonaface prepare again", said_no
        )
        refused += bool(said_no)
    assert refused > 100


@pytest.mark.parametrize("name", ["presentations.parquet", "frames.parquet"])
def test_a_flipped_bit_in_a_store_of_version_01_never_ends_in_a_traceback(tmp_path: Path, name: str) -> None:
    path = make(tmp_path / "s")
    without_checksums(path)
    whole = CropStore.open(path)
    data = (path / name).read_bytes()
    for bit in np.random.default_rng(0).integers(0, 8 * len(data), 600).tolist():
        (path / name).write_bytes(flipped(data, bit))
        said_no = refusal(lambda: CropStore.open(path))
        assert not said_no or name in said_no
        if said_no:
            continue
        store = CropStore.open(path)
        assert store.table.rows == whole.table.rows  # the digest of its rows is as old as the store
        for i in range(len(store.frames)):
            assert store.frames[i].presentation in range(3)
            said_no = refusal(partial(store.read, i))
            assert not said_no or re.search("face square|damaged at|cannot be read", said_no)


def test_a_store_of_version_01_that_was_not_finished_goes_on_and_gets_checksums(tmp_path: Path) -> None:
    path = make(tmp_path / "s")
    without_checksums(path)
    (path / "frames.parquet").unlink()
    layout.finish(path, len(FINDINGS))
    assert json.loads((path / "store.json").read_text())["checksums"].keys() == {"frames.parquet"}
    assert CropStore.open(path).settings == SETTINGS
    with (path / "frames.parquet").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(InputError, match=r"frames\.parquet: the file is damaged"):
        CropStore.open(path)


def resealed(path: Path, **changes: Any) -> None:
    """Rewrite the description with a checksum that fits, as a forger could."""
    values = json.loads((path / "store.json").read_text()) | changes
    values.pop("checksum")
    for name in values["checksums"]:
        values["checksums"][name] = sha256(path / name)
    (path / "store.json").write_text(json.dumps({**values, "checksum": checksum_of(values)}))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": "20"}, "settings that this version does not know: frames = '20'"),
        ({"frames": True}, "frames = True"),
        ({"colour": 3}, "colour = 3"),
        ({"policy": 3}, "settings that no store is made with"),
        ({"policy": {"min_side": None}}, "min_side = None"),
        ({"frames": 0}, "settings that no store is made with: frames, 0, and"),
    ],
)
def test_rejects_settings_of_wrong_types(tmp_path: Path, settings: dict, message: str) -> None:
    path = make(tmp_path / "s")
    known = json.loads((path / "store.json").read_text())["settings"]
    resealed(path, settings=known | settings)
    with pytest.raises(InputError, match=message):
        CropStore.open(path)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("presentation", 3, "the column presentation goes from 1 to 3"),
        ("presentation", -1, "the column presentation goes from -1"),
        ("shard", -7, "the column shard goes from -7"),
        ("offset", -1, "the column offset goes from -1"),
        ("length", 2**40, "the column length goes from 0 to 1099511627776"),
        ("crc32", None, "the column crc32 has gaps"),
        ("response", None, "the column response has gaps"),
        ("response", "a nice face", "the response 'a nice face' is not one of the known reasons"),
        ("box", [float("nan")] * 4, "there is a face without its place"),
        ("factor", 0.0, "there is a face without its place"),
        ("factor", float("nan"), "there is a face without its place"),
    ],
)
def test_rejects_rows_out_of_range(tmp_path: Path, column: str, value: object, message: str) -> None:
    path = make(tmp_path / "s")
    table = pq.read_table(path / "frames.parquet")
    rows = table.to_pylist()
    rows[0][column] = value
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path / "frames.parquet")
    resealed(path)
    with pytest.raises(InputError, match=rf"frames\.parquet: no rows of a crop store: {message}"):
        CropStore.open(path)


def test_no_list_of_a_stores_rows_is_null(tmp_path: Path) -> None:
    """pyarrow 25.0.1 refuses to read lists of one length where one of them is null."""
    rows = pq.read_table(make(tmp_path / "s") / "frames.parquet").to_pylist()
    absent = [row for row in rows if row["response"]]
    assert absent
    assert all(len(row["box"]) == 4 and np.isnan(row["box"]).all() for row in absent)
    assert all(len(row["landmarks"]) == 10 and np.isnan(row["landmarks"]).all() for row in absent)


def test_rows_without_a_column_or_with_one_of_another_type_are_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "s")
    table = pq.read_table(path / "frames.parquet")
    for other in (table.drop_columns(["crc32"]), table.set_column(2, "frame", table["frame"].cast("string"))):
        pq.write_table(other, path / "frames.parquet")
        resealed(path)
        with pytest.raises(
            InputError, match=r"no rows of a crop store: expected (uint32|int64) in the column"
        ):
            CropStore.open(path)


def test_rejects_a_table_that_claims_too_many_rows(tmp_path: Path) -> None:
    path = make(tmp_path / "s")
    table = pq.read_table(path / "frames.parquet")
    pq.write_table(pa.concat_tables([table] * 10), path / "frames.parquet")
    resealed(path)
    with pytest.raises(
        InputError, match="expected at most 12 rows, got 50"
    ):  # 3 presentations, 3 frames each
        CropStore.open(path)


# Prints why the first square of a store is rejected, or "", and how much the peak of memory has grown by reading it.
READING = """
import json, sys
from pathlib import Path
from bonaface.core.errors import InputError
from bonaface.store.crop_store import CropStore

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

store, said = CropStore.open(sys.argv[1]), ""
before = peak()
try:
    store.read(0)
except InputError as error:
    said = str(error)
print(json.dumps([said, peak() - before]))
"""


@pytest.mark.parametrize("kind", ["longer than a square", "unpacks to more than it says", "no picture"])
def test_rejects_a_square_larger_than_a_stores(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {
        "longer than a square": write_png(np.zeros((1025, 8, 3), np.uint8)),
        "unpacks to more than it says": write_png(np.zeros((40, 40, 3), np.uint8)),
        "no picture": b"GIF89a" + bytes(100),
    }[kind]
    if kind == "unpacks to more than it says":
        pixels = zlib.compress(bytes(200_000_000))
        begin = data.index(b"IDAT")
        head = data[: begin - 4] + len(pixels).to_bytes(4) + b"IDAT" + pixels
        data = head + zlib.crc32(b"IDAT" + pixels).to_bytes(4) + data[-12:]
    monkeypatch.setattr(layout, "write_png", lambda image: data)
    path = make(tmp_path / "s")
    # In a process of its own: what others have taken before says nothing of this picture.
    done = subprocess.run([sys.executable, "-c", READING, str(path)], capture_output=True, check=True)
    said_no, kibibytes = json.loads(done.stdout)
    assert kibibytes < 60_000
    # Pillow reads what there is of a picture and leaves what is too much of it.
    assert bool(said_no) == (kind != "unpacks to more than it says")
    assert not said_no or re.search(r"00000\.tar: at byte \d+ there is no face square", said_no)
