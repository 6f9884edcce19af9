"""The search for portraits, among given pictures, from which a simulated set can be made."""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bonaface.core.errors import BonafaceError, InputError
from bonaface.core.files import write_json
from bonaface.core.machine import usable_cores
from bonaface.face.detect import Detector
from bonaface.simulate.portrait import list_portraits, read_portrait
from bonaface.simulate.seeds import stream

SEEN = "faces.json"
_VERSION = 1  # of the file, and of what counts as a portrait
_BATCH = 64  # pictures between two writes of the file of known portraits


def find_faces(
    folders: Iterable[Path],
    count: int,
    seed: int,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
    seen: Path | None = None,
) -> tuple[Path, ...]:
    """Return the first `count` portraits (`read_portrait`) below `folders`, in an order drawn from `seed`.

    Args:
        workers: threads; None is one for each core.
        progress: called with (portraits found, `count`).
        seen: a file that records which pictures were looked at, so that unchanged ones are not looked at again;
            created if it is not there.

    Raises:
        InputError: there are fewer.
    """
    # A file that lies below two of the folders, or that a link leads to, is one person.
    paths = list({path.resolve(): path for folder in folders for path in list_portraits(folder)}.values())
    order = [paths[number] for number in stream(seed, "faces").permutation(len(paths))]
    memory, found = _Memory(seen), list[Path]()
    with ThreadPoolExecutor(workers or usable_cores()) as pool:
        # A batch is no larger than the number of portraits that are missing.
        while order and len(found) < count:
            number = min(_BATCH, count - len(found))
            some, order = order[:number], order[number:]
            for path, fits in zip(some, pool.map(memory.is_portrait, some), strict=True):
                found += [path] * fits
                progress(len(found), count)
            memory.write()
    if len(found) < count:
        raise InputError(
            f"{count} persons need as many pictures of one upright face seen from in front; of {len(paths)} pictures "
            f"only {len(found)} are that: give more pictures, or ask for fewer persons (--persons)"
        )
    return tuple(found)


class _Memory:
    """Which pictures are portraits, by path, size and time of the last change; kept in the file `path` if there is one.

    A file that is damaged, or of another version, is ignored: everything in it can be found again.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._detector = Detector(threads=1)
        self._known = _read(path) if path else {}
        self._new = False

    def is_portrait(self, path: Path) -> bool:
        """Return whether the picture at `path` shows one face, upright and frontal; it is opened if that is not
        known.
        """
        state = path.stat()
        name, now = str(path.absolute()), [state.st_size, state.st_mtime_ns]
        entry = self._known.get(name)
        if entry is None or entry[:2] != now:
            entry = self._known[name] = [*now, self._look(path)]
            self._new = True
        return entry[2] is True

    def _look(self, path: Path) -> bool:
        try:
            read_portrait(path, self._detector)
        except BonafaceError:
            return False  # no face, several, or unreadable: the next picture is used instead
        return True

    def write(self) -> None:
        """Write down what is new."""
        if self._path and self._new:
            write_json(self._path, {"version": _VERSION, "pictures": dict(sorted(self._known.items()))})
            self._new = False


def _read(path: Path) -> dict[str, list[Any]]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(values, dict) or values.get("version") != _VERSION:
        return {}
    pictures = values.get("pictures")
    entries = pictures.items() if isinstance(pictures, dict) else ()
    return {name: entry for name, entry in entries if isinstance(entry, list) and len(entry) == 3}
