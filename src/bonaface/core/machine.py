"""What this machine offers to this process."""

import os


def usable_cores() -> int:
    """How many cores this process may run on: its affinity where the system tells, else all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
