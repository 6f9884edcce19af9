"""Which files a simulated set has: the licensed sets' own layouts, for fewer or for all of their people.

OULU-NPU: Boulkenafet et al., FG 2017. Replay-Mobile: Costa-Pazo et al., BIOSIG 2016. `bonaface.datasets.registry`
reads what is listed here as it reads the originals.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np

from bonaface.core.errors import InputError
from bonaface.simulate.camera import PHONES
from bonaface.simulate.display import DISPLAYS, Display
from bonaface.simulate.film import Key, Take
from bonaface.simulate.official import (
    BOX_ABOVE,
    BOX_ASIDE,
    BOX_BELOW,
    OULU_PHONES,
    OULU_PROTOCOLS,
    OULU_USERS,
    REPLAY_MOBILE_ATTACKED_ONLY,
    REPLAY_MOBILE_CLIENTS,
)
from bonaface.simulate.printer import PRINTERS, Printer
from bonaface.simulate.scene import Lighting, lighting, session_lighting
from bonaface.simulate.seeds import between
from bonaface.simulate.warp import Points


@dataclass(frozen=True)
class Clip:
    """A video of a set: its path, how it is made, and the file beside it that says where the face is."""

    path: str
    take: Take
    occasion: int
    marks_path: str


@dataclass(frozen=True)
class Person:
    """A person of a set: the number that the set gives, and the part that the set puts it in."""

    number: int
    part: str


# OULU-NPU ------------------------------------------------------------------------------------------------------------

_OULU_KINDS = {"1": "+1", "2": "-1", "3": "-1", "4": "-2", "5": "-2"}  # by file, as the lists write them
_OULU_FILES: tuple[Printer | Display | None, ...] = (None, *PRINTERS, *DISPLAYS)


def oulu_people(count: int) -> list[Person]:
    """Return `count` of the 55 users, in the proportions of the set's three parts, at least one in each.

    Raises:
        InputError: there are not that many, or too few for three parts.
    """
    return _proportional(count, OULU_USERS)


def oulu_clips(person: Person, phones: int, sessions: int) -> Iterator[Clip]:
    """Return the videos ``P_S_UU_F.avi`` of one user: phones 1 to `phones`, sessions 1 to `sessions`, files 1 to 5."""
    for phone, session, file in product(range(1, phones + 1), range(1, sessions + 1), range(1, 6)):
        stem = f"{person.part}_files/{phone}_{session}_{person.number:02d}_{file}"
        take = Take(
            ("person", person.number, "session", session, "phone", phone, "instrument", file),
            partial(session_lighting, session),
            PHONES[phone - 1],
            _OULU_FILES[file - 1],
            replay=True,
            hands=0.3 if file < 4 else 0.0,
        )
        yield Clip(f"{stem}.avi", take, session, f"{stem}.txt")


def oulu_marks(frames: list[Points]) -> str:
    """Return the eye file: ``frame,xR,yR,xL,yL`` on each line, from landmarks (5, 2) of every frame."""
    rows = ((i, *np.rint(marks[:2]).astype(int).ravel()) for i, marks in enumerate(frames))
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def oulu_lists() -> Iterator[tuple[str, str]]:
    """Return the protocol lists of the complete set, (path, text)."""
    for (protocol, (learned, tested)), (part, users) in product(OULU_PROTOCOLS.items(), OULU_USERS.items()):
        videos = tested if part == "Test" else learned
        for fold in ("",) if videos.kept is None else OULU_PHONES:
            lines = [
                f"{_OULU_KINDS[file]},{phone}_{session}_{user:02d}_{file}\n"
                for phone, session, user, file in product(OULU_PHONES, "123", users, _OULU_KINDS)
                if videos.has(fold, phone, session, file)
            ]
            yield f"Protocols/Protocol_{protocol}/{part}{f'_{fold}' if fold else ''}.txt", "".join(lines)


# Replay-Mobile --------------------------------------------------------------------------------------------------------

# kelvin, azimuth, elevation, ambient, behind, dimness
_REPLAY_LIGHTS = {
    "adverse": (3400, 40, 50, 0.55, 1.6, 0.7),
    "controlled": (4600, 0, 45, 0.75, 0.9, 0.1),
    "diffuse": (6000, 15, 30, 0.90, 1.0, 0.3),
    "direct": (5600, -15, 25, 0.30, 0.7, 0.0),
    "lateral": (6200, 75, 15, 0.40, 0.8, 0.2),
    "lighton": (4200, 10, 55, 0.70, 0.9, 0.2),
    "lightoff": (6500, -50, 20, 0.60, 1.0, 0.5),
}
_MATTE = replace(DISPLAYS[0], name="mattescreen", mirror=0.003, brightness=1.0, pulse=0.0)
_REPLAY_ATTACKS: tuple[tuple[str, str, Printer | Display, float], ...] = (
    ("print_fixed", "photo", PRINTERS[1], 0.0),
    ("print_hand", "photo", PRINTERS[1], 1.0),
    ("mattescreen_fixed", "photo", _MATTE, 0.0),
    ("mattescreen_fixed", "video", _MATTE, 0.0),
)
_PHOTO_SESSIONS = {"lighton": 1, "lightoff": 3}  # by the light of the attack; session 2 is bona fide
_REPLAY_CAMERAS = {"mobile": replace(PHONES[1], name="mobile"), "tablet": replace(PHONES[4], name="tablet")}


def replay_people(count: int) -> list[Person]:
    """Return `count` of the 40 clients, in the proportions of the set's three parts, at least one in each.

    Raises:
        InputError: there are not that many, or too few for three parts.
    """
    return _proportional(count, REPLAY_MOBILE_CLIENTS)


def replay_clips(person: Person) -> Iterator[Clip]:
    """Return the videos of one client, bona fide (session 2) and attacks (session 1)."""
    client = f"client{person.number:03d}"
    for device, light in product(_REPLAY_CAMERAS, list(_REPLAY_LIGHTS)[:5]):
        if person.number != REPLAY_MOBILE_ATTACKED_ONLY:
            path = f"{person.part}/real/{client}_session02_authenticate_{device}_{light}"
            key: Key = ("person", person.number, "real", device, light)
            yield _replay_clip(path, Take(key, _light(light), _REPLAY_CAMERAS[device]), 2)
    for device, (tool, kind, instrument, hands), light in product(
        _REPLAY_CAMERAS, _REPLAY_ATTACKS, ("lighton", "lightoff")
    ):
        path = f"{person.part}/attack/attack_{client}_session01_{tool}_{device}_{kind}_{light}"
        key = ("person", person.number, "attack", tool, device, kind, light)
        take = Take(key, _light(light), _REPLAY_CAMERAS[device], instrument, kind == "video", hands)
        yield _replay_clip(path, take, _PHOTO_SESSIONS[light])


def _replay_clip(path: str, take: Take, occasion: int) -> Clip:
    return Clip(f"{path}.mov", take, occasion, f"faceloc/rect/{path}.face")


def _light(name: str) -> "partial[Lighting]":
    return partial(_moved_light, name)


def _moved_light(name: str, rng: np.random.Generator) -> Lighting:
    kelvin, azimuth, elevation, ambient, behind, dim = _REPLAY_LIGHTS[name]
    return lighting(
        kelvin * between(rng, 0.95, 1.05), azimuth + between(rng, -8, 8), elevation + between(rng, -5, 5), ambient,
        behind * between(rng, 0.9, 1.1), dim,
    )  # fmt: skip


def replay_marks(frames: list[Points]) -> str:
    """Return the face file: ``frame x y w h`` on each line, from landmarks (5, 2) of every frame."""
    lines = []
    for number, marks in enumerate(frames):
        (x, y), eyes = marks[:2].mean(0), float(np.hypot(*(marks[1] - marks[0])))
        box = (
            x - BOX_ASIDE * eyes,
            y - BOX_ABOVE * eyes,
            2 * BOX_ASIDE * eyes,
            (BOX_ABOVE + BOX_BELOW) * eyes,
        )
        lines.append(" ".join(map(str, (number, *(round(float(side)) for side in box)))) + "\n")
    return "".join(lines)


def _proportional(count: int, parts: dict[str, range] | dict[str, tuple[int, ...]]) -> list[Person]:
    total = sum(len(numbers) for numbers in parts.values())
    if not len(parts) <= count <= total:
        raise InputError(f"this layout has {len(parts)} to {total} persons, got {count}")
    chosen: list[Person] = []
    for part, numbers in parts.items():
        last = part == list(parts)[-1]
        share = count - len(chosen) if last else max(1, round(count * len(numbers) / total))
        chosen += [Person(number, part) for number in numbers[:share]]
    return chosen
