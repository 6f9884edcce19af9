import csv
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bonaface.core.files import alone

SPEC = """
stores: {{folder: {store}, oulu-npu: nowhere}}
models: [deep-pix-bis, {{model: bi-fas, set: {{lr: 1e-4}}}}]
protocols: [folder/split, oulu-npu/1 -> folder/test]
set: {{backbone: "random:efficientnet-lite0", size: 64, epochs: 1, batch: 8, bn_batches: 2}}
train: {{workers: 0, micro_batch: 8}}
units: [video]
"""


def bonaface(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bonaface.cli.main", "benchmark", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def states(out: Path) -> list[str]:
    with (out / "cells.csv").open() as file:
        return [row["state"] for row in csv.DictReader(file)]


@pytest.fixture
def spec(store: Path, tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(SPEC.format(store=store))
    return path


def test_tables_only_run_nothing_and_show_missing_cells(spec: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = bonaface(spec, "--out", out, "--tables")
    assert done.returncode == 1, done.stderr
    assert "0 of 4 cells are done, 2 failed" in done.stdout
    assert done.stdout.count("2 cells") == " ".join(done.stdout.split()).count("no store of oulu-npu") == 1
    assert states(out) == ["waiting", "waiting", "failed", "failed"]
    assert not (out / "runs").exists()


def test_rejects_an_invalid_spec_in_one_sentence(tmp_path: Path) -> None:
    done = bonaface(tmp_path / "none.yaml")
    assert done.returncode == 2
    assert "none.yaml: expected a benchmark in YAML" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_rejects_a_second_grid_in_one_folder(spec: Any, tmp_path: Any) -> None:
    out = tmp_path / "out"
    with alone(out, "benchmark"):
        done = bonaface(spec, "--out", out)
        assert done.returncode == 2
        assert done.stderr == f"bonaface: {out}: another process is making this benchmark; wait for its end\n"
        assert bonaface(spec, "--out", out, "--tables").returncode == 1  # looking is free


def processes_of(folder: Path) -> list[str]:
    """The command lines, as far as this system tells them, of all processes that name `folder`."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(path.read_bytes().replace(b"\0", b" ").decode())
    return [line for line in lines if str(folder) in line]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").is_file(), reason="looks for processes in /proc")
@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_grid_leaves_no_process_and_resumes(jobs: Any, spec: Any, tmp_path: Any) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "bonaface.cli.main", "benchmark", str(spec), "--out", str(out)]
    grid = subprocess.Popen([*command, "--jobs", str(jobs)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(out.glob("runs/*/checkpoints/*")):
        assert grid.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert any(" train " in line for line in processes_of(out / "runs"))
    grid.kill()
    grid.wait()
    deadline = time.monotonic() + 10
    while processes_of(out):
        assert time.monotonic() < deadline, processes_of(out)
        time.sleep(0.1)
    assert "2 of 4 cells are done, 2 failed" in bonaface(spec, "--out", out).stdout


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_grid_is_trained_and_evaluated_once(engine: Any, spec: Any, tmp_path: Any) -> None:
    out = tmp_path / "out"
    done = bonaface(spec, "--out", out, "--jobs", 2, "--engine", engine)
    assert done.returncode == 1, done.stderr
    assert "2 of 4 cells are done, 2 failed" in done.stdout
    assert states(out) == ["done", "done", "failed", "failed"]
    table = (out / "tables.md").read_text()
    assert "bi-fas | ours, video, all attacks pooled" in table
    bundles = sorted(out.glob("runs/*/bundle/bundle.json"))
    assert len(bundles) == 2
    before = [path.stat().st_mtime_ns for path in bundles]
    again = bonaface(spec, "--out", out, "--jobs", 2, "--engine", engine)
    assert "2 of 4 cells are done" in again.stdout
    assert [path.stat().st_mtime_ns for path in bundles] == before
    assert (out / "tables.md").read_text() == table
