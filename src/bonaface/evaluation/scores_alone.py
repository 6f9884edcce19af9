"""Read bare scores, without labels, for what needs no more: those of a day, from any table or from `check --json`."""

import json
from codecs import BOM_UTF8
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import InputError
from bonaface.evaluation.columns import Table, Text
from bonaface.evaluation.formats import read_raw, renamed, to_labels, to_numbers

Bare = tuple[NDArray[np.float64], NDArray[np.object_]]


def read_scores(path: Path, mapping: Mapping[str, str]) -> Bare:
    """Return the scores (N,) in the file at `path`, and whose each is (N,); who is not named stands alone.

    Rows without a score are left out, and so are attacks, where a label tells them. A video's frames are a row each.

    Args:
        path: a score table, or JSON lines with ``score``.
        mapping: our column to theirs, as `bonaface.evaluation.formats.renamed` takes it.

    Raises:
        InputError: there is no such file, no score in it, or one that is no number.
    """
    if not path.is_file():
        raise InputError(f"there is no score file {path}")
    with path.open("rb") as file:
        is_json = file.read(4).removeprefix(BOM_UTF8).startswith(b"{")
    scores, subjects = _bona_fide(_read_json(path, mapping) if is_json else read_raw(path), path, mapping)
    if not scores.size:
        raise InputError(f"{path}: expected scores of bona fide presentations, got none")
    return scores, np.array([name or f"\0{row}" for row, name in enumerate(subjects)], object)


def _read_json(path: Path, mapping: Mapping[str, str]) -> Table:
    """Return JSON lines as a table of text: a column for each name that has numbers, words or null in any line."""
    score = mapping.get("score", "score").removeprefix("-")
    lines: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_text("utf-8-sig", "replace").splitlines(), start=1):
        try:
            lines.append(json.loads(line))
            _ = lines[-1][score]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}, line {number}: expected an object with {score!r}, as check --json prints it"
            ) from error
    names = dict.fromkeys(
        name for line in lines for name, value in line.items() if not isinstance(value, (list, dict))
    )
    return Table({name: Text.of(_cell(line.get(name)) for line in lines) for name in names})


def _cell(value: Any) -> str:
    return "" if value is None or isinstance(value, (list, dict)) else str(value)


def _bona_fide(found: Table, path: Path, mapping: Mapping[str, str]) -> tuple[NDArray[np.float64], list[str]]:
    raw = renamed(found, mapping, str(path))
    if "score" not in raw:
        raise InputError(
            f"{path} has no column 'score'; name the one that holds it with --map score=COLUMN. Its columns: "
            f"{', '.join(found.columns)}"
        )
    given = to_numbers(raw.columns["score"], "score", str(path))
    kept = ~given.missing & np.isfinite(given.values)
    if "label" in raw:
        kept &= to_labels(raw.columns["label"], str(path)) == 1
    subjects = raw.text("subject").take(kept).array().tolist() if "subject" in raw else [""] * int(kept.sum())
    return given.values[kept], subjects
