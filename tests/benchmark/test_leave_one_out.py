"""The field's leave-one-out test on small stores of drawn faces, by the commands that the grid runs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import pytest
from typer.testing import CliRunner

from bonaface.benchmark import grid
from bonaface.benchmark.grid import PlannedCell, plan, run_grid
from bonaface.benchmark.results import reports_of, tables_of, write_results
from bonaface.benchmark.spec import read_spec
from bonaface.cli.main import app
from bonaface.evaluation.report import Report

NAMES = {
    "msu-mfsd": "O&C&I to M",
    "casia-fasd": "O&M&I to C",
    "replay-attack": "O&C&M to I",
    "oulu-npu": "I&C&M to O",
}
BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "leave-one-out-sandbox.yaml"
MODEL = "models: [{model: global-statistics, set: {size: 64}}]\n"


def in_this_process(
    arguments: tuple[str, ...], log: IO[str], environment: Mapping[str, str], still: Callable[[], None]
) -> str:
    """Run a command of the grid without a process of its own, which would load torch each time."""
    done = CliRunner().invoke(app, arguments)
    return "" if done.exit_code == 0 else str(done.exception or done.output)


@pytest.fixture(scope="module")
def planned_cells(
    four_stores: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> list[PlannedCell]:
    folder = tmp_path_factory.mktemp("leave-one-out")
    protocols = [line for line in BENCHMARK.read_text().splitlines() if " -> " in line]
    stores = "".join(f"  {name}: {path}\n" for name, path in four_stores.items())
    (folder / "spec.yaml").write_text(f"stores:\n{stores}{MODEL}protocols:\n" + "\n".join(protocols))
    found = plan(read_spec(folder / "spec.yaml"), folder / "out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid, "_command", in_this_process)
        run_grid(found, 1)
    return found


@pytest.fixture(scope="module")
def reports(planned_cells: list[PlannedCell]) -> list[Report]:
    return reports_of(planned_cells, ("video",))


def test_every_cell_is_done_by_commands_that_name_the_stores(
    planned_cells: list[PlannedCell], four_stores: dict[str, Path]
) -> None:
    assert [planned.error for planned in planned_cells] == [""] * 4
    assert all(planned.done for planned in planned_cells)
    for planned in planned_cells:
        assert planned.job is not None
        assert planned.test is not None
        train, test = planned.job.arguments, planned.test.arguments
        sources = [name.partition("/")[0] for name in planned.cell.experiment.sources]
        given = [train[n + 1] for n, word in enumerate(train) if word == "--data"]
        assert given == [str(four_stores[name]) for name in sources]
        assert train[train.index("--protocol") + 1] == planned.cell.experiment.trained_on
        assert test[test.index("--protocol") + 1] == str(planned.cell.experiment)


def test_reports_name_both_ends(planned_cells: list[PlannedCell], reports: list[Report]) -> None:
    ends = [
        (planned.cell.experiment.trained_on, planned.cell.experiment.tested_on) for planned in planned_cells
    ]
    assert [(report.trained_on, report.tested_on) for report in reports] == ends
    for report in reports:
        (fold,) = report.folds
        assert fold.threshold.data == f"dev of {report.trained_on}, in the bundle"
        # Two subjects of each set are tested; OULU-NPU's protocol 1 tests its session 3.
        assert (fold.test.bona_fide, fold.test.attacks, fold.test.subjects) == (4, 4, 2)
        assert report.seen_in_training == 0


def test_one_table_has_a_column_for_each_set_left_out(
    planned_cells: list[PlannedCell], reports: list[Report], tmp_path: Path
) -> None:
    grids = tables_of(reports, planned_cells)
    table = grids[0]
    assert table.title == "Trained on several sets"
    assert table.header[2:] == tuple(
        f"{name} {figure} %" for name in NAMES.values() for figure in ("HTER", "AUC")
    )
    (row,) = table.rows
    assert row[:2] == ("global-statistics", "ours, video")
    for report, hter, auc in zip(reports, row[2::2], row[3::2], strict=True):
        assert NAMES[report.dataset]
        assert float(hter) == pytest.approx(100 * report.summary["hter"].mean, abs=0.006)
        assert float(auc) == pytest.approx(100 * report.summary["auc"].mean, abs=0.006)
    assert "I is replay-attack/grandtest" in table.notes[0]
    assert [grid.title for grid in grids[1:]] == [f"{r.trained_on} -> {r.tested_on}" for r in reports]
    write_results(reports, grids, planned_cells, tmp_path, "Leave one out")
    assert "O&amp;C&amp;I to M" in (tmp_path / "tables.html").read_text()
    assert r"O\&C\&I to M" in (tmp_path / "tables.tex").read_text()
    name = "global-statistics-oulu-npu-1-casia-fasd-overall-replay-attack-grandtest-msu-mfsd-official"
    assert (tmp_path / "reports" / name / "report.html").is_file()
