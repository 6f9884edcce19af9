"""The rows of a crop store: the result of each frame, and the position of its context crop in a shard."""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bonaface.core.errors import InputError
from bonaface.core.files import whole_file
from bonaface.core.records import Response
from bonaface.datasets.table import read_parquet
from bonaface.face.crop import ContextCrop
from bonaface.face.detect import Box

_BOX = pa.list_(pa.float64(), 4)
SCHEMA = pa.schema(
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
# `turn` is for users who return to the videos: nothing here reads it, and older stores lack it
_NUMBERS = tuple(name for name in SCHEMA.names if name not in (*_TEXTS, *_LISTS, "sample_id", "turn"))
_COUNTS = tuple(name for name in _NUMBERS if pa.types.is_integer(SCHEMA.field(name).type))
_OWN = b"sha256"  # the rows' checksum in a shard's metadata
_MOST_BYTES = 1 << 24  # of a square's file; 1,024 x 1,024 pixels without any compression are a fifth of it


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


class FrameRows(Sequence[Frame]):
    """Rows that are made into `Frame` records when asked for."""

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Frame, ...]: ...
    def __getitem__(self, index: int | slice) -> Frame | tuple[Frame, ...]:
        rows = range(len(self))[index]
        return self._row(rows) if isinstance(rows, int) else tuple(map(self._row, rows))

    @abstractmethod
    def _row(self, index: int) -> Frame:
        """Return the row `index`, which is there and counts from 0."""


class Frames(FrameRows):
    """The rows of a store in order, kept as columns."""

    def __init__(self, table: pa.Table, presentations: int) -> None:
        """Take over the rows of `table`, which are of so many presentations.

        Raises:
            ValueError: a column is missing or of another type, or holds what no store has.
        """
        check_rows(table, presentations)
        self._numbers = {name: table[name].to_numpy() for name in _NUMBERS}
        self._texts = {name: table[name].combine_chunks() for name in _TEXTS}
        self._lists = {name: _matrix(table[name]) for name in _LISTS}

    def __len__(self) -> int:
        return len(self._numbers["frame"])

    def _row(self, index: int) -> Frame:
        number = self._numbers
        x0, y0, x1, y1 = self._lists["face"][index].tolist()
        return Frame(
            presentation=int(number["presentation"][index]),
            frame=int(number["frame"][index]),
            response=self._texts["response"][index].as_py(),
            detail=self._texts["detail"][index].as_py(),
            width=int(number["width"][index]),
            height=int(number["height"][index]),
            face=(x0, y0, x1, y1),
            confidence=float(number["confidence"][index]),
            padded=float(number["padded"][index]),
            factor=float(number["factor"][index]),
        )

    def location(self, index: int) -> tuple[int, int, int, int]:
        """Return shard number, byte offset and length of the crop's file in it, and its CRC-32."""
        shard, offset, length, crc = (
            int(self._numbers[name][index]) for name in ("shard", "offset", "length", "crc32")
        )
        return shard, offset, length, crc

    def square(self, index: int, image: NDArray[np.uint8]) -> ContextCrop:
        """Return the context crop whose pixels are `image`."""
        box, valid, face = (self._lists[name][index].tolist() for name in ("box", "valid", "face"))
        width, height, factor = (float(self._numbers[name][index]) for name in ("width", "height", "factor"))
        left, top = (round(face[i] - box[i] / factor) for i in (0, 1))  # the crop's corner is a whole pixel
        points = self._lists["landmarks"][index].reshape(5, 2).tolist()
        right_eye, left_eye, nose, right_mouth, left_mouth = ((x, y) for x, y in points)
        return ContextCrop(
            image=image,
            box=(box[0], box[1], box[2], box[3]),
            landmarks=(right_eye, left_eye, nose, right_mouth, left_mouth),
            valid=(valid[0], valid[1], valid[2], valid[3]),
            factor=factor,
            picture=(-left * factor, -top * factor, (width - left) * factor, (height - top) * factor),
        )


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a shard's rows to the Parquet file `path`, with their checksum.

    Where there is no face, boxes and landmarks are NaN: pyarrow 25.0 can't read null among lists of one length.
    """
    table = pa.Table.from_pylist([{**row, **_without_null(row)} for row in rows], schema=SCHEMA)
    with whole_file(path) as part, part.open("wb") as file:  # pyarrow takes no name that is no UTF-8
        pq.write_table(table.replace_schema_metadata({_OWN: _checksum(table)}), file)


def read_rows(path: Path, checked: bool) -> pa.Table:
    """Return the rows that `write_rows` wrote; `checked` verifies their checksum, which version 0.1 did not write.

    Raises:
        InputError: the file is missing or damaged.
    """
    if not checked:
        return read_parquet(path, schema=SCHEMA)
    table = read_parquet(path)
    own = (table.schema.metadata or {}).get(_OWN, b"")
    if not table.schema.equals(SCHEMA) or own != _checksum(table).encode():
        raise InputError(f"{path}: the file is damaged: its rows are not those that were written")
    return table.replace_schema_metadata(None)


def check_rows(table: pa.Table, presentations: int) -> None:
    """Raise ValueError unless `table` has a store's columns with possible values.

    A checksum proves that the rows are those that were written, and this check that they are rows of a store.
    """
    for name in (*_NUMBERS, *_TEXTS, *_LISTS):
        wanted = SCHEMA.field(name).type
        found = table.schema.field(name).type if name in table.column_names else "nothing"
        if found != wanted:
            raise ValueError(f"expected {wanted} in the column {name}, got {found}")
    for name in (*_COUNTS, *_TEXTS):
        if table[name].null_count:
            raise ValueError(f"the column {name} has gaps")
    limits = {"presentation": presentations - 1, "length": _MOST_BYTES}
    for name in _COUNTS:
        least, most = pc.min_max(table[name]).as_py().values()
        if len(table) and not 0 <= least <= most <= limits.get(name, most):
            raise ValueError(f"the column {name} goes from {least} to {most}")
    unknown = set(pc.unique(table["response"]).to_pylist()) - set(Response)
    if unknown:
        raise ValueError(f"the response {sorted(unknown)[0]!r} is not one of the known reasons")
    faces = table.filter(pc.equal(table["response"], str(Response.SCORED)))
    parts = [faces["factor"].to_numpy(), *(_matrix(faces[name]) for name in ("face", "box", "valid"))]
    if not all(np.isfinite(part).all() for part in parts) or (parts[0] <= 0).any():
        raise ValueError("there is a face without its place")


def _without_null(row: Mapping[str, Any]) -> dict[str, list[float]]:
    absent = [name for name in _LISTS if row.get(name) is None]
    return {name: [float("nan")] * SCHEMA.field(name).type.list_size for name in absent}


def _checksum(table: pa.Table) -> str:
    return hashlib.sha256(json.dumps(table.to_pylist()).encode()).hexdigest()


def _matrix(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return a column of lists of one length as (N, length), NaN where a row has none."""
    whole = column.combine_chunks()
    values: NDArray[np.float64] = whole.values.to_numpy(zero_copy_only=False)
    return values.reshape(len(whole), column.type.list_size)
