"""What a grid has found: reports over folds and seeds, the papers' tables, and every cell with its state."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bonaface.benchmark.grid import Place
from bonaface.core.files import write_text
from bonaface.evaluation.aggregate import Unit
from bonaface.evaluation.folds import Judging
from bonaface.evaluation.render.files import write_grids, write_report
from bonaface.evaluation.render.published import other_grids, paper_grids
from bonaface.evaluation.render.tables import Grid
from bonaface.evaluation.report import Report, evaluate_table, joined
from bonaface.evaluation.score_table import ScoreTable
from bonaface.inference.bundle import CARD, BundleCard, read_card
from bonaface.inference.provenance import own_threshold, trained_on

_OURS = "ours"


def reports_of(places: Sequence[Place], units: Sequence[Unit], rounds: int = 1000) -> list[Report]:
    """For every model and experiment a report over the folds and seeds that are done, by unit and score output.

    A model of which some are missing says so in its name.
    """
    groups: dict[tuple[str, str], list[Place]] = {}
    for place in places:
        groups.setdefault((place.cell.model.name, str(place.cell.experiment)), []).append(place)
    return [report for group in groups.values() for report in _reports(group, units, rounds)]


def tables_of(reports: Sequence[Report], places: Sequence[Place]) -> list[Grid]:
    """The papers' tables that have rows of ours, tables of the other protocols, and the cells that failed."""
    ours = [grid for grid in paper_grids(reports) if any(row[1].startswith(_OURS) for row in grid.rows)]
    return [*ours, *other_grids(reports), *_failures(places)]


def write_results(
    reports: Sequence[Report], grids: Sequence[Grid], places: Sequence[Place], out: Path, title: str
) -> list[Path]:
    """Write tables.*, cells.csv and, for each report by the video, reports/NAME/report.*; return the tables' paths."""
    warning = " ".join(dict.fromkeys(report.warning for report in reports if report.warning))
    for report in reports:
        if report.unit == "video":
            parts = (report.system.partition(" [")[0], report.trained_on, report.tested_on, report.output)
            name = "-".join(dict.fromkeys(filter(None, parts))).replace("/", "-").replace(" ", "-")
            write_report(report, out / "reports" / name)
    write_text(out / "cells.csv", _cells(places))
    return [out / "cells.csv", *write_grids(grids, out, title, warning)]


def _reports(group: Sequence[Place], units: Sequence[Unit], rounds: int) -> Iterator[Report]:
    done = [place for place in group if place.done]
    if not done:
        return
    cell = done[0].cell
    missing = f" [{len(done)} of {len(group)} runs]" if len(done) < len(group) else ""
    read = [(place, _card(place), _scores(place)) for place in done]
    outputs = read[0][1].outputs
    for output in outputs:
        for unit in units:
            parts = []
            for place, card, table in read:
                report = evaluate_table(
                    table,
                    judging=Judging(own_threshold(card, output, unit), unit=unit, output=output),
                    rounds=rounds,
                    system=cell.model.name + missing,
                    trained_on=trained_on(card),
                    seen_in_training=_seen(place),
                )
                parts.append(_named(report, place, outputs, several=len(group) > 1))
            yield joined(parts)


def _named(report: Report, place: Place, outputs: Sequence[str], several: bool) -> Report:
    """`report` with the cell's own name for its fold; the output is named only where there is a choice."""
    name = " ".join(filter(None, (place.cell.fold, f"seed {place.cell.seed}" if several else "")))
    (fold,) = report.folds
    output = report.output if len(outputs) > 1 else ""
    return replace(report, output=output, folds=(replace(fold, name=name),))


def _card(place: Place) -> BundleCard:
    assert place.job is not None
    # The networks themselves are not looked at: `evaluate` did that before it scored.
    return read_card(place.job.run / "bundle" / CARD)


def _scores(place: Place) -> ScoreTable:
    assert place.test is not None
    return ScoreTable.read(place.test.folder / "scores.csv")


def _seen(place: Place) -> int:
    assert place.test is not None
    report = json.loads((place.test.folder / "report.json").read_text(encoding="utf-8"))
    return int(report.get("seen_in_training", 0))  # older reports did not look


def _failures(places: Sequence[Place]) -> list[Grid]:
    """A row for each cell that failed; those that could not begin, for want of a store, share a row."""
    begun = [
        (place.cell.model.name, *_where(place), place.error) for place in places if place.error and place.job
    ]
    idle: dict[str, list[str]] = {}
    for place in places:
        if place.error and not place.job:
            idle.setdefault(place.error, []).append(str(place.cell.experiment))
    together = [
        (f"{len(found)} cells", ", ".join(dict.fromkeys(found)), "", "", error)
        for error, found in idle.items()
    ]
    rows = (*begun, *together)
    header = ("model", "protocol", "fold", "seed", "error")
    return [Grid("Cells that failed; the same command tries them again", header, rows)] if rows else []


def _where(place: Place) -> tuple[str, str, str]:
    return str(place.cell.experiment), place.cell.fold, str(place.cell.seed)


def _cells(places: Sequence[Place]) -> str:
    """A row for each cell: where it is, and how it stands."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ("model", "protocol", "fold", "seed", "state", "error", "training_seconds", "run", "scores")
    )
    for place in places:
        state = "done" if place.done else "failed" if place.error else "waiting"
        seconds = _card(place).provenance.get("training_seconds", "") if place.done else ""
        where = (place.job.run, place.test.folder / "scores.csv") if place.job and place.test else ("", "")
        writer.writerow((place.cell.model.name, *_where(place), state, place.error, seconds, *where))
    return file.getvalue()
