"""SiW, Spoof in the Wild (Liu et al., CVPR 2018): 165 subjects, two cameras, prints and four displays.

Sixteen live videos of the test part have ``.m`` in their names, as ``153-2-1-1-1.m.mov``.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from bonaface.core.records import Presentation
from bonaface.datasets.protocols import Protocol, PublishedSplits, Rows
from bonaface.datasets.reader import make_row, read_boxes, read_layout
from bonaface.datasets.registry import Box, Dataset
from bonaface.datasets.table import PresentationTable

_SPLITS = {"Train": "train", "Test": "test"}
_SPECIES = {"2": "print", "3": "display"}
_MEDIUMS = ("1", "2", "3", "4")
_PATH = re.compile(
    r"(?P<folder>Train|Test)/(?P<kind>live|spoof)/(?P<subject>[0-9]{3})/(?P=subject)-(?P<sensor>[12])-(?P<type>[123])-"
    r"(?P<medium>[1-4])-(?P<session>[1-4])(?:\.m)?\.(?:mov|mp4)"
)


def read(root: Path) -> PresentationTable:
    """Read the list of videos below `root`, by path, without opening one.

    `sample_id` is the path; `device` is the sensor's number. The published set has 4,478 videos, not the same number
    for every subject, so only their total is compared.

    Raises:
        InputError: neither ``Train`` nor ``Test`` is there.
    """
    table = read_layout("siw", root, tuple(_SPLITS), (".mov", ".mp4"), parse)
    notes = list(table.notes)
    subjects = {
        split: len({row.subject for row in table.rows if row.split == split}) for split in ("train", "test")
    }
    if (len(table), subjects["train"], subjects["test"]) != (4478, 90, 75):
        notes.append(
            f"there are {len(table)} videos of {subjects['train']} train and {subjects['test']} test subjects, "
            "and 4478 of 90 and 75 are published"
        )
    return PresentationTable(table.dataset, table.rows, tuple(notes))


def parse(path: str) -> Presentation | None:
    """Return the row of ``Train/live/SSS/SSS-sensor-type-medium-session.mov``; None for paths of another form."""
    match = _PATH.fullmatch(path)
    if not match or (match["kind"] == "live") != (match["type"] == "1"):
        return None
    species = f"{_SPECIES[match['type']]}-{match['medium']}" if match["kind"] == "spoof" else ""
    return make_row(
        path,
        species,
        subject=match["subject"],
        session=match["session"],
        device=match["sensor"],
        split=_SPLITS[match["folder"]],
    )


def boxes(root: Path, row: Presentation) -> Mapping[int, Box]:
    """Return the boxes beside each video: ``x0 y0 x1 y1`` of each frame in turn, in a file ending in ``.face``."""
    beside = (root / row.path).with_suffix(".face")
    if not beside.is_file():
        beside = beside.with_name(beside.name.replace(".m.face", ".face"))
    return read_boxes(beside, corners=True, numbered=False)


def _published(train: tuple[str, ...], test: tuple[str, ...]) -> PublishedSplits:
    return PublishedSplits(
        train=Rows(split=("train",), species=train), test=Rows(split=("test",), species=test)
    )


DATASET = Dataset(
    name="siw",
    title="Spoof in the Wild (SiW)",
    reference="Liu, Jourabloo, Liu: Learning deep models for face anti-spoofing: binary or auxiliary supervision, "
    "CVPR 2018",
    layout="{Train,Test}/{live,spoof}/SSS/SSS-sensor-type-medium-session.mov, and .face beside if you have it",
    read=read,
    boxes=boxes,
    protocols=(
        Protocol(
            name="1",
            description="every attack (the paper trains on each video's first 60 frames, here on all of it); dev is a "
            "fifth of the train subjects",
            splits=_published((), ()),
        ),
        Protocol(
            name="2",
            description="unseen display: fold k trains on the displays but k and tests on k, without prints",
            splits=_published(("", "display-*", "!display-{fold}"), ("", "display-{fold}")),
            folds=_MEDIUMS,
        ),
        Protocol(
            name="3",
            description="unseen kind of attack: fold print trains on prints and tests on displays, fold display the "
            "other way",
            splits=_published(("", "{fold}-*"), ("!{fold}-*",)),
            folds=("print", "display"),
        ),
    ),
)
