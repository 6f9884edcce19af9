"""Tables of columns, in numpy: text as numbers of its distinct strings, and numbers of which some may be missing.

A million rows of a score file take seconds, since what is asked of text (which split, which species) is asked of each
distinct string once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


class TextBuilder:
    """Make a column of text out of cells that come some at a time."""

    def __init__(self) -> None:
        # Each new string gets the next number, without a call of Python's for it.
        self._numbers: defaultdict[str, int] = defaultdict(count().__next__)
        self._codes: list[NDArray[np.int64]] = []

    def add(self, cells: Iterable[str]) -> Self:
        """Append `cells`."""
        self._codes.append(np.fromiter(map(self._numbers.__getitem__, cells), np.int64))
        return self

    def add_text(self, column: "Text") -> Self:
        """Append the cells of another column."""
        names = np.fromiter(map(self._numbers.__getitem__, column.names), np.int64)
        self._codes.append(names[column.codes])
        return self

    def column(self) -> "Text":
        """Return the column."""
        codes = np.concatenate(self._codes) if self._codes else np.empty(0, np.int64)
        return Text(codes, tuple(self._numbers))


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A column of text: cell i is ``names[codes[i]]``. `names` are distinct; some may be in no cell."""

    codes: NDArray[np.int64]
    names: tuple[str, ...]

    @staticmethod
    def of(cells: Iterable[str]) -> "Text":
        """Return the column of `cells`."""
        return TextBuilder().add(cells).column()

    @classmethod
    def filled(cls, cell: str, rows: int) -> "Text":
        """Return a column of `rows` equal cells."""
        return cls(np.zeros(rows, np.int64), (cell,))

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> str:
        return self.names[int(self.codes[row])]

    def take(self, rows: NDArray[Any]) -> "Text":
        """Return the cells at `rows`, numbers or a mask."""
        return Text(self.codes[rows], self.names)

    def array(self) -> NDArray[np.object_]:
        """Return the cells (N,) as Python strings."""
        return np.array(self.names, object)[self.codes] if self.names else np.array([], object)

    def where(self, holds: Callable[[str], bool]) -> NDArray[np.bool_]:
        """Return the mask (N,) of the cells for which `holds` is true; each distinct string is asked once."""
        return np.array([holds(name) for name in self.names], bool)[self.codes]

    def changed(self, change: Callable[[str], str]) -> "Text":
        """Return the column with `change` made to each cell; cells may become equal by it."""
        new = Text.of(map(change, self.names))
        return Text(new.codes[self.codes], new.names)

    def replaced(self, mask: NDArray[np.bool_], cell: str) -> "Text":
        """Return the column with `cell` where `mask` (N,) is true."""
        names = self.names if cell in self.names else (*self.names, cell)
        return Text(np.where(mask, names.index(cell), self.codes), names)

    def distinct(self) -> list[str]:
        """Return the distinct cells, in the order in which they first appear."""
        found, first = np.unique(self.codes, return_index=True)
        return [self.names[code] for code in found[np.argsort(first)]]


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """A column of numbers: `values` (N,), which mean nothing where `missing` (N,) is true."""

    values: NDArray[Any]
    missing: NDArray[np.bool_]

    @classmethod
    def of(cls, values: Sequence[Any] | NDArray[Any]) -> "Numbers":
        """Return the column of `values`; None is a missing one."""
        if isinstance(values, np.ndarray):
            return cls(values, np.zeros(len(values), bool))
        missing = np.array([value is None for value in values], bool)
        return cls(np.array([np.nan if value is None else value for value in values], np.float64), missing)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[Any]) -> "Numbers":
        """Return the cells at `rows`, numbers or a mask."""
        return Numbers(self.values[rows], self.missing[rows])

    def text(self) -> Text:
        """Return the numbers as text, whole ones without a point; empty where one is missing."""
        whole = np.issubdtype(self.values.dtype, np.integer)
        cells = (
            "" if gone else str(int(value)) if whole or float(value).is_integer() else repr(float(value))
            for value, gone in zip(self.values, self.missing, strict=True)
        )
        return Text.of(cells)


Column = Text | Numbers


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Columns by name, all of as many rows."""

    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def text(self, name: str) -> Text:
        """Return the column `name` as text, whatever it holds."""
        column = self.columns[name]
        return column if isinstance(column, Text) else column.text()

    def numbers(self, name: str) -> NDArray[Any]:
        """Return the numbers (N,) of a column; NaN where one is missing."""
        column = self.columns[name]
        assert isinstance(column, Numbers), f"{name} is a column of text"
        return np.where(column.missing, np.nan, column.values) if column.missing.any() else column.values

    def replaced(self, name: str, column: Column) -> "Table":
        """Return the table with another column `name`, a new one at the end."""
        return Table({**self.columns, name: column})

    def take(self, rows: NDArray[Any]) -> "Table":
        """Return the table of `rows`, numbers or a mask."""
        return Table({name: column.take(rows) for name, column in self.columns.items()})

    def rows(self, names: Iterable[str]) -> Iterable[tuple[Any, ...]]:
        """Return the rows of the columns `names` as Python values, None for a missing number."""
        return zip(*(_cells(self.columns[name]) for name in names), strict=True)


def join(tables: Sequence[Table]) -> Table:
    """Return the rows of all `tables`, with the columns of any; a table lacks empty text, or missing numbers."""
    if len(tables) == 1:
        return tables[0]
    kinds = {name: column for table in tables for name, column in table.columns.items()}
    return Table(
        {name: _joined([_part(table, name, kind) for table in tables]) for name, kind in kinds.items()}
    )


def _part(table: Table, name: str, kind: Column) -> Column:
    if name in table:
        return table.columns[name]
    if isinstance(kind, Text):
        return Text.filled("", len(table))
    return Numbers(np.full(len(table), np.nan), np.ones(len(table), bool))


def _joined(parts: Sequence[Column]) -> Column:
    texts = [part for part in parts if isinstance(part, Text)]
    if texts:
        builder = TextBuilder()
        for text in texts:
            builder.add_text(text)
        return builder.column()
    own = [part for part in parts if isinstance(part, Numbers)]
    return Numbers(
        np.concatenate([part.values for part in own]), np.concatenate([part.missing for part in own])
    )


def _cells(column: Column) -> list[Any]:
    if isinstance(column, Text):
        return list(map(column.names.__getitem__, column.codes.tolist()))
    values: list[Any] = column.values.tolist()
    for row in np.flatnonzero(column.missing):
        values[row] = None
    return values
