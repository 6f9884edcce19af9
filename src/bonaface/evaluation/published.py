"""The result tables of the two papers, carried as data, and our own figures beside them.

Sources: Hossain et al., A-DeepPixBiS, DICTA 2020, tables II, III, IV; Roy et al., Bi-FPNFAS, Sensors 2021,
21, 2799, tables 3, 4, 5 and A1. Every row is in published.csv as it is printed, with misprints (see `note`).
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from bonaface.evaluation.figures import GROUPINGS
from bonaface.evaluation.report import MeanSd, Report
from bonaface.evaluation.tables import ACADEMIC, NOTHING, OVER, Grid, percent

FIGURES = ("apcer", "bpcer", "acer", "eer", "hter")
_TITLES = {
    "a-deeppixbis": "A-DeepPixBiS (DICTA 2020), table",
    "bi-fpnfas": "Bi-FPNFAS (Sensors 2021, 21, 2799), table",
}
_CROSS = {("a-deeppixbis", "IV"), ("bi-fpnfas", "5")}


@dataclass(frozen=True, slots=True)
class Published:
    """One printed row: a model trained on one protocol and tested on one, figures in per cent.

    `system` is our name of the model where we have it, else the printed one in small letters; `output` its
    score output. `figures` has of `FIGURES` what is printed; `cells` the same as printed.
    """

    paper: str
    table: str
    trained_on: str
    tested_on: str
    printed: str
    system: str
    output: str
    figures: Mapping[str, MeanSd]
    cells: Mapping[str, str]
    note: str


@dataclass(frozen=True, slots=True)
class Run:
    """A report of ours and the protocol that its model was trained on, as ``oulu-npu/1``."""

    trained_on: str
    report: Report

    @property
    def tested_on(self) -> str:
        """The protocol that the report judges, as ``oulu-npu/1``."""
        return f"{self.report.dataset}/{self.report.protocol}"


def published() -> list[Published]:
    """All rows of all tables, in the order of print."""
    with files("bonaface.evaluation").joinpath("published.csv").open(encoding="utf-8") as file:
        return [_row(cells) for cells in csv.DictReader(file)]


def paper_grids(runs: Sequence[Run] = (), stands_for: Mapping[str, str] | None = None) -> list[Grid]:
    """The papers' tables with the rows of `runs` below the published ones; one for each OULU-NPU protocol.

    Args:
        runs: our reports; those that belong to no table are left out.
        stands_for: protocols of ours that take the place of the papers', as simulated sets do (ours to
            theirs); said below each table where it happens.
    """
    standing = dict(stands_for or {})
    grids: list[Grid] = []
    rows = published()
    for paper, table in dict.fromkeys((row.paper, row.table) for row in rows):
        part = [row for row in rows if (row.paper, row.table) == (paper, table)]
        title = f"{_TITLES[paper]} {table}"
        if (paper, table) in _CROSS:
            grids.append(_cross_grid(f"{title}: HTER by training and test protocol", part, runs, standing))
            continue
        for tested_on in dict.fromkeys(row.tested_on for row in part):
            same = [row for row in part if row.tested_on == tested_on]
            grids.append(_table_grid(f"{title}: {tested_on}", same, runs, standing))
    return grids


def _row(cells: Mapping[str, str]) -> Published:
    printed = {name: cells[name] for name in FIGURES if cells[name]}
    return Published(
        paper=cells["paper"],
        table=cells["table"],
        trained_on=cells["trained_on"],
        tested_on=cells["tested_on"],
        printed=cells["printed"].removesuffix(" (ours)"),
        system=cells["system"],
        output=cells["output"],
        figures={name: _parsed(cell) for name, cell in printed.items()},
        cells=printed,
        note=cells["note"],
    )


def _parsed(cell: str) -> MeanSd:
    """``2.78 ± 3.47``, over six folds wherever the papers print one, or one number."""
    mean, _, sd = cell.partition("±")
    return MeanSd(float(mean), float(sd), 6) if sd else MeanSd(float(mean), None, 1)


def _table_grid(
    title: str, rows: Sequence[Published], runs: Sequence[Run], standing: Mapping[str, str]
) -> Grid:
    names = list(rows[0].cells)
    cells = [(row.printed, "published", *(row.cells[name] for name in names)) for row in rows]
    place = (rows[0].trained_on, rows[0].tested_on)
    ours = [run for run in runs if _place(run, standing) == place]
    for run in ours:
        cells += _our_rows(run.report, names)
    academic = [ACADEMIC] if "acer" in names else []
    header = ("model", "source", *(f"{name.upper()} %" for name in names))
    return Grid(title, header, tuple(cells), (*_notes(rows), *_standing(ours, standing), *academic))


def _our_rows(report: Report, names: Sequence[str]) -> list[tuple[str, ...]]:
    """Our figures by each grouping of the attacks, for the papers do not say which is theirs."""
    summary = report.summary
    model = f"{report.system}{f' ({report.output})' if report.output else ''}"
    if "acer" not in names:
        return [(model, f"ours, {report.unit}", *(_mean_sd(summary.get(name)) for name in names))]
    return [
        (
            model,
            f"ours, {report.unit}, {OVER[grouping]}",
            *(_mean_sd(summary.get(name if name == "bpcer" else f"{name}_{grouping}")) for name in names),
        )
        for grouping in GROUPINGS
    ]


def _cross_grid(
    title: str, rows: Sequence[Published], runs: Sequence[Run], standing: Mapping[str, str]
) -> Grid:
    places = list(dict.fromkeys((row.trained_on, row.tested_on) for row in rows))
    cells: list[tuple[str, ...]] = []
    for printed in dict.fromkeys(row.printed for row in rows):
        of = {(row.trained_on, row.tested_on): row.cells["hter"] for row in rows if row.printed == printed}
        cells.append((printed, "published", *(of[place] for place in places)))
    ours: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
    used = [run for run in runs if _place(run, standing) in places]
    for run in used:
        report = run.report
        model = f"{report.system}{f' ({report.output})' if report.output else ''}"
        found = ours.setdefault((model, f"ours, {report.unit}"), {})
        found[_place(run, standing)] = _mean_sd(report.summary.get("hter"))
    cells += [(*key, *(found.get(place, NOTHING) for place in places)) for key, found in ours.items()]
    letters = {name: name[0].upper() for place in places for name in place}
    header = ("model", "source", *(f"{letters[train]} -> {letters[test]}" for train, test in places))
    key = f"Trained -> tested: {', '.join(f'{letter} is {name}' for name, letter in letters.items())}."
    return Grid(title, header, tuple(cells), (key, *_notes(rows), *_standing(used, standing)))


def _notes(rows: Sequence[Published]) -> list[str]:
    """Each note once, with the models that it is about."""
    about: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.note:
            about.setdefault(row.note, {})[row.printed] = None
    return [f"{', '.join(models)}: {note}." for note, models in about.items()]


def _place(run: Run, standing: Mapping[str, str]) -> tuple[str, str]:
    return standing.get(run.trained_on, run.trained_on), standing.get(run.tested_on, run.tested_on)


def _standing(runs: Sequence[Run], standing: Mapping[str, str]) -> list[str]:
    used = {name for run in runs for name in (run.trained_on, run.tested_on) if name in standing}
    return [
        f"Ours: {name} stands for {standing[name]}; the figures cannot be compared." for name in sorted(used)
    ]


def _mean_sd(figure: MeanSd | None) -> str:
    if figure is None:
        return NOTHING
    return percent(figure.mean) + (f" ± {percent(figure.sd)}" if figure.sd is not None else "")
