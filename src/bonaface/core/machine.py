"""What this machine offers to this process, and where else its jobs can run."""

import os
from typing import Literal

Engine = Literal["local", "ray"]  # processes of this machine, or tasks of a Ray cluster


def usable_cores() -> int:
    """Return how many cores this process may run on: its CPU affinity where the system tells it, else all cores."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
