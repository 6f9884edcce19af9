"""Replay-Attack (Chingovska et al., BIOSIG 2012): 50 clients before a laptop's webcam; print, phone and tablet attacks.

The 100 enrolment videos (`enroll`) are not part of attack detection.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

from bonaface.core.records import Presentation
from bonaface.datasets.protocols import Protocol
from bonaface.datasets.reader import files_below, read_boxes, read_layout, three_splits
from bonaface.datasets.registry import Box, Dataset
from bonaface.datasets.replay import FOLDERS, parse_video
from bonaface.datasets.table import PresentationTable

_LIGHTS = ("adverse", "controlled")
# (instrument, camera that took what is shown, what is shown): species
_SPECIES = {
    ("print", "highdef", "photo"): "print-photo",
    ("mobile", "mobile", "photo"): "display-mobile-photo",
    ("mobile", "mobile", "video"): "display-mobile-video",
    ("highdef", "highdef", "photo"): "display-highdef-photo",
    ("highdef", "highdef", "video"): "display-highdef-video",
}
_REAL = re.compile(
    r"(?P<folder>train|devel|test)/real/client(?P<client>[0-9]{3})_session(?P<session>[0-9]{2})_webcam_authenticate_"
    rf"(?:{'|'.join(_LIGHTS)})_[12]\.mov"
)
_ATTACK = re.compile(
    r"(?P<folder>train|devel|test)/attack/(?:fixed|hand)/attack_(?P<instrument>print|mobile|highdef)_"
    r"client(?P<client>[0-9]{3})_session(?P<session>[0-9]{2})_"
    rf"(?P<camera>highdef|mobile)_(?P<shown>photo|video)_(?:{'|'.join(_LIGHTS)})\.mov"
)


def read(root: Path) -> PresentationTable:
    """Read the list of videos below `root`, by path, without opening one.

    `sample_id` is the path; the splits train, devel and test are train, dev and test here. The notes name missing
    videos of the clients who are there, and counts that differ from the published ones.

    Raises:
        InputError: no folder of the set is there.
    """
    return read_layout(
        "replay-attack",
        root,
        FOLDERS,
        (".mov",),
        parse,
        expected=_expected(root),
        counts={"train": (60, 300), "dev": (60, 300), "test": (80, 400)},
    )


def parse(path: str) -> Presentation | None:
    """Return the row of a bona fide or attack video's path; None if it is of another form."""
    return parse_video(path, _REAL, _ATTACK, _SPECIES, ("instrument", "camera", "shown"), "webcam")


def boxes(root: Path, row: Presentation) -> Mapping[int, Box]:
    """Return the set's own boxes (``face-locations/<path>.face``)."""
    return read_boxes((root / "face-locations" / row.path).with_suffix(".face"))


def _expected(root: Path) -> Iterator[str]:
    """Return the 24 videos of each client of whom there is one."""
    rows = filter(None, map(parse, files_below(root, FOLDERS, (".mov",))))
    for folder, client in sorted({(row.path.partition("/")[0], row.subject) for row in rows}):
        for light, take in product(_LIGHTS, "12"):
            yield f"{folder}/real/client{client}_session01_webcam_authenticate_{light}_{take}.mov"
        for support, (instrument, camera, shown), light in product(("fixed", "hand"), _SPECIES, _LIGHTS):
            name = f"attack_{instrument}_client{client}_session01_{camera}_{shown}_{light}"
            yield f"{folder}/attack/{support}/{name}.mov"


def _protocol(name: str, description: str, attacks: int, species: tuple[str, ...] = ()) -> Protocol:
    """Return a protocol with `attacks` attacks of each of the 15, 15 and 20 clients."""
    counts = (60, 15 * attacks), (60, 15 * attacks), (80, 20 * attacks)
    return three_splits(name, description, *counts, species)


DATASET = Dataset(
    name="replay-attack",
    title="Replay-Attack",
    reference="Chingovska, Anjos, Marcel: On the effectiveness of local binary patterns in face anti-spoofing, "
    "BIOSIG 2012",
    layout="{train,devel,test}/real/*.mov, {train,devel,test}/attack/{fixed,hand}/*.mov, and face-locations/ "
    "if you have it",
    read=read,
    boxes=boxes,
    expected=_expected,
    protocols=(
        _protocol("grandtest", "every attack", 20),
        _protocol("print", "prints alone", 4, ("", "print-*")),
        _protocol("mobile", "photos and videos on a phone", 8, ("", "display-mobile-*")),
        _protocol("highdef", "photos and videos on a tablet", 8, ("", "display-highdef-*")),
        _protocol("digitalphoto", "photos on a phone or tablet", 8, ("", "display-*-photo")),
        _protocol("photo", "photos, printed or shown", 12, ("", "*-photo")),
        _protocol("video", "videos on a phone or tablet", 8, ("", "*-video")),
    ),
)
