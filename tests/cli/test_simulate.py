from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bonaface.cli.simulate import simulate
from bonaface.core.errors import BonafaceError, InputError, UnknownNameError
from bonaface.core.files import alone
from bonaface.datasets.registry import open_dataset
from bonaface.simulate.scene import room  # noqa: F401 - loaded here, so that the first test's time is its own

app = typer.Typer()
app.command()(simulate)


def run(*arguments: object) -> Any:
    runner = CliRunner(env={"COLUMNS": "200"})
    return runner.invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_simulates_from_a_small_folder(tmp_path: Path) -> None:
    out = tmp_path / "set"
    arguments = (
        out,
        "--layout",
        "folder",
        "--persons",
        1,
        "--frames",
        2,
        "--size",
        "96x64",
        "--workers",
        1,
        "--seed",
        3,
    )
    result = run(*arguments)
    assert result.exit_code == 0
    assert result.stdout.strip() == f"{out}: 4 simulated presentations of 1 synthetic persons, folder"
    assert len(open_dataset("folder").read(out).rows) == 4
    # the same again: nothing is left to do, and nothing changes
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    assert run(*arguments).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.png")} == before


def test_rejects_a_second_process_on_one_set(tmp_path: Path) -> None:
    out = tmp_path / "set"
    with alone(out, "set"), pytest.raises(BonafaceError, match="another process is making this set"):
        run(out, "--layout", "folder", "--persons", 1)
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("--layout", "oulu"), UnknownNameError, "Did you mean 'oulu-npu'"),
        (("--size", "96"), InputError, "like 540x960"),
        (("--size", "²x64"), InputError, "like 540x960"),
        (("--size", "64x①"), InputError, "like 540x960"),
        (("--persons", 99), InputError, "3 to 55"),
        (("--faces", "/nowhere", "--persons", 3), InputError, "found none"),
    ],
)
def test_rejects_impossible_options(
    tmp_path: Path, arguments: tuple[Any, ...], error: type[InputError] | type[UnknownNameError], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(tmp_path / "set", *arguments)
    assert not (tmp_path / "set").exists()
