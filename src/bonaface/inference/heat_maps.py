"""Heat maps as files, one for each file that was checked."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from bonaface.core.errors import InputError
from bonaface.core.files import whole_file
from bonaface.inference.verdict import Verdict

SIDE = 640  # pixels of the picture's longer side

_SUFFIX = ".png"
_LONGEST = 240  # bytes of a name: file systems allow 255, and a digest and the suffix are added


def heat_map_path(folder: Path, name: str) -> Path:
    """Return where the heat map of the file `name`, a path or a URL, lies in `folder`: below it, whatever the name.

    ``faces/a.jpg`` becomes ``faces/a.jpg.png``.
    """
    parts = [part for part in name.replace("://", "/").split("/") if part not in ("", ".")]
    safe = [_safe("__" if part == ".." else part) for part in parts] or ["picture"]
    return folder.joinpath(*safe[:-1], safe[-1] + _SUFFIX)


def refuse_clashes(folder: Path, names: Iterable[str]) -> None:
    """Raise an InputError if the heat maps of two files would have one name."""
    taken: dict[Path, str] = {}
    for name in names:
        path = heat_map_path(folder, name)
        if path in taken:
            raise InputError(
                f"the heat maps of {taken[path]} and {name} would both be {path}; check one of them alone"
            )
        taken[path] = name


def save_heat_map(verdict: Verdict, where: Path) -> bool:
    """Write the verdict's heat map and return whether it has one.

    `where` is a folder, in which `heat_map_path` says how the file is called, or the file's own path, which ends in
    ``.png``.
    """
    drawn = verdict.heatmap
    if drawn is None:
        return False
    path = where if is_file_name(where) else heat_map_path(where, verdict.path)
    with whole_file(path) as part:
        drawn.save(part, "PNG")
    return True


def is_file_name(where: Path) -> bool:
    """Return whether `where` names a picture file, and not a folder."""
    return where.suffix.lower() == _SUFFIX and not where.is_dir()


def _safe(part: str) -> str:
    """Return `part` as a file name; where letters are lost, a digest keeps it apart from others."""
    text = "".join(letter if letter.isprintable() and letter not in '\\:*?"<>|' else "_" for letter in part)
    cut = text.encode()[:_LONGEST].decode(errors="ignore")  # no letter is cut in two
    if cut == part:
        return part
    digest = hashlib.sha256(part.encode(errors="surrogateescape")).hexdigest()[:8]
    return f"{cut}-{digest}"
