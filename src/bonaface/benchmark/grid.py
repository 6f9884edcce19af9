"""Train and test a grid of models by the same `bonaface` commands that a person would type.

A job is a run and all of its tests. Each step is a `bonaface` command in its own process: a crash (out of memory, a
driver) is one failed cell, its log names the command, and a stopped run is resumed as usual. A command ends with the
grid, also where the grid is killed, so that no training continues unnoticed. The name of a folder has a digest of its
settings and store: another setting or store makes another folder, and a folder alone shows whether its work is done.

    OUT/runs/NAME-DIGEST/                              a run; evaluation/NAME-DIGEST/ in it has scores and reports
    OUT/logs/NAME-DIGEST.log, .errors.json             what its commands said, and which of them failed
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, NamedTuple

from bonaface.benchmark.spec import Cell, Spec
from bonaface.core.errors import BonafaceError
from bonaface.core.files import LOCK, write_json
from bonaface.core.machine import Engine, usable_cores
from bonaface.jobs.child import start_child
from bonaface.jobs.run import choose_engine
from bonaface.store.crop_store import CropStore

_POLL = 0.2  # seconds between two checks whether a command has ended
_REPORTS = ("html", "json", "md", "tex", "csv")
_TRAIN = "train"


@dataclass(frozen=True)
class Evaluation:
    """A test of a run: the arguments of its command, and the folder that it fills."""

    arguments: tuple[str, ...]
    folder: Path

    @property
    def done(self) -> bool:
        """Return whether scores and reports are there."""
        return all((self.folder / f"report.{kind}").is_file() for kind in _REPORTS)


@dataclass(frozen=True)
class Job:
    """A run to train, and its tests. `errors` is the file that lists its failures, step by step."""

    run: Path
    arguments: tuple[str, ...]
    tests: tuple[Evaluation, ...]
    log: Path

    @property
    def errors(self) -> Path:
        """Return the path of the failures, by the name of the step."""
        return self.log.with_suffix(".errors.json")

    @property
    def done(self) -> bool:
        """Return whether nothing is left to do."""
        return all(test.done for test in self.tests)


@dataclass(frozen=True)
class PlannedCell:
    """The job of a cell of the grid; without a job `problem` says why there is none."""

    cell: Cell
    job: Job | None
    test: Evaluation | None
    problem: str = ""

    @property
    def done(self) -> bool:
        """Return whether the cell has its scores."""
        return self.test is not None and self.test.done

    @property
    def error(self) -> str:
        """Return the reason why the cell is not done, or nothing where it was not tried."""
        if self.job is None or self.test is None or self.done:
            return self.problem
        if not self.job.errors.is_file():
            return ""
        found: dict[str, str] = json.loads(self.job.errors.read_text(encoding="utf-8"))
        return found.get(_TRAIN) or found.get(self.test.folder.name, "")


def plan(spec: Spec, out: Path) -> list[PlannedCell]:
    """Return the job of each cell of `spec` below `out`; a store that can't be opened fails only its own cells."""
    stores = {name: _opened(name, path) for name, path in spec.stores.items()}
    problems: dict[Cell, str] = {}
    runs: dict[Cell, Path] = {}
    commands: dict[Path, tuple[str, ...]] = {}
    tests: dict[Path, dict[Cell, Evaluation]] = {}
    for cell in spec.cells:
        *train, test = (
            stores[end.partition("/")[0]] for end in (*cell.experiment.sources, cell.experiment.tested_on)
        )
        if problem := next(filter(None, (store.problem for store in (*train, test))), ""):
            problems[cell] = problem
            continue
        run, command = _train(spec, cell, out, [store.digest for store in train])
        runs[cell], commands[run] = run, command
        tests.setdefault(run, {})[cell] = _test(spec, cell, run, test.digest)
    jobs = {
        run: Job(run, command, tuple(dict.fromkeys(tests[run].values())), out / "logs" / f"{run.name}.log")
        for run, command in commands.items()
    }
    return [
        PlannedCell(cell, None, None, problems[cell])
        if cell in problems
        else PlannedCell(cell, jobs[runs[cell]], tests[runs[cell]][cell])
        for cell in spec.cells
    ]


def run_grid(
    planned_cells: Sequence[PlannedCell],
    jobs: int,
    *,
    engine: Engine = "local",
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Run what is not done yet of `planned_cells`, `jobs` runs at a time; failures are left beside the logs.

    Args:
        engine: processes of this machine, or tasks of a Ray cluster whose machines all see the same files.
        address: of the cluster, as ``ray://host:10001``.
        progress: gets (cells done or failed, cells that can be done).

    Raises:
        MissingExtraError: Ray is asked for and not installed.
        InputError: there is no cluster at `address`, or the engine is not Ray.
    """
    run = choose_engine(engine, jobs, address)
    every = list(dict.fromkeys(planned.job for planned in planned_cells if planned.job))
    waiting = [job for job in every if not job.done]
    total = sum(len(job.tests) for job in every)
    before = total - sum(len(job.tests) for job in waiting)

    def tell(done: int) -> None:
        if progress:
            progress(before + done, total)

    tell(0)
    worker = GridWorker(max(1, usable_cores() // jobs))
    run(worker, waiting, tell)


class GridWorker:
    """Train the run of a job if it has no bundle yet, then do whichever tests are missing.

    Args:
        threads: of each command, where OMP_NUM_THREADS does not say it.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def __call__(self, job: Job, tick: Callable[[int], None]) -> None:
        """Do what is missing of `job` and call `tick` with the number of tests that are done."""
        environment = {"OMP_NUM_THREADS": str(self._threads), **os.environ}
        with _alone(job.log, partial(tick, 0)) as log:
            job.errors.unlink(missing_ok=True)
            failed: dict[str, str] = {}
            if not (job.run / "bundle").is_dir():
                said = _command(_training(job), log, environment, partial(tick, 0))
                failed = {_TRAIN: said} if said else {}
            for number, test in enumerate(job.tests if not failed else ()):
                if not test.done:
                    said = _command(test.arguments, log, environment, partial(tick, number))
                    failed |= {test.folder.name: said} if said else {}
            if failed:
                write_json(job.errors, failed)
        tick(len(job.tests))


def _training(job: Job) -> tuple[str, ...]:
    if (job.run / "run.json").is_file():
        return ("train", "--resume", "--out", str(job.run))
    shutil.rmtree(
        job.run, ignore_errors=True
    )  # a run that was killed before its first file has nothing to keep
    return job.arguments


@contextmanager
def _alone(path: Path, still: Callable[[], None]) -> Iterator[IO[str]]:
    """Open the log at `path` to write, while no other grid works on its job.

    A command dies with its grid, and holds the lock of the folder that it fills until then.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_suffix(LOCK))
    while True:
        try:
            lock.acquire(timeout=_POLL)
            break
        except Timeout:
            still()
    try:
        with path.open("a", encoding="utf-8") as log:
            yield log
    finally:
        lock.release()


def _command(
    arguments: Sequence[str], log: IO[str], environment: Mapping[str, str], still: Callable[[], None]
) -> str:
    """Run ``bonaface ARGUMENTS`` and return what went wrong, or nothing. `still` may raise, to stop it."""
    log.write(f"\n{time.strftime('%Y-%m-%d %H:%M:%S')} bonaface {shlex.join(arguments)}\n")
    log.flush()
    begin = os.fstat(log.fileno()).st_size
    process = start_child("bonaface.cli.main", arguments, log, environment)
    try:
        while (code := _ended(process)) is None:
            still()
    finally:
        if process.poll() is None:
            process.kill()  # runs and tests resume from what they have saved
            process.wait()
        if process.stdin is not None:
            process.stdin.close()
    with Path(log.name).open("rb") as written:
        written.seek(begin)
        return _reason(code, written.read().decode(errors="replace"))


def _ended(process: "subprocess.Popen[bytes]") -> int | None:
    try:
        return process.wait(_POLL)
    except subprocess.TimeoutExpired:
        return None


def _reason(code: int, text: str) -> str:
    """Return the reason that a command gave which ended with `code`; empty for 0."""
    if code == 0:
        return ""
    if code < 0:
        return f"the process was killed by {signal.Signals(-code).name}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and "error of the program's own" in lines[-1]:
        lines.pop()
    return (
        lines[-1].removeprefix("bonaface: ") if lines else f"the process ended with {code} and said nothing"
    )


class _Opened(NamedTuple):
    """The digest of a store, or why it can't be used."""

    digest: str
    problem: str = ""


def _opened(name: str, path: str) -> _Opened:
    if "$" in path:
        variable = path[path.index("$") :].partition("/")[0]
        return _Opened("", f"no store of {name}: {variable} is not set")
    try:
        store = CropStore.open(path)
    except BonafaceError as error:
        return _Opened("", f"no store of {name}: {error}")
    if store.dataset != name:
        return _Opened("", f"no store of {name}: {path} holds {store.dataset}")
    return _Opened(store.digest)


def _train(spec: Spec, cell: Cell, out: Path, digests: Sequence[str]) -> tuple[Path, tuple[str, ...]]:
    """Return the run's folder, and the command that trains it."""
    model, sources = cell.model, cell.experiment.sources
    protocol = cell.experiment.trained_on if len(sources) > 1 else sources[0].partition("/")[2]
    what = [model.model, "--protocol", protocol, "--fold", cell.train_fold, "--seed", str(cell.seed)]
    what += ["--preset", model.preset] if model.preset else []
    what += [f"--set={key}={json.dumps(value)}" for key, value in sorted(model.changes.items())]
    what += [f"--{key.replace('_', '-')}={value}" for key, value in sorted(spec.train.items())]
    name = _name(
        model.name, cell.experiment.trained_on, cell.train_fold, f"s{cell.seed}", _digest(*what, *digests)
    )
    run = out / "runs" / name
    data = [word for name in sources for word in ("--data", spec.stores[name.partition("/")[0]])]
    return run, (_TRAIN, *what, *data, "--out", str(run))


def _test(spec: Spec, cell: Cell, run: Path, digest: str) -> Evaluation:
    dataset, _, protocol = cell.experiment.tested_on.partition("/")
    folder = f"{_name(dataset, protocol, cell.test_fold)}-{_digest(digest)}"
    folder_path = run / "evaluation" / folder
    where = ("--data", spec.stores[dataset], "--protocol", str(cell.experiment), "--fold", cell.test_fold)
    return Evaluation(("evaluate", str(run), *where, "--out", str(folder_path)), folder_path)


def _name(*parts: str) -> str:
    return "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", part).strip("-") for part in parts if part)


def _digest(*parts: Any) -> str:
    return sha256(json.dumps(parts).encode()).hexdigest()[:8]
