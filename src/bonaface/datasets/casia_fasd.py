"""CASIA-FASD (Zhang et al., ICB 2012): three cameras; warped photographs, photographs with cut eyes, a tablet.

The names do not tell which of files 1 to 8 are of the camera of low quality and which of normal quality:

- The paper gives the size 640 x 480 to low, 480 x 640 to normal and 1280 x 720 to high quality.
- Face boxes of all 600 videos come with bob.db.casia_fasd 2.0.10. In the files 1, 3, 5 and 7 of all persons they reach
  to 623 pixels from the left and 468 from above, in 2, 4, 6 and 8 to 410 and 633, in HR_1 to HR_4 to 686 and 1,239: the
  frames are 640, 480 and 720 pixels wide and 480, 640 and 1,280 high.
- So the paper's 1280 x 720 is height x width, and by the same order its low quality, 640 x 480, is 480 pixels wide: the
  even files; normal quality is the odd ones. bob.db.casia_fasd has said the same since its first commit (2012).

Version 0.1 had the two the other way round, and called the cameras low, normal and high. They have other names now, so
that a store of then is told from one of today and refused.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from bonaface.core.records import Presentation
from bonaface.datasets.protocols import Protocol, PublishedCounts, PublishedSplits, Rows
from bonaface.datasets.reader import make_row, read_layout
from bonaface.datasets.registry import Dataset
from bonaface.datasets.table import PresentationTable

_FOLDERS = {"train_release": ("train", 20), "test_release": ("test", 30)}  # split, subjects
# the three cameras' quality, with the width and height of their frames
_SIZES = {"normal-quality": (640, 480), "low-quality": (480, 640), "high-quality": (720, 1280)}
# species: its videos by the three cameras
_VIDEOS = {
    "": ("1", "2", "HR_1"),
    "print-warped": ("3", "4", "HR_2"),
    "print-cut": ("5", "6", "HR_3"),
    "display-video": ("7", "8", "HR_4"),
}
_KINDS = {
    name: (species, device)
    for species, names in _VIDEOS.items()
    for name, device in zip(names, _SIZES, strict=True)
}
_OF_0_1 = Rows(device=("low", "normal", "high"))
_PATH = re.compile(
    r"(?P<folder>train_release|test_release)/(?P<subject>[1-9][0-9]?)/(?P<name>[1-8]|HR_[1-4])\.avi"
)


def read(root: Path) -> PresentationTable:
    """Read the list of videos below `root`, by path, without opening one.

    `sample_id` is the path. The numbers start anew in both folders, so subject 1 of the train folder is ``train-1``.
    The notes name which of the 600 videos are missing.

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
    """Return the row of ``train_release/ID/HR_1.avi``; None if the path is of another form."""
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


def size(row: Presentation) -> tuple[int, int]:
    """Return the width and height of the frames of a video, in pixels."""
    return _SIZES[row.device]


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
        counts=PublishedCounts(train=(test[0] * 2 // 3, test[1] * 2 // 3), test=test),
        outdated=_OF_0_1,
    )


DATASET = Dataset(
    name="casia-fasd",
    title="CASIA Face Anti-Spoofing Database",
    reference="Zhang, Yan, Liu, Lei, Yi, Li: A face antispoofing database with diverse attacks, ICB 2012",
    layout="{train,test}_release/ID/{1..8,HR_1..HR_4}.avi",
    read=read,
    expected=_expected,
    size=size,
    protocols=(
        _protocol("overall", "every camera and attack; dev is a fifth of the train subjects", (90, 270)),
        *(
            _protocol(
                f"{quality}-quality",
                f"the camera of {quality} quality alone",
                (30, 90),
                device=(f"{quality}-quality",),
            )
            for quality in ("low", "normal", "high")
        ),
        _protocol("warped-photo", "warped photographs alone", (90, 90), species=("", "print-warped")),
        _protocol("cut-photo", "photographs with cut eyes alone", (90, 90), species=("", "print-cut")),
        _protocol("video", "videos on a tablet alone", (90, 90), species=("", "display-video")),
    ),
)
