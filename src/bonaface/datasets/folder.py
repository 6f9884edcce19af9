"""A folder, or a CSV file, of one's own pictures and videos."""

from collections.abc import Iterator
from pathlib import Path

from bonaface.core.errors import InputError
from bonaface.core.paths import entries
from bonaface.core.records import ATTACK, BONA_FIDE, Presentation
from bonaface.datasets.protocols import BySubject, Protocol, PublishedSplits, Rows
from bonaface.datasets.registry import Dataset
from bonaface.datasets.table import PresentationTable, name_some
from bonaface.media.kinds import is_media


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
    left_out: list[str] = []
    rows: list[Presentation] = []
    if "bonafide" in kinds:
        rows += _subjects(root, "bonafide", BONA_FIDE, "", left_out)
    if "attack" in kinds:
        rows += _attacks(root, "attack", left_out)
    return PresentationTable("folder", tuple(rows), _notes(left_out))


def read_people(folder: Path) -> tuple[list[Presentation], tuple[str, ...]]:
    """Return the bona fide presentations in `folder`, as ``[SUBJECT/]file``, and notes on what was left out."""
    left_out: list[str] = []
    rows = list(_subjects(folder, "", BONA_FIDE, "", left_out))
    return rows, _notes(left_out)


def read_attacks(folder: Path) -> tuple[list[Presentation], tuple[str, ...]]:
    """Return the attacks in `folder`, as ``SPECIES/[SUBJECT/]file``, and notes on what was left out.

    Raises:
        InputError: a file lies beside the folders of species.
    """
    left_out: list[str] = []
    rows = list(_attacks(folder, "", left_out))
    return rows, _notes(left_out)


def _attacks(root: Path, folder: str, left_out: list[str]) -> Iterator[Presentation]:
    """Yield the rows of ``folder/SPECIES/[SUBJECT/]file``."""
    for species, is_folder in _entries(root, folder):
        if not is_folder:
            raise InputError(f"{root / folder / species}: expected a folder named after the attack's species")
        yield from _subjects(root, _below(folder, species), ATTACK, species, left_out)


def _subjects(
    root: Path, folder: str, label: int, species: str, left_out: list[str]
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
    root: Path, path: str, label: int, species: str, subject: str, left_out: list[str]
) -> Iterator[Presentation]:
    # a name that is not UTF-8 comes with surrogates, which no table or JSON can hold
    if path.isprintable() and is_media(root / path):
        yield Presentation(path, path, label, species, subject)
    else:
        left_out.append(ascii(path))


def _entries(root: Path, folder: str) -> list[tuple[str, bool]]:
    """Return (name, is a folder) of everything in ``root/folder`` that is not hidden, sorted by name."""
    return [entry for entry in entries(root / folder) if not entry[0].startswith(".")]


def _notes(left_out: list[str]) -> tuple[str, ...]:
    if not left_out:
        return ()
    return (f"{len(left_out)} files are neither picture nor video and were left out: {name_some(left_out)}",)


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
    ),
)
