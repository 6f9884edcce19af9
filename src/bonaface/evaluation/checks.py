"""Check score tables: every row has a score or a reason, and all rows of a video agree."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bonaface.core.errors import InputError
from bonaface.evaluation.formats import COLUMNS, LARGEST, THRESHOLD_COLUMNS, to_labels, to_numbers

UNKNOWN_SPECIES = "unknown"
NO_REASON = "no score"

_SPLITS = {
    "train": "train", "training": "train", "world": "train",
    "dev": "dev", "devel": "dev", "development": "dev", "val": "dev", "validation": "dev",
    "test": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
_NOT_A_SPECIES = ("", "none", "bonafide", "bona fide", "bona-fide", "bona_fide", "real", "live", "genuine")


def checked_table(raw: pa.Table, where: str, prefix: str = "") -> pa.Table:
    """Return `raw`, which has a label, a score and any other of our columns, as a whole table, each row checked.

    Where nothing names the presentations they are called ``row 1``, ``row 2``, ... with `prefix` before it.

    Raises:
        InputError: a row that is no score; the message begins with `where` and names the row, from 1.
    """
    rows = raw.num_rows
    given = raw.column_names
    columns: dict[str, Any] = {name: _text(raw, name) for name in COLUMNS if name in given}
    columns["label"] = to_labels(raw.column("label"), where)
    columns["score"], columns["response"] = _responses(raw, where)
    columns["species"] = _species(columns.get("species"), columns["label"], where)
    columns["split"] = _splits(columns.get("split"), rows, where)
    numbered = (
        [f"{prefix}row {row}" for row in range(1, rows + 1)]
        if not {"sample_id", "video_id"} & set(given)
        else []
    )
    sample = columns.get("sample_id", columns.get("video_id", numbered))
    columns["sample_id"] = sample
    columns.setdefault("video_id", sample)
    for name in ("subject", "dataset", "protocol", "fold", "device", "session"):
        columns.setdefault(name, pa.array([""] * rows, pa.string()))
    columns["frame"] = _frames(raw, columns["video_id"], where)
    table = pa.table({name: columns[name] for name in COLUMNS}).combine_chunks()
    for name in given:
        if name.startswith("score_"):
            table = table.append_column(name, _finite(to_numbers(raw.column(name), name, where), name, where))
    if set(given) >= set(THRESHOLD_COLUMNS):
        for name, column in _thresholds(raw, where).items():
            table = table.append_column(name, column)
    check_videos(table, where)
    return table.combine_chunks()


def _thresholds(raw: pa.Table, where: str) -> dict[str, Any]:
    """Return the threshold that came with the scores."""
    columns: dict[str, Any] = {name: _text(raw, name) for name in THRESHOLD_COLUMNS}
    values = to_numbers(raw.column("threshold"), "threshold", where)
    return columns | {"threshold": _finite(values, "threshold", where)}


def _text(raw: pa.Table, name: str) -> pa.ChunkedArray:
    return pc.fill_null(pc.cast(raw.column(name), pa.string()), "")


def _responses(raw: pa.Table, where: str) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return the scores, null where there is none, and the reasons of the rows without one."""
    scores = to_numbers(raw.column("score"), "score", where)
    non_response = pc.is_null(scores)
    if "response" not in raw.column_names:
        return _finite(scores, "score", where), pc.if_else(non_response, NO_REASON, "")
    response = _text(raw, "response")
    # NaN beside a reason is a non-response too, as the records write it.
    absent = pc.or_(non_response, pc.is_nan(pc.fill_null(scores, 0.0)))
    row = _first(pc.and_(pc.equal(response, ""), non_response))
    if row is not None:
        raise InputError(
            f"{where}, row {row + 1}: no score, and response is empty; "
            "response must say why there is none (no face, unreadable, ...)"
        )
    row = _first(pc.and_(pc.not_equal(response, ""), pc.invert(absent)))
    if row is not None:
        raise InputError(
            f"{where}, row {row + 1}: both a score ({scores[row].as_py()}) and the reason why there is none "
            f"({response[row].as_py()!r}); leave one of them empty"
        )
    scores = pc.if_else(pc.and_(absent, pc.not_equal(response, "")), pa.scalar(None, pa.float64()), scores)
    return _finite(scores, "score", where), response


def _finite(scores: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    row = _first(pc.invert(pc.fill_null(pc.is_finite(scores), True)))
    if row is not None:
        raise InputError(
            f"{where}, row {row + 1}: {name} must be a finite number, got {scores[row].as_py()}; "
            "where there is no score, leave it empty and say why in response"
        )
    row = _first(pc.greater(pc.fill_null(pc.abs(scores), 0.0), LARGEST))
    if row is not None:
        raise InputError(
            f"{where}, row {row + 1}: {name} must lie within {LARGEST:g} of 0, got {scores[row].as_py():g}; where it "
            "stands for no score, leave it empty and say why in response"
        )
    return scores


def _species(given: pa.ChunkedArray | None, labels: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    bona_fide = pc.equal(labels, 1)
    if given is None:
        return pc.if_else(bona_fide, "", UNKNOWN_SPECIES)
    given = pc.utf8_trim_whitespace(given)
    none = pc.is_in(pc.utf8_lower(given), pa.array(_NOT_A_SPECIES))
    row = _first(pc.equal(none, pc.invert(bona_fide)))
    if row is None:
        return pc.if_else(bona_fide, "", given)
    name = given[row].as_py()
    problem = f"a bona fide presentation with the species {name!r}" if name else "an attack without a species"
    if name and not labels[row].as_py():
        problem = f"an attack with the species {name!r}, which names a bona fide presentation"
    raise InputError(f"{where}, row {row + 1}: {problem}; label 1 is bona fide, label 0 an attack")


def _splits(given: pa.ChunkedArray | None, rows: int, where: str) -> pa.Array:
    if given is None:
        return pa.array(["test"] * rows, pa.string())
    names = pa.array(list(_SPLITS))
    indices = pc.index_in(pc.utf8_lower(pc.utf8_trim_whitespace(given)), names)
    row = _first(pc.is_null(indices))
    if row is not None:
        raise InputError(
            f"{where}, row {row + 1}: split must be train, dev or test, got {given[row].as_py()!r}"
        )
    return pc.take(pa.array(list(_SPLITS.values())), indices)


def _frames(raw: pa.Table, videos: Any, where: str) -> Any:
    """Return the frame numbers given, or else the running number of each row within its video."""
    if "frame" in raw.column_names:
        frames = pc.fill_null(to_numbers(raw.column("frame"), "frame", where), 0.0)
        whole = pc.and_(pc.equal(frames, pc.floor(frames)), pc.less(pc.abs(frames), 2.0**53))
        row = _first(pc.invert(pc.fill_null(whole, False)))
        if row is not None:
            raise InputError(
                f"{where}, row {row + 1}: frame must be a whole number, got {frames[row].as_py()}"
            )
        return frames.cast(pa.int64())
    codes = codes_of(pa.table({"video": videos}), ["video"])
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    running = np.arange(codes.size) - np.repeat(starts, np.diff(starts, append=codes.size))
    frames = np.empty(codes.size, dtype=np.int64)
    frames[order] = running
    return frames


def check_videos(table: pa.Table, where: str) -> None:
    """Refuse videos whose frames disagree on whose they are, and frames that come twice.

    Raises:
        InputError: the frames of one video differ in label, species, subject or split, or one comes twice.
    """
    names = table.column("video_id")
    video = codes_of(table, ["dataset", "protocol", "fold", "video_id"])
    _, first = np.unique(video, return_index=True)
    for column in ("label", "species", "subject", "split"):
        codes = codes_of(table, [column])
        row = _first_row(codes != codes[first][video])
        if row is not None:
            other = int(first[video[row]])
            values = [table.column(column)[at].as_py() for at in (other, row)]
            raise InputError(
                f"{where}: the frames of the video {names[row].as_py()!r} have two values of {column}, "
                f"{values[0]!r} in row {other + 1} and {values[1]!r} in row {row + 1}"
            )
    keys = table.column("frame").to_numpy(), codes_of(table, ["sample_id"]), video
    order = np.lexsort(keys)
    same = np.all([np.diff(key[order]) == 0 for key in keys], axis=0)
    if same.any():
        one, two = sorted(int(row) for row in order[np.argmax(same) :][:2])
        raise InputError(
            f"{where}: row {two + 1} repeats row {one + 1}, frame {keys[0][two]} of the video "
            f"{names[two].as_py()!r}; runs over several folds need a column fold"
        )


def codes_of(table: pa.Table, columns: Sequence[str]) -> NDArray[np.int64]:
    """Return one whole number (N,) for each distinct combination of text `columns`, 0 to their count - 1."""
    codes = np.zeros(table.num_rows, dtype=np.int64)
    for name in columns:
        encoded = table.column(name).combine_chunks().dictionary_encode()
        if len(encoded.dictionary) > 1:
            codes = codes * len(encoded.dictionary) + encoded.indices.to_numpy()
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _first(mask: Any) -> int | None:
    """Return the number of the first true row of an Arrow mask."""
    return _first_row(np.asarray(mask.to_numpy(zero_copy_only=False), dtype=bool))


def _first_row(mask: NDArray[np.bool_]) -> int | None:
    return int(np.argmax(mask)) if mask.any() else None
