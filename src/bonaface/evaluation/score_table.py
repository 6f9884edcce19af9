"""The score table: one row a frame, from any system; it separates running models from judging their scores."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.files import whole_file
from bonaface.core.records import Score
from bonaface.evaluation.checks import check_videos, checked_table, codes_of
from bonaface.evaluation.formats import (
    COLUMNS,
    THRESHOLD_COLUMNS,
    attack_names,
    exchanged_names,
    label_words,
    mapping_of,
    read_raw,
    renamed,
)


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """Scores of one system, one row a frame (a picture is one frame), checked when it is made.

    `data` has the columns of `core.records.Score` (and ``score_<output>`` for a model's other outputs) as
    Arrow arrays; `score` is null exactly where `response` says why. Rows are N. `named` is false where nothing in the
    file named the presentations, `notes` say how the file was understood, `source` names the file; empty for rows that
    come from none.
    """

    data: pa.Table
    named: bool = True
    notes: tuple[str, ...] = ()
    source: str = ""

    def __len__(self) -> int:
        return int(self.data.num_rows)

    @classmethod
    def from_scores(cls, scores: Iterable[Score]) -> Self:
        """Return the table of `scores`.

        Raises:
            InputError: none at all, or a row that `read` would refuse.
        """
        rows = list(scores)
        if not rows:
            raise InputError("a score table needs at least one score")
        columns: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in COLUMNS}
        # A non-response has NaN in the record and nothing in the table.
        columns["score"] = [None if row.response and isnan(row.score) else row.score for row in rows]
        outputs = sorted({name for row in rows for name in row.outputs})
        for name in outputs:
            columns[f"score_{name}"] = pa.array([row.outputs.get(name) for row in rows], pa.float64())
        return cls(checked_table(pa.table(columns), "the scores"))

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
            raw = renamed(found, columns, str(path))
            for needed in ("label", "score"):
                if needed not in raw.column_names:
                    raise InputError(
                        f"{path} has no column {needed!r}; name the one that holds it with --map {needed}=COLUMN. "
                        f"Its columns: {', '.join(found.column_names)}"
                    )
            # Row 1 of one file is not row 1 of another.
            prefix = f"{path} " if len(paths) > 1 else ""
            named = bool({"sample_id", "video_id"} & set(raw.column_names))
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
        parts = [table.data for table in tables]
        joined = pa.concat_tables(parts, promote_options="default").combine_chunks()
        if len(parts) > 1:
            check_videos(joined, "the tables together")
        notes = dict.fromkeys(note for table in tables for note in table.notes)
        sources = dict.fromkeys(table.source for table in tables if table.source)
        return cls(joined, all(table.named for table in tables), tuple(notes), ", ".join(sources))

    def with_threshold(self, value: float, rule: str, data: str, unit: str) -> Self:
        """Return the table with the threshold that its scores are judged at: its rule, its `data` and its unit."""
        table = self.data
        for name, cell in zip(THRESHOLD_COLUMNS, (value, rule, data, unit), strict=True):
            table = table.append_column(name, pa.array([cell] * len(self)))
        return replace(self, data=table)

    def write(self, path: Path) -> None:
        """Write the table as CSV or Parquet, by the ending of `path`, whole or not at all.

        Raises:
            UnknownNameError: another ending.
        """
        if path.suffix not in (".csv", ".parquet"):
            raise UnknownNameError("ending of a score table", path.suffix, (".csv", ".parquet"))
        with whole_file(path) as part:
            if path.suffix == ".csv":
                from pyarrow import csv as arrow_csv

                arrow_csv.write_csv(self.data, part, arrow_csv.WriteOptions(quoting_style="needed"))
            else:
                import pyarrow.parquet as pq

                pq.write_table(self.data, part, compression="zstd")

    @property
    def outputs(self) -> list[str]:
        """Return the names of the model's score outputs that have a column of their own."""
        return [name.removeprefix("score_") for name in self.data.column_names if name.startswith("score_")]

    @property
    def thresholds(self) -> list[tuple[float, str, str, str]]:
        """Return the distinct thresholds in the table, as `with_threshold` took them; mostly none or one."""
        if not set(THRESHOLD_COLUMNS) <= set(self.data.column_names):
            return []
        columns = self.data.select(list(THRESHOLD_COLUMNS)).group_by(list(THRESHOLD_COLUMNS)).aggregate([])
        return [tuple(row.values()) for row in columns.to_pylist()]

    @property
    def pictures(self) -> bool:
        """Return whether each video is a single frame, so that pictures are judged."""
        return bool(np.unique(self.codes("fold", "video_id")).size == len(self))

    def values(self, column: str) -> list[str]:
        """Return the distinct values of a text `column`, in the order in which they first appear."""
        return [value.as_py() for value in pc.unique(self.data.column(column))]

    def where(self, column: str, value: str) -> Self:
        """Return the rows whose text `column` is `value`; an empty table has no rows."""
        return replace(
            self, data=self.data.filter(pc.equal(self.data.column(column), value)).combine_chunks()
        )

    def text(self, column: str) -> NDArray[np.object_]:
        """Return a text column (N,) as Python strings."""
        return np.asarray(self.data.column(column).to_numpy(), dtype=object)

    def numbers(self, column: str) -> NDArray[Any]:
        """Return a numeric column (N,); NaN where there is no score."""
        return np.asarray(self.data.column(column).to_numpy())

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
        column = self.data.column(f"score_{output}")
        missing = pc.and_(pc.is_null(column), pc.equal(self.data.column("response"), ""))
        if pc.any(missing).as_py():
            row = missing.to_pylist().index(True) + 1
            raise InputError(f"row {row} has a score but none of the output {output!r}")
        return self.numbers(f"score_{output}")


def _label_notes(raw: pa.Table, mapping: Mapping[str, str], path: Path) -> list[str]:
    """Return a note on how the words in the label column were understood."""
    column = mapping.get("label", "label").removeprefix("-")
    if column not in raw.column_names or pa.types.is_boolean(raw.column(column).type):
        return []
    bona_fide, attacks = label_words(raw.column(column))
    turned = mapping.get("label", "").startswith("-")
    kinds = (("attack", "bona fide") if turned else ("bona fide", "attack"), (bona_fide, attacks))
    readings = [f"{', '.join(words)} as {kind}" for kind, words in zip(*kinds, strict=True) if words]
    return [f"{path}: the column {column!r} is read with {' and '.join(readings)}."] if readings else []
