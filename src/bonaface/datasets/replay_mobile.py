"""Replay-Mobile (Costa-Pazo et al., BIOSIG 2016): 40 clients before a phone and a tablet, prints and a matte screen.

1,030 presentations are for attack detection; the 160 enrolment videos (`enroll`) are not part of it. Client 009 took
part in the first recording only, so the set has its attacks and no bona fide video of it.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

from bonaface.core.records import Presentation
from bonaface.datasets.reader import read_boxes, read_layout, three_splits
from bonaface.datasets.registry import Box, Dataset
from bonaface.datasets.replay import FOLDERS, parse_video
from bonaface.datasets.table import PresentationTable
from bonaface.simulate.official import REPLAY_MOBILE_ATTACKED_ONLY, REPLAY_MOBILE_CLIENTS

_DEVICES = ("mobile", "tablet")
_LIGHTS = ("adverse", "controlled", "diffuse", "direct", "lateral")
# (instrument in the file's name, what it shows): species
_SPECIES = {
    ("print_fixed", "photo"): "print-fixed",
    ("print_hand", "photo"): "print-hand",
    ("mattescreen_fixed", "photo"): "display-photo",
    ("mattescreen_fixed", "video"): "display-video",
}
_REAL = re.compile(
    r"(?P<folder>train|devel|test)/real/client(?P<client>[0-9]{3})_session(?P<session>[0-9]{2})_authenticate_"
    rf"(?P<device>{'|'.join(_DEVICES)})_(?:{'|'.join(_LIGHTS)})\.mov"
)
_ATTACK = re.compile(
    r"(?P<folder>train|devel|test)/attack/attack_client(?P<client>[0-9]{3})_session(?P<session>[0-9]{2})_"
    r"(?P<instrument>print_fixed|print_hand|mattescreen_fixed)_"
    rf"(?P<device>{'|'.join(_DEVICES)})_(?P<shown>photo|video)_light(?:on|off)\.mov"
)


def read(root: Path) -> PresentationTable:
    """Read the list of videos below `root`, by path, without opening one.

    `sample_id` is the path; the splits train, devel and test are train, dev and test here. The notes name which of the
    1,030 videos are missing.

    Raises:
        InputError: no folder of the set is there.
    """
    return read_layout(
        "replay-mobile",
        root,
        FOLDERS,
        (".mov",),
        parse,
        expected=_expected(root),
        counts={"train": (120, 192), "dev": (160, 256), "test": (110, 192)},
    )


def parse(path: str) -> Presentation | None:
    """Return the row of a bona fide or attack video's path; None if it is of another form."""
    return parse_video(path, _REAL, _ATTACK, _SPECIES, ("instrument", "shown"))


def boxes(root: Path, row: Presentation) -> Mapping[int, Box]:
    """Return the set's own boxes (``faceloc/rect/<path>.face``), in the upright frame."""
    return read_boxes((root / "faceloc" / "rect" / row.path).with_suffix(".face"))


def _expected(_root: Path) -> Iterator[str]:
    for folder, clients in REPLAY_MOBILE_CLIENTS.items():
        for client, device in product(clients, _DEVICES):
            if client != REPLAY_MOBILE_ATTACKED_ONLY:
                for light in _LIGHTS:
                    yield f"{folder}/real/client{client:03d}_session02_authenticate_{device}_{light}.mov"
            for (instrument, shown), light in product(_SPECIES, ("lighton", "lightoff")):
                name = f"client{client:03d}_session01_{instrument}_{device}_{shown}_{light}"
                yield f"{folder}/attack/attack_{name}.mov"


DATASET = Dataset(
    name="replay-mobile",
    title="Replay-Mobile",
    reference="Costa-Pazo, Bhattacharjee, Vazquez-Fernandez, Marcel: The Replay-Mobile face "
    "presentation-attack database, BIOSIG 2016",
    layout="{train,devel,test}/{real,attack}/*.mov, and faceloc/rect/ if you have it",
    read=read,
    boxes=boxes,
    expected=_expected,
    find_turn=True,
    protocols=(
        three_splits("grandtest", "every attack", (120, 192), (160, 256), (110, 192)),
        three_splits("print", "prints alone", (120, 96), (160, 128), (110, 96), ("", "print-*")),
        three_splits(
            "mattescreen", "the matte screen alone", (120, 96), (160, 128), (110, 96), ("", "display-*")
        ),
    ),
)
