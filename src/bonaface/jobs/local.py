"""Jobs over processes, with progress, a clean stop, and a retry of jobs whose process died."""

import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from ctypes import c_bool, c_int64
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol, runtime_checkable

from bonaface.core.errors import BonafaceError

MAX_DEATHS = 3  # of processes at the same step

_POLL = 0.2  # seconds between two looks at the progress
_NOT_BEGUN = -1  # instead of the number of steps done of a job
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # what numpy reads as it starts


class Worker(Protocol):
    """A callable that is sent to every process once and then called with one job after another."""

    def __call__(self, job: Any, progress: Callable[[int], None], /) -> None:
        """Do `job` and call `progress` with the number of steps done. Done twice, a job must leave the same result."""


@runtime_checkable
class NamesItsJobs(Protocol):
    """A worker that can name the part of a job that it was doing."""

    def at(self, job: Any, done: int | None, /) -> str:
        """Name what comes after `done` steps of `job`; None if the number of steps is unknown."""


@runtime_checkable
class LeavesOut(Protocol):
    """A worker that can do a job without what kills its process."""

    def leave_out(self, job: Any, done: int, /) -> bool:
        """Have `job` done without what comes after its `done` steps; return False where nothing can be left out.

        The worker reports 0 steps before the first: a process that dies earlier did not die of `job`.
        """


def can_leave_out(worker: Worker, job: Any, done: int) -> bool:
    """Have `worker` do `job` from now on without what comes after `done` steps; return whether it can."""
    return isinstance(worker, LeavesOut) and worker.leave_out(job, done)


def where(worker: Worker, job: Any, done: int | None) -> str:
    """Return where `worker` was in `job`, as ``, at ...``; empty if the worker does not name its jobs."""
    return f", at {worker.at(job, done)}" if isinstance(worker, NamesItsJobs) else ""


class _StopError(Exception):
    """The run is being stopped: the job ends here and is done again in the next run."""


@dataclass(frozen=True)
class _SharedState:
    """State that a process shares with its parent: a number of steps for each job, which that job's process writes
    once it has the job, and the request to stop.

    Neither has a lock: a process that is killed while it holds one would stop all others.
    """

    done: Any
    stop: Any


_here: tuple[Worker, _SharedState] | None = None


def run_jobs(
    worker: Worker, jobs: Sequence[Any], workers: int, progress: Callable[[int], None] | None = None
) -> None:
    """Call ``worker(job, progress)`` for every job, in `workers` processes; 0 is this process.

    One process would only add its start, so its jobs are done in this one as well, unless the worker is one that
    `LeavesOut`: what kills a process can be left out only by another one.

    `progress` gets the sum of the steps that all jobs have done. Where an error or Ctrl-C ends the run, the
    processes end when they next report a step; where this process is killed, they end at once. When a process
    dies, its job is done again, and after three deaths at the same step without that step, if the worker is one
    that `LeavesOut`. Processes are spawned, so a script must call this below ``if __name__ ==
    "__main__":``.

    Raises:
        BonafaceError: processes died again and again.
        Exception: what the worker has raised.
    """
    report = progress or (lambda _: None)
    if workers == 0 or (workers == 1 and not isinstance(worker, LeavesOut)):
        _run_here(worker, jobs, report)
        return
    context = multiprocessing.get_context("spawn")
    done = context.RawArray(c_int64, [_NOT_BEGUN] * len(jobs))
    shared = _SharedState(done, context.RawValue(c_bool, False))
    pool = _Pool(worker, jobs, shared, workers)
    try:
        while pool.running:
            pool.collect()
            report(sum(max(0, n) for n in shared.done))
    except BaseException:
        shared.stop.value = True
        raise
    finally:
        pool.shutdown()


def _run_here(worker: Worker, jobs: Iterable[Any], report: Callable[[int], None]) -> None:
    done = 0
    for job in jobs:
        last = 0

        def progress(n: int, base: int = done) -> None:
            nonlocal last
            if n != last:
                last = n
                report(base + n)

        worker(job, progress)
        done += last


class _Pool:
    """Processes that do the jobs, each under an executor of its own, with one job in hand and one in waiting.

    One executor for all of them would not do: when a process dies while it starts another, it waits for ever (CPython
    3.11 and 3.12), and every other process loses the job that it has in hand.
    """

    def __init__(self, worker: Worker, jobs: Sequence[Any], shared: _SharedState, workers: int) -> None:
        self.running: dict[Future[None], tuple[ProcessPoolExecutor, int]] = {}
        self._worker, self._jobs, self._shared = worker, jobs, shared
        self._waiting = deque(range(len(jobs)))
        self._deaths: Counter[tuple[int, int]] = Counter()  # by job and what was done of it
        self._deaths_in_a_row = 0  # since a job was done
        self._turns = count()
        self._handed_out: dict[int, int] = {}  # when each job was given to a process the last time
        self._executors = [self._spawn() for _ in range(min(workers, len(jobs)))]
        for executor in 2 * self._executors:
            self._hand_out(executor)

    def collect(self) -> None:
        """Wait a little for jobs that are done, and hand out others instead.

        Raises:
            BonafaceError: processes died again and again. Exception: what the worker has raised.
        """
        finished, _ = wait(self.running, timeout=_POLL, return_when=FIRST_COMPLETED)
        for future in finished:
            if future not in self.running:  # the other job of a process whose death was noticed just before
                continue
            executor, _ = self.running[future]
            try:
                future.result()
            except BrokenProcessPool as error:
                self._replace(executor, error)
            else:
                del self.running[future]
                self._deaths_in_a_row = 0
                self._hand_out(executor)

    def shutdown(self) -> None:
        """Let every process end with the job in hand."""
        for executor in self._executors:
            executor.shutdown(wait=False, cancel_futures=True)
        for executor in self._executors:
            executor.shutdown(wait=True)

    def _spawn(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, context, _begin, (self._worker, self._shared))

    def _hand_out(self, executor: ProcessPoolExecutor) -> None:
        if not self._waiting:
            return
        number = self._waiting.popleft()
        self._shared.done[number] = _NOT_BEGUN  # it may be done again, after a process that died of it
        try:
            with _held_interrupts(), _one_thread():
                future = executor.submit(_work, number, self._jobs[number])
        except BrokenProcessPool as error:
            self._waiting.appendleft(number)
            self._replace(executor, error)
        else:
            self._handed_out[number] = next(self._turns)
            self.running[future] = executor, number

    def _replace(self, executor: ProcessPoolExecutor, error: BrokenProcessPool) -> None:
        """Have a fresh process do the jobs of one that died, in the same order: it died of the first.

        In another order, jobs that kill would take turns, which looks as if memory were short.
        """
        if executor not in self._executors:
            return
        lost = [
            future
            for future, (of, _) in self.running.items()
            if of is executor
            and not (future.done() and future.exception() is None)  # done, and not yet collected
        ]
        numbers = [self.running.pop(future)[1] for future in lost]
        self._waiting.extendleft(sorted(numbers, key=self._handed_out.__getitem__, reverse=True))
        self._count_death(self._waiting[0], error)
        executor.shutdown(wait=True)
        fresh = self._executors[self._executors.index(executor)] = self._spawn()
        for _ in range(2):
            self._hand_out(fresh)

    def _count_death(self, number: int, error: BrokenProcessPool) -> None:
        """Leave out what has killed three processes.

        Raises:
            BonafaceError: that is not possible, or processes die at other steps each time, as when memory is short.
        """
        done = self._shared.done[number]
        self._deaths_in_a_row += 1
        self._deaths[number, done] += 1
        times = self._deaths[number, done]
        if times >= MAX_DEATHS:
            if done != _NOT_BEGUN and can_leave_out(self._worker, self._jobs[number], done):
                self._deaths_in_a_row = 0
                return
        elif self._deaths_in_a_row < MAX_DEATHS * len(self._executors):
            return
        raise BonafaceError(
            f"worker processes were killed {max(times, self._deaths_in_a_row)} times without getting any further"
            f"{where(self._worker, self._jobs[number], max(0, done))}, most likely for lack of memory; run the same "
            "again with fewer workers: finished work is kept. "
            '(A script must call this below `if __name__ == "__main__":`.)'
        ) from error


@contextmanager
def _held_interrupts() -> Iterator[None]:
    """Block Ctrl-C while a process starts, which inherits that: the parent decides when it ends.

    Otherwise a process that is interrupted before its first line would print a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let a process that starts have one thread for numpy's matrix products, unless the user has said how many.

    Otherwise each would start one for every core, beside as many processes, and they would wait for each other.
    """
    before = {name: os.environ[name] for name in _THREADS if name in os.environ}
    if any(before.values()):
        yield
        return
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name in _THREADS:
            del os.environ[name]
        os.environ.update(before)


def _begin(worker: Worker, shared: _SharedState) -> None:
    global _here
    _here = worker, shared
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for systems where it could not be held back
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(number: int, job: Any) -> None:
    assert _here is not None
    worker, shared = _here

    def progress(n: int) -> None:
        shared.done[number] = n
        if shared.stop.value:
            raise _StopError

    worker(job, progress)
