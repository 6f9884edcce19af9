"""Collect the results of a grid: reports over folds and seeds, the papers' tables, and every cell with its state."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bonaface.benchmark.grid import PlannedCell
from bonaface.core.csv_lines import CsvLines
from bonaface.core.files import write_text
from bonaface.evaluation.aggregate import Unit
from bonaface.evaluation.folds import EvaluationSettings, FoldData
from bonaface.evaluation.render.files import write_grids, write_report
from bonaface.evaluation.render.published import other_grids, paper_grids, sources_grids
from bonaface.evaluation.render.tables import Grid
from bonaface.evaluation.report import Report, evaluate_table, joined
from bonaface.evaluation.score_table import ScoreTable
from bonaface.inference import evaluated
from bonaface.inference.bundle import CARD, BundleCard, read_card
from bonaface.inference.provenance import own_threshold, trained_on

_OURS = "ours"


def reports_of(planned_cells: Sequence[PlannedCell], units: Sequence[Unit]) -> list[Report]:
    """Return a report for every model and experiment over the folds and seeds that are done, by unit and score output.

    A model of which some are missing says so in its name.
    """
    groups: dict[tuple[str, str], list[PlannedCell]] = {}
    for planned in planned_cells:
        groups.setdefault((planned.cell.model.name, str(planned.cell.experiment)), []).append(planned)
    return [report for group in groups.values() for report in _reports(group, units)]


def tables_of(reports: Sequence[Report], planned_cells: Sequence[PlannedCell]) -> list[Grid]:
    """Return the papers' tables that have rows of ours, the other protocols', and the cells that failed.

    Models that were trained on several sets have one table of them all before their protocols' own.
    """
    ours = [grid for grid in paper_grids(reports) if any(row[1].startswith(_OURS) for row in grid.rows)]
    return [*ours, *sources_grids(reports), *other_grids(reports), *_failures(planned_cells)]


def warning_of(reports: Sequence[Report]) -> str:
    """Return the first line of every page over `reports`: their warnings, each once."""
    return " ".join(dict.fromkeys(report.warning for report in reports if report.warning))


def fold_of(planned: PlannedCell, output: str, unit: Unit) -> FoldData:
    """Return a finished cell's test presentations at its bundle's own threshold, for paired comparisons.

    Args:
        planned: a finished cell.
        output: a score output; empty takes the first.
        unit: what is judged.
    """
    card = _card(planned)
    chosen = output or card.outputs[0]
    settings = EvaluationSettings(own_threshold(card, chosen, unit), unit=unit, output=chosen)
    *_, (fold,) = settings.fold_data(_scores(planned))
    return replace(fold, fold=planned.cell.fold)


def write_results(
    reports: Sequence[Report],
    grids: Sequence[Grid],
    planned_cells: Sequence[PlannedCell],
    out: Path,
    title: str,
    pictures: Sequence[tuple[str, str]] = (),
) -> list[Path]:
    """Write tables.*, cells.csv and, for each report by the video, reports/NAME/report.*; return the tables' paths.

    `pictures` are (caption, SVG), for the page.
    """
    warning = warning_of(reports)
    for report in reports:
        if report.unit == "video":
            parts = (report.system.partition(" [")[0], report.trained_on, report.tested_on, report.output)
            name = re.sub(r"[/ +]+", "-", "-".join(dict.fromkeys(filter(None, parts))))
            write_report(report, out / "reports" / name)
    write_text(out / "cells.csv", _cells(planned_cells))
    return [out / "cells.csv", *write_grids(grids, out, title, warning, pictures=pictures)]


def _reports(group: Sequence[PlannedCell], units: Sequence[Unit]) -> Iterator[Report]:
    done = [planned for planned in group if planned.done]
    if not done:
        return
    cell = done[0].cell
    missing = f" [{len(done)} of {len(group)} runs]" if len(done) < len(group) else ""
    read = [(planned, _card(planned), _scores(planned)) for planned in done]
    outputs = read[0][1].outputs
    for output in outputs:
        for unit in units:
            parts = []
            for planned, card, table in read:
                report = evaluate_table(
                    table,
                    settings=EvaluationSettings(own_threshold(card, output, unit), unit=unit, output=output),
                    system=cell.model.name + missing,
                    trained_on=trained_on(card),
                    seen_in_training=_seen(planned),
                )
                parts.append(_named(report, planned, outputs, several=len(group) > 1))
            yield joined(parts)


def _named(report: Report, planned: PlannedCell, outputs: Sequence[str], several: bool) -> Report:
    """Return `report` with the cell's own name for its fold; the output is named only where there are several."""
    name = " ".join(filter(None, (planned.cell.fold, f"seed {planned.cell.seed}" if several else "")))
    (fold,) = report.folds
    output = report.output if len(outputs) > 1 else ""
    return replace(report, output=output, folds=(replace(fold, name=name),))


def _card(planned: PlannedCell) -> BundleCard:
    assert planned.job is not None
    # The network's files are not checked again: `evaluate` checked them before it scored.
    return read_card(planned.job.run / "bundle" / CARD)


def _scores(planned: PlannedCell) -> ScoreTable:
    assert planned.test is not None
    evaluated.check(planned.test.folder)
    return ScoreTable.read(planned.test.folder / "scores.csv")


def _seen(planned: PlannedCell) -> int:
    assert planned.test is not None
    report = json.loads((planned.test.folder / "report.json").read_text(encoding="utf-8"))
    return int(report.get("seen_in_training", 0))  # reports of version 0.1 do not have it


def _failures(planned_cells: Sequence[PlannedCell]) -> list[Grid]:
    """Return a row for each cell that failed; those without a store share a row."""
    begun = [
        (planned.cell.model.name, *_where(planned), planned.error)
        for planned in planned_cells
        if planned.error and planned.job
    ]
    idle: dict[str, list[str]] = {}
    for planned in planned_cells:
        if planned.error and not planned.job:
            idle.setdefault(planned.error, []).append(str(planned.cell.experiment))
    together = [
        (f"{len(found)} cells", ", ".join(dict.fromkeys(found)), "", "", error)
        for error, found in idle.items()
    ]
    rows = (*begun, *together)
    header = ("model", "protocol", "fold", "seed", "error")
    return [Grid("Cells that failed; the same command tries them again", header, rows)] if rows else []


def _where(planned: PlannedCell) -> tuple[str, str, str]:
    return str(planned.cell.experiment), planned.cell.fold, str(planned.cell.seed)


def _cells(planned_cells: Sequence[PlannedCell]) -> str:
    """Return a row for each cell: its folder and its state."""
    file = io.StringIO()
    writer = csv.writer(CsvLines(file))
    writer.writerow(
        ("model", "protocol", "fold", "seed", "state", "error", "training_seconds", "run", "scores")
    )
    for planned in planned_cells:
        state = "done" if planned.done else "failed" if planned.error else "waiting"
        seconds = _card(planned).provenance.get("training_seconds", "") if planned.done else ""
        where = (
            (planned.job.run, planned.test.folder / "scores.csv")
            if planned.job and planned.test
            else ("", "")
        )
        writer.writerow((planned.cell.model.name, *_where(planned), state, planned.error, seconds, *where))
    return file.getvalue()
