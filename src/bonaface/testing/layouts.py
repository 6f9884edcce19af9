"""Stand-ins of the data sets: files with drawn faces in each set's exact official layout.

The names, lists, boxes and containers are the sets' own; the people are drawn, and an attack is the same drawing made
soft and pale: enough to try a script with, and nothing to learn from.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path, PurePosixPath

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.testing.scenes import Size, clip_file, eye_positions, face_box, picture_file

_TALL: Size = (144, 256)
_WIDE: Size = (320, 240)


@dataclass(frozen=True)
class _Media:
    """A picture or video of a person; see `clip_file`."""

    path: str
    person: int
    attack: bool = False
    size: Size = _WIDE
    codec: str = ""
    turn: int = 0
    rotation_marked: bool = True

    def content(self, frames: int) -> bytes:
        suffix = PurePosixPath(self.path).suffix
        if suffix in (".jpg", ".png"):
            return picture_file(self.person, self.attack, self.size, suffix)
        return clip_file(
            self.person, self.attack, self.size, suffix, frames, self.codec, self.turn, self.rotation_marked
        )


@dataclass(frozen=True)
class _Text:
    path: str
    text: str


_Files = Iterator[_Media | _Text]


def make_layout(dataset: str, root: Path, *, full: bool = False, frames: int = 3) -> Path:
    """Make a stand-in of the set `dataset` in the folder `root`, and return that folder.

    Args:
        dataset: its name, as `bonaface datasets` lists it.
        root: a folder that is empty or not there yet.
        full: every file of the complete set, the pictures and videos empty. By default a few subjects, whose
            pictures and videos show a face that RetinaFace finds.
        frames: of each video.

    Raises:
        UnknownNameError: there is no stand-in of that set.
        InputError: `root` is not empty, or the set is too large for `full`.
    """
    if dataset not in _SETS:
        raise UnknownNameError("stand-in", dataset, _SETS)
    if root.exists() and any(root.iterdir()):
        raise InputError(
            f"{root}: expected an empty folder, so that a stand-in is never mixed with files of yours"
        )
    if full and dataset in _TOO_LARGE:
        raise InputError(f"{dataset}: the complete set is too large for a stand-in; make it without full")
    for file in _SETS[dataset](full, frames):
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(file, _Text):
            path.write_text(file.text)
        else:
            path.write_bytes(b"" if full else file.content(frames))
    return root


def _casia_fasd(full: bool, _: int) -> _Files:
    for folder, subjects in (("train_release", 20), ("test_release", 30)):
        for subject in range(1, (subjects if full else 2) + 1):
            for i, name in enumerate(
                ("1", "2", "HR_1", "3", "4", "HR_2", "5", "6", "HR_3", "7", "8", "HR_4")
            ):
                person = subject + (50 if folder == "test_release" else 0)
                size = ((256, 192), (192, 256), (144, 256))[i % 3]
                yield _Media(f"{folder}/{subject}/{name}.avi", person, attack=i >= 3, size=size)


def _celeba_spoof(_full: bool, _: int) -> _Files:
    number = 0
    for split, people in (("train", (7325, 12, 961)), ("test", (4980, 5011))):
        labels = {}
        for person in people:
            for kind in range(11):
                number += 1
                suffix = "png" if kind % 2 else "jpg"
                path = f"Data/{split}/{person}/{'spoof' if kind else 'live'}/{number:06d}.{suffix}"
                traits = [(number >> bit) & 1 for bit in range(16)] + [0] * 24
                labels[path] = [*traits, kind, kind and 1 + kind % 4, kind and 1 + kind % 2, int(kind > 0)]
                yield _Media(path, person % 50, attack=kind > 0, size=(256, 320))
                x0, y0, x1, y1 = (
                    side * 224 // whole
                    for side, whole in zip(face_box((256, 320)), (256, 320) * 2, strict=True)
                )
                yield _Text(
                    f"{path.rpartition('.')[0]}_BB.txt", f"{x0} {y0} {x1 - x0} {y1 - y0} 0.9987654 \n"
                )
        yield _Text(f"metas/intra_test/{split}_label.json", json.dumps(labels))


def _folder(_full: bool, _: int) -> _Files:
    for person in range(10):
        yield _Media(f"bonafide/person-{person}/selfie.jpg", person)
        yield _Media(f"bonafide/person-{person}/clip.mp4", person)
        yield _Media(f"attack/print-1/person-{person}/photo.png", person, attack=True)
        yield _Media(f"attack/display-1/person-{person}/clip.webm", person, attack=True)


def _msu_mfsd(full: bool, frames: int) -> _Files:
    clients = {
        "train": (2, 3, 5, 6, 7, 8, 9, 11, 12, 21, 22, 34, 53, 54, 55),
        "test": (1, 13, 14, 23, 24, 26, 28, 29, 30, 32, 33, 35, 36, 37, 39, 42, 48, 49, 50, 51),
    }
    for split, numbers in clients.items():
        chosen = numbers if full else numbers[:2]
        yield _Text(f"{split}_sub_list.txt", "".join(f"{client:02d}\n" for client in chosen))
        for client, (camera, suffix) in product(chosen, (("android", "mp4"), ("laptop", "mov"))):
            for shown in ("", "ipad_video_", "iphone_video_", "printed_photo_"):
                kind = "attack" if shown else "real"
                path = f"scene01/{kind}/{kind}_client{client:03d}_{camera}_SD_{shown}scene01.{suffix}"
                yield _Media(path, client, attack=bool(shown))
                lines = (
                    ",".join(map(str, (i, *face_box(_WIDE, i), *eye_positions(_WIDE, i))))
                    for i in range(frames)
                )
                yield _Text(f"{path.rpartition('.')[0]}.face", "\n".join(lines) + "\n")


def _nuaa(full: bool, _: int) -> _Files:
    counts = (
        ("client", "train", 1743),
        ("client", "test", 3362),
        ("imposter", "train", 1748),
        ("imposter", "test", 5761),
    )
    for person, split, count in counts:
        folder = "ClientRaw" if person == "client" else "ImposterRaw"
        subjects = range(1, 10) if split == "train" else range(1, 16)
        names = []
        for i in range(count if full else 2 * len(subjects)):
            subject = subjects[i % len(subjects)]
            session = 1 + 2 * (split == "test") + i % 2
            names.append(f"{subject:04d}\\{subject:04d}_00_00_{session:02d}_{i}.jpg")
            path = f"{folder}/{names[-1]}".replace("\\", "/")
            yield _Media(path, subject, attack=person == "imposter")
        yield _Text(f"{person}_{split}_raw.txt", "\r\n".join(names) + "\r\n")


def _oulu_npu(full: bool, frames: int) -> _Files:
    users = {"Train": range(1, 21), "Dev": range(21, 36), "Test": range(36, 56)}
    for part, everyone in users.items():
        for phone, session, user, file in product(
            range(1, 7), range(1, 4), everyone if full else everyone[:2], range(1, 6)
        ):
            stem = f"{part}_files/{phone}_{session}_{user:02d}_{file}"
            yield _Media(f"{stem}.avi", user, attack=file > 1, size=_TALL)
            eyes = (",".join(map(str, (i, *eye_positions(_TALL, i)))) for i in range(frames))
            yield _Text(f"{stem}.txt", "\n".join(eyes) + "\n")
    for part, everyone in users.items():
        yield from _oulu_lists(part, everyone)


def _oulu_lists(part: str, users: range) -> Iterator[_Text]:
    """Yield the lists of one part in the four protocols, as table 1 of both papers has them."""
    test = part == "Test"
    for number, fold in [(1, 0), (2, 0), *((3, k) for k in range(1, 7)), *((4, k) for k in range(1, 7))]:
        sessions = ((3,) if test else (1, 2)) if number in (1, 4) else (1, 2, 3)
        files = ((1, 3, 5) if test else (1, 2, 4)) if number in (2, 4) else (1, 2, 3, 4, 5)
        phones = [phone for phone in range(1, 7) if not fold or (phone == fold) == test]
        lines = (
            f"{'+1' if file == 1 else '-1' if file < 4 else '-2'},{phone}_{session}_{user:02d}_{file}\n"
            for phone, session, user, file in product(phones, sessions, users, files)
        )
        yield _Text(f"Protocols/Protocol_{number}/{part}{f'_{fold}' if fold else ''}.txt", "".join(lines))


def _replay_attack(full: bool, frames: int) -> _Files:
    # the official numbers are others: they are not published without the set
    clients = {"train": range(1, 16), "devel": range(16, 31), "test": range(31, 51)}
    shown = (
        "print_{}_highdef_photo",
        "mobile_{}_mobile_photo",
        "mobile_{}_mobile_video",
        "highdef_{}_highdef_photo",
        "highdef_{}_highdef_video",
    )
    for part, numbers in clients.items():
        for number in numbers if full else numbers[:2]:
            client = f"client{number:03d}_session01"
            real = [
                f"real/{client}_webcam_authenticate_{light}_{take}"
                for light in ("adverse", "controlled")
                for take in "12"
            ]
            attacks = [
                f"attack/{support}/attack_{what.format(client)}_{light}"
                for support, what, light in product(("fixed", "hand"), shown, ("adverse", "controlled"))
            ]
            for name in real + attacks:
                path = f"{part}/{name}.mov"
                yield _Media(path, number, attack=name in attacks, codec="mjpeg")
                yield _Text(f"face-locations/{part}/{name}.face", _lines(frames, _WIDE))
            yield _Media(f"enroll/{part}/{client}_webcam_enroll_adverse.mov", number, codec="mjpeg")


def _replay_mobile(full: bool, frames: int) -> _Files:
    clients = {
        "train": (1, 3, 8, 11, 12, 16, 18, 20, 26, 34, 37, 38),
        "devel": (5, 6, 13, 14, 15, 23, 24, 25, 28, 29, 31, 32, 35, 36, 39, 40),
        "test": (9, 2, 4, 7, 10, 17, 19, 21, 22, 27, 30, 33),  # 9 has no bona fide video
    }
    shown = (
        "print_fixed_{}_photo",
        "print_hand_{}_photo",
        "mattescreen_fixed_{}_photo",
        "mattescreen_fixed_{}_video",
    )
    for part, numbers in clients.items():
        for client, device in product(numbers if full else numbers[:2], ("mobile", "tablet")):
            lights = ("adverse", "controlled", "diffuse", "direct", "lateral") if client != 9 else ()
            real = [f"real/client{client:03d}_session02_authenticate_{device}_{light}" for light in lights]
            attacks = [
                f"attack/attack_client{client:03d}_session01_{what.format(device)}_{light}"
                for what, light in product(shown, ("lighton", "lightoff"))
            ]
            # the phone's videos lie on their side and do not say so, the tablet's the other way and do
            turn, rotation_marked = (90, False) if device == "mobile" else (270, True)
            for name in real + attacks:
                yield _Media(
                    f"{part}/{name}.mov",
                    client,
                    name in attacks,
                    _TALL,
                    turn=turn,
                    rotation_marked=rotation_marked,
                )
                yield _Text(f"faceloc/rect/{part}/{name}.face", _lines(frames, _TALL))
            for light in ("lighton", "lightoff"):
                name = f"client{client:03d}_session01_enroll_{device}_{light}"
                yield _Media(
                    f"enroll/{part}/{name}.mov",
                    client,
                    size=_TALL,
                    turn=turn,
                    rotation_marked=rotation_marked,
                )


def _lines(frames: int, size: Size) -> str:
    """Return ``frame x y width height`` on each line, then a frame without a face."""
    boxes = (face_box(size, i) for i in range(frames))
    lines = [f"{i} {x0} {y0} {x1 - x0} {y1 - y0}" for i, (x0, y0, x1, y1) in enumerate(boxes)]
    return "\n".join([*lines, f"{frames} 0 0 0 0"]) + "\n"


def _siw(full: bool, frames: int) -> _Files:
    made = 0
    for part, subjects in (("Train", range(1, 91)), ("Test", range(91, 166))):
        for subject in subjects if full else subjects[:2]:
            live = [
                f"live/{subject:03d}/{subject:03d}-{sensor}-1-{medium}-{session}"
                for sensor, medium, session in product("12", "12", "12")
            ]
            prints = [
                f"spoof/{subject:03d}/{subject:03d}-1-2-{medium}-{session}"
                for medium, session in product("12", "12")
            ]
            replays = [
                f"spoof/{subject:03d}/{subject:03d}-{sensor}-3-{medium}-{session}"
                for sensor, medium, session in product("12", "1234", "12")
            ]
            # 165 subjects times 28 are 142 more than the published 4,478, so 142 subjects have one video less
            made += 1
            for name in live + prints + (replays[:-1] if made <= 142 else replays):
                yield _Media(f"{part}/{name}.mov", subject, attack=name.startswith("spoof"))
                boxes = (" ".join(map(str, face_box(_WIDE, i))) for i in range(frames))
                yield _Text(f"{part}/{name}.face", "\n".join([*boxes, "0 0 0 0"]) + "\n")


_TOO_LARGE = ("celeba-spoof",)
_SETS: dict[str, Callable[[bool, int], _Files]] = {
    "casia-fasd": _casia_fasd,
    "celeba-spoof": _celeba_spoof,
    "folder": _folder,
    "msu-mfsd": _msu_mfsd,
    "nuaa": _nuaa,
    "oulu-npu": _oulu_npu,
    "replay-attack": _replay_attack,
    "replay-mobile": _replay_mobile,
    "siw": _siw,
}
