"""Jobs over a Ray cluster, or Ray on this machine: the same contract as `bonaface.jobs.local.run_jobs`.

A job is a Ray task. Its result is what it writes to the store, and only its number of steps is sent back: Ray's
datasets, which move rows, would have nothing to move.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bonaface.core.errors import BonafaceError, InputError, MissingExtraError
from bonaface.core.machine import usable_cores
from bonaface.jobs.local import MAX_DEATHS, Worker, can_leave_out, where

_RETRIES = 5  # of a job whose process or machine dies
_ANSWER_SECONDS = 30.0
_STORE_BYTES = 100 << 20  # Ray's shared memory on this machine, which keeps nothing but the worker


def run_on_ray(
    worker: Worker,
    jobs: Sequence[Any],
    workers: int | None = None,
    address: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Call ``worker(job, progress)`` for every job as Ray tasks of one core each.

    Args:
        workers: how many run at once; None is one for each core of the cluster, also of those that join it.
        address: of a cluster, as ``ray://host:10001``; None is $RAY_ADDRESS, or else Ray is started on this machine.
        progress: gets the sum of the steps of the jobs that are done.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: there is no cluster at `address`.
        BonafaceError: a job's process died again and again.
        Exception: what the worker has raised.
    """
    report = progress or (lambda _: None)
    address = address or os.environ.get("RAY_ADDRESS")
    with _connected(workers, address) as ray:
        tasks = _Tasks(ray, worker)
        waiting, running, done = deque(map(_Try, jobs)), dict[Any, _Try](), 0
        while waiting or running:
            # two for each core, so that none waits for work and a cluster sees that it may grow
            limit = (address and workers) or 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
            while waiting and len(running) < limit:
                job = waiting.popleft()
                running[tasks.start(job)] = job
            finished, _ = ray.wait(list(running), timeout=1.0)
            for reference in finished:
                job = running.pop(reference)
                steps = tasks.result(reference, job)
                if steps is None:
                    waiting.appendleft(job)
                else:
                    done += steps
            report(done)


@dataclass
class _Try:
    """A job, how many processes have died over it, and the steps at which they died, where known."""

    job: Any
    deaths: int = 0
    steps: list[int] = field(default_factory=list)
    counter: Any = None  # of the process that does it now: a `_StepCounter`, or None for a first try


class _StepCounter:
    """An actor that keeps the number of steps done of one job, in case its process dies."""

    def __init__(self) -> None:
        self._done: int | None = None

    def put(self, done: int) -> None:
        self._done = done

    def get(self) -> int | None:
        return self._done


class _Tasks:
    """Starts tasks and returns their results.

    A job over which a process has died reports every step from then on, at the cost of a message each, which other jobs
    do not pay.
    """

    def __init__(self, ray: Any, worker: Worker) -> None:
        self._ray, self._worker = ray, worker
        self._task = ray.remote(num_cpus=1, max_retries=0)(_do)
        self._counter = ray.remote(num_cpus=0)(_StepCounter)
        self._shared = ray.put(worker)

    def start(self, job: _Try) -> Any:
        """Start `job` and return a reference to its task."""
        job.counter = self._counter.remote() if job.deaths else None
        return self._task.remote(self._shared, job.job, job.counter)

    def result(self, reference: Any, job: _Try) -> int | None:
        """Return the last number of steps of the task; None if its process has died and `job` is to be done again.

        Raises:
            BonafaceError: processes died again and again. Exception: what the worker has raised.
        """
        exceptions = self._ray.exceptions
        try:
            steps: int = self._ray.get(reference)
        except exceptions.RayTaskError as error:
            raise error.cause from None  # what the worker has raised, without Ray's lines around it
        except exceptions.RayError as error:
            self._count_death(job, error)
            return None
        return steps

    def _count_death(self, job: _Try, error: Exception) -> None:
        """Leave out what has killed three processes; raise a BonafaceError where too many have died otherwise."""
        job.deaths += 1
        done = self._asked(job)
        if done is not None:
            job.steps.append(done)
            if job.steps.count(done) == MAX_DEATHS and can_leave_out(self._worker, job.job, done):
                job.deaths, job.steps = 1, []
        if job.deaths > _RETRIES:
            raise BonafaceError(
                f"a worker process died {job.deaths} times over the same job{where(self._worker, job.job, done)}, "
                "most likely for lack of memory; run the same again with fewer workers: finished work is kept. "
                f"Ray says: {str(error).splitlines()[0]}"
            ) from error

    def _asked(self, job: _Try) -> int | None:
        """Return the steps that the dead process had done of `job`; None if unknown."""
        if job.counter is None:
            return None
        try:
            done: int | None = self._ray.get(job.counter.get.remote(), timeout=_ANSWER_SECONDS)
        except self._ray.exceptions.RayError:  # it may have been on a machine that has died
            return None
        return done


def _do(worker: Worker, job: Any, counter: Any) -> int:
    """Do `job` in a Ray worker and return its last number of steps, reporting each to the actor `counter`."""
    import ray

    last = 0

    def progress(n: int) -> None:
        nonlocal last
        last = n
        if counter is not None:  # an actor that does not answer is no reason to stop
            ray.wait([counter.put.remote(n)], timeout=_ANSWER_SECONDS)

    worker(job, progress)
    return last


@contextmanager
def _connected(workers: int | None, address: str | None) -> Iterator[Any]:
    """Yield the connected module `ray`; a Ray that the caller has started is used and left running."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports home unless told otherwise
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("the engine ray", "scale", "ray") from error
    if ray.is_initialized():
        yield ray
        return
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address:
            ray.init(address, **quiet)
        else:
            cores = workers or usable_cores()
            ray.init(
                "local", num_cpus=cores, object_store_memory=_STORE_BYTES, include_dashboard=False, **quiet
            )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(f"{address or 'Ray'}: no Ray cluster can be reached there: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()
