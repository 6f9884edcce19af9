"""Jobs over a Ray cluster, or Ray on this machine: the same contract as `bonaface.jobs.local.run_jobs`.

A job is a Ray task. Its result is what it leaves in the store, and nothing but its number of ticks travels back: Ray's
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
    """Call ``worker(job, tick)`` for every job as Ray tasks of one core each.

    Args:
        workers: how many run at once; None is one for each core of the cluster, also of those that join it.
        address: of a cluster, as ``ray://host:10001``; None is $RAY_ADDRESS, or else Ray is started on this machine.
        progress: gets the sum of the ticks of the jobs that are done.

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
                ticked = tasks.result(reference, job)
                if ticked is None:
                    waiting.appendleft(job)
                else:
                    done += ticked
            report(done)


@dataclass
class _Try:
    """A job, how many processes have died over it, and where those were that could be asked."""

    job: Any
    deaths: int = 0
    places: list[int] = field(default_factory=list)
    place: Any = None  # of the process that does it now: an actor, or None where nobody asks


class _Place:
    """An actor that keeps what is done of one job, for when the process dies that does it."""

    def __init__(self) -> None:
        self._done: int | None = None

    def put(self, done: int) -> None:
        self._done = done

    def get(self) -> int | None:
        return self._done


class _Tasks:
    """Starts tasks, and tells what becomes of them.

    A job over which a process has died says where it is from then on: at once, and so at the cost of a message for each
    tick, which other jobs are spared.
    """

    def __init__(self, ray: Any, worker: Worker) -> None:
        self._ray, self._worker = ray, worker
        self._task = ray.remote(num_cpus=1, max_retries=0)(_do)
        self._place = ray.remote(num_cpus=0)(_Place)
        self._shared = ray.put(worker)

    def start(self, job: _Try) -> Any:
        """A reference to the task that does `job` now."""
        job.place = self._place.remote() if job.deaths else None
        return self._task.remote(self._shared, job.job, job.place)

    def result(self, reference: Any, job: _Try) -> int | None:
        """What the task has ticked last; None where its process has died and `job` is to be done again.

        Raises:
            BonafaceError: processes died again and again. Exception: what the worker has raised.
        """
        exceptions = self._ray.exceptions
        try:
            ticked: int = self._ray.get(reference)
        except exceptions.RayTaskError as error:
            raise error.cause from None  # what the worker has raised, without Ray's lines around it
        except exceptions.RayError as error:
            self._count_death(job, error)
            return None
        return ticked

    def _count_death(self, job: _Try, error: Exception) -> None:
        """Leave out what has killed three processes; raise a BonafaceError where too many have died otherwise."""
        job.deaths += 1
        place = self._asked(job)
        if place is not None:
            job.places.append(place)
            if job.places.count(place) == MAX_DEATHS and can_leave_out(self._worker, job.job, place):
                job.deaths, job.places = 1, []
        if job.deaths > _RETRIES:
            raise BonafaceError(
                f"a worker process died {job.deaths} times over the same job{where(self._worker, job.job, place)}, "
                "most likely for lack of memory; run the same again with fewer workers: finished work is kept. "
                f"Ray says: {str(error).splitlines()[0]}"
            ) from error

    def _asked(self, job: _Try) -> int | None:
        """What the process that has died had done of `job`, if it was asked, had begun, and its actor lives."""
        if job.place is None:
            return None
        try:
            done: int | None = self._ray.get(job.place.get.remote(), timeout=_ANSWER_SECONDS)
        except self._ray.exceptions.RayError:  # it may have been on a machine that has died
            return None
        return done


def _do(worker: Worker, job: Any, place: Any) -> int:
    """Runs in a Ray worker: do `job` and say what it has ticked last, and at each tick to the actor `place`."""
    import ray

    last = 0

    def tick(n: int) -> None:
        nonlocal last
        last = n
        if place is not None:  # a place that does not answer is no reason to stop
            ray.wait([place.put.remote(n)], timeout=_ANSWER_SECONDS)

    worker(job, tick)
    return last


@contextmanager
def _connected(workers: int | None, address: str | None) -> Iterator[Any]:
    """The module `ray`, connected; a Ray that the caller has started is used and left running."""
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
