import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bonaface.jobs.child import start_child

PARENT = """
import os, sys, time
from bonaface.jobs.child import start_child

with open(sys.argv[1], "w") as log:
    start_child("slow", ["one", "two"], log, os.environ)
    time.sleep(60)
"""
SLOW = """
import os, sys, time

if __name__ == "__main__":
    print(os.getpid(), *sys.argv[1:], flush=True)
    time.sleep(60)
"""


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks for the process in /proc")
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_child_dies_with_its_parent(sign: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    log = tmp_path / "log"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(log)], env=environment)
    wait_until(lambda: log.is_file() and log.read_text().endswith("\n"))
    child, *arguments = log.read_text().split()
    assert arguments == ["one", "two"]
    assert is_alive(int(child))
    os.kill(parent.pid, sign)
    parent.wait()
    wait_until(lambda: not is_alive(int(child)))


def test_child_keeps_its_own_exit_code(tmp_path: Path) -> None:
    (tmp_path / "three.py").write_text("import sys; print(__name__, sys.argv[1:]); sys.exit(3)")
    with (tmp_path / "log").open("w") as log:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
        with start_child("three", ["-x", "y"], log, environment) as child:
            assert child.wait(20) == 3
    assert (tmp_path / "log").read_text() == "__main__ ['-x', 'y']\n"
