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
from bonaface.simulate.official import (
    BOX_ABOVE,
    BOX_ASIDE,
    BOX_BELOW,
    OULU_PHONES,
    OULU_PROTOCOLS,
    OULU_USERS,
)

# folder: split, users, beginning of its lists' names
_FOLDERS = {
    "Train_files": ("train", OULU_USERS["Train"], "Train"),
    "Dev_files": ("dev", OULU_USERS["Dev"], "Dev"),
    "Test_files": ("test", OULU_USERS["Test"], "Test"),
}
_SPECIES = {"1": "", "2": "print-1", "3": "print-2", "4": "display-1", "5": "display-2"}
_PATH = re.compile(
    rf"(?P<folder>{'|'.join(_FOLDERS)})/"
    r"(?P<phone>[1-6])_(?P<session>[1-3])_(?P<user>[0-9]{2})_(?P<file>[1-5])\.avi"
)
_LINE = re.compile(r"(?P<kind>\+1|-1|-2)\s*,\s*(?P<name>\S+)")
_KINDS = {"": "+1", "print": "-1", "display": "-2"}


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
                middle_x - BOX_ASIDE * distance,
                middle_y - BOX_ABOVE * distance,
                middle_x + BOX_ASIDE * distance,
                middle_y + BOX_BELOW * distance,
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
        for phone, session, user, file in product(OULU_PHONES, "123", users, _SPECIES)
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


def _rows(protocol: str, split: str) -> Rows:
    videos = OULU_PROTOCOLS[protocol][split == "test"]
    return Rows(
        split=(split,),
        session=tuple(videos.sessions),
        species=tuple(_SPECIES[file] for file in videos.files),
        device=() if videos.kept is None else ("{fold}",) if videos.kept else ("!{fold}",),
    )


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
            OULU_PHONES,
        ),
        _protocol(
            "4",
            "unseen session, instruments and phone: fold k tests on phone k",
            PublishedCounts(train=(200, 400), dev=(150, 300), test=(20, 40)),
            OULU_PHONES,
        ),
    ),
)
