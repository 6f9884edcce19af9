"""Verdicts as they are found, in a folder from which a stopped `check` goes on.

    JOURNAL/journal.json            what is checked with: model, threshold, ...
    JOURNAL/00002-000017-4711.jsonl the verdicts of one lot of files, a line each: run, lot and process

A line is its CRC-32 and {"file": ..., "verdict": ...}, where "file" is the file's name with its size and time, so that
a file that has changed since is checked again. On this machine a line is on its way to the disk as soon as it is
written; at a URL a lot's file is written whole every few seconds. A line that was cut off by a kill is not counted, and
never continued.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

from bonaface.core.errors import InputError
from bonaface.core.files import is_leftover, sealed, unsealed, write_bytes, write_json
from bonaface.core.paths import entries, files_below, is_remote, read_range
from bonaface.core.records import Response
from bonaface.inference.verdict import Verdict

HEAD = "journal.json"
_PART = ".jsonl"
_PART_NAME = re.compile(r"\d+-\d+-\d+\.jsonl")  # anything else in the folder is somebody else's
_SECONDS = 5.0  # between two writings of a file at a URL
_FORMAT = 2

# A file's name, and its size in bytes and time of change in nanoseconds where it is a file of this machine.
FileKey = tuple[str, int, int]


def file_key(name: str) -> FileKey:
    """Return the key of the file `name`, a path or a URL."""
    with suppress(OSError, ValueError):
        if "://" not in name:
            status = Path(name).stat()
            return name, status.st_size, status.st_mtime_ns
    return name, -1, -1


class VerdictJournal:
    """A folder of verdicts.

    Args:
        folder: it is made if it is not there; a path or a URL.
        work: what the files are checked with.

    Raises:
        InputError: the folder holds something else, or the verdicts of other work.
    """

    def __init__(self, folder: Path, work: Mapping[str, Any]) -> None:
        self.folder = folder
        self._offsets: dict[str, int] = {}
        wanted = {"format": _FORMAT, "work": dict(work)}
        names = [name for name, _ in entries(folder) if not is_leftover(name)]
        if not names:
            write_json(folder / HEAD, wanted)
        else:
            _check_head(folder, names, wanted)
        runs = [int(name.split("-")[0]) for name in names if _PART_NAME.fullmatch(name)]
        self.run = max(runs, default=-1) + 1

    def read_new(self) -> Iterator[tuple[FileKey, dict[str, Any]]]:
        """Yield the verdicts that came since the last call, as `Verdict.as_dict` gives them, with their files' keys."""
        for name, size in sorted(files_below(self.folder)):
            start = self._offsets.get(name, 0)
            if _PART_NAME.fullmatch(name) and size > start:
                data = read_range(self.folder / name, start, size - start)
                self._offsets[name] = start + data.rfind(b"\n") + 1
                yield from _records(self.folder / name, data)


def recorded(folder: Path, run: int, lot: int) -> Iterator[tuple[FileKey, dict[str, Any]]]:
    """Yield the verdicts that processes have written of a lot."""
    for name, size in sorted(files_below(folder)):
        if name.startswith(f"{run:05}-{lot:06}-"):
            yield from _records(folder / name, read_range(folder / name, 0, size))


def _records(path: Path, data: bytes) -> Iterator[tuple[FileKey, dict[str, Any]]]:
    """Yield what the whole lines of `data`, which ends somewhere, say."""
    for line in data[: data.rfind(b"\n") + 1].decode(errors="replace").split("\n")[:-1]:
        text = unsealed(line)
        if text is None:
            raise InputError(
                f"{path}: a line of it is damaged; delete this file, and its files are checked again"
            )
        try:
            record = json.loads(text)
            name, size, time = record["file"]
            verdict = record["verdict"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: a line of it is no verdict ({error}); delete this file") from error
        yield (name, size, time), verdict


def holds_for_good(verdict: Mapping[str, Any]) -> bool:
    """Return whether a verdict need not be found again: what cannot be read today may be readable tomorrow."""
    return bool(verdict["response"] != Response.UNREADABLE)


def part_path(folder: Path, run: int, lot: int) -> Path:
    """Return where this process writes the verdicts of a lot."""
    return folder / f"{run:05}-{lot:06}-{os.getpid()}{_PART}"


class PartWriter:
    """Writes the verdicts of one lot to `path`; a context."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = None if is_remote(path) else path.open("ab")
        self._lines: list[bytes] = []
        self._written = monotonic()

    def add(self, key: FileKey, verdict: Verdict) -> None:
        """Write the verdict on a file."""
        line = sealed(json.dumps({"file": key, "verdict": verdict.as_dict(frames=True)})).encode()
        if self._file is not None:
            self._file.write(line)
            self._file.flush()
            return
        self._lines.append(line)
        if monotonic() - self._written > _SECONDS:
            self._upload()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        else:
            self._upload()

    def _upload(self) -> None:
        if self._lines:
            write_bytes(self._path, b"".join(self._lines))
        self._written = monotonic()


def _check_head(folder: Path, names: list[str], wanted: dict[str, Any]) -> None:
    if HEAD not in names:
        raise InputError(
            f"{folder}: expected a journal of bonaface check, an empty folder or none, but it has {names[0]}; name "
            "another folder"
        )
    try:
        found = json.loads((folder / HEAD).read_bytes())
        before, now = found["work"], wanted["work"]
        same = found["format"] == wanted["format"]
        other = [name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{folder / HEAD}: this is no journal of bonaface check; name another folder"
        ) from error
    if other or not same:
        raise InputError(
            f"{folder}: its verdicts were found with another {' and '.join(other) or 'version of Bonaface'}; name "
            "another folder, or delete this one"
        )
