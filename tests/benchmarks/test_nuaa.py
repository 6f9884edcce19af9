"""benchmarks/nuaa.py: what is kept of the grid belongs to the settings and the page that stand beside it."""

import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from bonaface.cli.main import app
from bonaface.models import LpFt, model_names
from bonaface.training import fit

SCRIPT = "nuaa"


@pytest.fixture(scope="module")
def nuaa(script: ModuleType) -> ModuleType:
    return script


def test_the_page_shows_the_kept_figures(nuaa: Any, tmp_path: Path) -> None:
    page = tmp_path / "nuaa.md"
    page.write_text(nuaa.PAGE.read_text())
    nuaa.write_table(nuaa.table(nuaa.Results()), page)
    assert page.read_text() == nuaa.PAGE.read_text()


def test_every_kept_cell_was_made_with_the_present_settings(nuaa: Any) -> None:
    kept = nuaa.Results().cells
    there = [cell for cell in nuaa.cells() if cell.name in kept]
    assert [cell for cell in there if not nuaa.same(kept[cell.name]["settings"], cell.settings(Path()))] == []
    assert there


def test_every_system_and_the_shortcut_are_kept(nuaa: Any) -> None:
    rows = [kept["settings"] for kept in nuaa.Results().cells.values()]
    for protocol in ("official", "subject-disjoint"):
        here = {row["preset"]["model"].partition(":")[0] for row in rows if row["protocol"] == protocol}
        # LpFt begins with another model's run, which a cell of the grid does not train
        assert here == set(model_names()) - {LpFt.name}
    shortcut = {
        (row["protocol"], row["fold"], row["preset"]["crop"])
        for row in rows
        if row["preset"]["model"] == "global-statistics"
    }
    assert shortcut == set(nuaa.GRID)


def test_command_trains_with_the_settings_of_its_cell(
    nuaa: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []
    monkeypatch.setattr(fit, "train", lambda settings, out, **_: asked.append(settings) or out)
    for cell in nuaa.cells():
        command = cell.train(tmp_path / "store", tmp_path / "run")
        assert CliRunner().invoke(app, command[len(nuaa.BONAFACE) :]).exit_code == 0
        assert asked.pop() == cell.settings(tmp_path / "store")


def test_cells_are_chosen_by_model_and_by_protocol(nuaa: Any) -> None:
    assert nuaa.chosen() == list(nuaa.cells())
    assert [cell.name for cell in nuaa.chosen(["hfd", "patchnet"], ["subject-disjoint"])] == [
        "subject-disjoint-1-square-1.3-hfd-paper",
        "subject-disjoint-1-native-patchnet-paper",
    ]
    assert {cell.protocol for cell in nuaa.chosen(["hfd"])} == {"official", "subject-disjoint"}
    assert {cell.protocol for cell in nuaa.chosen(None, ["official"])} == {"official"}


def test_changed_settings_or_store_repeat_a_cell(nuaa: Any, tmp_path: Path) -> None:
    cell = next(nuaa.cells())
    store = SimpleNamespace(path=tmp_path, digest="1")
    results = nuaa.Results(tmp_path / "nuaa.json")
    assert not results.has(cell, store)
    results.put(cell.name, {"settings": nuaa.plain(cell.settings(tmp_path)), "store_digest": "1"})
    assert results.has(cell, store)
    assert nuaa.Results(tmp_path / "nuaa.json").has(cell, store)
    assert not results.has(cell, SimpleNamespace(path=tmp_path, digest="2"))
    other = nuaa.plain(replace(cell.settings(tmp_path), seed=1))
    results.put(cell.name, {"settings": other, "store_digest": "1"})
    assert not results.has(cell, store)
    gone = {**nuaa.plain(cell.settings(tmp_path)), "no_longer": 1}
    results.put(cell.name, {"settings": gone, "store_digest": "1"})
    assert not results.has(cell, store)


def test_keeps_results_of_another_process(nuaa: Any, tmp_path: Path) -> None:
    one, other = (nuaa.Results(tmp_path / "nuaa.json") for _ in range(2))
    one.put("a", {"n": 1})
    other.put("b", {"n": 2})
    assert json.loads((tmp_path / "nuaa.json").read_text()) == {"a": {"n": 1}, "b": {"n": 2}}


def test_rejects_a_run_with_other_settings(
    nuaa: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = next(nuaa.cells())
    run = tmp_path / cell.name
    run.mkdir()
    settings = replace(cell.settings(tmp_path), seed=7)
    (run / "run.json").write_text(json.dumps({"settings": settings.as_dict()}))
    monkeypatch.setattr(nuaa.subprocess, "run", lambda *_, **__: pytest.fail("something was started"))
    store = SimpleNamespace(path=tmp_path, digest="1")
    assert not nuaa.do(cell, store, tmp_path, None, nuaa.Results(tmp_path / "nuaa.json"))
    assert "seed (7, not 0)" in capsys.readouterr().out


def test_costs_are_of_the_run_where_there_is_one(
    nuaa: Any, monkeypatch: pytest.MonkeyPatch, run: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(nuaa, "untrained", lambda preset, folder: (preset.model, folder))
    cell = nuaa.priced()["hfd (paper)"]
    assert nuaa.bundle_of(cell, None, tmp_path) == ("hfd", tmp_path / cell.name)
    (tmp_path / cell.name).symlink_to(run)
    assert nuaa.bundle_of(cell, tmp_path, tmp_path).card.model == "deep-pix-bis"


def test_the_page_has_the_cost_of_every_system(nuaa: Any) -> None:
    _, _, rest = nuaa.PAGE.read_text().partition("<!-- cost -->\n")
    rows = [line.split(" | ") for line in rest.partition("\n\n")[0].splitlines()[2:]]
    assert {row[0].removeprefix("| ") for row in rows} == set(nuaa.priced())
    times = [float(row[4]) for row in rows]
    assert times == sorted(times)
