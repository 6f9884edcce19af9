"""NUAA Photograph Imposter Database (Tan et al., ECCV 2010): webcam pictures of people and of their
photographs.

Only the raw pictures are read, by the official list files. Some copies of the lists also name
pictures of subjects 0017 to 0023, whose files the database does not have; such lines are left out and
counted in the table's notes.
"""

import re
from collections import Counter
from pathlib import Path

from bonaface.core.errors import InputError
from bonaface.core.paths import is_folder
from bonaface.core.records import ATTACK, BONA_FIDE, Presentation
from bonaface.datasets.protocols import BySubject, Protocol, PublishedCounts, PublishedSplits, Rows
from bonaface.datasets.reader import lines_of
from bonaface.datasets.registry import Dataset
from bonaface.datasets.table import PresentationTable, name_some

_SPECIES = "print-1"
_CLASSES = (("client", "ClientRaw", BONA_FIDE, ""), ("imposter", "ImposterRaw", ATTACK, _SPECIES))
_SPLITS = ("train", "test")
_LINE = re.compile(r"(?P<subject>\d{4})[\\/](?P<file>[^\\/]+)")
# 0010_01_05_03_115.jpg: subject, glasses, position, session, number
_NAME = re.compile(r"\d{4}_\d\d_\d\d_(?P<session>\d\d)_\d+\.")


def read(root: Path) -> PresentationTable:
    """Read the list of pictures below `root` in the order of the four list files, without opening one.

    `sample_id` is the path (both classes use the same file names) and the session is the one in the file's
    name. The subject is the folder's number: the same person in both classes, as faces of all fourteen
    numbers that both have show (0013 has no attack, 0016 nothing else).

    Raises:
        InputError: a list file or a picture folder is missing, or a line names no picture.
    """
    _check_layout(root)
    rows: list[Presentation] = []
    notes: list[str] = []
    for person, folder, label, species in _CLASSES:
        there = {
            f"{subject.name}/{file.name}"
            for subject in (root / folder).iterdir()
            if is_folder(subject)
            for file in subject.iterdir()
        }
        for split in _SPLITS:
            list_file = root / f"{person}_{split}_raw.txt"
            listed = _listed(list_file)
            rows += [_row(folder, name, label, species, split) for name in listed if name in there]
            notes += _missing(list_file, [name for name in listed if name not in there], len(listed))
    return PresentationTable("nuaa", tuple(rows), tuple(notes))


def _check_layout(root: Path) -> None:
    folders = [folder for _, folder, _, _ in _CLASSES if not (root / folder).is_dir()]
    lists = [f"{person}_{split}_raw.txt" for person, *_ in _CLASSES for split in _SPLITS]
    missing = folders + [name for name in lists if not (root / name).is_file()]
    if missing:
        raise InputError(
            f"{root}: expected NUAA's raw pictures ({DATASET.layout}), but {name_some(missing, 6)} "
            f"{'is' if len(missing) == 1 else 'are'} not there"
        )


def _listed(path: Path) -> list[str]:
    """Return the pictures in a list file as ``NNNN/name.jpg``."""
    names = []
    for number, line in enumerate(lines_of(path), start=1):
        match = _LINE.fullmatch(line)
        if match:
            names.append(f"{match['subject']}/{match['file']}")
        elif line:
            raise InputError(f"{path}, line {number}: expected NNNN/name.jpg, got {line!r}")
    return names


def _row(folder: str, name: str, label: int, species: str, split: str) -> Presentation:
    subject, file = name.split("/")
    named = _NAME.match(file)
    path = f"{folder}/{name}"
    session = named["session"] if named else ""
    return Presentation(path, path, label, species, subject, session, device="webcam", split=split)


def _missing(list_file: Path, names: list[str], listed: int) -> list[str]:
    if not names:
        return []
    by_subject = sorted(Counter(name.split("/")[0] for name in names).items())
    return [
        f"{list_file.name}: {len(names)} of the {listed} listed pictures have no file and were left out "
        "(subject " + ", ".join(f"{subject}: {count}" for subject, count in by_subject) + ")"
    ]


DATASET = Dataset(
    name="nuaa",
    title="NUAA Photograph Imposter Database",
    reference="Tan, Li, Liu, Jiang: Face liveness detection from a single image with sparse low rank "
    "bilinear discriminative model, ECCV 2010",
    layout="ClientRaw/NNNN/*.jpg, ImposterRaw/NNNN/*.jpg, {client,imposter}_{train,test}_raw.txt",
    read=read,
    protocols=(
        Protocol(
            name="official",
            description="the published lists, which share subjects; dev is a fifth of the train subjects",
            splits=PublishedSplits(train=Rows(split=("train",)), test=Rows(split=("test",)), dev_share=0.2),
            counts=PublishedCounts(train=(1743, 1748), test=(3362, 5761)),
            shares_subjects=True,
        ),
        Protocol(
            name="subject-disjoint",
            description="five drawn folds over all subjects: 3 test, 3 dev, the rest train",
            splits=BySubject(test=3, dev=3),
            folds=("1", "2", "3", "4", "5"),
        ),
    ),
)
