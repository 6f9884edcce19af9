"""Shared parts of the readers of official layouts: lists of files, notes on missing files, face boxes."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from bonaface.core import paths
from bonaface.core.errors import InputError
from bonaface.core.paths import is_remote
from bonaface.core.records import ATTACK, BONA_FIDE, Presentation
from bonaface.datasets.protocols import Protocol, PublishedCounts, PublishedSplits, Rows
from bonaface.datasets.registry import Box
from bonaface.datasets.table import PresentationTable, name_some
from bonaface.datasets.text import read_lines

_NUMBER = re.compile(r"[^\s,]+")


def files_below(root: Path, folders: Iterable[str], suffixes: Sequence[str]) -> list[str]:
    """Return the files below ``root/folder`` with one of `suffixes` (lower case), relative to `root`, sorted.

    Paths have ``/``. Hidden files and folders, and folders that are not there, are left out.

    Raises:
        OSError: a folder can't be read: without its files the set would be a smaller one.
    """
    found: list[str] = []
    ends = tuple(suffixes)
    for folder in folders:
        if is_remote(root):  # one listing, as walking would need a request for each folder
            below_root = (f"{folder}/{name}" for name, _ in paths.files_below(root / folder))
            found += (
                path
                for path in below_root
                if path.lower().endswith(ends) and not any(part[0] == "." for part in path.split("/"))
            )
            continue
        for directory, below, names in paths.walk(root / folder):
            below[:] = [name for name in below if not name.startswith(".")]
            start = Path(directory).relative_to(root).as_posix()
            wanted = (name for name in names if name.lower().endswith(ends) and not name.startswith("."))
            found += [f"{start}/{name}" for name in wanted]
    return sorted(found)


def read_layout(
    dataset: str,
    root: Path,
    folders: Sequence[str],
    suffixes: Sequence[str],
    parse: Callable[[str], Presentation | None],
    *,
    expected: Iterable[str] = (),
    counts: Mapping[str, tuple[int, int]] | None = None,
) -> PresentationTable:
    """Return the presentations below `root` in the order of their paths, with notes on missing and unexpected files.

    Args:
        dataset: the set's name.
        folders: the folders of its files, relative to `root`.
        suffixes: what the presentations' file names end in, in lower case.
        parse: the row of a path, None where its name fits no pattern of the set.
        expected: the paths that the complete set has, if known; any other file is unexpected.
        counts: the published (bona fide, attack) presentations of each split, `""` where there are no splits.

    Raises:
        InputError: none of `folders` is below `root`, or there is no file that fits.
    """
    missing_folders = [folder for folder in folders if not (root / folder).is_dir()]
    if len(missing_folders) == len(folders):
        raise InputError(
            f"{root}: expected the folder{'s' * (len(folders) > 1)} {', '.join(folders)} of {dataset}, and "
            f"found none; give the folder that holds {'them' if len(folders) > 1 else 'it'}"
        )
    complete = dict.fromkeys(expected)
    rows, strange = [], []
    for path in files_below(root, folders, suffixes):
        row = parse(path)
        if row is None or (complete and path not in complete):
            strange.append(path)
        else:
            rows.append(row)
    example = next(iter(complete), "")
    if not rows:
        raise InputError(
            f"{root}: found no file of {dataset} in {', '.join(folders)}"
            + (f"; expected files like {example}" if example else "")
        )
    missing = complete.keys() - {row.path for row in rows}
    notes = [
        *(f"the folder {folder} is not there" for folder in missing_folders),
        *_note(len(missing), "file is missing", "files are missing", (p for p in complete if p in missing)),
        *_note(
            len(strange),
            "file is",
            "files are",
            strange,
            " no part of the set and left out" + (f" (expected names like {example})" if example else ""),
        ),
        *_count_notes(rows, counts or {}),
    ]
    return PresentationTable(dataset, tuple(rows), tuple(notes))


def make_row(path: str, species: str, *, sample_id: str = "", **columns: str) -> Presentation:
    """Return the row of the file `path`: an attack of `species`, or bona fide if that is empty.

    `sample_id` is the path if it is left out; `columns` are the other fields of `Presentation`.
    """
    return Presentation(sample_id or path, path, ATTACK if species else BONA_FIDE, species, **columns)


def three_splits(
    name: str,
    description: str,
    train: tuple[int, int],
    dev: tuple[int, int],
    test: tuple[int, int],
    species: tuple[str, ...] = (),
) -> Protocol:
    """Return a protocol of a set that is published in train, dev and test.

    `train`, `dev` and `test` are (bona fide, attack) counts; `species`, unless empty, are the only species in it.
    """
    splits = [Rows(split=(split,), species=species) for split in ("train", "dev", "test")]
    return Protocol(
        name=name,
        description=description,
        splits=PublishedSplits(train=splits[0], dev=splits[1], test=splits[2]),
        counts=PublishedCounts(train=train, dev=dev, test=test),
    )


def read_boxes(path: Path, *, corners: bool = False, numbered: bool = True) -> dict[int, Box]:
    """Return the face boxes in a text file, by frame number, as (x0, y0, x1, y1) in pixels.

    A line is ``frame x y width height``, separated by blanks or commas; more numbers may follow. A box of
    zeros says that the frame has none. A file that is not there has no boxes.

    Args:
        corners: the last two numbers are the lower right corner instead of width and height.
        numbered: False where a line has no frame number and is the next frame's.

    Raises:
        InputError: a line is something else; the message names the file and the line.
    """
    boxes = {}
    for line, numbers in numbers_in(path, 5 if numbered else 4):
        frame = int(numbers[0]) if numbered else line - 1
        x, y, right, bottom = numbers[1:5] if numbered else numbers[:4]
        if not corners:
            right, bottom = x + right, y + bottom
        if right > x and bottom > y:
            boxes[frame] = (x, y, right, bottom)
    return boxes


def numbers_in(path: Path, least: int) -> Iterator[tuple[int, list[float]]]:
    """Yield (line, its numbers) of each line of a text file that is not blank; nothing if there is no file.

    Raises:
        InputError: a line holds something else than numbers, or fewer than `least`.
    """
    if not path.is_file():
        return
    for line, text in enumerate(lines_of(path), start=1):
        words = _NUMBER.findall(text)
        if not words:
            continue
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            numbers = []
        if len(numbers) < least or not all(abs(number) < 1e9 for number in numbers):
            raise InputError(f"{path}, line {line}: expected at least {least} numbers, got {text!r}")
        yield line, numbers


def lines_of(path: Path) -> list[str]:
    """Return the lines of one of a set's text files, as `bonaface.datasets.text.read_lines`.

    Raises:
        InputError: it is not text.
    """
    try:
        return read_lines(path)
    except ValueError as error:
        raise InputError(f"{path}: expected a text file, but {error}") from error


def _note(n: int, one: str, many: str, names: Iterable[str], what: str = "") -> Iterator[str]:
    if n:
        yield f"{n} {one if n == 1 else many}{what}: {name_some(names)}"


def _count_notes(rows: Iterable[Presentation], published: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    found = Counter((row.split if "" not in published else "", row.label == BONA_FIDE) for row in rows)
    for split, (bona_fide, attack) in published.items():
        here = found[split, True], found[split, False]
        if here != (bona_fide, attack):
            yield (
                f"{split or 'the set'} has {here[0]} bona fide and {here[1]} attack presentations, and "
                f"{bona_fide} and {attack} are published"
            )
