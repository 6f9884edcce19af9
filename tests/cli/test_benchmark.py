import csv
import subprocess
import sys
from pathlib import Path

import pytest

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
def spec(store, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(SPEC.format(store=store))
    return path


def test_tables_alone_run_nothing_and_show_what_cannot_be_done(spec, tmp_path):
    out = tmp_path / "out"
    done = bonaface(spec, "--out", out, "--tables")
    assert done.returncode == 1, done.stderr
    assert "0 of 4 cells are done, 2 failed" in done.stdout
    assert done.stdout.count("2 cells") == " ".join(done.stdout.split()).count("no store of oulu-npu") == 1
    assert states(out) == ["waiting", "waiting", "failed", "failed"]
    assert not (out / "runs").exists()


def test_a_spec_that_is_none_is_a_sentence(tmp_path):
    done = bonaface(tmp_path / "none.yaml")
    assert done.returncode == 2
    assert "none.yaml: expected a benchmark in YAML" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_grid_is_trained_judged_and_not_done_twice(engine, spec, tmp_path):
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
