"""Jobs over processes: progress while they run, a clean stop, and no job lost with a process that dies."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from ctypes import c_bool, c_int64
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from bonaface.core.errors import BonafaceError

_POLL = 0.2  # seconds between two looks at the progress
_MAX_DEATHS = 3


class Worker(Protocol):
    """What runs in every process: it is sent there once and then called with one job after another."""

    def __call__(self, job: Any, tick: Callable[[int], None], /) -> None:
        """Do `job` and call `tick` with what is done of it. Done twice, a job must leave the same result."""


class _StopError(Exception):
    """The run is being stopped: the job ends here and is done again in the next run."""


@dataclass(frozen=True)
class _Desk:
    """What a process shares with its parent: a number for each job, written by nobody else, and the wish to
    stop.

    Neither has a lock: a process that is killed while it holds one would stop all others.
    """

    done: Any
    stop: Any


_here: tuple[Worker, _Desk] | None = None


def run_jobs(
    worker: Worker, jobs: Sequence[Any], workers: int, progress: Callable[[int], None] | None = None
) -> None:
    """Call ``worker(job, tick)`` for every job, in `workers` processes; with one worker, in this process.

    `progress` gets the sum of what all jobs have ticked. Where an error or Ctrl-C ends the run, the
    processes end at their next tick; where this process is killed, they end at once. When a process dies,
    its job is done again. Processes are spawned, so a script must call this below ``if __name__ ==
    "__main__":``.

    Raises:
        BonafaceError: processes died again and again.
        Exception: what the worker has raised.
    """
    report = progress or (lambda _: None)
    if workers == 1:
        _run_here(worker, jobs, report)
        return
    left = dict(enumerate(jobs))
    context = multiprocessing.get_context("spawn")
    desk = _Desk(context.RawArray(c_int64, max(len(jobs), 1)), context.RawValue(c_bool, False))
    deaths = 0
    while left:
        before = len(left)
        try:
            _run_pool(worker, left, desk, min(workers, before), report)
        except BrokenProcessPool as error:
            deaths = 1 if len(left) < before else deaths + 1
            if deaths == _MAX_DEATHS:
                raise BonafaceError(
                    f"worker processes were killed {deaths} times without getting any further, most likely "
                    "for lack of memory; run the same again with fewer workers: what is done stays done. "
                    '(A script must call this below `if __name__ == "__main__":`.)'
                ) from error


def _run_here(worker: Worker, jobs: Iterable[Any], report: Callable[[int], None]) -> None:
    done = 0
    for job in jobs:
        last = 0

        def tick(n: int, base: int = done) -> None:
            nonlocal last
            last = n
            report(base + n)

        worker(job, tick)
        done += last


def _run_pool(
    worker: Worker, left: dict[int, Any], desk: _Desk, workers: int, report: Callable[[int], None]
) -> None:
    """Do the jobs in `left` and take each out of it that is done."""
    context = multiprocessing.get_context("spawn")
    waiting = iter(list(left.items()))
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(worker, desk))
    try:
        running = dict(_submit(pool, islice(waiting, 2 * workers)))
        while running:
            finished, _ = wait(running, timeout=_POLL, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
                del left[running.pop(future)]
            running |= dict(_submit(pool, islice(waiting, len(finished))))
            report(sum(desk.done))
    except BaseException:
        desk.stop.value = True
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        desk.stop.value = False


def _submit(pool: ProcessPoolExecutor, jobs: Iterable[tuple[int, Any]]) -> Iterator[tuple[Future[None], int]]:
    for number, job in jobs:
        yield pool.submit(_work, number, job), number


def _begin(worker: Worker, desk: _Desk) -> None:
    global _here
    _here = worker, desk
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent decides
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(number: int, job: Any) -> None:
    assert _here is not None
    worker, desk = _here

    def tick(n: int) -> None:
        desk.done[number] = n
        if desk.stop.value:
            raise _StopError

    worker(job, tick)
