"""CelebA-Spoof (Zhang et al., ECCV 2020): pictures of 10,177 people with ten kinds of attack.

There are 625,537 pictures in all; the lists of train and test name those that the authors distribute."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image, UnidentifiedImageError

from bonaface.core.errors import InputError
from bonaface.core.records import Presentation
from bonaface.datasets.protocols import Protocol, PublishedSplits, Rows
from bonaface.datasets.reader import files_below, make_row, numbers_in
from bonaface.datasets.registry import Box, Dataset
from bonaface.datasets.table import PresentationTable, name_some
from bonaface.datasets.text import read_text

_LISTS = {"train": "metas/intra_test/train_label.json", "test": "metas/intra_test/test_label.json"}
_SUFFIXES = (".jpg", ".jpeg", ".png")
# of the 44 numbers of a picture: what [40], [41] and [42] mean; [43] is 1 for an attack
_SPECIES = (
    "",
    "print-photo",
    "print-poster",
    "print-a4",
    "papercut-face",
    "papercut-upper-body",
    "papercut-region",
    "display-pc",
    "display-pad",
    "display-phone",
    "mask-3d",
)
_LIGHTS = ("", "normal", "strong", "back", "dark")
_ENVIRONMENTS = ("", "indoor", "outdoor")
_BOX_SIDE = 224  # of the square that a picture is scaled to in the box files


def read(root: Path) -> PresentationTable:
    """Read the pictures of the intra-test lists below `root`, in their order, without opening one.

    `sample_id` is the path, `session` the environment and light of an attack (``indoor-dark``). Listed pictures
    without a file are left out and named in the notes.

    Raises:
        InputError: a list is missing or is not such a list.
    """
    there = set(files_below(root, ("Data",), _SUFFIXES))
    rows: list[Presentation] = []
    missing: list[str] = []
    for split, name in _LISTS.items():
        for path, numbers in _listed(root / name).items():
            if path in there:
                rows.append(_row(root / name, path, numbers, split))
            else:
                missing.append(path)
    note = f"{len(missing)} listed pictures are missing and left out: {name_some(missing)}"
    return PresentationTable("celeba-spoof", tuple(rows), (note,) if missing else ())


def boxes(root: Path, row: Presentation) -> Mapping[int, Box]:
    """Return the set's own box (``*_BB.txt``: ``x y width height score`` in the picture scaled to 224 x 224).

    Raises:
        InputError: the box file, or the picture whose size is needed, cannot be read.
    """
    path = root / row.path
    for _, numbers in numbers_in(path.with_name(f"{path.stem}_BB.txt"), 4):
        try:
            with path.open("rb") as file, Image.open(file) as picture:
                across, down = picture.width / _BOX_SIDE, picture.height / _BOX_SIDE
        except (UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise InputError(f"{path}: expected a picture, whose size its box needs, but {error}") from error
        x, y, width, height = numbers[:4]
        return {0: (x * across, y * down, (x + width) * across, (y + height) * down)}
    return {}


def _expected(root: Path) -> Iterator[str]:
    for name in _LISTS.values():
        yield from _listed(root / name)


def _listed(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: expected CelebA-Spoof's list, and it is not there; copy it there")
    try:
        listed = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected CelebA-Spoof's list, but it cannot be read: {error}") from error
    if not isinstance(listed, dict):
        raise InputError(
            f"{path}: expected a JSON object of pictures and their 44 numbers each, got something else"
        )
    return listed


def _row(file: Path, path: str, numbers: Any, split: str) -> Presentation:
    try:
        kind, light, environment, attack = numbers[40:]
        species, session = (
            _SPECIES[kind],
            "-".join(filter(None, (_ENVIRONMENTS[environment], _LIGHTS[light]))),
        )
        consistent = min(kind, light, environment) >= 0 and attack == int(kind > 0)
    except (TypeError, ValueError, IndexError):
        consistent = False
    if not consistent:
        raise InputError(
            f"{file}: {path}: expected 44 whole numbers as the set's README says, got {numbers!r}"
        )
    return make_row(
        path,
        species,
        # Data/train/7325/spoof/494405.png
        subject=PurePosixPath(path).parts[-3] if path.count("/") >= 2 else "",
        session=session,
        split=split,
    )


DATASET = Dataset(
    name="celeba-spoof",
    title="CelebA-Spoof",
    reference="Zhang, Yin, Li, Yin, Yan, Shao, Liu: CelebA-Spoof: large-scale face anti-spoofing dataset with rich "
    "annotations, ECCV 2020",
    layout="Data/{train,test}/ID/{live,spoof}/*.{jpg,png} with *_BB.txt, metas/intra_test/{train,test}_label.json",
    read=read,
    boxes=boxes,
    expected=_expected,
    protocols=(
        Protocol(
            name="intra-test",
            description="the published lists; dev is a fifth of the train subjects",
            splits=PublishedSplits(train=Rows(split=("train",)), test=Rows(split=("test",))),
        ),
    ),
)
