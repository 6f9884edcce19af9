"""The pictures and videos that a list of names stands for: files, folders, URLs, patterns, standard input.

Nothing is ignored silently: files that are not looked at are named, or counted if they are neither a picture nor a
video.
"""

import errno
import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bonaface.core.errors import BonafaceError, InputError
from bonaface.core.paths import files_below, is_folder, is_remote, to_path
from bonaface.media.kinds import content_kind, is_media

STDIN = "-"
_SHOWN = 3


@dataclass
class Search:
    """What was found: `files` to look at, as the user would name them; names that are `missing`; (name, reason) of
    what was `left_out` and may be a picture or a video; and `others`, which are neither."""

    files: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Return whether everything that was asked for, and may be a picture or a video, is among `files`."""
        return not self.missing and not self.left_out

    def sentences(self) -> Iterator[str]:
        """Yield what is not looked at: a sentence for each name, and one for all that are neither picture nor video."""
        for name in self.missing:
            yield f"{name}: no such file or folder"
        for name, reason in self.left_out:
            yield f"{name}: left out: {reason}"
        if self.others:
            some = ", ".join(self.others[:_SHOWN])
            more = f" and {len(self.others) - _SHOWN} more" if len(self.others) > _SHOWN else ""
            are = "file is" if len(self.others) == 1 else "files are"
            yield f"{len(self.others)} {are} neither picture nor video: {some}{more}"


def search(names: Sequence[str]) -> Search:
    """Find what `names` stand for, each file once, folders in the order of their paths.

    A name is a path, a URL, a pattern of the shell that names no file itself, or `-` for standard input.

    Raises:
        InputError: fsspec knows no such file system.
    """
    found = Search()
    for name in names:
        try:
            path = to_path(name)
        except InputError:
            raise
        except BonafaceError:  # the checker says why, in this one's verdict
            found.files.append(name)
            continue
        if name == STDIN:
            found.files.append(name)
        elif is_remote(path):
            _remote(name, path, found)
        elif os.path.lexists(path):
            _local(name, found)
        elif glob.has_magic(name) and (matches := sorted(glob.glob(name, recursive=True))):  # noqa: PTH207 - as the shell
            for match in matches:
                _local(match, found)
        else:
            found.missing.append(name)
    found.files = list(dict.fromkeys(found.files))
    return found


def _local(name: str, found: Search) -> None:
    if is_folder(Path(name)):
        before = len(found.files) + len(found.left_out)
        _folder(name, found, set())
        if len(found.files) + len(found.left_out) == before:
            found.left_out.append((name, "there is no picture or video in this folder"))
    elif reason := _astray(Path(name)):
        found.left_out.append((name, reason))
    else:
        found.files.append(name)


def _astray(path: Path) -> str:
    """Return why nothing can be seen of what is named `path`, mostly a link; an empty text if something can."""
    try:
        path.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return "a link to what is not there"
        return f"it cannot be looked at ({error.strerror})"
    return ""


def _folder(folder: str, found: Search, seen: set[tuple[int, int]]) -> None:
    """Take in what is in `folder` and below, links to other folders included, each folder once."""
    try:
        status = Path(folder).stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        found.left_out.append((folder, f"this folder cannot be read ({error.strerror})"))
        return
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        name = os.path.join(folder, entry.name)  # noqa: PTH118 - the user's own way to write it, `./` and all
        if is_folder(entry):
            if entry.name.startswith("."):
                _hidden_folder(name, found, seen)
            else:
                _folder(name, found, seen)
        else:
            _file(name, Path(name), found)


def _hidden_folder(name: str, found: Search, seen: set[tuple[int, int]]) -> None:
    inside = Search()
    _folder(name, inside, seen)
    if inside.files or inside.left_out:
        found.left_out.append((name, "a hidden folder with pictures or videos; name it to have them checked"))


def _file(name: str, path: Path, found: Search) -> None:
    if reason := _astray(path):
        found.left_out.append((name, reason))
    elif path.name.startswith("."):
        if content_kind(path) is None:
            found.others.append(name)
        else:
            found.left_out.append((name, "a hidden file; name it to have it checked"))
    elif is_media(path):
        found.files.append(name)
    else:
        found.others.append(name)


def _remote(name: str, path: Path, found: Search) -> None:
    """Add a URL of one file, or the files of a folder where its file system has folders (the web has none)."""
    try:
        is_file = name.startswith(("http:", "https:")) or not path.is_dir()
    except Exception:  # noqa: BLE001 - every file system has errors of its own; the checker says them in the verdict
        is_file = True
    if is_file:
        found.files.append(name)
        return
    try:
        listed = sorted(files_below(path))
    except BonafaceError as error:
        found.left_out.append((name, str(error).removeprefix(f"{name}: ")))
        return
    for below, _ in listed:
        within = f"{name.rstrip('/')}/{below}"
        hidden = any(part.startswith(".") for part in below.split("/"))
        (found.files if is_media(to_path(within)) and not hidden else found.others).append(within)
