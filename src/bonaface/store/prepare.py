"""`prepare`: from a data set's files to its crop store, on all cores, resumable at any moment.

The unit of work and of resuming is a shard: a fixed run of presentations in the table's order. What a shard
holds depends on the table and the settings alone, so the store's bytes do not depend on the number of workers or
interruptions. `shard_writer` makes a shard, `bonaface.jobs` distributes them.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bonaface.core.errors import DISK_FULL, BonafaceError, InputError
from bonaface.core.files import alone, is_leftover
from bonaface.core.machine import Engine
from bonaface.core.paths import entries, files_below, is_remote
from bonaface.core.records import Presentation, Response
from bonaface.datasets.registry import Box
from bonaface.datasets.table import PresentationTable, name_some
from bonaface.jobs.run import Run, choose_engine
from bonaface.store import crop_store as layout
from bonaface.store.crop_store import CropStore, PrepareSettings
from bonaface.store.shard_writer import KILLS, Shard, ShardWriter, folder_of, is_bare, shards, source_of

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Summary:
    """A summary of a finished store.

    `frames` counts frames by (species, response): species ``""`` is bona fide, response ``""`` a face.
    `non_response` counts by species the presentations of which no frame has a face (ISO's non-responses),
    `presentations` all of them. `unreadable` are the (path, what is wrong with it) of files that could not
    be read, or not to their end.
    """

    store: Path
    presentations: Mapping[str, int]
    non_response: Mapping[str, int]
    frames: Mapping[tuple[str, str], int]
    unreadable: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    bytes: int


def prepare(
    table: PresentationTable,
    root: Path,
    store: Path,
    *,
    settings: PrepareSettings | None = None,
    workers: int | None = None,
    engine: Engine = "local",
    address: str | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Make the crop store of `table` in the folder `store`, or continue an unfinished one.

    Args:
        root: the folder that the rows' paths are relative to, or a file in it (the table's CSV). It and `store` may be
            URLs (`bonaface.core.paths.to_path`).
        workers: processes; None is one for each core, of this machine or of the Ray cluster. A script must call this
            below ``if __name__ == "__main__":``, unless with 0: then all is done in this process, and a file that
            kills it ends the call.
        engine: ``"local"`` for processes of this machine, ``"ray"`` for Ray; the store's bytes are the same.
        address: of a Ray cluster (``ray://host:10001``); None is $RAY_ADDRESS, or else Ray on this machine alone.
        progress: called with (presentations done, presentations in all).

    Raises:
        InputError: no file of the table is below `root`, `store` is another store or something else, it was begun
            with another table, settings or software, or the set's face boxes are asked for and are not there.
        BonafaceError: the disk is full, or another process is making this store. Run it again to continue.
        MissingExtraError: Ray is not installed.
    """
    settings = settings or PrepareSettings()
    base = (root if root.is_dir() else root.parent).absolute()
    store = store.absolute()  # processes on other machines start in other folders
    _check_source(table, base, settings)
    run = choose_engine(engine, workers, address)
    try:
        # Two processes that make the same store at a URL write the same bytes: only work is lost.
        with alone(store, "store"):
            _settle(store, table, settings)
            _make(store, table, base, settings, run, progress)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise InputError(f"{store}: the store cannot be written: {error}") from error
        raise BonafaceError(
            f"{store}: the disk is full; free some space and run the same again: it goes on where it was"
        ) from error
    return summarise(CropStore.open(store))


def summarise(store: CropStore) -> Summary:
    """Count what `store` holds."""
    rows = store.presentations
    frames = Counter((rows[frame.presentation].species, frame.response) for frame in store.frames)
    scored = {frame.presentation for frame in store.frames if not frame.response}
    unreadable = tuple(
        (rows[frame.presentation].path, frame.detail)
        for frame in store.frames
        if frame.response == Response.UNREADABLE
    )
    return Summary(
        store=store.path,
        presentations=Counter(row.species for row in rows),
        non_response=Counter(row.species for i, row in enumerate(rows) if i not in scored),
        frames=frames,
        unreadable=unreadable,
        notes=store.table.notes,
        bytes=sum(size for _, size in files_below(store.path)),
    )


def _check_source(table: PresentationTable, base: Path, settings: PrepareSettings) -> None:
    if not any((base / row.path).exists() for row in table.rows):
        raise InputError(f"{base}: none of the table's files is there, as the first: {table.rows[0].path}")
    if not settings.boxes:
        return
    source = source_of(table.dataset)
    if source is None or source.boxes is None:
        raise InputError(f"{table.dataset} comes with no face boxes; leave the faces to the detector")
    if not any(_has_boxes(source.boxes, base, row) for row in table.rows):
        raise InputError(
            f"{base}: none of the face boxes that come with {table.dataset} is there; add them ({source.layout}), or "
            "leave the faces to the detector"
        )


def _has_boxes(
    boxes: Callable[[Path, Presentation], Mapping[int, Box]], base: Path, row: Presentation
) -> bool:
    try:
        return bool(boxes(base, row))
    except BonafaceError:  # a broken file is there, and no reason to reject the others
        return True


def _settle(store: Path, table: PresentationTable, settings: PrepareSettings) -> None:
    """Begin the store, or check that the existing one was begun in the same way."""
    wanted = layout.describe(table, settings)
    found = layout.read_description(store)
    if found is None:
        strange = [
            name for name, _ in entries(store) if name != layout.PRESENTATIONS and not is_leftover(name)
        ]
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
    layout.restore_table(store, table)


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
    settings: PrepareSettings,
    run: Run,
    progress: Progress | None,
) -> None:
    every = shards(table.rows, settings)
    writer = ShardWriter(root, store, settings, table.dataset, layout.software())
    if (store / layout.FRAMES).is_file():
        _reopen(store, table, every, writer)
    if not (store / layout.FRAMES).is_file():
        left = _left(store, every)
        before = len(table) - sum(len(shard.rows) for shard in left)
        report = progress or (lambda *_: None)
        report(before, len(table))
        run(replace(writer, absent=_absent(left, root)), left, lambda done: report(before + done, len(table)))
        if lost := _left(store, every):
            raise BonafaceError(
                f"{store}: {len(lost)} of {len(every)} shards are not there, and yet they were made: the machines of a "
                "cluster must all see the same folder under this path; give one that they share, or a URL"
            )
        layout.finish(store, len(every))
    if not is_remote(store):
        for path in store.rglob("*"):
            if _is_part(path.name):  # the unfinished file of a killed process
                path.unlink()


def _left(store: Path, every: list[Shard]) -> list[Shard]:
    """Return the shards that are not done, by one listing, as over a network each request takes time."""
    done = {name for name, _ in entries(store / layout.SHARDS)}
    return [
        shard
        for shard in every
        if not {layout.shard_path(store, shard.number, kind).name for kind in ("tar", "parquet")} <= done
    ]


def _absent(left: list[Shard], root: Path) -> frozenset[str]:
    """Return the folders of the rows of `left`, relative to `root`, of which nothing is there from the beginning."""
    if is_remote(root):
        return frozenset()
    return frozenset(
        folder
        for folder in {folder_of(row) for shard in left for row in shard.rows}
        if is_bare(root / folder)
    )


def _reopen(store: Path, table: PresentationTable, every: list[Shard], writer: ShardWriter) -> None:
    """Have those shards of a finished store made anew that are missing, or of which a file reads that did not.

    A store that other software has made is left as it is: its shards would differ.
    """
    if (layout.read_description(store) or {}).get("software") != writer.software:
        return
    opened = CropStore.open(store)
    unread = {
        frame.presentation
        for frame in opened.frames
        if frame.response == Response.UNREADABLE and frame.detail != KILLS
    }
    mended = [number for number in sorted(unread) if writer.reads(table.rows[number])]
    again = [s for s in every if any(s.first <= number < s.first + len(s.rows) for number in mended)]
    if again or _left(store, every):
        (store / layout.FRAMES).unlink()  # first: without it the store is one that is not finished
    for shard in again:
        layout.shard_path(store, shard.number, "parquet").unlink()


def _is_part(name: str) -> bool:
    return name.startswith(".") and name.endswith(".part")
