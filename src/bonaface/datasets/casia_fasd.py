"""CASIA-FASD (Zhang et al., ICB 2012): three cameras; warped photographs, photographs with cut eyes, a tablet."""

import re
from collections.abc import Iterator
from pathlib import Path

from bonaface.core.records import Presentation
from bonaface.datasets.protocols import Counts, Protocol, PublishedSplits, Rows
from bonaface.datasets.reader import make_row, read_layout
from bonaface.datasets.registry import Dataset
from bonaface.datasets.table import PresentationTable

_FOLDERS = {"train_release": ("train", 20), "test_release": ("test", 30)}  # split, subjects
_DEVICES = ("low", "normal", "high")  # the three cameras' quality
# species: its videos by the three cameras
_VIDEOS = {
    "": ("1", "2", "HR_1"),
    "print-warped": ("3", "4", "HR_2"),
    "print-cut": ("5", "6", "HR_3"),
    "display-video": ("7", "8", "HR_4"),
}
_KINDS = {name: (species, _DEVICES[i]) for species, names in _VIDEOS.items() for i, name in enumerate(names)}
_PATH = re.compile(
    r"(?P<folder>train_release|test_release)/(?P<subject>[1-9][0-9]?)/(?P<name>[1-8]|HR_[1-4])\.avi"
)


def read(root: Path) -> PresentationTable:
    """List the videos below `root`, by path; none is opened.

    `sample_id` is the path. The numbers start anew in both folders, so subject 1 of the train folder is ``train-1``.
    What is missing of the 600 videos is said in the notes.

    Raises:
        InputError: no folder of the set is there.
    """
    return read_layout(
        "casia-fasd",
        root,
        tuple(_FOLDERS),
        (".avi",),
        parse,
        expected=_expected(root),
        counts={"train": (60, 180), "test": (90, 270)},
    )


def parse(path: str) -> Presentation | None:
    """The row of ``train_release/ID/HR_1.avi``; None if the path is of another form."""
    match = _PATH.fullmatch(path)
    if not match:
        return None
    split = _FOLDERS[match["folder"]][0]
    species, device = _KINDS[match["name"]]
    return make_row(
        path,
        species,
        subject=f"{split}-{match['subject']}",
        device=device,
        split=split,
    )


def _expected(_root: Path) -> Iterator[str]:
    for folder, (_, subjects) in _FOLDERS.items():
        for subject in range(1, subjects + 1):
            yield from (f"{folder}/{subject}/{name}.avi" for name in _KINDS)


def _protocol(name: str, description: str, test: tuple[int, int], **columns: tuple[str, ...]) -> Protocol:
    return Protocol(
        name=name,
        description=description,
        splits=PublishedSplits(
            train=Rows(split=("train",), **columns), test=Rows(split=("test",), **columns)
        ),
        counts=Counts(train=(test[0] * 2 // 3, test[1] * 2 // 3), test=test),
    )


DATASET = Dataset(
    name="casia-fasd",
    title="CASIA Face Anti-Spoofing Database",
    reference="Zhang, Yan, Liu, Lei, Yi, Li: A face antispoofing database with diverse attacks, ICB 2012",
    layout="{train,test}_release/ID/{1..8,HR_1..HR_4}.avi",
    read=read,
    expected=_expected,
    protocols=(
        _protocol("overall", "every camera and attack; dev is a fifth of the train subjects", (90, 270)),
        *(
            _protocol(
                f"{device}-quality", f"the camera of {device} quality alone", (30, 90), device=(device,)
            )
            for device in _DEVICES
        ),
        _protocol("warped-photo", "warped photographs alone", (90, 90), species=("", "print-warped")),
        _protocol("cut-photo", "photographs with cut eyes alone", (90, 90), species=("", "print-cut")),
        _protocol("video", "videos on a tablet alone", (90, 90), species=("", "display-video")),
    ),
)
