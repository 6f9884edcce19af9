"""The choice of the engine that runs the jobs: processes of this machine or Ray."""

from collections.abc import Callable, Sequence
from typing import Any

from bonaface.core.errors import InputError
from bonaface.core.machine import Engine, usable_cores
from bonaface.jobs.local import Worker, run_jobs

# Runs a list of jobs on a worker; the last argument gets the sum of their steps.
Run = Callable[[Worker, Sequence[Any], Callable[[int], None]], None]


def choose_engine(engine: Engine, workers: int | None, address: str | None) -> Run:
    """Return `run_jobs` for ``"local"``, `run_on_ray` for ``"ray"``, with `workers` jobs at a time.

    Args:
        workers: None is one for each core, of this machine or of the Ray cluster.
        address: of a Ray cluster (``ray://host:10001``); None is $RAY_ADDRESS, or else Ray on this machine alone.

    Raises:
        InputError: an address for an engine that is not Ray.
    """
    if engine == "ray":
        from bonaface.jobs.ray import run_on_ray  # Ray is an extra and takes seconds to import

        return lambda worker, jobs, progress: run_on_ray(worker, jobs, workers, address, progress)
    if address is not None:
        raise InputError(
            f"{address} is a Ray cluster's address, and the engine is {engine}; ask for the engine ray"
        )
    processes = usable_cores() if workers is None else workers
    return lambda worker, jobs, progress: run_jobs(worker, jobs, processes, progress)
