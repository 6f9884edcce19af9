"""Jobs over a Ray cluster, or Ray on this machine: the same contract as `bonaface.jobs.local.run_jobs`.

A job is a Ray task. Its result is what it leaves in the store, and nothing but its number of ticks travels back: Ray's
datasets, which move rows, would have nothing to move.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bonaface.core.errors import BonafaceError, InputError, MissingExtraError
from bonaface.core.machine import usable_cores
from bonaface.jobs.local import Worker, where

_RETRIES = 5  # of a job whose process or machine dies
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
        task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_do)
        shared = ray.put(worker)
        waiting, running, done = deque(jobs), dict[Any, Any](), 0
        while waiting or running:
            # two for each core, so that none waits for work and a cluster sees that it may grow
            limit = (address and workers) or 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
            while waiting and len(running) < limit:
                job = waiting.popleft()
                running[task.remote(shared, job)] = job
            finished, _ = ray.wait(list(running), timeout=1.0)
            for reference in finished:
                done += _result(ray, reference, where(worker, running.pop(reference), None))
            report(done)


def _do(worker: Worker, job: Any) -> int:
    """Runs in a Ray worker: do `job` and say what it has ticked last."""
    last = 0

    def tick(n: int) -> None:
        nonlocal last
        last = n

    worker(job, tick)
    return last


def _result(ray: Any, reference: Any, place: str) -> int:
    """What the task has ticked last; `place` names its job."""
    try:
        ticked: int = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None  # what the worker has raised, without Ray's lines around it
    except ray.exceptions.RayError as error:
        raise BonafaceError(
            f"a worker process died {_RETRIES + 1} times over the same job{place}, most likely for lack of memory; run "
            f"the same again with fewer workers: finished work is kept. Ray says: {str(error).splitlines()[0]}"
        ) from error
    return ticked


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
