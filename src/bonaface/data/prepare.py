"""`prepare`: from a data set's files to its crop store, on all cores, resumable at any moment.

The unit of work and of resuming is a shard: a fixed run of presentations in the table's order. What a shard
holds depends on the table and the recipe alone, so the store's bytes are the same whoever makes it, and
however often the work was interrupted.
"""

import errno
import fcntl
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import BonafaceError, InputError
from bonaface.core.machine import usable_cores
from bonaface.core.records import Presentation, Response
from bonaface.data import store as layout
from bonaface.data.media import is_video
from bonaface.data.pool import run_jobs
from bonaface.data.store import CropStore, Finding, Recipe
from bonaface.data.table import PresentationTable, name_some
from bonaface.face.crop import face_square
from bonaface.face.detect import Detector
from bonaface.face.find import find_face
from bonaface.face.picture import read_picture

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Summary:
    """What a finished store holds.

    `frames` counts frames by (species, response): species ``""`` is bona fide, response ``""`` a face.
    `silent` counts by species the presentations of which no frame has a face (ISO's non-responses),
    `presentations` all of them. `unreadable` are the (path, what is wrong with it) of files that could not
    be read, or not to their end.
    """

    store: Path
    presentations: Mapping[str, int]
    silent: Mapping[str, int]
    frames: Mapping[tuple[str, str], int]
    unreadable: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    bytes: int


def prepare(
    table: PresentationTable,
    root: Path,
    store: Path,
    *,
    recipe: Recipe | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Make the crop store of `table` in the folder `store`, or go on with what is there.

    Args:
        root: the folder that the rows' paths are relative to, or a file in it (the table's CSV).
        workers: processes; None is one for each core. With more than one, a script must call this below
            ``if __name__ == "__main__":``.
        progress: called with (presentations done, presentations in all).

    Raises:
        InputError: no file of the table is below `root`, `store` is another store or something else, or it
        was begun
            with another table, recipe or software.
        BonafaceError: the disk is full, or another process is making this store. Run it again and it goes on.
    """
    recipe = recipe or Recipe()
    base = root if root.is_dir() else root.parent
    if not any((base / row.path).exists() for row in table.rows):
        raise InputError(f"{base}: none of the table's files is there, as the first: {table.rows[0].path}")
    try:
        with _alone(store):
            _settle(store, table, recipe)
            _make(store, table, base, recipe, usable_cores() if workers is None else workers, progress)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(f"{store}: the store cannot be written: {error}") from error
        raise BonafaceError(
            f"{store}: the disk is full; free some space and run the same again: it goes on where it was"
        ) from error
    return summarise(CropStore.open(store))


def summarise(store: CropStore) -> Summary:
    """Count what `store` holds."""
    rows = store.presentations
    frames = Counter((rows[frame.presentation].species, frame.response) for frame in store.frames)
    heard = {frame.presentation for frame in store.frames if not frame.response}
    unreadable = tuple(
        (rows[frame.presentation].path, frame.detail)
        for frame in store.frames
        if frame.response == Response.UNREADABLE
    )
    return Summary(
        store=store.path,
        presentations=Counter(row.species for row in rows),
        silent=Counter(row.species for i, row in enumerate(rows) if i not in heard),
        frames=frames,
        unreadable=unreadable,
        notes=store.table.notes,
        bytes=sum(file.stat().st_size for file in store.path.rglob("*") if file.is_file()),
    )


def frames_of(path: Path, n: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The frames of a file that are looked at, as (index, (H, W, 3) uint8 RGB): `n` of a video, a picture's
    only one.

    Raises:
        BonafaceError: the file cannot be read.
    """
    if is_video(path):
        from bonaface.data.video import read_frames  # PyAV, for those who need it

        yield from read_frames(path, n)
    else:
        yield 0, read_picture(path)


@dataclass(frozen=True)
class Shard:
    """A run of presentations, the first of which is number `first` of the table."""

    number: int
    first: int
    rows: tuple[Presentation, ...]


def shards(rows: Sequence[Presentation], recipe: Recipe) -> list[Shard]:
    """Cut the table into runs of at least `recipe.frames_per_shard` frames each, but for the last."""
    cut: list[Shard] = []
    first, planned = 0, 0
    for i, row in enumerate(rows):
        planned += recipe.frames if is_video(row.path) else 1
        if planned >= recipe.frames_per_shard or i == len(rows) - 1:
            cut.append(Shard(len(cut), first, tuple(rows[first : i + 1])))
            first, planned = i + 1, 0
    return cut


@dataclass(frozen=True)
class Cutter:
    """Makes shards, in whichever process it is sent to."""

    root: Path
    store: Path
    recipe: Recipe
    detector: Detector

    def __call__(self, shard: Shard, tick: Callable[[int], None]) -> None:
        """Write `shard`; `tick` hears of every presentation that is done."""
        layout.write_shard(self.store, shard.number, self._findings(shard, tick))

    def _findings(self, shard: Shard, tick: Callable[[int], None]) -> Iterator[Finding]:
        for i, row in enumerate(shard.rows):
            yield from self._look(shard.first + i, row)
            tick(i + 1)

    def _look(self, number: int, row: Presentation) -> Iterator[Finding]:
        path = self.root / row.path
        for index, picture in _read(path, self.recipe.frames):
            if isinstance(picture, str):
                # where the data set lies is no part of what the store says
                detail = picture.replace(str(path), row.path).removeprefix(f"{row.path}: ")
                yield Finding(number, row.sample_id, index, response=Response.UNREADABLE, detail=detail)
            else:
                yield self._find(number, row, index, picture)

    def _find(self, number: int, row: Presentation, index: int, picture: NDArray[np.uint8]) -> Finding:
        size = picture.shape[1], picture.shape[0]
        face = find_face(self.detector.detect(picture), self.recipe.policy)
        if isinstance(face, Response):
            return Finding(number, row.sample_id, index, size, response=face)
        return Finding(number, row.sample_id, index, size, face=face, square=face_square(picture, face))


def _read(path: Path, n: int) -> Iterator[tuple[int, NDArray[np.uint8] | str]]:
    """`frames_of`, but where reading fails it ends with the index that follows and what is wrong."""
    following = 0
    try:
        for index, picture in frames_of(path, n):
            following = index + 1
            yield index, picture
    except (BonafaceError, OSError) as error:
        yield following, str(error)


def _settle(store: Path, table: PresentationTable, recipe: Recipe) -> None:
    """Begin the store, or make sure that what is there was begun in the same way."""
    wanted = layout.describe(table, recipe)
    found = layout.read_description(store)
    if found is None:
        strange = [path.name for path in store.iterdir() if path.name != layout.PRESENTATIONS]
        strange = sorted(name for name in strange if not _is_part(Path(name)))
        if strange:
            raise InputError(
                f"{store}: expected a crop store, an empty folder or none, but it has {name_some(strange)}"
            )
        layout.begin(store, table, wanted)
        return
    same = wanted.keys() - ({"software"} if (store / layout.FRAMES).is_file() else set())
    differing = [text for key in sorted(same) for text in _differences(key, found.get(key), wanted[key])]
    if differing:
        raise InputError(
            f"{store}: this store was begun otherwise ({'; '.join(differing)}); prepare into another "
            "folder, or delete this one first"
        )


def _differences(name: str, found: Any, wanted: Any) -> list[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        names = sorted(found.keys() | wanted.keys())
        return [
            text for key in names for text in _differences(f"{name}.{key}", found.get(key), wanted.get(key))
        ]
    return [] if found == wanted else [f"{name} was {found}, now {wanted}"]


def _make(
    store: Path,
    table: PresentationTable,
    root: Path,
    recipe: Recipe,
    workers: int,
    progress: Progress | None,
) -> None:
    if not (store / layout.FRAMES).is_file():
        every = shards(table.rows, recipe)
        left = [shard for shard in every if not layout.shard_path(store, shard.number, "parquet").is_file()]
        before = len(table) - sum(len(shard.rows) for shard in left)
        report = progress or (lambda *_: None)
        report(before, len(table))
        detector = Detector(recipe.longer_side, threads=1, min_score=recipe.min_score)
        cutter = Cutter(root, store, recipe, detector)
        run_jobs(cutter, left, workers, lambda done: report(before + done, len(table)))
        layout.finish(store, len(every))
    for path in store.rglob("*"):
        if _is_part(path):  # left behind by a process that was killed
            path.unlink()


def _is_part(path: Path) -> bool:
    return path.name.startswith(".") and path.suffix == ".part"


@contextmanager
def _alone(store: Path) -> Iterator[None]:
    """Let no other process make the same store meanwhile; the system lifts the lock if this one is killed."""
    store.mkdir(parents=True, exist_ok=True)
    folder = os.open(store, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BonafaceError(f"{store}: another process is making this store; wait for its end") from error
        yield
    finally:
        os.close(folder)
