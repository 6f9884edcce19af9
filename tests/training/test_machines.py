import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bonaface.inference.bundle import Bundle


@pytest.mark.slow
def test_two_machines_train_together(store: Path, tmp_path: Path) -> None:
    """Two programs as two machines would run them, over one shared folder: the first writes, and speaks, for both."""
    run = tmp_path / "run"
    arguments = ["train", "bi-fas", "--data", str(store), "--protocol", "split", "--out", str(run)]
    arguments += ["--micro-batch", "4", "--workers", "0", "--nodes", "2", "--accelerator", "cpu"]
    arguments += [
        "--backbone",
        "random:efficientnet-lite0",
        "--size",
        "64",
        "--epochs",
        "1",
        "--set",
        "batch=8",
    ]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    meet = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    program = [sys.executable, "-m", "bonaface.cli.main", *arguments]
    pipe = subprocess.PIPE
    machines = [
        subprocess.Popen(program, stdout=pipe, stderr=pipe, text=True, env={**meet, "NODE_RANK": str(number)})
        for number in (1, 0)
    ]
    second, first = (machine.communicate(timeout=300) for machine in machines)
    assert [machine.returncode for machine in machines] == [0, 0], first[1] + second[1]
    assert "done: " in first[0]
    assert second[0] == ""
    assert np.isfinite(Bundle.open(run).card.threshold("pyramid", "frame"))
