import csv
from pathlib import Path

import pytest

from bonaface.benchmark.grid import PlannedCell
from bonaface.benchmark.results import reports_of, tables_of, write_results
from bonaface.benchmark.spec import Spec
from bonaface.core.errors import InputError
from bonaface.evaluation.render.tables import heading
from bonaface.inference.bundle import Bundle


def test_reports_average_finished_cells_at_the_bundles_thresholds(
    planned_cells: tuple[Spec, list[PlannedCell]], run: Path
) -> None:
    spec, found = planned_cells
    reports = reports_of(found, spec.units)
    assert [(r.tested_on, r.output, r.unit) for r in reports] == [
        (f"folder/{protocol}", output, unit)
        for protocol in ("split", "test")
        for output in ("feature_map", "binary")
        for unit in ("video", "frame")
    ]
    assert {r.system for r in reports} == {"deep-pix-bis [2 of 3 runs]"}
    assert {r.trained_on for r in reports} == {"folder/split"}
    assert [fold.name for fold in reports[0].folds] == ["seed 0", "seed 1"]
    assert reports[0].summary["hter"].sd == 0
    card = Bundle.open(run).card
    for report in reports:
        for fold in report.folds:
            assert fold.threshold.value == card.threshold(report.output, report.unit)
    # The second protocol tests all of the set, and two runs learned from 16 of its 20 people.
    assert [report.seen_in_training for report in reports] == [0] * 4 + [2 * (41 - 8)] * 4
    assert "ALSO TRAINED OR TUNED THE SYSTEM" in reports[-1].warning
    assert "trained on folder/split, tested on folder/test" in heading(reports[-1])[1]


@pytest.mark.parametrize("name", ["scores.csv", "report.json", "evaluation.json"])
def test_rejects_results_with_a_flipped_bit(
    name: str, planned_cells: tuple[Spec, list[PlannedCell]], tmp_path: Path
) -> None:
    spec, found = planned_cells
    assert found[0].test is not None
    path = found[0].test.folder / name
    data = path.read_bytes()
    path.write_bytes(
        data.replace(b"0.5", b"0.4", 1) if b"0.5" in data else data.replace(b"folder", b"golder", 1)
    )
    try:
        assert path.read_bytes() != data
        with pytest.raises(
            InputError, match=rf"/{name}: the file is damaged.*delete the folder .* and run the same"
        ):
            reports_of(found, spec.units)
    finally:
        path.write_bytes(data)


def test_tables_mark_own_rows_and_failures(
    planned_cells: tuple[Spec, list[PlannedCell]], tmp_path: Path
) -> None:
    _, found = planned_cells
    reports = reports_of(found, ("video",))
    grids = tables_of(reports, found)
    assert [grid.title for grid in grids] == [
        "folder/split",
        "folder/split -> folder/test",
        "Cells that failed; the same command tries them again",
    ]
    assert grids[0].header == ("model", "source", "APCER %", "BPCER %", "ACER %", "EER %", "HTER %")
    hter = reports[0].summary["hter"].mean
    assert grids[0].rows[0][-1] == f"{100 * hter:.2f} ± 0.00"
    assert grids[-1].rows == (
        ("deep-pix-bis", "folder/split", "", "2", "out of luck"),
        ("deep-pix-bis", "folder/split -> folder/test", "", "2", "out of luck"),
    )
    write_results(reports, grids, found, tmp_path, "a title")
    with (tmp_path / "cells.csv").open() as file:
        states = [(row["seed"], row["state"], row["error"]) for row in csv.DictReader(file)]
    assert states == [("0", "done", ""), ("1", "done", ""), ("2", "failed", "out of luck")] * 2
    for kind in ("html", "md", "tex"):
        text = (tmp_path / f"tables.{kind}").read_text()
        assert "out of luck" in text
        assert f"{100 * hter:.2f}" in text
    first, *lines = (tmp_path / "tables.csv").read_text().splitlines()
    assert first == f"# {reports[-1].warning}"
    rows = list(csv.DictReader(lines))
    assert (rows[0]["table"], rows[0]["figure"], rows[0]["sd"]) == ("folder/split", "APCER %", "0.00")
    assert {row["table"] for row in rows} == {
        "folder/split",
        "folder/split -> folder/test",
    }  # what failed has none
    assert (tmp_path / "reports/deep-pix-bis-folder-split-folder-test-binary/report.html").is_file()
