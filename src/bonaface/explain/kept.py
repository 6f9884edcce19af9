"""What a stopped `explain` goes on from: the figures that are done, each with a checksum of what it was made of."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.core.convert import convert
from bonaface.core.files import read_checked_json, whole_file, write_checked_json, write_text
from bonaface.drawing.vector import PNG_LEVEL
from bonaface.explain.figure import Figure

STATE = "explain.json"
KINDS = ("png", "svg", "npz")

_OUTPUTS = "outputs-"


@dataclass(frozen=True)
class Entry:
    """A figure that is done. `key` is the checksum of what it was made of; it has files unless it was `left_out`."""

    name: str
    key: str
    title: str = ""
    captions: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    left_out: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """Return the names of its files."""
        return () if self.left_out else tuple(f"{self.name}.{kind}" for kind in KINDS)


class Kept:
    """The folder of figures, as it is on the disk at any moment."""

    def __init__(self, folder: Path) -> None:
        """Read what is done in `folder`, and record that nothing is where no figure was made before.

        Raises:
            InputError: the record of what is done is damaged.
        """
        self.folder = folder
        self._entries: dict[str, Entry] = {}
        if (folder / STATE).is_file():
            values = read_checked_json(
                folder / STATE, ("figures",), "delete it, and the figures are made anew"
            )
            entries = convert(values.get("figures", []), list[Entry])
            self._entries = {entry.name: entry for entry in entries}
        else:
            self._write()

    def find(self, name: str, key: str) -> Entry | None:
        """Return the figure if it is done and was made of the same."""
        entry = self._entries.get(name)
        if entry is None or entry.key != key:
            return None
        return entry if all((self.folder / file).is_file() for file in entry.files) else None

    def put(self, name: str, key: str, made: Figure | str) -> Entry:
        """Write the files of a figure, or remove them where `made` says why there is none, and record it as done."""
        if isinstance(made, str):
            entry = Entry(name, key, left_out=made)
            for kind in KINDS:
                (self.folder / f"{name}.{kind}").unlink(missing_ok=True)
        else:
            entry = Entry(name, key, made.title, tuple(made.captions), tuple(made.findings))
            with whole_file(self.folder / f"{name}.png") as part:
                made.drawing.png().save(part, "PNG", compress_level=PNG_LEVEL)
            write_text(self.folder / f"{name}.svg", made.drawing.svg(made.title))
            write_arrays(self.folder / f"{name}.npz", made.arrays)
        self._entries[name] = entry
        self._write()
        return entry

    def outputs(self, digest: str) -> Path:
        """Return the folder for what a network gave of the samples; it goes when all figures are done."""
        return self.folder / f"{_OUTPUTS}{digest[:16]}"

    def finish(self) -> None:
        """Remove the networks' outputs, which no figure needs any more."""
        for path in self.folder.glob(f"{_OUTPUTS}*"):
            rmtree(path)

    def _write(self) -> None:
        write_checked_json(self.folder / STATE, {"figures": [asdict(one) for one in self._entries.values()]})


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write `arrays` to the .npz file `path`, whole or not at all."""
    with whole_file(path) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
