"""benchmarks/cost_table.py: costs of untrained networks, and their place on a page."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bonaface.core.errors import InputError
from bonaface.export.cost import parameters
from bonaface.inference.bundle import Bundle
from bonaface.models.registry import default_preset
from bonaface.training.settings import read_settings


@pytest.fixture(scope="module")
def tool(load_script: Callable[[str], Any]) -> Any:
    return load_script("benchmarks/cost_table.py")


def test_an_untrained_network_is_measured(tool: Any, tmp_path: Path) -> None:
    bundle = tool.untrained(default_preset("hfd"), tmp_path / "hfd")
    assert bundle.card.outputs == ("hfd", "share")
    header, rule, row, nothing, note = tool.cost_table({"hfd (paper)": bundle}, threads=1).splitlines()
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:2] == ["hfd (paper)", "1 of 128 px"]
    assert int(cells[2].replace(",", "")) > 0
    assert float(cells[3]) > 0
    assert float(cells[4]) > 0
    assert float(cells[5]) > 10
    assert header.count("|") == rule.count("|") == row.count("|")
    assert nothing == ""
    assert "onnxruntime on 1 thread" in note


def test_an_untrained_network_has_as_many_parameters_as_a_trained_one(
    tool: Any, run: Path, tmp_path: Path
) -> None:
    trained = Bundle.open(run / "bundle")
    preset = read_settings(run / "run.json").preset
    assert parameters(tool.untrained(preset, tmp_path).onnx) == parameters(trained.onnx)


def test_refuses_a_network_whose_size_training_decides(tool: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lbp-svm: its support vectors are counted after training"):
        tool.untrained(default_preset("lbp-svm"), tmp_path)


def test_writes_between_the_marks_of_a_page(tool: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{tool.BEGIN}old\n{tool.END}\nafter\n")
    tool.write_cost("new", page)
    assert page.read_text() == f"before\n{tool.BEGIN}new\n{tool.END}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="expected the marks <!-- cost --> and <!-- end of cost -->"):
        tool.write_cost("new", page)
