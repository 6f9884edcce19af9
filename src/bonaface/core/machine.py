"""What this machine offers to this process, and where else its jobs can run."""

import os
from typing import Literal

Engine = Literal["local", "ray"]  # processes of this machine, or tasks of a Ray cluster


def usable_cores() -> int:
    """How many cores this process may run on: its affinity where the system tells, else all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
