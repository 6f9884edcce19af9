"""`bonaface export`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bonaface.cli.main import app
from bonaface.core.errors import InputError
from bonaface.inference.bundle import Bundle
from bonaface.testing.networks import write_bundle


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["export", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_takes_the_store_of_the_training_and_writes_into_the_run(run_copy: Path) -> None:
    output = run(run_copy, "--precision", "fp16", "--max-loss", "1")
    folder = run_copy / "export" / "onnx-fp16"
    assert Bundle.open(folder).card.provenance["export"]["precision"] == "fp16"
    assert "8 crops of folder" in output  # the test people, whom training has not seen
    for word in ("feature_map", "binary", "bpcer=0.01", "APCER before", "scores move by"):
        assert word in output
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "bundle.json", "example.py", "model.onnx", "parity.json"
    }  # fmt: skip


@pytest.fixture
def run_copy(run_folder: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(run_folder, tmp_path / "run"))


@pytest.fixture
def run_folder(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue("run")
    return folder


def test_a_bundle_alone_needs_a_place(tmp_path: Path, store: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    with pytest.raises(InputError, match="say where to write with --to DIR"):
        run(bundle)
    output = run(bundle, "--to", tmp_path / "plain")
    assert "give --data STORE to compare errors" in output
    output = run(bundle, "--format", "openvino", "--data", store, "--to", tmp_path / "out")
    assert "APCER before" in output
    checked = CliRunner().invoke(app, ["check", "--example", "--model", str(tmp_path / "out")])
    assert checked.exit_code in (0, 1), checked.output
