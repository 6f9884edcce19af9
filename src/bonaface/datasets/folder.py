"""A folder, or a CSV file, of one's own pictures and videos."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bonaface.core.errors import InputError
from bonaface.core.paths import entries
from bonaface.core.records import ATTACK, BONA_FIDE, Presentation
from bonaface.datasets.protocols import BySubject, Protocol, PublishedSplits, Rows
from bonaface.datasets.registry import Dataset
from bonaface.datasets.table import PresentationTable, name_some
from bonaface.datasets.text import one_spelling
from bonaface.media.kinds import is_media

_NO_LETTERS = ("Cc", "Cs", "Zl", "Zp")  # control characters, surrogates, ends of lines and paragraphs


def read(root: Path) -> PresentationTable:
    """Read the list of presentations below `root`, sorted by path, or those in the CSV file `root`.

    `sample_id` is the path. The same SUBJECT below ``bonafide`` and below ``attack`` is the same person.
    Files that are neither picture nor video, by name or content, are left out and counted in the notes; hidden files
    are left out.

    Raises:
        InputError: `root` has neither ``bonafide`` nor ``attack``, a file or folder stands where none is
            expected, or the CSV file is wrong (see `PresentationTable.from_csv`).
    """
    if root.suffix.lower() == ".csv":
        return PresentationTable.from_csv(root)
    kinds = [name for name in ("bonafide", "attack") if (root / name).is_dir()]
    if not kinds:
        raise InputError(
            f"{root}: expected a folder with {DATASET.layout}; neither bonafide nor attack is there"
        )
    left_out = LeftOut()
    rows: list[Presentation] = []
    if "bonafide" in kinds:
        rows += _subjects(root, "bonafide", BONA_FIDE, "", left_out)
    if "attack" in kinds:
        rows += _attacks(root, "attack", left_out)
    return PresentationTable("folder", tuple(rows), left_out.notes())


def read_people(folder: Path) -> tuple[list[Presentation], tuple[str, ...]]:
    """Return the bona fide presentations in `folder`, as ``[SUBJECT/]file``, and notes on what was left out."""
    left_out = LeftOut()
    rows = list(_subjects(folder, "", BONA_FIDE, "", left_out))
    return rows, left_out.notes()


def read_attacks(folder: Path) -> tuple[list[Presentation], tuple[str, ...]]:
    """Return the attacks in `folder`, as ``SPECIES/[SUBJECT/]file``, and notes on what was left out.

    Raises:
        InputError: a file lies beside the folders of species.
    """
    left_out = LeftOut()
    rows = list(_attacks(folder, "", left_out))
    return rows, left_out.notes()


def _attacks(root: Path, folder: str, left_out: "LeftOut") -> Iterator[Presentation]:
    """Yield the rows of ``folder/SPECIES/[SUBJECT/]file``."""
    for species, is_folder in _entries(root, folder):
        if not is_folder:
            raise InputError(f"{root / folder / species}: expected a folder named after the attack's species")
        yield from _subjects(root, _below(folder, species), ATTACK, species, left_out)


def _subjects(
    root: Path, folder: str, label: int, species: str, left_out: "LeftOut"
) -> Iterator[Presentation]:
    """Yield the rows of ``folder/[SUBJECT/]file``."""
    for name, is_folder in _entries(root, folder):
        if not is_folder:
            yield from _row(root, _below(folder, name), label, species, "", left_out)
            continue
        for file, is_deeper in _entries(root, _below(folder, name)):
            path = f"{_below(folder, name)}/{file}"
            if is_deeper:
                raise InputError(
                    f"{root / path}: expected a file; below a subject there may be no more folders"
                )
            yield from _row(root, path, label, species, name, left_out)


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _row(
    root: Path, path: str, label: int, species: str, subject: str, left_out: "LeftOut"
) -> Iterator[Presentation]:
    if not is_media(root / path):
        left_out.no_media.append(ascii(path))
    elif any(unicodedata.category(letter) in _NO_LETTERS for letter in path):
        left_out.no_name.append(ascii(path))
    else:
        yield Presentation(path, path, label, one_spelling(species), one_spelling(subject))


def _entries(root: Path, folder: str) -> list[tuple[str, bool]]:
    """Return (name, is a folder) of everything in ``root/folder`` that is not hidden, sorted by name."""
    return [entry for entry in entries(root / folder) if not entry[0].startswith(".")]


@dataclass(frozen=True)
class LeftOut:
    """The files below a folder that are no presentations: neither picture nor video, or of a name that no table holds.

    A name that is no UTF-8 comes with surrogates, and one with an end of line in it would be two lines.
    """

    no_media: list[str] = field(default_factory=list)
    no_name: list[str] = field(default_factory=list)

    def notes(self) -> tuple[str, ...]:
        """Return a sentence for each reason."""
        reasons = (
            (self.no_media, "are neither picture nor video and were left out"),
            (
                self.no_name,
                "have control characters or no UTF-8 in their paths and were left out; rename them",
            ),
        )
        return tuple(f"{len(names)} files {why}: {name_some(names)}" for names, why in reasons if names)


DATASET = Dataset(
    name="folder",
    title="A folder or CSV file of one's own",
    reference="",
    layout="bonafide/[SUBJECT/]file and attack/SPECIES/[SUBJECT/]file, or a CSV file with path, label, ...",
    read=read,
    protocols=(
        Protocol(
            name="test",
            description="every presentation is test; nothing trains",
            splits=PublishedSplits(train=None, test=Rows()),
        ),
        Protocol(
            name="split",
            description="drawn: 60 % of the subjects train, 20 % dev, 20 % test",
            splits=BySubject(test=0.2, dev=0.2),
        ),
        Protocol(
            name="given",
            splits_are_stated=True,
            description="as the column split of the CSV file says: train, dev, test",
            splits=PublishedSplits(
                train=Rows(split=("train",)), dev=Rows(split=("dev",)), test=Rows(split=("test",))
            ),
        ),
    ),
)
