"""A whole simulated set on the disk: planned, written person by person, and continued after a stop.

    plan = Plan("oulu-npu", persons=6, frames=4)
    begin(root, plan)
    for person in people(plan):
        SetWriter(root, plan)(person, print)

Every file follows from the plan and its own name alone, so any number of processes writes the same bytes in any order.
"""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.files import is_leftover, write_bytes, write_json, write_text
from bonaface.face.detect import Detector
from bonaface.simulate import MARK, layouts
from bonaface.simulate.camera import Camera
from bonaface.simulate.clips import encode
from bonaface.simulate.faces import SEEN
from bonaface.simulate.figure import person_portrait
from bonaface.simulate.film import FPS, Film
from bonaface.simulate.layouts import Clip, Person
from bonaface.simulate.pictures import MASKS, SPECIES, simulate_attack, simulate_bona_fide, simulate_photo
from bonaface.simulate.portrait import Portrait, read_portrait
from bonaface.simulate.seeds import stream

LAYOUTS = ("oulu-npu", "replay-mobile", "folder")
_VERSION = 7
_ATTACKER = Camera("attacker", lens=0.38, full_well=20000, sharpen=0.4, contrast=0.2, saturation=1.0)
_SMILES = (0.0, 0.5, 1.0)
_WEARER = 1_000_000  # first number of mask wearers, who are not persons of the set


@dataclass(frozen=True)
class Plan:
    """The settings of a simulated set.

    Args:
        layout: one of `LAYOUTS`.
        persons: how many; None for all that the layout has (55, 40; 20 for ``folder``).
        phones: of OULU-NPU, the first so many of six; other layouts have their own.
        sessions: of OULU-NPU, the first so many of three; other layouts have their own.
        size: width and height of the frames, even.
        frames: of each video; in ``folder`` the pictures of each person and class.
        seed: of everything that is drawn.
        faces: pictures of people, one each; without them, synthetic persons are drawn.
        software: of ``folder``: some pictures have what software adds: a phone's levelled light and smoothed skin, a
            player's controls over what is displayed.

    Raises:
        UnknownNameError: there is no such layout.
        InputError: a number is out of range.
    """

    layout: str
    persons: int | None = None
    phones: int = 6
    sessions: int = 3
    size: tuple[int, int] | None = None
    frames: int = 8
    seed: int = 0
    faces: tuple[Path, ...] = ()
    software: bool = False

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise UnknownNameError("layout", self.layout, LAYOUTS)
        limits = {"phones": (self.phones, 6), "sessions": (self.sessions, 3), "frames": (self.frames, 10_000)}
        for name, (value, most) in limits.items():
            if not 1 <= value <= most:
                raise InputError(f"{name} must be between 1 and {most}, got {value}")
        if self.layout != "oulu-npu" and (self.phones, self.sessions) != (6, 3):
            raise InputError(f"phones and sessions are OULU-NPU's; leave them out for {self.layout}")
        if self.software and self.layout != "folder":
            raise InputError(
                f"only the layout folder has pictures with software; leave it out for {self.layout}"
            )
        width, height = self.frame_size
        if min(width, height) < 64 or width % 2 or height % 2:
            raise InputError(f"the size must be even and at least 64 pixels a side, got {width} x {height}")
        if self.seed < 0:
            raise InputError(f"the seed must not be negative, got {self.seed}")
        count = len(people(self))
        if self.faces and len(self.faces) < count:
            raise InputError(f"the plan has {count} persons, but only {len(self.faces)} faces were given")

    @property
    def frame_size(self) -> tuple[int, int]:
        """Return width and height of the frames."""
        return self.size or ((512, 512) if self.layout == "folder" else (540, 960))


def people(plan: Plan) -> list[Person]:
    """Return the persons of the set: one job each for `SetWriter`."""
    if plan.layout == "oulu-npu":
        return layouts.oulu_people(55 if plan.persons is None else plan.persons)
    if plan.layout == "replay-mobile":
        return layouts.replay_people(40 if plan.persons is None else plan.persons)
    return [Person(number, "") for number in range(1, (20 if plan.persons is None else plan.persons) + 1)]


def total_files(plan: Plan) -> int:
    """Return how many videos or pictures the set has."""
    if plan.layout == "folder":
        return 2 * plan.frames * len(people(plan))
    return sum(len(list(_clips(plan, person))) for person in people(plan))


def planned_files(mark: Path) -> int:
    """Return how many videos or pictures the set with the settings file `mark` is to have.

    Raises:
        InputError: it holds something else.
    """
    return total_files(_planned(mark)[1])


def _planned(mark: Path) -> tuple[dict[str, Any], Plan]:
    """Read the settings file `mark`, and return it with the plan of its videos or pictures."""
    try:
        known = json.loads(mark.read_text(encoding="utf-8"))
        counts = {name: known[name] for name in ("persons", "phones", "sessions", "frames")}
        return known, Plan(known["layout"], **counts)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{mark}: expected the settings of a simulated set, got something else") from error


def begin(root: Path, plan: Plan) -> None:
    """Make the folder, or check that it already holds the same plan; write the settings and the protocol lists.

    Raises:
        InputError: the folder holds another plan, or files that are not a simulated set.
    """
    settings = _settings(plan)
    known = root / MARK
    if known.is_file():
        if _planned(known)[0] != settings:
            raise InputError(
                f"{root} was begun with other settings (see {known.name}); use those, or another folder"
            )
    elif root.exists() and any(path.name != SEEN and not is_leftover(path.name) for path in root.iterdir()):
        raise InputError(f"{root} is not empty and holds no simulated set; give a new folder")
    for part in root.rglob(".*.part"):
        part.unlink()  # the unfinished file of a killed process
    write_json(known, settings)
    if plan.layout == "oulu-npu" and total_files(plan) == total_files(Plan("oulu-npu")):
        # The lists are the complete set's; of a smaller one, readers know the protocols by the videos' names.
        for path, text in layouts.oulu_lists():
            write_text(root / path, text)


class SetWriter:
    """Writes the files of one person of a plan; those that are there already are left alone."""

    def __init__(self, root: Path, plan: Plan) -> None:
        self.root, self.plan = root, plan

    def __call__(self, job: Person, progress: Callable[[int], None]) -> None:
        """Write what is missing of person `job`, and call `progress` with the number of files done."""
        if self.plan.layout == "folder":
            portrait, wearer = (
                cache(lambda: self._portrait(job.number, 1)),
                cache(lambda: self._wearer(job.number)),
            )
            for number, still in enumerate(_stills(self.plan, job), start=1):
                if not (self.root / still.path).is_file():
                    write_bytes(self.root / still.path, self._picture(still, portrait, wearer))
                progress(number)
            return
        film = Film(
            self.plan.seed, self.plan.frame_size, self.plan.frames,
            lambda occasion: self._portrait(job.number, occasion), _ATTACKER,
        )  # fmt: skip
        for number, clip in enumerate(_clips(self.plan, job), start=1):
            if not (self.root / clip.path).is_file():
                self._video(film, clip)
            progress(number)

    def _video(self, film: Film, clip: Clip) -> None:
        frames = list(film.shoot(clip.take, clip.occasion))
        marks = layouts.oulu_marks if self.plan.layout == "oulu-npu" else layouts.replay_marks
        # The video is written last: if it is there, so are its marks.
        write_text(self.root / clip.marks_path, marks([frame.landmarks for frame in frames]))
        pictures = (frame.picture for frame in frames)
        write_bytes(
            self.root / clip.path, encode(pictures, Path(clip.path).suffix, FPS, clip.take.camera.quality)
        )

    def _picture(
        self, still: "_Still", portrait: Callable[[], Portrait], wearer: Callable[[], Portrait]
    ) -> bytes:
        rng, size, software = stream(self.plan.seed, *still.key), self.plan.frame_size, self.plan.software
        if still.species:
            masked = still.species in MASKS
            photo = simulate_photo(portrait(), rng, size, software)
            worn = wearer() if masked else None
            photo = simulate_attack(photo, rng, size, still.species, worn, software=software)
        else:
            photo = simulate_bona_fide(portrait(), rng, size, software)
        file = io.BytesIO()
        Image.fromarray(photo.picture).save(file, "PNG")
        return file.getvalue()

    def _portrait(self, number: int, occasion: int) -> Portrait:
        if self.plan.faces:
            order = [person.number for person in people(self.plan)]
            return read_portrait(self.plan.faces[order.index(number)], Detector(threads=1))
        return self._synthetic(number, occasion)

    def _synthetic(self, number: int, occasion: int) -> Portrait:
        smile = stream(self.plan.seed, "person", number, "smile", occasion).choice(_SMILES)
        return person_portrait(self.plan.seed, number, occasion, float(smile))

    def _wearer(self, number: int) -> Portrait:
        """Return who wears a mask of person `number`: the next of the given faces, or else somebody who is drawn."""
        if len(self.plan.faces) > 1:
            return self._portrait(number % len(people(self.plan)) + 1, 1)
        return self._synthetic(number + _WEARER, 1)


@dataclass(frozen=True)
class _Still:
    """A picture of the layout ``folder``; an empty species is bona fide."""

    path: str
    species: str
    key: tuple[int | str, ...]


def _stills(plan: Plan, person: Person) -> Iterator[_Still]:
    name, shares = f"person-{person.number:03d}", list(SPECIES.values())
    for number in range(1, plan.frames + 1):
        for kind in ("bonafide", "attack"):
            key = ("person", person.number, kind, number)
            species = (
                ""
                if kind == "bonafide"
                else str(stream(plan.seed, *key, "species").choice(list(SPECIES), p=shares))
            )
            yield _Still("/".join(filter(None, (kind, species, name, f"{number:04d}.png"))), species, key)


def _clips(plan: Plan, person: Person) -> Iterator[Clip]:
    if plan.layout == "oulu-npu":
        return layouts.oulu_clips(person, plan.phones, plan.sessions)
    return layouts.replay_clips(person)


def _settings(plan: Plan) -> dict[str, Any]:
    """Return the settings of a set as JSON; a set can only be continued with the same settings."""
    software = {"software": True} if plan.software else {}  # sets of before know no such setting
    return {
        "what": "simulated presentations: no picture in this folder shows a presentation that took place",
        "version": _VERSION,
        "layout": plan.layout,
        "persons": len(people(plan)),
        "phones": plan.phones,
        "sessions": plan.sessions,
        "size": list(plan.frame_size),
        "frames": plan.frames,
        "seed": plan.seed,
        "faces": [f"{path.parent.name}/{path.name}" for path in plan.faces],
        **software,
    }
