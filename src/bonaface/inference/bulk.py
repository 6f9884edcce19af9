"""Check very many files, over processes of this machine or a Ray cluster.

The processes write into a `VerdictJournal`; the verdicts are read from there as they come, and told in the order of the
files.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from bonaface.core.errors import BonafaceError
from bonaface.core.paths import is_remote
from bonaface.core.records import Decision, Response
from bonaface.inference.checker import Checker
from bonaface.inference.heat_maps import save_heat_map
from bonaface.inference.sources import Source
from bonaface.inference.verdict import Verdict
from bonaface.inference.verdict_journal import (
    FileKey,
    PartWriter,
    VerdictJournal,
    file_key,
    holds_for_good,
    part_path,
    recorded,
)

if TYPE_CHECKING:
    from bonaface.jobs.run import Run  # which a single process need not load

Tell = Callable[[Verdict], None]

_MOST, _LOTS = (
    64,
    32,
)  # files of a lot; lots that a shorter list makes, so that all processes end at about one time
_LISTED_EVERY = 2.0  # seconds between two looks at a journal at a URL


class OpensChecker(Protocol):
    """Makes the checker of a process. It is sent there, and is hashable: a process opens the same one once."""

    def open(self) -> Checker:
        """Return a fresh checker."""
        ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Lot:
    """The files that a process checks as one job."""

    number: int
    files: tuple[FileKey, ...]


@dataclass(frozen=True)
class CheckWorker:
    """Checks a lot: what every process does (`bonaface.jobs`). A file that kills three processes is left out."""

    checker: OpensChecker
    journal: Path
    run: int
    heat_maps: Path | None = None

    def __call__(self, lot: Lot, progress: Callable[[int], None], /) -> None:
        progress(0)
        done = self._done(lot)
        checker = _opened(self.checker)
        with PartWriter(part_path(self.journal, self.run, lot.number)) as part:
            for number, key in enumerate(lot.files):
                if key not in done:
                    (verdict,) = checker([key[0]])
                    if self.heat_maps is not None:
                        save_heat_map(verdict, self.heat_maps)
                    part.add(key, verdict)
                progress(number + 1)

    def at(self, lot: Lot, done: int | None, /) -> str:
        """Name the file of `lot` that comes after `done` others."""
        return lot.files[min(done or 0, len(lot.files) - 1)][0]

    def leave_out(self, lot: Lot, done: int, /) -> bool:
        """Have the file of `lot` that comes after `done` others be no response."""
        if done >= len(lot.files):
            return False
        key = lot.files[done]
        verdict = Verdict(
            key[0],
            Decision.NO_RESPONSE,
            None,
            _opened(self.checker).thresholds["frame"],
            Response.UNREADABLE,
            f"{key[0]}: it has ended the process that checked it, again and again; it is damaged, or made to do so",
        )
        with PartWriter(part_path(self.journal, self.run, lot.number)) as part:
            part.add(key, verdict)
        return True

    def _done(self, lot: Lot) -> set[FileKey]:
        """Return what a process that died, or `leave_out`, has written of `lot`."""
        return {key for key, _ in recorded(self.journal, self.run, lot.number)}


@lru_cache(maxsize=1)
def _opened(options: OpensChecker) -> Checker:
    return options.open()


def check_in_turn(
    sources: Sequence[Source],
    checker: Checker,
    tell: Tell,
    *,
    journal: VerdictJournal | None = None,
    heat_maps: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Check `sources` in this process and call `tell` with their verdicts, as `check_files` does.

    Those that are no paths and no URLs are not kept in `journal`.
    """
    keys = [file_key(source) if isinstance(source, str) else None for source in sources]
    done = _known(journal, {key for key in keys if key is not None}) if journal else {}
    known = [key is not None and key in done for key in keys]
    fresh = checker.stream(source for source, is_known in zip(sources, known, strict=True) if not is_known)
    with PartWriter(part_path(journal.folder, journal.run, 0)) if journal else nullcontext() as part:
        for number, key in enumerate(keys):
            if key is not None and known[number]:
                verdict = Verdict.from_dict(done.pop(key))
            else:
                verdict = next(fresh)
                if heat_maps is not None:
                    save_heat_map(verdict, heat_maps)
                if part is not None and key is not None:
                    part.add(key, verdict)
            tell(verdict)
            if progress is not None:
                progress(number + 1, len(sources))


def _known(journal: VerdictJournal, wanted: set[FileKey]) -> dict[FileKey, dict[str, Any]]:
    """Return what earlier runs have found of the files `wanted` and need not be found again."""
    return {key: verdict for key, verdict in journal.read_new() if key in wanted and holds_for_good(verdict)}


def check_files(
    files: Sequence[str],
    checker: OpensChecker,
    journal: VerdictJournal,
    run: "Run",
    tell: Tell,
    *,
    heat_maps: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Check `files`, paths or URLs that are all different, and call `tell` with their verdicts, in their order.

    What `journal` has already is told first and not checked again, unless the file has changed.

    Args:
        run: does the jobs, as `bonaface.jobs.run.choose_engine` returns it.
        heat_maps: a folder for the heat maps; None draws none.
        progress: called with (files told, files in all).

    Raises:
        BonafaceError: processes died again and again, or the machines of a cluster do not see the same journal.
    """
    keys = [file_key(name) for name in files]
    row = _Row(keys, tell, _known(journal, set(keys)))
    left = [key for key in keys if not row.has(key)]
    row.tell()
    looked = monotonic()

    def look(_: int, at_once: bool = False) -> None:
        nonlocal looked
        if at_once or not is_remote(journal.folder) or monotonic() - looked > _LISTED_EVERY:
            for key, verdict in journal.read_new():
                row.take(key, verdict)
            row.tell()
            looked = monotonic()
        if progress is not None:
            progress(row.told, len(keys))

    if left:
        size = max(1, min(_MOST, len(left) // _LOTS))
        lots = [
            Lot(number, tuple(left[at : at + size])) for number, at in enumerate(range(0, len(left), size))
        ]
        run(CheckWorker(checker, journal.folder, journal.run, heat_maps), lots, look)
    look(0, at_once=True)
    if row.told < len(keys):
        raise BonafaceError(
            f"{journal.folder}: {len(keys) - row.told} of {len(keys)} verdicts are not there, and yet they were found: "
            "the machines of a cluster must all see the same folder under this path; give one that they share, or a URL"
        )


class _Row:
    """Verdicts that are told in the order of `keys`, in whatever order they come."""

    def __init__(self, keys: Sequence[FileKey], tell: Tell, ready: dict[FileKey, dict[str, Any]]) -> None:
        self.told = 0
        self._keys, self._tell, self._ready = keys, tell, ready

    def take(self, key: FileKey, verdict: dict[str, Any]) -> None:
        self._ready[key] = verdict

    def has(self, key: FileKey) -> bool:
        return key in self._ready

    def tell(self) -> None:
        """Tell all verdicts whose turn it is."""
        while self.told < len(self._keys) and self._keys[self.told] in self._ready:
            self._tell(Verdict.from_dict(self._ready.pop(self._keys[self.told])))
            self.told += 1
