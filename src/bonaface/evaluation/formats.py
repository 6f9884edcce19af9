"""Read score files that other programs wrote, and give their columns our names.

Recognised by themselves: the CSV of bob.pad.base (claimed_id, test_label, is_bonafide, attack_type,
score; video_key and frame_id for videos) and its older text files of four or five columns. Any other table is
read with a mapping of columns.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.parquet import arrow
from bonaface.core.records import SIMULATED
from bonaface.evaluation.columns import Column, Numbers, Table, Text, TextBuilder

COLUMNS = (
    "sample_id", "video_id", "frame", "subject", "label", "species", "split", "score",
    "response", "dataset", "protocol", "fold", "device", "session",
)  # fmt: skip

# Columns that `evaluate` writes beside the scores: the threshold that it used, the same in every row.
THRESHOLD_COLUMNS = ("threshold", "threshold_rule", "threshold_data", "threshold_unit")

# Ours on the left; `sample_id` and `video_id` are both the test label where a presentation is one picture.
_BOB = {
    "sample_id": "test_label",
    "video_id": "video_key",
    "frame": "frame_id",
    "subject": "claimed_id",
    "label": "is_bonafide",
    "species": "attack_type",
    "score": "score",
}
_BOB_KEYS = {"claimed_id", "test_label", "is_bonafide", "score"}

# Usual names of the column that names a presentation, the likeliest first; capitals, blanks and hyphens do not count.
_VIDEO_NAMES = ("video_id", "video", "video_name", "video_path", "clip", "clip_id")
_SAMPLE_NAMES = (
    "sample_id", "sample", "sample_name", "id", "filename", "file_name", "file", "filepath", "file_path", "path",
    "image", "image_id", "image_name", "image_path", "img", "img_path", "picture", "name", "key", "uid", "uuid",
)  # fmt: skip
# A larger score is refused: sums and differences of such numbers would overflow a float64.
LARGEST = 1e150

BONA_FIDE_WORDS = ("bonafide", "live", "real", "genuine", "authentic")
ATTACK_WORDS = ("attack", "spoof", "fake", "impostor", "imposter", "presentationattack")
_TRUE, _FALSE = ("1", "true", "1.0"), ("0", "false", "0.0")
_SEPARATORS = re.compile(r"[\s_-]")
_ROWS = 5_000  # of a CSV that are read at a time: more are slower, for want of cache


def read_raw(path: Path) -> Table:
    """Read the table in the file at `path`, every CSV cell as text, under the file's own column names.

    Raises:
        InputError: no such file, not a table, or nothing in it.
    """
    if not path.is_file():
        raise InputError(f"there is no score file {path}")
    try:
        table = _read_parquet(path) if path.suffix == ".parquet" else _read_text(path)
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a table that can be read: {error}") from error
    if not len(table):
        raise InputError(f"{path} holds no scores: it has a header at most")
    return table


def _renamed_ids(theirs: Sequence[str]) -> dict[str, str]:
    """Map ``sample_id`` and ``video_id`` to those of `theirs` with a usual name for them (``filename``, ``video``)."""
    plain = {_plain(name): name for name in reversed(theirs)}
    found = {}
    for ours, names in (("sample_id", _SAMPLE_NAMES), ("video_id", _VIDEO_NAMES)):
        known = [plain[name] for name in names if name in plain]
        if known:
            found[ours] = known[0]
    return found


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def attack_names(mapping: Mapping[str, str], path: Path) -> list[str]:
    """Return a warning for each column of `mapping` that seems to count attacks where higher must be bona fide."""
    meant = {
        "label": "1 is read as bona fide; if it means attack",
        "score": "a higher value is read as bona fide; if it means attack",
    }
    found = []
    for ours, meaning in meant.items():
        theirs = mapping.get(ours, "")
        name = _plain(theirs).replace("_", "")
        if any(word in name for word in ATTACK_WORDS) and not theirs.startswith("-") and not _denies(name):
            found.append(
                f"{path}: the column {theirs!r} sounds as if it told attacks. {meaning}, write --map {ours}=-{theirs}."
            )
    return found


def exchanged_names(table: Table, path: Path) -> list[str]:
    """Return a warning where version 0.1 wrote scores of CASIA-FASD, whose low and normal quality it exchanged.

    Its cameras were called low, normal and high; `table` is one that was checked.
    """
    of_the_set = table.text("dataset").where(lambda name: name.removeprefix(SIMULATED) == "casia-fasd")
    named_so = table.text("device").where(lambda name: name in ("low", "normal", "high"))
    if not (of_the_set & named_so).any():
        return []
    return [
        f"{path}: version 0.1 of bonaface wrote these scores of casia-fasd, and exchanged low and normal quality: read "
        "each as the other, also in the name of the protocol, or prepare the set again and evaluate again."
    ]


def _denies(name: str) -> bool:
    """Return whether the name also speaks of bona fide (``real_vs_spoof``) or negates the attack (``not_spoof``)."""
    return any(word in name for word in ("not", "non", "anti", *BONA_FIDE_WORDS))


def parse_mapping(pairs: Sequence[str]) -> dict[str, str]:
    """Read ``["score=my_column", "b.csv:label=-is_attack"]`` as a mapping of our columns, of a file, to theirs.

    Raises:
        InputError: a pair without ``=``, or a column given twice.
    """
    mapping: dict[str, str] = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not equals or not ours or not theirs:
            raise InputError(f"a column mapping is written OURS=THEIRS, as in score=my_column, got {pair!r}")
        if ours in mapping:
            raise InputError(f"the column {ours!r} is mapped twice, to {mapping[ours]!r} and to {theirs!r}")
        mapping[ours] = theirs
    return mapping


def mapping_of(path: Path, mapping: Mapping[str, str]) -> dict[str, str]:
    """Return what `mapping` says of the file at `path`: what it says of that file alone goes before the rest."""
    own = f"{path}:"
    return {ours: theirs for ours, theirs in mapping.items() if ":" not in ours} | {
        ours.removeprefix(own): theirs for ours, theirs in mapping.items() if ours.startswith(own)
    }


def check_mapping(mapping: Mapping[str, str], paths: Sequence[Path]) -> None:
    """Raise InputError where `mapping` speaks of a file that is not one of `paths`."""
    for ours in mapping:
        if ":" in ours and not any(ours.startswith(f"{path}:") for path in paths):
            raise InputError(
                f"a column mapping speaks of the file {ours.rpartition(':')[0]}, and the score files are "
                f"{', '.join(map(str, paths))}; write the file as you name it there"
            )


def renamed(raw: Table, mapping: Mapping[str, str], where: str) -> Table:
    """Return `raw` with our column names: from `mapping`, bob's, or its own where they are ours or usual names of ids.

    A minus before their name turns the column round: ``score=-spoof`` where higher means attack,
    ``label=-is_attack`` where 1 means attack. `where` names the file in messages.

    Raises:
        UnknownNameError: a column of ours or theirs that does not exist.
        InputError: a cell of a column to turn round that cannot be read.
    """
    theirs, chosen = list(raw.columns), _chosen(raw, mapping)
    for ours, name in mapping.items():
        if ours not in COLUMNS and not ours.startswith("score_"):
            raise UnknownNameError("column of a score table", ours, COLUMNS)
        if name.removeprefix("-") not in theirs and name not in theirs:
            raise UnknownNameError("column of the file", name, theirs)
    return Table({ours: _column(raw, ours, name, where) for ours, name in chosen.items()})


def _chosen(raw: Table, mapping: Mapping[str, str]) -> dict[str, str]:
    """Return their name of each of our columns: from `mapping`, bob's, or its own where it is ours or usual for ids."""
    theirs = list(raw.columns)
    known = {*COLUMNS, *THRESHOLD_COLUMNS}
    if {"score", "label"} & {ours for ours, name in mapping.items() if name != ours}:
        known -= set(THRESHOLD_COLUMNS)  # it was set on the columns of these names
    chosen = _renamed_ids([name for name in theirs if name not in mapping.values()])
    chosen |= {name: name for name in theirs if name in known or name.startswith("score_")}
    if set(theirs) >= _BOB_KEYS:
        chosen |= {ours: name for ours, name in _BOB.items() if name in theirs}
    return chosen | dict(mapping)


def refuse_repeated_names(raw: Table, mapping: Mapping[str, str], path: Path) -> None:
    """Raise InputError where a column of `raw` was taken for the presentations' names, and several rows have one name.

    They may be frames of one video or pictures of one person, and the errors differ widely.
    """
    chosen = _chosen(raw, mapping)
    theirs = chosen.get("sample_id", "")
    guessed = theirs not in ("sample_id", mapping.get("sample_id")) and _plain(theirs) in _SAMPLE_NAMES
    if not guessed or {"video_id", "frame"} & chosen.keys():
        return
    column = raw.text(theirs)
    counts = np.bincount(column.codes)
    if counts.max() > 1:
        often = int(np.argmax(counts))
        raise InputError(
            f"{path}: the column {theirs!r} seems to name the presentations, but {column.names[often]!r} stands in "
            f"{counts[often]} rows. Write --map video_id={theirs} if they are frames of one video, or "
            f"--map subject={theirs} if they show one person"
        )


def _column(raw: Table, ours: str, theirs: str, where: str) -> Column:
    if theirs in raw:
        return raw.columns[theirs]
    column = raw.columns[theirs.removeprefix("-")]
    if ours == "label":
        return Numbers.of(1 - to_labels(column, where))
    if ours == "score" or ours.startswith("score_"):
        numbers = to_numbers(column, ours, where)
        return Numbers(-numbers.values, numbers.missing)
    raise InputError(f"only a score or the label can be turned round with a minus, not {ours!r}")


def to_numbers(column: Column, name: str, where: str) -> Numbers:
    """Return `column` as float64; an empty cell is missing.

    Numbers are as in English without groups of digits: ``0.5``, ``-1e-3``, ``inf``, ``nan``; blanks around are
    passed over. ``1,5``, ``1_000`` and ``0x1`` are none.

    Raises:
        InputError: a cell that is no number, with its row.
    """
    if isinstance(column, Numbers):
        return Numbers(column.values.astype(np.float64), column.missing)
    empty = np.array([not cell or cell.isspace() for cell in column.names], bool)
    try:
        values = np.fromiter(map(_number, column.names), np.float64, len(column.names))
    except ValueError:
        wrong = column.where(lambda cell: not _is_number(cell))
        row = int(np.argmax(wrong))
        raise InputError(
            f"{where}, row {row + 1}: {name} must be a number such as 0.5 or -1e-3, got {column[row].strip()!r}"
        ) from None
    return Numbers(values[column.codes], empty[column.codes])


def _number(cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        if not cell or cell.isspace():
            return np.nan
        raise
    # Which Python allows between digits, and digits of other scripts.
    if "_" in cell or not cell.isascii():
        raise ValueError(cell)
    return value


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True


def to_labels(column: Column, where: str) -> NDArray[np.int8]:
    """Return `column` as int8 of {0, 1}: 1 and 0, true and false, or words (`BONA_FIDE_WORDS`, `ATTACK_WORDS`).

    Capitals, blanks, hyphens and underscores do not count.

    Raises:
        InputError: any other cell, with its row.
    """
    text = column if isinstance(column, Text) else column.text()
    words = text.changed(_word)
    bona_fide = words.where(lambda word: word in (*_TRUE, *BONA_FIDE_WORDS))
    unknown = ~(bona_fide | words.where(lambda word: word in (*_FALSE, *ATTACK_WORDS)))
    if unknown.any():
        row = int(np.argmax(unknown))
        raise InputError(
            f"{where}, row {row + 1}: the label must be 1 (bona fide) or 0 (attack), or a word such as live or "
            f"spoof, got {text[row]!r}"
        )
    return bona_fide.astype(np.int8)


def label_words(column: Column) -> tuple[list[str], list[str]]:
    """Return the words of a label `column` that were taken for bona fide and for attacks, as they are written."""
    words = (column if isinstance(column, Text) else column.text()).distinct()
    kinds = [[word for word in words if _word(word) in known] for known in (BONA_FIDE_WORDS, ATTACK_WORDS)]
    return kinds[0], kinds[1]


def _word(cell: str) -> str:
    return _SEPARATORS.sub("", cell.lower())


def _read_parquet(path: Path) -> Table:
    pa = arrow("a score table in Parquet")
    try:
        with path.open("rb") as file:  # Arrow opens no name that is no UTF-8
            table = pa.parquet.read_table(file)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} is not a table that can be read: {error}") from error
    found = {name: _of_arrow(pa, table.column(name)) for name in table.column_names}
    return Table({name: column for name, column in found.items() if column is not None})


def _of_arrow(pa: Any, column: Any) -> Column | None:
    """Return a column of numbers or of text; None of what is neither, such as embeddings."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind):
        missing = np.asarray(column.is_null().to_numpy(), bool)
        whole = pa.types.is_integer(kind)
        filled = column.fill_null(0) if not pa.types.is_null(kind) else pa.array(np.zeros(len(missing)))
        values = np.asarray(filled.to_numpy())
        return Numbers(values if whole else values.astype(np.float64), missing)
    try:
        cells = column.cast(pa.string()).to_pylist()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return None
    return Text.of("" if cell is None else cell for cell in cells)


def _read_text(path: Path) -> Table:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
    delimiter = max(",\t;", key=first.count)
    if delimiter in first:
        return _read_csv(path, delimiter)
    if len(first.split()) in (4, 5):
        return _read_bob_text(path)
    raise InputError(
        f"{path} is neither a CSV with a header nor one of bob's four- or five-column files; "
        f"it begins with {first.strip()[:60]!r}"
    )


def _read_csv(path: Path, delimiter: str) -> Table:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter=delimiter, strict=True)
        names = next(lines)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{path} has the column {twice[0]!r} more than once")
        columns = {name: TextBuilder() for name in names}
        for rows in _lots(lines, len(names)):
            for builder, cells in zip(columns.values(), zip(*rows, strict=True), strict=True):
                builder.add(cells)
    # As text, or a subject "007" would become the number 7.
    return Table({name: builder.column() for name, builder in columns.items()})


def _lots(lines: Iterator[list[str]], width: int) -> Iterator[list[list[str]]]:
    """Yield rows of `width` cells, some at a time; empty lines are passed over.

    Raises:
        csv.Error: a row has another number of cells.
    """
    count = 0
    while rows := list(islice(lines, _ROWS)):
        rows = [row for row in rows if row]
        if set(map(len, rows)) - {width}:
            at, row = next((at, row) for at, row in enumerate(rows, start=count + 1) if len(row) != width)
            raise csv.Error(f"row {at} has {len(row)} cells where the header has {width}")
        count += len(rows)
        if rows:
            yield rows


def _read_bob_text(path: Path) -> Table:
    """Read `claimed_id [model] real_id test_label score`; real_id is the species, or claimed_id for bona fide."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        cells = line.split()
        if len(cells) not in (4, 5):
            raise InputError(f"{path}, row {number}: expected bob's four or five columns, got {len(cells)}")
        claimed, real, sample, score = cells[0], *cells[-3:]
        rows.append((claimed, sample, str(int(claimed == real)), "" if claimed == real else real, score))
    names = ("subject", "sample_id", "label", "species", "score")
    return Table({name: Text.of(cells) for name, cells in zip(names, zip(*rows, strict=True), strict=True)})
