"""The data sets by name: one module each, named like the set, with its reader and protocols in `DATASET`.

A module is imported when its set is asked for; nothing is opened or downloaded before `Dataset.read` is
called.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.records import SIMULATED, Presentation
from bonaface.datasets.protocols import Protocol
from bonaface.datasets.subjects import name_subjects, note_unnamed
from bonaface.datasets.table import PresentationTable
from bonaface.simulate import MARK

# `oulu-npu` is the module `oulu_npu`
_NAMES = (
    "casia-fasd",
    "celeba-spoof",
    "folder",
    "msu-mfsd",
    "nuaa",
    "oulu-npu",
    "replay-attack",
    "replay-mobile",
    "siw",
)

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Dataset:
    """One data set: how its official layout is read, and how it may be split.

    `reference` is the paper, `layout` one or two lines for users who look for the right folder.
    `read(root)` lists the presentations without opening a picture or video; it raises `InputError` naming
    what is missing. `boxes(root, row)`, where the set comes with face boxes, gives them by frame index as
    (x0, y0, x1, y1) in the upright frame's pixels; frames without one are left out. `expected(root)`, where it
    is known, gives the paths that the complete set has. `size(row)`, where it tells cameras apart, gives the width and
    height of the published file. `find_turn` says that some of its videos are turned without a rotation tag,
    and that its boxes are of the upright frames.
    """

    name: str
    title: str
    reference: str
    layout: str
    read: Callable[[Path], PresentationTable]
    protocols: tuple[Protocol, ...]
    boxes: Callable[[Path, Presentation], Mapping[int, Box]] | None = None
    expected: Callable[[Path], Iterable[str]] | None = None
    size: Callable[[Presentation], tuple[int, int]] | None = None
    find_turn: bool = False


_registered: dict[str, Dataset] = {}


def register_dataset(dataset: Dataset) -> None:
    """Make a data set known by its name in this process, beside those that come with the package."""
    _registered[dataset.name] = dataset


def dataset_names() -> tuple[str, ...]:
    """Return the names that `open_dataset` knows, sorted."""
    return tuple(sorted({*_NAMES, *_registered}))


def open_dataset(name: str, subject_pattern: str | None = None) -> Dataset:
    """Return the data set called `name`, without reading its files.

    A folder of the set's layout that `bonaface simulate` made gives a table called ``simulated-NAME``; under that name
    too the set is found, for its protocols. Where rows name no subject, `subject_pattern` finds it in their paths
    (`bonaface.datasets.subjects.name_subjects`); without it the table's notes say so.

    Raises:
        UnknownNameError: no set has that name; the message lists those that are known.
    """
    plain = name.removeprefix(SIMULATED)
    if plain not in dataset_names():
        raise UnknownNameError("data set", name, dataset_names())
    dataset: Dataset
    if plain in _registered:
        dataset = _registered[plain]
    else:
        dataset = import_module(f"bonaface.datasets.{plain.replace('-', '_')}").DATASET
    return replace(dataset, read=partial(_read, dataset.read, subject_pattern))


def planned_presentations(root: Path) -> int | None:
    """Return how many presentations the simulated set at `root` is to have; None if `root` holds no simulated set.

    Raises:
        InputError: its settings can't be read.
    """
    mark = (root if root.is_dir() else root.parent) / MARK
    if not mark.is_file():
        return None
    from bonaface.simulate.sets import planned_files

    return planned_files(mark)


def _read(
    read: Callable[[Path], PresentationTable], subject_pattern: str | None, root: Path
) -> PresentationTable:
    if not root.exists():
        raise InputError(f"{root}: there is no such folder or file; give the one that holds the data set")
    table = read(root)
    planned = planned_presentations(root)
    if planned is not None:
        # The reader's notes compare with the complete original, which this set was not to be.
        missing = f"; run the same bonaface simulate again for the other {planned - len(table)}"
        note = f"simulated: {len(table)} of {planned} presentations{missing * (len(table) < planned)}"
        table = replace(table, dataset=SIMULATED + table.dataset, notes=(note,))
    return note_unnamed(table) if subject_pattern is None else name_subjects(table, subject_pattern)
