"""A process that ends with its parent, however the parent ends.

    python -m bonaface.jobs.child MODULE ARGUMENT...

Its standard input is a pipe whose other end only the parent holds. Every operating system closes that end when the
parent ends, also by ``kill -9``.
"""

import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import IO

_STDIN = 0


def start_child(
    module: str, arguments: Sequence[str], log: IO[str], environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start ``python -m MODULE ARGUMENT...``, which writes into `log` and dies at once if this process does."""
    command = [sys.executable, "-m", __name__, module, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)


def _end_with_parent() -> None:
    while os.read(_STDIN, 1024):  # never any data, only the end of the file when the parent ends
        pass
    os._exit(1)


def _run(module: str, arguments: Sequence[str]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _run(sys.argv[1], sys.argv[2:])
