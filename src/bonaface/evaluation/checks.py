"""Check score tables: every row has a score or a reason, and all rows of a video agree."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import InputError
from bonaface.evaluation.columns import Column, Numbers, Table, Text
from bonaface.evaluation.formats import COLUMNS, LARGEST, THRESHOLD_COLUMNS, to_labels, to_numbers

UNKNOWN_SPECIES = "unknown"
NO_REASON = "no score"

_SPLITS = {
    "train": "train", "training": "train", "world": "train",
    "dev": "dev", "devel": "dev", "development": "dev", "val": "dev", "validation": "dev",
    "test": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
_NOT_A_SPECIES = ("", "none", "bonafide", "bona fide", "bona-fide", "bona_fide", "real", "live", "genuine")


def checked_table(raw: Table, where: str, prefix: str = "") -> Table:
    """Return `raw`, which has a label, a score and any other of our columns, as a whole table, each row checked.

    Where nothing names the presentations they are called ``row 1``, ``row 2``, ... with `prefix` before it.

    Raises:
        InputError: a row that is no score; the message begins with `where` and names the row, from 1.
    """
    rows, given = len(raw), set(raw.columns)
    labels = to_labels(raw.columns["label"], where)
    columns: dict[str, Column] = {name: raw.text(name) for name in COLUMNS if name in given}
    columns["label"] = Numbers.of(labels)
    columns["score"], columns["response"] = _responses(raw, where)
    columns["species"] = _species(raw.text("species") if "species" in given else None, labels, where)
    columns["split"] = _splits(raw.text("split") if "split" in given else None, rows, where)
    if not {"sample_id", "video_id"} & given:
        columns["sample_id"] = Text.of(f"{prefix}row {row}" for row in range(1, rows + 1))
    sample = columns.get("sample_id", columns.get("video_id"))
    assert sample is not None, "one of them is given, or was made"
    columns["sample_id"] = sample
    columns.setdefault("video_id", sample)
    for name in ("subject", "dataset", "protocol", "fold", "device", "session"):
        columns.setdefault(name, Text.filled("", rows))
    columns["frame"] = Numbers.of(_frames(raw, columns["video_id"], where))
    columns = {name: columns[name] for name in COLUMNS}
    for name in raw.columns:
        if name.startswith("score_"):
            columns[name] = _finite(to_numbers(raw.columns[name], name, where), name, where)
    if given >= set(THRESHOLD_COLUMNS):
        columns |= {name: raw.text(name) for name in THRESHOLD_COLUMNS}
        columns["threshold"] = _finite(
            to_numbers(raw.columns["threshold"], "threshold", where), "threshold", where
        )
    table = Table(columns)
    check_videos(table, where)
    return table


def _responses(raw: Table, where: str) -> tuple[Numbers, Text]:
    """Return the scores, missing where there is none, and the reasons of the rows without one."""
    scores = to_numbers(raw.columns["score"], "score", where)
    if "response" not in raw:
        none = Text.filled("", len(raw)).replaced(scores.missing, NO_REASON)
        return _finite(scores, "score", where), none
    response = raw.text("response")
    silent = response.where(lambda reason: reason != "")
    # NaN beside a reason is a non-response too, as the records write it.
    absent = scores.missing | np.isnan(scores.values)
    row = _first_row(~silent & scores.missing)
    if row is not None:
        raise InputError(
            f"{where}, row {row + 1}: no score, and response is empty; "
            "response must say why there is none (no face, unreadable, ...)"
        )
    row = _first_row(silent & ~absent)
    if row is not None:
        raise InputError(
            f"{where}, row {row + 1}: both a score ({scores.values[row]}) and the reason why there is none "
            f"({response[row]!r}); leave one of them empty"
        )
    return _finite(Numbers(scores.values, scores.missing | (absent & silent)), "score", where), response


def _finite(scores: Numbers, name: str, where: str) -> Numbers:
    there = ~scores.missing
    row = _first_row(there & ~np.isfinite(scores.values))
    if row is not None:
        raise InputError(
            f"{where}, row {row + 1}: {name} must be a finite number, got {scores.values[row]}; "
            "where there is no score, leave it empty and say why in response"
        )
    row = _first_row(there & (np.abs(scores.values) > LARGEST))
    if row is not None:
        raise InputError(
            f"{where}, row {row + 1}: {name} must lie within {LARGEST:g} of 0, got {scores.values[row]:g}; where it "
            "stands for no score, leave it empty and say why in response"
        )
    return scores


def _species(given: Text | None, labels: NDArray[np.int8], where: str) -> Text:
    bona_fide = labels == 1
    if given is None:
        return Text.filled(UNKNOWN_SPECIES, len(labels)).replaced(bona_fide, "")
    given = given.changed(str.strip)
    none = given.where(lambda name: name.lower() in _NOT_A_SPECIES)
    row = _first_row(none != bona_fide)
    if row is None:
        return given.replaced(bona_fide, "")
    name = given[row]
    problem = f"a bona fide presentation with the species {name!r}" if name else "an attack without a species"
    if name and not labels[row]:
        problem = f"an attack with the species {name!r}, which names a bona fide presentation"
    raise InputError(f"{where}, row {row + 1}: {problem}; label 1 is bona fide, label 0 an attack")


def _splits(given: Text | None, rows: int, where: str) -> Text:
    if given is None:
        return Text.filled("test", rows)
    row = _first_row(given.where(lambda name: name.strip().lower() not in _SPLITS))
    if row is not None:
        raise InputError(f"{where}, row {row + 1}: split must be train, dev or test, got {given[row]!r}")
    return given.changed(lambda name: _SPLITS.get(name.strip().lower(), ""))


def _frames(raw: Table, videos: Column, where: str) -> NDArray[np.int64]:
    """Return the frame numbers given, or else the running number of each row within its video."""
    if "frame" in raw:
        given = to_numbers(raw.columns["frame"], "frame", where)
        frames = np.where(given.missing, 0.0, given.values)
        with np.errstate(invalid="ignore"):  # of an infinite number
            row = _first_row(~((frames == np.floor(frames)) & (np.abs(frames) < 2.0**53)))
        if row is not None:
            raise InputError(f"{where}, row {row + 1}: frame must be a whole number, got {frames[row]}")
        return frames.astype(np.int64)
    codes = codes_of(Table({"video": videos}), ["video"])
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    running = np.arange(codes.size) - np.repeat(starts, np.diff(starts, append=codes.size))
    frames = np.empty(codes.size, dtype=np.int64)
    frames[order] = running
    return frames


def check_videos(table: Table, where: str) -> None:
    """Refuse videos whose frames disagree on whose they are, and frames that come twice.

    Raises:
        InputError: the frames of one video differ in label, species, subject or split, or one comes twice.
    """
    names = table.text("video_id")
    video = codes_of(table, ["dataset", "protocol", "fold", "video_id"])
    _, first = np.unique(video, return_index=True)
    for column in ("label", "species", "subject", "split"):
        codes = table.numbers(column) if column == "label" else table.text(column).codes
        row = _first_row(codes != codes[first][video])
        if row is not None:
            other = int(first[video[row]])
            values = [int(codes[at]) if column == "label" else table.text(column)[at] for at in (other, row)]
            raise InputError(
                f"{where}: the frames of the video {names[row]!r} have two values of {column}, "
                f"{values[0]!r} in row {other + 1} and {values[1]!r} in row {row + 1}"
            )
    keys = table.numbers("frame"), codes_of(table, ["sample_id"]), video
    order = np.lexsort(keys)
    same = np.all([np.diff(key[order]) == 0 for key in keys], axis=0)
    if same.any():
        one, two = sorted(int(row) for row in order[np.argmax(same) :][:2])
        raise InputError(
            f"{where}: row {two + 1} repeats row {one + 1}, frame {keys[0][two]} of the video "
            f"{names[two]!r}; runs over several folds need a column fold"
        )


def codes_of(table: Table, columns: Sequence[str]) -> NDArray[np.int64]:
    """Return one whole number (N,) for each distinct combination of text `columns`, 0 to their count - 1."""
    codes = np.zeros(len(table), dtype=np.int64)
    for name in columns:
        text = table.text(name)
        if len(text.names) > 1:
            codes = codes * len(text.names) + text.codes
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _first_row(mask: NDArray[np.bool_]) -> int | None:
    """Return the number of the first true row of a mask."""
    return int(np.argmax(mask)) if mask.any() else None
