"""Very many files: what every process does, and in what order it is told."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bonaface.core.errors import BonafaceError
from bonaface.core.records import Response
from bonaface.inference.bulk import CheckWorker, Lot, check_files, check_in_turn
from bonaface.inference.checker import Checker, load
from bonaface.inference.verdict import Verdict
from bonaface.inference.verdict_journal import VerdictJournal, file_key
from bonaface.jobs.run import choose_engine


@dataclass(frozen=True)
class Options:
    """What a process opens."""

    model: Path
    preview: int = 0

    def open(self) -> Checker:
        return load(self.model, threads=1, preview=self.preview)


def backwards(worker: Any, jobs: Sequence[Any], progress: Callable[[int], None]) -> None:
    """An engine whose jobs end in the wrong order."""
    for done, job in enumerate(reversed(jobs)):
        worker(job, lambda _: None)
        progress(done)


@pytest.fixture
def files(faces_root: Path, tmp_path: Path) -> list[str]:
    """Eight faces, one picture without, one that is broken and one that is gone."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, path in enumerate(sorted(faces_root.glob("*/*/1.png"))[:8]):
        shutil.copy(path, folder / f"{number}.png")
    shutil.copy(faces_root / "bonafide/person-0/nobody.png", folder / "8.png")
    (folder / "90.png").write_bytes(b"nothing")
    return [*map(str, sorted(folder.iterdir())), str(folder / "gone.png")]


@pytest.fixture
def wanted(files: list[str], run: Path) -> list[Verdict]:
    return load(run, threads=1)(files)


def same(found: list[Verdict], wanted: list[Verdict]) -> bool:
    assert [each.path for each in found] == [each.path for each in wanted]
    assert [each.response for each in found] == [each.response for each in wanted]
    return [each.score for each in found] == pytest.approx([each.score for each in wanted], abs=1e-5)


def test_tells_in_the_order_of_the_files(
    files: list[str], wanted: list[Verdict], run: Path, tmp_path: Path
) -> None:
    told: list[Verdict] = []
    counts: list[tuple[int, int]] = []
    journal = VerdictJournal(tmp_path / "j", {})
    check_files(files, Options(run), journal, backwards, told.append, progress=lambda *c: counts.append(c))
    assert same(told, wanted)
    assert counts[-1] == (len(files), len(files))
    assert [done for done, _ in counts] == sorted(done for done, _ in counts)


def test_two_processes_give_the_verdicts_of_one(
    files: list[str], wanted: list[Verdict], run: Path, tmp_path: Path
) -> None:
    told: list[Verdict] = []
    engine = choose_engine("local", 2, None)
    check_files(files, Options(run), VerdictJournal(tmp_path / "j", {}), engine, told.append)
    assert same(told, wanted)


@pytest.mark.parametrize("parallel", [False, True])
def test_goes_on_without_what_is_done(
    parallel: bool, files: list[str], wanted: list[Verdict], run: Path, tmp_path: Path
) -> None:
    """Only what has changed since, and what could not be read, is checked again."""
    checked: list[str] = []

    class Watched(Checker):
        def _looked(self, source: Any, name: str, bgr: bool) -> Any:
            checked.append(name)
            return super()._looked(source, name, bgr)

    opened = load(run, threads=1)
    watched = Watched(opened.bundle, opened._runner, threads=1)

    class Opens:
        def open(self) -> Checker:
            return watched

    def go(names: list[str]) -> list[Verdict]:
        told: list[Verdict] = []
        journal = VerdictJournal(tmp_path / "j", {})
        if parallel:
            check_files(names, Opens(), journal, backwards, told.append)
        else:
            check_in_turn(names, watched, told.append, journal=journal)
        return told

    go(files[::2])
    assert sorted(checked) == sorted(files[::2])
    checked.clear()
    assert same(go(files), wanted)
    assert sorted(checked) == sorted([*files[1::2], files[-1]]), "gone.png may be there now"
    checked.clear()
    shutil.copy(files[0], files[2])
    assert go(files)[2].score == pytest.approx(wanted[0].score, abs=1e-5)
    assert sorted(checked) == sorted([files[2], files[9], files[-1]]), "90.png may be mended now"


def test_a_file_that_ends_its_process_is_no_response(files: list[str], run: Path, tmp_path: Path) -> None:
    journal = VerdictJournal(tmp_path / "j", {})
    worker = CheckWorker(Options(run), journal.folder, journal.run)
    lot = Lot(0, tuple(map(file_key, files[:3])))
    assert worker.leave_out(lot, 1)
    assert not worker.leave_out(lot, 3)
    assert worker.at(lot, 1) == files[1]
    assert worker.at(lot, None) == files[0]
    steps: list[int] = []
    worker(lot, steps.append)
    found = {key[0]: verdict for key, verdict in journal.read_new()}
    assert steps == [0, 1, 2, 3]
    assert found[files[1]]["response"] == Response.UNREADABLE
    assert "has ended the process that checked it" in found[files[1]]["reason"]
    assert found[files[0]]["score"] is not None


def test_draws_heat_maps(files: list[str], run: Path, tmp_path: Path) -> None:
    out, two = tmp_path / "out", tmp_path / "two"
    journal = VerdictJournal(tmp_path / "j", {})
    check_files(files, Options(run, 64), journal, backwards, lambda _: None, heat_maps=out)
    check_in_turn(files, Options(run, 64).open(), lambda _: None, heat_maps=two)
    names = [sorted(path.name for path in folder.rglob("*.png")) for folder in (out, two)]
    assert names[0] == names[1] == [f"{number}.png.png" for number in range(8)]


def test_machines_that_see_another_folder_are_told(files: list[str], run: Path, tmp_path: Path) -> None:
    def elsewhere(worker: Any, jobs: Sequence[Any], progress: Callable[[int], None]) -> None:
        progress(len(jobs))

    with pytest.raises(BonafaceError, match=r"11 of 11 verdicts are not there, .* the same folder"):
        check_files(files, Options(run), VerdictJournal(tmp_path / "j", {}), elsewhere, lambda _: None)
