"""The score table: one row a frame, from any system; it separates running models from judging their scores."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bonaface.core.csv_lines import CsvLines
from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.files import whole_file
from bonaface.core.parquet import arrow
from bonaface.core.records import Score
from bonaface.evaluation.checks import check_videos, checked_table, codes_of
from bonaface.evaluation.columns import Column, Numbers, Table, Text, join
from bonaface.evaluation.formats import (
    COLUMNS,
    THRESHOLD_COLUMNS,
    attack_names,
    exchanged_names,
    label_words,
    mapping_of,
    read_raw,
    refuse_repeated_names,
    renamed,
)

_NUMBERS = ("frame", "label", "score")


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """Scores of one system, one row a frame (a picture is one frame), checked when it is made.

    `data` has the columns of `core.records.Score` (and ``score_<output>`` for a model's other outputs); a score is
    missing exactly where `response` says why. Rows are N. `named` is false where nothing in the
    file named the presentations, `notes` say how the file was understood, `source` names the file; empty for rows that
    come from none.
    """

    data: Table
    named: bool = True
    notes: tuple[str, ...] = ()
    source: str = ""

    def __len__(self) -> int:
        return len(self.data)

    @classmethod
    def from_scores(cls, scores: Iterable[Score]) -> Self:
        """Return the table of `scores`.

        Raises:
            InputError: none at all, or a row that `read` would refuse.
        """
        rows = list(scores)
        if not rows:
            raise InputError("a score table needs at least one score")
        columns: dict[str, Column] = {
            name: Text.of(str(getattr(row, name)) for row in rows) for name in COLUMNS if name not in _NUMBERS
        }
        # A non-response has NaN in the record and nothing in the table.
        columns["score"] = Numbers.of(
            [None if row.response and isnan(row.score) else row.score for row in rows]
        )
        columns["label"] = Numbers.of(np.array([row.label for row in rows]))
        columns["frame"] = Numbers.of(np.array([row.frame for row in rows]))
        for name in sorted({name for row in rows for name in row.outputs}):
            columns[f"score_{name}"] = Numbers.of([row.outputs.get(name) for row in rows])
        return cls(checked_table(Table(columns), "the scores"))

    @classmethod
    def read(cls, *paths: Path, mapping: Mapping[str, str] | None = None) -> Self:
        """Read the files at `paths`, CSV, Parquet or bob's text, as the rows of one table.

        Needed are a label and a score; see `formats.renamed` for `mapping` (our column to theirs; ``PATH:label`` is
        the column of one of the files alone). What a file lacks is filled in: each row its own picture, one split
        (test), attacks of an unknown species.

        Raises:
            InputError: a file or a row that is not a score; the message names it, rows counted from 1.
        """
        tables: list[Self] = []
        for path in paths:
            found, columns = read_raw(path), mapping_of(path, mapping or {})
            refuse_repeated_names(found, columns, path)
            raw = renamed(found, columns, str(path))
            for needed in ("label", "score"):
                if needed not in raw:
                    raise InputError(
                        f"{path} has no column {needed!r}; name the one that holds it with --map {needed}=COLUMN. "
                        f"Its columns: {', '.join(found.columns)}"
                    )
            # Row 1 of one file is not row 1 of another.
            prefix = f"{path} " if len(paths) > 1 else ""
            named = bool({"sample_id", "video_id"} & set(raw.columns))
            checked = checked_table(raw, str(path), prefix)
            notes = (
                *_label_notes(found, columns, path),
                *attack_names(columns, path),
                *exchanged_names(checked, path),
            )
            tables.append(cls(checked, named, notes, str(path)))
        return cls.from_tables(tables)

    @classmethod
    def from_tables(cls, tables: Sequence[Self]) -> Self:
        """Join `tables`, for example the folds of a protocol, in their order.

        Raises:
            InputError: none at all, or a frame that comes twice, or frames of one video that disagree.
        """
        if not tables:
            raise InputError("there are no score tables to read")
        joined = join([table.data for table in tables])
        if len(tables) > 1:
            check_videos(joined, "the tables together")
        notes = dict.fromkeys(note for table in tables for note in table.notes)
        sources = dict.fromkeys(table.source for table in tables if table.source)
        return cls(joined, all(table.named for table in tables), tuple(notes), ", ".join(sources))

    def with_threshold(self, value: float, rule: str, data: str, unit: str) -> Self:
        """Return the table with the threshold that its scores are judged at: its rule, its `data` and its unit."""
        rows = len(self)
        texts = zip(THRESHOLD_COLUMNS[1:], (rule, data, unit), strict=True)
        columns: dict[str, Column] = {THRESHOLD_COLUMNS[0]: Numbers.of(np.full(rows, value, np.float64))}
        columns |= {name: Text.filled(cell, rows) for name, cell in texts}
        return replace(self, data=Table({**self.data.columns, **columns}))

    def write(self, path: Path) -> None:
        """Write the table as CSV or Parquet, by the ending of `path`, whole or not at all.

        Raises:
            UnknownNameError: another ending.
        """
        if path.suffix not in (".csv", ".parquet"):
            raise UnknownNameError("ending of a score table", path.suffix, (".csv", ".parquet"))
        with whole_file(path) as part:
            if path.suffix == ".csv":
                _write_csv(self.data, part)
            else:
                _write_parquet(self.data, part)

    @property
    def outputs(self) -> list[str]:
        """Return the names of the model's score outputs that have a column of their own."""
        return [name.removeprefix("score_") for name in self.data.columns if name.startswith("score_")]

    @property
    def thresholds(self) -> list[tuple[float, str, str, str]]:
        """Return the distinct thresholds in the table, as `with_threshold` took them; mostly none or one."""
        if not set(THRESHOLD_COLUMNS) <= set(self.data.columns):
            return []
        # Of tables that were joined, some may have come without.
        given = self.data.take(~np.isnan(self.data.numbers(THRESHOLD_COLUMNS[0])))
        return list(dict.fromkeys(given.rows(THRESHOLD_COLUMNS)))

    @property
    def pictures(self) -> bool:
        """Return whether each video is a single frame, so that pictures are judged."""
        return bool(np.unique(self.codes("fold", "video_id")).size == len(self))

    def values(self, column: str) -> list[str]:
        """Return the distinct values of a text `column`, in the order in which they first appear."""
        return self.data.text(column).distinct()

    def where(self, column: str, value: str) -> Self:
        """Return the rows whose text `column` is `value`; an empty table has no rows."""
        return replace(self, data=self.data.take(self.data.text(column).where(lambda cell: cell == value)))

    def text(self, column: str) -> NDArray[np.object_]:
        """Return a text column (N,) as Python strings."""
        return self.data.text(column).array()

    def numbers(self, column: str) -> NDArray[Any]:
        """Return a numeric column (N,); NaN where there is no score."""
        return self.data.numbers(column)

    def codes(self, *columns: str) -> NDArray[np.int64]:
        """Return one whole number (N,) for each distinct combination of text `columns`, 0 to their count - 1."""
        return codes_of(self.data, columns)

    def scores(self, output: str | None = None) -> NDArray[np.float64]:
        """Return the score (N,) of the default output, or of another by name; NaN where there is none.

        Raises:
            UnknownNameError: the table has no such output.
            InputError: a row that responded has no score for that output.
        """
        if output is None:
            return self.numbers("score")
        if output not in self.outputs:
            raise UnknownNameError("score output", output, self.outputs)
        scores = self.numbers(f"score_{output}")
        without = np.isnan(scores) & self.data.text("response").where(lambda reason: not reason)
        if without.any():
            raise InputError(
                f"row {int(np.argmax(without)) + 1} has a score but none of the output {output!r}"
            )
        return scores


def _write_csv(table: Table, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(CsvLines(file))
        writer.writerow(table.columns)
        writer.writerows(table.rows(table.columns))


def _write_parquet(table: Table, path: Path) -> None:
    pa = arrow("a score table in Parquet")
    columns = {}
    for name, column in table.columns.items():
        if isinstance(column, Text):
            columns[name] = pa.array(column.array(), pa.string())
        else:
            columns[name] = pa.array(column.values, mask=column.missing)
    with path.open("wb") as file:  # Arrow opens no name that is no UTF-8
        pa.parquet.write_table(pa.table(columns), file, compression="zstd")


def _label_notes(raw: Table, mapping: Mapping[str, str], path: Path) -> list[str]:
    """Return a note on how the words in the label column were understood."""
    column = mapping.get("label", "label").removeprefix("-")
    if column not in raw:
        return []
    bona_fide, attacks = label_words(raw.columns[column])
    turned = mapping.get("label", "").startswith("-")
    kinds = (("attack", "bona fide") if turned else ("bona fide", "attack"), (bona_fide, attacks))
    readings = [f"{', '.join(words)} as {kind}" for kind, words in zip(*kinds, strict=True) if words]
    return [f"{path}: the column {column!r} is read with {' and '.join(readings)}."] if readings else []
