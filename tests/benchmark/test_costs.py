from dataclasses import replace

import pytest

from bonaface.benchmark import costs as measured
from bonaface.benchmark.claims import Claim
from bonaface.benchmark.costs import Costs, cost_grids, measure_grid, read_costs, with_costs
from bonaface.benchmark.grid import PlannedCell
from bonaface.benchmark.results import reports_of, tables_of
from bonaface.benchmark.spec import Spec
from bonaface.evaluation.render.tables import Grid
from bonaface.export.cost import Cost

Planned = tuple[Spec, list[PlannedCell]]


@pytest.fixture
def costs() -> Costs:
    return Costs(
        2, {}, {"deep-pix-bis": Cost(1234567, 8_900_000, 3.456, 654_321), "svm": Cost(9, None, 1.0, 5)}
    )


def test_a_grid_is_measured_once(planned_cells: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, found = planned_cells
    assert found[0].job is not None
    out = found[0].job.run.parents[1]
    assert read_costs(out) is None
    first = measure_grid(spec, found, out)
    try:
        assert first.runs == {"deep-pix-bis": found[0].job.run.name}
        assert first.models["deep-pix-bis"].parameters > 100_000
        assert first.steps == {}
        assert read_costs(out) == first
        monkeypatch.setattr(measured, "measure_costs", None)  # would be called to measure again
        assert measure_grid(spec, found, out) == first
    finally:
        (out / "costs.json").unlink()


def test_a_claim_about_training_has_its_steps_measured(
    planned_cells: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, found = planned_cells
    claim = Claim("a", "bi-fpnfas", "6", "b", "deep-pix-bis", "other", "training", expect="lower")
    asked = []
    monkeypatch.setattr(measured, "_steps", lambda models: asked.append(list(models)) or {})
    monkeypatch.setattr(measured, "measure_costs", lambda *_: {})
    monkeypatch.setattr(measured, "write_json", lambda *_: None)
    assert found[0].job is not None
    measure_grid(replace(spec, claims=(claim,)), found, found[0].job.run.parents[1])
    assert asked == [["deep-pix-bis"]]


def test_cost_stands_beside_error_with_a_picture(planned_cells: Planned, costs: Costs) -> None:
    spec, found = planned_cells
    reports = reports_of(found, spec.units)
    grids, pictures = cost_grids(reports, costs)
    assert [grid.title for grid in grids] == [
        "Cost beside error: folder/split",
        "Cost beside error: folder/split -> folder/test",
    ]
    assert grids[0].header[-4:] == ("APCER %", "BPCER %", "ACER %", "front")
    by_name = {row[0]: row for row in grids[0].rows}
    assert set(by_name) == {"deep-pix-bis (feature_map)", "deep-pix-bis (binary)"}
    acer = reports[0].summary["acer_species"].mean
    row = by_name["deep-pix-bis (feature_map)"]
    assert row[1:5] == ("1,234,567", "8.9", "3.46", "654")
    assert row[7] == f"{100 * acer:.2f} ± 0.00"  # two seeds, of which one is the other's copy
    assert "yes" in {row[-1] for row in grids[0].rows}
    assert [caption for caption, _ in pictures] == [grid.title for grid in grids]
    assert all(svg.startswith("<svg") and svg.count("<circle") == 2 for _, svg in pictures)


def test_every_table_of_models_can_show_the_cost(planned_cells: Planned, costs: Costs) -> None:
    spec, found = planned_cells
    *tables, failures = tables_of(reports_of(found, spec.units), found)
    for grid in tables:
        shown = with_costs(grid, costs)
        assert shown.header[-4:] == ("parameters", "MMAC", "ms", "bundle kB")
        assert {row[-4:] for row in shown.rows} == {("1,234,567", "8.9", "3.46", "654")}
    assert with_costs(failures, costs) == failures
    grid = Grid(
        "a", ("model", "source", "x"), (("svm", "ours", "1"), ("svm", "published", "1"), ("new", "ours", "1"))
    )
    assert [row[-4:] for row in with_costs(grid, costs).rows] == [
        ("9", "not counted", "1.00", "0"),
        ("-", "-", "-", "-"),
        ("-", "-", "-", "-"),
    ]
