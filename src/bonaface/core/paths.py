"""Files anywhere: a path of this machine, or a URL of any file system that fsspec knows (``s3://``, ``gs://``, ...).

Both are used as a `pathlib.Path`: a URL becomes a `UPath`, which behaves like one. What pathlib does slowly or not at
all over a network is here.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from bonaface.core.errors import BonafaceError, InputError


def to_path(where: str | Path) -> Path:
    """Return the path that `where` names: a URL with ``://``, else a path of this machine.

    Raises:
        InputError: fsspec knows no such file system, lacks the package for it, or takes the URL for none of its.
        BonafaceError: the file system cannot be reached, for those that connect at once.
    """
    text = str(where)
    if is_remote(where) or "://" not in text:
        return cast(Path, where) if is_remote(where) else Path(where)
    kind, _, rest = text.partition("://")
    if kind in ("file", "local"):
        return Path(rest)
    from upath import UPath  # a tenth of a second, which paths of this machine do not need

    try:
        remote: Any = UPath(text)
        _ = remote.fs
    except ImportError as error:
        raise InputError(
            f"{text}: this file system needs a package that is not installed: {error}"
        ) from error
    except (TypeError, ValueError) as error:  # of TypeError: the URL lacks what such a file system needs
        raise InputError(
            f"{text}: expected a path or a URL that fsspec knows (s3://, gs://, ...): {error}"
        ) from error
    except Exception as error:  # every file system has errors of its own
        raise BonafaceError(f"{text}: cannot be reached ({error}); {_SEE}") from error
    return cast(Path, remote)


def is_remote(path: str | Path) -> bool:
    """Return whether `path`, as `to_path` returned it, is a URL."""
    return not isinstance(path, (str, Path))


@contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """Yield `path` itself, or a temporary copy of what is at a URL, which is deleted when the block ends.

    A file is fetched whole before it is opened: so a failing network is told from a broken file, and a video can be
    read twice. Where there is no file at the URL, there is none at the yielded path either.

    Raises:
        BonafaceError: the file is there and cannot be fetched.
    """
    if not is_remote(path):
        yield path
        return
    with TemporaryDirectory(prefix="bonaface-") as folder:
        copy = Path(folder) / path.name[-_LONGEST:]
        remote: Any = path
        try:
            remote.fs.get_file(remote.path, str(copy))
        except FileNotFoundError:
            copy.unlink(missing_ok=True)
        except Exception as error:  # every file system has errors of its own
            raise BonafaceError(f"{path}: cannot be fetched ({error}); {_SEE}") from error
        yield copy


def upload(file: Path, path: Path) -> None:
    """Put `file`, of this machine, at the URL `path`. Object stores show it whole or not at all.

    Raises:
        BonafaceError: it cannot be written there.
    """
    remote: Any = path
    try:
        remote.fs.makedirs(remote.parent.path, exist_ok=True)
        remote.fs.put_file(str(file), remote.path)
    except Exception as error:
        raise BonafaceError(f"{path}: cannot be written ({error}); {_AGAIN}") from error


def read_range(path: Path, start: int, length: int) -> bytes:
    """Return `length` bytes of a file from `start` on, fewer where the file ends before. Raises OSError."""
    if is_remote(path):
        remote: Any = path
        data: bytes = remote.fs.cat_file(remote.path, start=start, end=start + length)
        return data
    with path.open("rb") as file:
        file.seek(start)
        return file.read(length)


def is_folder(path: "Path | os.DirEntry[str]") -> bool:
    """Return whether there is a folder at `path`, of this machine, or a link to one.

    A link that leads to itself, to a name that is too long, or to where nobody may look is none.
    """
    try:
        return path.is_dir()
    except OSError:
        return False


def entries(folder: Path) -> list[tuple[str, bool]]:
    """Return (name, is a folder) of everything in `folder`, sorted by name; nothing if there is no such folder.

    Raises:
        BonafaceError: a folder at a URL cannot be listed.
    """
    if is_remote(folder):
        remote: Any = folder
        try:
            remote.fs.invalidate_cache()
            listed = remote.fs.ls(remote.path, detail=True)
        except FileNotFoundError:
            return []
        except Exception as error:
            raise BonafaceError(f"{folder}: cannot be listed ({error}); {_SEE}") from error
        start = len(remote.path.rstrip("/")) + 1
        found = ((entry["name"].rstrip("/")[start:], entry["type"] == "directory") for entry in listed)
        return sorted(entry for entry in found if entry[0])  # some list the folder itself as well
    try:
        with os.scandir(folder) as here:
            return sorted((entry.name, is_folder(entry)) for entry in here)
    except FileNotFoundError:
        return []


def walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk a folder of this machine as `os.walk` does, over nothing where there is none.

    Raises:
        OSError: a folder below cannot be read, which `os.walk` and `Path.rglob` pass over in silence.
    """

    def refuse(error: OSError) -> None:
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise error

    return os.walk(folder, onerror=refuse)


def files_below(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield (path relative to `folder` with ``/``, bytes) of the files at any depth below it.

    Raises:
        BonafaceError: a folder at a URL cannot be listed.
    """
    if is_remote(folder):
        remote: Any = folder
        start = len(remote.path.rstrip("/")) + 1
        try:
            found = remote.fs.find(remote.path, detail=True)
        except Exception as error:
            raise BonafaceError(f"{folder}: cannot be listed ({error}); {_SEE}") from error
        for name, entry in found.items():
            yield name[start:], entry["size"]
        return
    for path in folder.rglob("*"):
        try:
            status = path.stat()
        except OSError:  # a link that leads nowhere, or where nobody may look
            continue
        if stat.S_ISREG(status.st_mode):
            yield path.relative_to(folder).as_posix(), status.st_size


_LONGEST = 50  # letters of a copy's name; a URL's may be longer than a file system allows
_SEE = "see that it can be reached, and run the same again"
_AGAIN = "run the same again, and it goes on where it was"
