"""The presentation table: one row a presentation, read from a file or made by a data set's reader."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from posixpath import normpath
from typing import Any

from bonaface.core.errors import InputError
from bonaface.core.files import whole_file
from bonaface.core.parquet import arrow
from bonaface.core.records import ATTACK, BONA_FIDE, Presentation
from bonaface.datasets.text import one_spelling, read_text

COLUMNS = tuple(field.name for field in fields(Presentation))
SPLITS = ("train", "dev", "test")
_NEEDED_IN_CSV = ("path", "label")
_PARQUET = "a crop store, whose tables are in Parquet,"


@dataclass(frozen=True)
class PresentationTable:
    """The rows of one data set, in a fixed order: protocols and the crop store count rows from 0 in this
    order.

    `notes` are the reader's sentences for the user (files that are listed but missing, ...); they are kept
    in the Parquet file and are not part of the digest.

    Raises:
        InputError: two rows have the same `sample_id`, or there is no row.
    """

    dataset: str
    rows: tuple[Presentation, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.rows:
            raise InputError(f"{self.dataset}: no presentation was found; expected at least one row")
        if len({row.sample_id for row in self.rows}) < len(self.rows):
            twice = [name for name, n in Counter(row.sample_id for row in self.rows).items() if n > 1]
            raise InputError(
                f"{self.dataset}: every sample_id must be unique, but {name_some(twice)} "
                f"{'names' if len(twice) == 1 else 'name'} several rows"
            )

    def __len__(self) -> int:
        return len(self.rows)

    def counts(self, rows: Iterable[int] | None = None) -> tuple[int, int]:
        """Return how many (bona fide, attack) presentations there are, in all or among row numbers `rows`."""
        chosen = self.rows if rows is None else [self.rows[i] for i in rows]
        bona_fide = sum(row.label == BONA_FIDE for row in chosen)
        return bona_fide, len(chosen) - bona_fide

    def digest(self) -> str:
        """Return the SHA-256 of the data set's name and its rows: 64 hexadecimal digits, the same on every machine."""
        whole = hashlib.sha256(self.dataset.encode())
        for row in self.rows:
            line = json.dumps([getattr(row, name) for name in COLUMNS], ensure_ascii=True)
            whole.update(b"\n" + line.encode())
        return whole.hexdigest()

    def write(self, path: Path) -> None:
        """Write the table to the Parquet file `path`, whole or not at all."""
        pa = arrow(_PARQUET)
        metadata = {"dataset": self.dataset, "notes": json.dumps(self.notes)}
        columns = {name: [getattr(row, name) for row in self.rows] for name in COLUMNS}
        with whole_file(path) as part, part.open("wb") as file:  # pyarrow takes no name that is no UTF-8
            pa.parquet.write_table(pa.table(columns, schema=_schema(pa).with_metadata(metadata)), file)

    @classmethod
    def read(
        cls, path: Path, checksum: str | None = None, most_rows: int | None = None
    ) -> "PresentationTable":
        """Read a table that `write` has written; `checksum` and `most_rows` are those of `read_parquet`.

        Raises:
            InputError: the file is missing or damaged, is not Parquet, lacks a column, or has impossible values.
        """
        table = read_parquet(path, checksum, most_rows=most_rows)
        schema = _schema(arrow(_PARQUET))
        wrong = [
            name
            for name in COLUMNS
            if name not in table.column_names
            or table.schema.field(name).type != schema.field(name).type
            or table.column(name).null_count
        ]
        about = table.schema.metadata or {}
        if wrong or not {b"dataset", b"notes"} <= about.keys():
            raise InputError(
                f"{path}: expected a presentation table with the columns {', '.join(COLUMNS)}, none of them empty, "
                f"got {', '.join(table.column_names)}"
            )
        columns = [table.column(name).to_pylist() for name in COLUMNS]
        try:
            notes = json.loads(about[b"notes"])
            if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
                raise ValueError("its notes are no list of sentences")
            rows = tuple(Presentation(*values) for values in zip(*columns, strict=True))
            return cls(about[b"dataset"].decode(), rows, tuple(notes))
        except (
            ValueError,
            InputError,
        ) as error:  # not UTF-8, no JSON, a row that can't be
            raise InputError(f"{path}: expected a presentation table, but {error}") from error

    @classmethod
    def from_csv(cls, path: Path, dataset: str = "folder") -> "PresentationTable":
        """Read a CSV file (commas, a header) whose columns are the fields of `Presentation`; the encoding is found.

        `path` and `label` are needed; `sample_id` is the path where its column is left out, the others are
        empty.

        Raises:
            InputError: naming the file, and the line and column where they apply.
        """
        try:
            text = read_text(path)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: expected a CSV file, but {error}") from error
        rows = tuple(_csv_rows(path, io.StringIO(text, newline="")))
        _refuse_two_labels(path, rows)
        return cls(dataset, rows)


def read_parquet(
    path: Path,
    checksum: str | None = None,
    *,
    schema: Any = None,
    most_rows: int | None = None,
) -> Any:
    """Return the Parquet file at `path`, which may be a URL's (`bonaface.core.paths`).

    Args:
        checksum: the SHA-256 of its bytes, compared before anything is made of them; None where it is not known.
        schema: the columns to read, with their types, as pyarrow has them; None for those of the file.
        most_rows: a small file can say that it has any number of rows, all of which would be made; None for no limit.

    Raises:
        InputError: the file is missing or damaged, or is not a Parquet file with that schema.
    """
    pa = arrow(_PARQUET)
    try:
        data = path.read_bytes()
        if checksum is not None and hashlib.sha256(data).hexdigest() != checksum:
            raise InputError(
                f"{path}: the file is damaged: its SHA-256 is not the one that was written down for it"
            )
        rows = pa.parquet.read_metadata(pa.BufferReader(data)).num_rows
        if most_rows is not None and rows > most_rows:
            raise InputError(f"{path}: expected at most {most_rows} rows, got {rows}")
        table = pa.parquet.read_table(pa.BufferReader(data), schema=schema)
        table.validate(full=True)  # rejects text that is not UTF-8 and offsets outside their buffer
    except FileNotFoundError as error:
        raise InputError(f"{path}: the file is missing") from error
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise InputError(f"{path}: the file is damaged or no Parquet file: {_first_line(error)}") from error
    return table


def _schema(pa: Any) -> Any:
    return pa.schema([(name, pa.int8() if name == "label" else pa.string()) for name in COLUMNS])


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def name_some(names: Iterable[str], most: int = 5) -> str:
    """Return the first `most` of `names` as text, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def _csv_rows(path: Path, file: Iterable[str]) -> Iterator[Presentation]:
    reader = csv.DictReader(file, strict=True)
    try:
        _check_header(path, reader.fieldnames or ())
        for line in reader:
            where = f"{path}, line {reader.line_num}"
            if None in line or None in line.values():
                raise InputError(
                    f"{where}: expected {len(reader.fieldnames or ())} values, one for each column"
                )
            yield _csv_row(where, line)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.reader.line_num}: not a line of CSV: {error}") from error


def _refuse_two_labels(path: Path, rows: Iterable[Presentation]) -> None:
    """Raise InputError where one file is bona fide in a row and an attack in another."""
    labels: dict[str, int] = {}
    for row in rows:
        if labels.setdefault(normpath(row.path), row.label) != row.label:
            raise InputError(
                f"{path}: expected one label for each file, but {row.path} is bona fide in a row and an attack in "
                "another; leave one of them out"
            )


def _check_header(path: Path, header: Iterable[str]) -> None:
    names = list(header)
    missing = [name for name in _NEEDED_IN_CSV if name not in names]
    unknown = [name for name in names if name not in COLUMNS]
    if missing or unknown or len(set(names)) < len(names):
        raise InputError(
            f"{path}, line 1: expected a header with the columns {', '.join(_NEEDED_IN_CSV)} and any of "
            f"{', '.join(name for name in COLUMNS if name not in _NEEDED_IN_CSV)}, each once and "
            f"separated by commas, got {', '.join(names) or 'nothing'}"
        )


def _csv_row(where: str, line: Mapping[str, str]) -> Presentation:
    line = {name: value.strip() for name, value in line.items()}
    if line["label"] not in (str(BONA_FIDE), str(ATTACK)):
        raise InputError(
            f"{where}, column label: expected 1 (bona fide) or 0 (attack), got {line['label']!r}"
        )
    if not line["path"]:
        raise InputError(f"{where}, column path: expected a file, got nothing")
    if line.get("sample_id") == "":
        raise InputError(f"{where}, column sample_id: expected a unique name, got nothing")
    if line.get("split", "") not in ("", *SPLITS):
        raise InputError(
            f"{where}, column split: expected {', '.join(SPLITS)} or nothing, got {line['split']!r}"
        )
    if (line["label"] == str(BONA_FIDE)) == bool(line.get("species")):
        raise InputError(
            f"{where}, column species: expected the instrument's species for an attack (print-1, ...) and "
            "nothing for a bona fide presentation, "
            f"got {line.get('species', '')!r} with label {line['label']}"
        )
    values = {"sample_id": line["path"], **line}
    for name in values.keys() - {"path", "sample_id", "label"}:
        values[name] = one_spelling(values[name])
    return Presentation(**{**values, "label": int(line["label"])})  # type: ignore[arg-type]
