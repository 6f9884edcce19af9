"""OULU-NPU (Boulkenafet et al., FG 2017): six phones, three sessions, two printers and two displays.

The four protocols follow from the files' names. If the set's own lists (`Protocols`) are there, they are
compared with these rows, and a difference is an error.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import chain, product
from pathlib import Path

from bonaface.core.errors import InputError
from bonaface.core.records import Presentation
from bonaface.datasets.protocols import Protocol, PublishedCounts, PublishedSplits, Rows
from bonaface.datasets.reader import lines_of, make_row, numbers_in, read_layout
from bonaface.datasets.registry import Box, Dataset
from bonaface.datasets.table import PresentationTable, name_some

# folder: split, users, beginning of its lists' names
_FOLDERS = {
    "Train_files": ("train", range(1, 21), "Train"),
    "Dev_files": ("dev", range(21, 36), "Dev"),
    "Test_files": ("test", range(36, 56), "Test"),
}
_SPECIES = {"1": "", "2": "print-1", "3": "print-2", "4": "display-1", "5": "display-2"}
_PHONES = ("1", "2", "3", "4", "5", "6")  # and the folds of protocols 3 and 4: the phone kept for the test
_PATH = re.compile(
    rf"(?P<folder>{'|'.join(_FOLDERS)})/"
    r"(?P<phone>[1-6])_(?P<session>[1-3])_(?P<user>[0-9]{2})_(?P<file>[1-5])\.avi"
)
_LINE = re.compile(r"(?P<kind>\+1|-1|-2)\s*,\s*(?P<name>\S+)")
_KINDS = {"": "+1", "print": "-1", "display": "-2"}

# How far RetinaFace's box reaches from the middle between the eyes, in distances between them (the median of
# 70 frontal portraits, spread 0.1).
_ASIDE, _ABOVE, _BELOW = 1.08, 1.22, 1.81


def read(root: Path) -> PresentationTable:
    """Read the list of videos below `root`, by folder and name, without opening one.

    `sample_id` is the video's name, as in the set's lists; `device` is the phone's number, `session` the
    session's. The notes name which of the 4,950 videos are missing.

    Raises:
        InputError: no folder of the set is there, or one of its lists differs from the published protocol.
    """
    missing = _check_lists(root)
    table = read_layout(
        "oulu-npu",
        root,
        tuple(_FOLDERS),
        (".avi",),
        parse,
        expected=_expected(root),
        counts={"train": (360, 1440), "dev": (270, 1080), "test": (360, 1440)},
    )
    if not missing:
        return table
    note = f"lists are missing, and the protocols are taken from the videos' names: {name_some(missing)}"
    return replace(table, notes=(note, *table.notes))


def parse(path: str) -> Presentation | None:
    """Return the row of ``Train_files/P_S_UU_F.avi``; None if the path is of another form."""
    match = _PATH.fullmatch(path)
    return _row(**match.groupdict()) if match else None


def boxes(root: Path, row: Presentation) -> Mapping[int, Box]:
    """Return boxes around the eyes that the set marks in every frame (``frame,xR,yR,xL,yL`` beside each video)."""
    found = {}
    for _, numbers in numbers_in((root / row.path).with_suffix(".txt"), 5):
        frame, x1, y1, x2, y2 = numbers[:5]
        distance = abs(x2 - x1)
        if distance > 0:
            middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
            found[int(frame)] = (
                middle_x - _ASIDE * distance,
                middle_y - _ABOVE * distance,
                middle_x + _ASIDE * distance,
                middle_y + _BELOW * distance,
            )
    return found


def _row(folder: str, phone: str, session: str, user: str, file: str) -> Presentation:
    name, species = f"{phone}_{session}_{user}_{file}", _SPECIES[file]
    return make_row(
        f"{folder}/{name}.avi",
        species,
        sample_id=name,
        subject=user,
        session=session,
        device=phone,
        split=_FOLDERS[folder][0],
    )


@cache
def _complete() -> tuple[Presentation, ...]:
    """Return the rows of the complete set."""
    return tuple(
        _row(folder, phone, session, f"{user:02d}", file)
        for folder, (_, users, _) in _FOLDERS.items()
        for phone, session, user, file in product(_PHONES, "123", users, _SPECIES)
    )


def _expected(_root: Path) -> Iterator[str]:
    return (row.path for row in _complete())


def _check_lists(root: Path) -> list[str]:
    """Compare the set's own lists, if they are there, with the protocols' rows of the complete set.

    It returns the lists that are missing, or none if the whole folder is left out.
    """
    missing: list[str] = []
    if not (root / "Protocols").is_dir():
        return missing
    alike: dict[tuple[str, ...], list[Presentation]] = defaultdict(list)  # but for the user
    for row in _complete():
        alike[row.split, row.device, row.session, row.species].append(row)
    for protocol, (split, _, stem) in product(DATASET.protocols, _FOLDERS.values()):
        for fold in protocol.folds:
            name = f"{stem}_{fold}.txt" if fold else f"{stem}.txt"
            list_file = f"Protocols/Protocol_{protocol.name}/{name}"
            if not (root / list_file).is_file():
                missing.append(list_file)
                continue
            wanted = _rows(protocol.name, split).matcher(fold)
            _compare(
                root / list_file, chain.from_iterable(rows for rows in alike.values() if wanted(rows[0]))
            )
    return missing


def _compare(path: Path, rows: Iterable[Presentation]) -> None:
    wanted = {row.sample_id: _KINDS[row.species.partition("-")[0]] for row in rows}
    listed = dict(_listed(path))
    differences = {
        "lists what the published protocol does not": listed.keys() - wanted.keys(),
        "lacks": wanted.keys() - listed.keys(),
        "has another label for": {name for name in listed if wanted.get(name, listed[name]) != listed[name]},
    }
    says = [f"{what}: {name_some(sorted(names))}" for what, names in differences.items() if names]
    if says:
        raise InputError(
            f"{path}: this list {'; it '.join(says)}. Put the set's own list there, or remove it"
        )


def _listed(path: Path) -> Iterator[tuple[str, str]]:
    """Return (name, label as written) of each line of a list."""
    for number, text in enumerate(lines_of(path), start=1):
        match = _LINE.fullmatch(text)
        if match:
            yield match["name"], match["kind"]
        elif text:
            raise InputError(f"{path}, line {number}: expected a line like +1,1_1_01_1, got {text!r}")


_Columns = dict[str, tuple[str, ...]]

_EARLY: _Columns = {"session": ("1", "2")}
_LATE: _Columns = {"session": ("3",)}
_SEEN: _Columns = {"species": ("", "print-1", "display-1")}
_UNSEEN: _Columns = {"species": ("", "print-2", "display-2")}
_OTHERS: _Columns = {"device": ("!{fold}",)}
_KEPT: _Columns = {"device": ("{fold}",)}
# by protocol, what train and dev have in common and what test has
_COLUMNS = {
    "1": (_EARLY, _LATE),
    "2": (_SEEN, _UNSEEN),
    "3": (_OTHERS, _KEPT),
    "4": ({**_EARLY, **_SEEN, **_OTHERS}, {**_LATE, **_UNSEEN, **_KEPT}),
}


def _rows(protocol: str, split: str) -> Rows:
    return Rows(split=(split,), **_COLUMNS[protocol][split == "test"])


def _protocol(
    name: str, description: str, counts: PublishedCounts, folds: tuple[str, ...] = ("",)
) -> Protocol:
    splits = PublishedSplits(train=_rows(name, "train"), dev=_rows(name, "dev"), test=_rows(name, "test"))
    return Protocol(name, description, splits, folds, counts)


DATASET = Dataset(
    name="oulu-npu",
    title="OULU-NPU mobile face presentation attack database",
    reference="Boulkenafet, Komulainen, Li, Feng, Hadid: OULU-NPU: a mobile face presentation attack "
    "database with real-world variations, FG 2017",
    layout="Train_files, Dev_files and Test_files with P_S_UU_F.avi and .txt, and Protocols if you have it",
    read=read,
    boxes=boxes,
    expected=_expected,
    protocols=(
        _protocol(
            "1",
            "unseen session (light and background): sessions 1 and 2 train, session 3 tests",
            PublishedCounts(train=(240, 960), dev=(180, 720), test=(120, 480)),
        ),
        _protocol(
            "2",
            "unseen instruments: printer 1 and display 1 train, printer 2 and display 2 test",
            PublishedCounts(train=(360, 720), dev=(270, 540), test=(360, 720)),
        ),
        _protocol(
            "3",
            "unseen phone: fold k trains on every phone but k and tests on k",
            PublishedCounts(train=(300, 1200), dev=(225, 900), test=(60, 240)),
            _PHONES,
        ),
        _protocol(
            "4",
            "unseen session, instruments and phone: fold k tests on phone k",
            PublishedCounts(train=(200, 400), dev=(150, 300), test=(20, 40)),
            _PHONES,
        ),
    ),
)
