"""The tool that makes the shipped bundle out of a run, on a small run that begins with another."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from msgspec.structs import replace

from bonaface.core.errors import BonafaceError
from bonaface.inference.bundle import CARD, ONNX, Bundle, write_card
from bonaface.training.fit import train
from bonaface.training.initial import Initial
from bonaface.training.settings import RunSettings, choose_preset


@pytest.fixture(scope="module")
def tool(load_script: Callable[[str], Any]) -> Any:
    return load_script("tools/ship_model.py")


@pytest.fixture(scope="module")
def second(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose backbone is that of another one."""
    folder, initial = tmp_path_factory.mktemp("shipped"), None
    for name, strength in (("first", 1e-3), ("second", 2e-3)):
        changes = {"epochs": 1, "size": 64, "crop": "tight", "strength": strength}
        preset = choose_preset("linear-probe", None, changes)
        settings = RunSettings(preset, str(store), "split", micro_batch=4, accelerator="cpu", initial=initial)
        train(settings, folder / name)
        initial = Initial.of(folder / name)
    return folder / "second"


def test_ships_halved_weights_that_score_the_same(
    tool: Any, second: Path, store: Path, tmp_path: Path
) -> None:
    moved, changed = tool.ship(second, store, tmp_path / "model")
    assert 0 < moved < 0.005
    assert changed == 0
    before, after = Bundle.open(second), Bundle.open(tmp_path / "model")  # both checksums are right
    halves = [t for t in onnx.load(after.onnx).graph.initializer if t.data_type == onnx.TensorProto.FLOAT16]
    assert len(halves) == 8
    assert {path.name for path in after.path.iterdir()} == {CARD, ONNX}
    assert after.card.operating_points == before.card.operating_points


def test_tells_of_both_runs_and_of_no_place_or_time(
    tool: Any, second: Path, store: Path, tmp_path: Path
) -> None:
    tool.ship(second, store, tmp_path / "model")
    told = Bundle.open(tmp_path / "model").card.provenance
    strengths = [run["settings"]["preset"]["options"]["strength"] for run in (told, *told["initial"])]
    assert strengths == [2e-3, 1e-3]
    text = json.dumps(told)
    assert "training_seconds" not in text
    assert not any(str(path) in text for path in (store, second, second.parent))


def test_refuses_to_tell_of_a_run_that_was_replaced(
    tool: Any, second: Path, store: Path, tmp_path: Path
) -> None:
    shutil.copytree(second.parent, tmp_path / "runs")
    run, other = tmp_path / "runs" / "second", tmp_path / "runs" / "first" / "bundle"
    described = json.loads((other / CARD).read_text())
    told = Bundle.open(run).card.provenance
    told["settings"]["initial"] |= {"bundle": str(other)}
    write_card(run / "bundle", replace(Bundle.open(run).card, files=None, provenance=told))
    tool.ship(run, store, tmp_path / "model")
    write_card(other, replace(Bundle.open(other).card, files=None, seed=described["seed"] + 1))
    with pytest.raises(BonafaceError, match="is another bundle than the one that the run began with"):
        tool.ship(run, store, tmp_path / "model")


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [("MOVED", 0.0, "a score moves by"), ("CHANGED", -1.0, "decisions change"), ("MOST", 10, "more than 10")],
)
def test_refuses_a_model_that_rounding_changed_or_that_is_too_large(
    limit: str, value: float, said: str, tool: Any, second: Path, store: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The model that shipped before stays as it was."""
    monkeypatch.setattr(tool, limit, value)
    with pytest.raises(BonafaceError, match=said):
        tool.ship(second, store, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_decision_counts_as_changed_where_the_score_crosses_the_threshold(
    tool: Any, second: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threshold = Bundle.open(second).card.threshold("linear", "frame")
    scores = iter([np.full(4, threshold), threshold - np.array([0.001, 0, 0, 0])])
    monkeypatch.setattr(tool, "_scores", lambda *given: next(scores))
    with pytest.raises(BonafaceError, match=r"25\.00 % of the decisions"):
        tool.ship(second, store, tmp_path / "model")
