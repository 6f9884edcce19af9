"""The records that travel through every package: a presentation, a score, what is decided of one.

Names follow ISO/IEC 30107-3: a *bona fide* presentation is the genuine user's (label 1), an *attack*
presentation (label 0) is made with an instrument of some *species* (``print-1``, ``display-2``).
A score lies in [0, 1] and is higher for bona fide.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import nan

from bonaface.core.errors import InputError

BONA_FIDE = 1
ATTACK = 0

# The prefix of a simulated data set's name. Stores, bundles, score tables and reports all carry the name of the set, so
# all of them show that it is simulated.
SIMULATED = "simulated-"

# Between the names of several sets that a model was trained on, wherever such names stand.
PLUS = " + "


class Response(StrEnum):
    """Why a presentation or a frame got no score; empty where it got one (ISO's non-responses)."""

    SCORED = ""
    UNREADABLE = "unreadable"
    NO_FACE = "no face"
    SEVERAL_FACES = "several faces"
    FACE_TOO_SMALL = "face too small"


class Decision(StrEnum):
    """What `check` says of one picture or clip."""

    BONA_FIDE = "bona fide"
    ATTACK = "attack"
    NO_RESPONSE = "no response"


@dataclass(frozen=True, slots=True)
class Presentation:
    """One row of a data set: a picture or a video of a bona fide presentation or of an attack.

    `path` is relative to the data set's root, with ``/``. `sample_id` is unique within the data set.
    `species` is empty for bona fide and never empty for an attack. `split` is the published one, or empty.

    Raises:
        InputError: the label is neither 0 nor 1, or label and species contradict each other.
    """

    sample_id: str
    path: str
    label: int
    species: str = ""
    subject: str = ""
    session: str = ""
    device: str = ""
    split: str = ""

    def __post_init__(self) -> None:
        if self.label not in (BONA_FIDE, ATTACK):
            raise InputError(
                f"{self.sample_id}: the label must be 1 (bona fide) or 0 (attack), got {self.label!r}"
            )
        if (self.label == BONA_FIDE) != (not self.species):
            raise InputError(
                f"{self.sample_id}: a bona fide presentation has no species and an attack has one, "
                f"got label {self.label} with species {self.species!r}"
            )


@dataclass(frozen=True, slots=True)
class Score:
    """One row of a score table: one frame of one presentation (docs/reference/formats.md).

    A picture is one frame whose `video_id` equals its `sample_id`. `score` is NaN exactly where `response`
    is not empty. `outputs` holds every score output of the model by name, the default one among them.
    """

    sample_id: str
    video_id: str
    frame: int
    subject: str
    label: int
    species: str
    split: str
    score: float = nan
    response: str = Response.SCORED
    outputs: Mapping[str, float] = field(default_factory=dict)
    dataset: str = ""
    protocol: str = ""
    fold: str = ""
    device: str = ""
    session: str = ""
