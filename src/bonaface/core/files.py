"""Files that are written whole or not at all."""

import hashlib
import json
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

from bonaface.core.errors import BonafaceError, InputError
from bonaface.core.paths import is_remote, upload
from bonaface.core.text import encodable

LOCK = ".lock"

_CHECKSUM = "checksum"
_PART = ".part"


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it, if they are not there.

    Raises:
        InputError: there is no place for it: a drive that is not there, or a file system without new folders.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:  # never of a folder above it, which would have been made
        raise InputError(
            f"{folder}: this folder cannot be made ({error.strerror}); give another path"
        ) from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which replaces `path` when the block ends without an error.

    The bytes are on the disk before the name changes, so that a crash leaves the old file or the new one,
    never half of it. On an error the temporary file is removed and the error goes on. Where `path` is a URL
    (`bonaface.core.paths`) the temporary path is this machine's, and the file is uploaded from there.
    """
    if is_remote(path):
        with tempfile.TemporaryDirectory(prefix="bonaface-") as folder:
            part = Path(folder) / path.name
            yield part
            upload(part, path)
        return
    make_folder(path.parent)
    # Not after the file, whose name may already be as long as the file system allows.
    handle, name = tempfile.mkstemp(prefix=".", suffix=_PART, dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.chmod(0o666 & ~_umask())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def new_folder(folder: Path) -> Path:
    """Return the full path of `folder`, which is not there yet or is empty, for `whole_folder`.

    Raises:
        InputError: it has files in it, or is one that cannot be replaced: the current folder, or a mounted disk.
    """
    if holds_files(folder):
        raise InputError(f"{folder}: expected a new or empty folder, but it has files in it")
    full = folder.resolve()
    if full == Path.cwd() or full.is_mount():
        raise InputError(
            f"{folder}: expected a folder that can be made anew, got the one that you are in, or a mounted disk; name "
            "a new folder in it"
        )
    return full


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder, which takes the place of `folder` when the block ends without an error.

    `folder` is as `new_folder` returned it. On an error what was made is removed, and the error goes on.
    """
    make_folder(folder.parent)
    with tempfile.TemporaryDirectory(prefix=".", suffix=_PART, dir=folder.parent) as making:
        made = Path(making) / "made"
        made.mkdir()
        yield made
        if folder.is_dir():
            folder.rmdir()
        made.rename(folder)


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Hold a lock on `folder`, a `what`, that no other process can take; the system lifts it if this one is killed.

    A new folder in which nothing was made is removed in the end. Object stores have no locks: at a URL nothing is held.

    Raises:
        BonafaceError: another process is making it.
    """
    if is_remote(folder):
        yield
        return
    # Only here: it would cost every command its start.
    from filelock import FileLock, Timeout

    new = not folder.exists()
    make_folder(folder)
    lock = FileLock(folder / LOCK, blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise BonafaceError(f"{folder}: another process is making this {what}; wait for its end") from error
    try:
        yield
    finally:
        if os.name == "nt":  # where an open file can't be removed
            lock.release()
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        if new and not any(folder.iterdir()):
            folder.rmdir()


def is_leftover(name: str) -> bool:
    """Return whether a file of that name is a lock or an unfinished file of a killed process."""
    return name == LOCK or (name.startswith(".") and name.endswith(_PART))


def holds_files(folder: Path) -> bool:
    """Return whether `folder` is there and holds something, leftovers of killed processes left out."""
    return folder.exists() and any(not is_leftover(path.name) for path in folder.iterdir())


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with whole_file(path) as part:
        part.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all; bytes of a name that is no UTF-8 become escapes."""
    write_bytes(path, encodable(text).encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` as indented JSON, whole or not at all. NaN is refused: it is not JSON."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """Return the text that `write_json` writes. A name that is no UTF-8 is read back by `json.loads` as it was."""
    return encodable(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)) + "\n"


def write_checked_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write `values` to `path` as `write_json` does, with their checksum."""
    write_json(path, {**values, _CHECKSUM: checksum_of(dict(values))})


def read_checked_json(path: Path, names: Collection[str], advice: str) -> dict[str, Any]:
    """Return the values that `write_checked_json` wrote to `path`; `names` are the most that there can be.

    A file of version 0.1 has no checksum. One whose checksum has lost its name has a name too many.

    Raises:
        InputError: the file is damaged; it says so, and gives `advice` on what to do.
    """
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: the file is damaged ({error}); {advice}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: the file is damaged (expected names and values); {advice}")
    checksum = values.pop(_CHECKSUM, None)
    if (checksum is not None and checksum != checksum_of(values)) or not values.keys() <= set(names):
        raise InputError(f"{path}: the file is damaged, or was altered: its checksum differs; {advice}")
    return values


def checksum_of(value: Any) -> str:
    """Return the SHA-256 of `value` as JSON with sorted names and no spaces: 64 hex digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(text: str) -> str:
    """Return `text` as a line of a file that is written line by line: its CRC-32, a space, the text, the line's end."""
    return f"{crc32(text.encode()):08x} {text}\n"


def unsealed(line: str) -> str | None:
    """Return the text of a line that `sealed` made, without its end; None if it was cut short or changed since."""
    text = line[9:]
    return text if sealed(text) == f"{line}\n" else None


def sha256(path: Path) -> str:
    """Return the SHA-256 of the file at `path`, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
