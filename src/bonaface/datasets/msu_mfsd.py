"""MSU-MFSD (Wen et al., TIFS 2015): 35 clients before a phone and a laptop; two displays and a print."""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

from bonaface.core.errors import InputError
from bonaface.core.records import Presentation
from bonaface.datasets.protocols import Protocol, PublishedCounts, PublishedSplits, Rows
from bonaface.datasets.reader import lines_of, make_row, read_boxes, read_layout
from bonaface.datasets.registry import Box, Dataset
from bonaface.datasets.table import PresentationTable, name_some

_LISTS = {"train": "train_sub_list.txt", "test": "test_sub_list.txt"}
_SUFFIXES = {"android": ".mp4", "laptop": ".mov"}
_SPECIES = {"ipad_video": "display-ipad", "iphone_video": "display-iphone", "printed_photo": "print-photo"}
_PATH = re.compile(
    r"scene01/(?:real/real|attack/attack)_client(?P<client>[0-9]{3})_(?P<device>android|laptop)_SD_"
    rf"(?:(?P<instrument>{'|'.join(_SPECIES)})_)?scene01\.(?:mp4|mov)"
)


def read(root: Path) -> PresentationTable:
    """Read the list of videos below `root`, by path, without opening one.

    `sample_id` is the path. The two lists say which client trains and which tests. The notes name which of their eight
    videos each are missing, and counts that differ from the published ones.

    Raises:
        InputError: a list or the folder ``scene01`` is missing, or a list is wrong.
    """
    splits = _splits(root)
    return read_layout(
        "msu-mfsd",
        root,
        ("scene01",),
        (".mp4", ".mov"),
        lambda path: parse(path, splits),
        expected=_expected(root),
        counts={"train": (30, 90), "test": (40, 120)},
    )


def parse(path: str, splits: Mapping[str, str]) -> Presentation | None:
    """Return the row of a video's path, with the split of its client (three digits); None for paths of another form."""
    match = _PATH.fullmatch(path)
    if not match or bool(match["instrument"]) != path.startswith("scene01/attack/"):
        return None
    species = _SPECIES[match["instrument"]] if match["instrument"] else ""
    return make_row(
        path,
        species,
        subject=match["client"],
        device=match["device"],
        split=splits.get(match["client"], ""),
    )


def boxes(root: Path, row: Presentation) -> Mapping[int, Box]:
    """Return the boxes beside each video: ``frame,x0,y0,x1,y1`` and the eyes, in a file ending in ``.face``."""
    return read_boxes((root / row.path).with_suffix(".face"), corners=True)


def _splits(root: Path) -> dict[str, str]:
    """Return the split of each client, whose number has three digits."""
    splits: dict[str, str] = {}
    for split, name in _LISTS.items():
        path = root / name
        if not path.is_file():
            raise InputError(
                f"{path}: expected MSU-MFSD's list of {split} clients, and it is not there; copy it there"
            )
        words = " ".join(lines_of(path)).split()
        wrong = [word for word in words if not re.fullmatch(r"[0-9]{1,3}", word)]
        if wrong or not words:
            raise InputError(
                f"{path}: expected a client's number on each line, got {name_some(wrong) or 'nothing'}"
            )
        clients = [f"{int(word):03d}" for word in words]
        twice = [client for client in clients if client in splits]
        if twice:
            raise InputError(f"{path}: the clients {name_some(twice)} are in the list of train clients too")
        splits.update(dict.fromkeys(clients, split))
    return splits


def _expected(root: Path) -> Iterator[str]:
    for client, (device, suffix) in product(sorted(_splits(root)), _SUFFIXES.items()):
        yield f"scene01/real/real_client{client}_{device}_SD_scene01{suffix}"
        for instrument in _SPECIES:
            yield f"scene01/attack/attack_client{client}_{device}_SD_{instrument}_scene01{suffix}"


DATASET = Dataset(
    name="msu-mfsd",
    title="MSU Mobile Face Spoofing Database",
    reference="Wen, Han, Jain: Face spoof detection with image distortion analysis, IEEE TIFS 2015",
    layout="scene01/{real,attack}/*.{mp4,mov}, train_sub_list.txt and test_sub_list.txt",
    read=read,
    boxes=boxes,
    expected=_expected,
    find_turn=True,
    protocols=(
        Protocol(
            name="official",
            description="the published lists of clients; dev is a fifth of the train clients",
            splits=PublishedSplits(train=Rows(split=("train",)), test=Rows(split=("test",))),
            counts=PublishedCounts(train=(30, 90), test=(40, 120)),
        ),
    ),
)
