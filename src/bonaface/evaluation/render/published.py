"""The papers' tables with our own figures beside the published ones."""

from collections.abc import Sequence

from bonaface.core.records import PLUS, SIMULATED
from bonaface.evaluation.error_rates import GROUPINGS
from bonaface.evaluation.published import FIGURES, TEXT, PublishedRow, published
from bonaface.evaluation.render.tables import ACADEMIC, NOTHING, OVER, Grid, percent
from bonaface.evaluation.report import MeanSd, Report

PAPERS = {
    "a-deeppixbis": "A-DeepPixBiS (DICTA 2020)",
    "bi-fpnfas": "Bi-FPNFAS (Sensors 2021, 21, 2799)",
}
_CROSS = {("a-deeppixbis", "IV"), ("bi-fpnfas", "5")}
# The letters by which the field names the sets of its leave-one-out test, Replay-Attack after Idiap.
_LETTERS = {"oulu-npu": "O", "casia-fasd": "C", "replay-attack": "I", "msu-mfsd": "M"}
_ACROSS = ("hter", "auc")


def paper_grids(reports: Sequence[Report] = ()) -> list[Grid]:
    """Return the papers' tables with our rows below the published ones; one for each OULU-NPU protocol.

    A figure that only a paper's text has is a row of its table of that protocol, and a note says so. Reports that
    belong to no table are left out. A simulated set stands for the one that it imitates (``simulated-oulu-npu/1`` of
    ``oulu-npu/1``), and the table says so.
    """
    grids: list[Grid] = []
    rows = published()
    for paper, table in dict.fromkeys((row.paper, row.table) for row in rows if row.table != TEXT):
        part = [row for row in rows if (row.paper, row.table) == (paper, table)]
        title = f"{PAPERS[paper]}, table {table}"
        if (paper, table) in _CROSS:
            grids.append(_cross_grid(f"{title}: HTER by training and test protocol", part, reports))
            continue
        for tested_on in dict.fromkeys(row.tested_on for row in part):
            same = [row for row in part if row.tested_on == tested_on]
            same += [row for row in _in_text(_pair(same[0])) if row.paper == paper]
            grids.append(_table_grid(f"{title}: {tested_on}", same, reports))
    return grids


def other_grids(reports: Sequence[Report]) -> list[Grid]:
    """Return a table in the papers' form for each protocol of `reports` that is in none of the papers' tables."""
    printed = {_pair(row) for row in published() if row.table != TEXT}
    rest = [report for report in reports if _protocols(report) not in printed]
    header = ("model", "source", *(f"{name.upper()} %" for name in FIGURES))
    grids = []
    for pair in dict.fromkeys((report.trained_on, report.tested_on) for report in rest):
        same = [report for report in rest if (report.trained_on, report.tested_on) == pair]
        beside = _in_text(_protocols(same[0]))
        rows = [_published_cells(row, FIGURES) for row in beside]
        rows += [cells for report in same for cells in _our_rows(report, FIGURES)]
        notes = (*_notes(beside), *(_standing(same) if beside else ()), ACADEMIC)
        grids.append(Grid(" -> ".join(dict.fromkeys(filter(None, pair))), header, tuple(rows), notes))
    return grids


def sources_grids(reports: Sequence[Report]) -> list[Grid]:
    """Return the table of the models that were trained on several sets, a column for each experiment.

    The columns are named as the field names its leave-one-out test: ``O&C&I to M`` is trained on OULU-NPU, CASIA-FASD
    and Replay-Attack (Idiap), and tested on MSU-MFSD. There is no table where no model has several sources.
    """
    used = [report for report in reports if len(_sources(report)) > 1]
    pairs = list(dict.fromkeys((report.trained_on, report.tested_on) for report in used))
    ours: dict[tuple[str, str], dict[tuple[str, str], list[str]]] = {}
    for report in used:
        row = ours.setdefault((_model(report), f"ours, {report.unit}"), {})
        row[report.trained_on, report.tested_on] = [mean_sd(report.summary.get(name)) for name in _ACROSS]
    if not ours:
        return []
    rows = [
        (*key, *(cell for pair in pairs for cell in row.get(pair, [NOTHING] * len(_ACROSS))))
        for key, row in ours.items()
    ]
    columns = [f"{_short(*pair)} {name.upper()} %" for pair in pairs for name in _ACROSS]
    names = dict.fromkeys(name for report in used for name in (*_sources(report), report.tested_on))
    key = f"{', '.join(f'{_letter(name)} is {name}' for name in names)}."
    return [
        Grid("Trained on several sets", ("model", "source", *columns), tuple(rows), (key, *_standing(used)))
    ]


def _short(trained_on: str, tested_on: str) -> str:
    return f"{'&'.join(map(_letter, trained_on.split(PLUS)))} to {_letter(tested_on)}"


def _letter(protocol: str) -> str:
    dataset = protocol.partition("/")[0].removeprefix(SIMULATED)
    return _LETTERS.get(dataset, dataset)


def _table_grid(title: str, rows: Sequence[PublishedRow], reports: Sequence[Report]) -> Grid:
    names = list(rows[0].cells)
    cells = [_published_cells(row, names) for row in rows]
    ours = [report for report in reports if _protocols(report) == _pair(rows[0])]
    for report in ours:
        cells += _our_rows(report, names)
    academic = [ACADEMIC] if "acer" in names else []
    header = ("model", "source", *(f"{name.upper()} %" for name in names))
    return Grid(title, header, tuple(cells), (*_notes(rows), *_standing(ours), *academic))


def _published_cells(row: PublishedRow, names: Sequence[str]) -> tuple[str, ...]:
    return (row.printed, "published", *(row.cells.get(name, NOTHING) for name in names))


def _in_text(pair: tuple[str, str]) -> list[PublishedRow]:
    """Return the figures of the protocols `pair` that only a paper's text has."""
    return [row for row in published() if row.table == TEXT and _pair(row) == pair]


def _pair(row: PublishedRow) -> tuple[str, str]:
    return row.trained_on, row.tested_on


# The figures that depend on the grouping of APCER.
_GROUPED = ("apcer", "acer")


def _our_rows(report: Report, names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return our figures by each grouping of the attacks, because the papers do not say which one they use."""
    summary = report.summary
    model = _model(report)
    if "acer" not in names:
        return [(model, f"ours, {report.unit}", *(mean_sd(summary.get(name)) for name in names))]
    return [
        (
            model,
            f"ours, {report.unit}, {OVER[grouping]}",
            *(mean_sd(summary.get(f"{name}_{grouping}" if name in _GROUPED else name)) for name in names),
        )
        for grouping in GROUPINGS
    ]


def _cross_grid(title: str, rows: Sequence[PublishedRow], reports: Sequence[Report]) -> Grid:
    pairs = list(dict.fromkeys((row.trained_on, row.tested_on) for row in rows))
    cells: list[tuple[str, ...]] = []
    for printed in dict.fromkeys(row.printed for row in rows):
        of = {(row.trained_on, row.tested_on): row.cells["hter"] for row in rows if row.printed == printed}
        cells.append((printed, "published", *(of[pair] for pair in pairs)))
    ours: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
    used = [report for report in reports if _protocols(report) in pairs]
    for report in used:
        found = ours.setdefault((_model(report), f"ours, {report.unit}"), {})
        found[_protocols(report)] = mean_sd(report.summary.get("hter"))
    cells += [(*key, *(found.get(pair, NOTHING) for pair in pairs)) for key, found in ours.items()]
    letters = {name: name[0].upper() for pair in pairs for name in pair}
    header = ("model", "source", *(f"{letters[train]} -> {letters[test]}" for train, test in pairs))
    key = f"Trained -> tested: {', '.join(f'{letter} is {name}' for name, letter in letters.items())}."
    return Grid(title, header, tuple(cells), (key, *_notes(rows), *_standing(used)))


def _notes(rows: Sequence[PublishedRow]) -> list[str]:
    """Return each note once, with the models that it is about."""
    about: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.note:
            about.setdefault(row.note, {})[row.printed] = None
    return [f"{', '.join(models)}: {note}." for note, models in about.items()]


def _model(report: Report) -> str:
    return f"{report.system}{f' ({report.output})' if report.output else ''}"


def _sources(report: Report) -> list[str]:
    return report.trained_on.split(PLUS)


def _protocols(report: Report) -> tuple[str, str]:
    return report.trained_on.replace(SIMULATED, ""), report.tested_on.removeprefix(SIMULATED)


def _standing(reports: Sequence[Report]) -> list[str]:
    used = {name for report in reports for name in (*_sources(report), report.tested_on)}
    return [
        f"Ours: {name} stands for {name.removeprefix(SIMULATED)}; the figures cannot be compared."
        for name in sorted(used)
        if name.startswith(SIMULATED)
    ]


def mean_sd(figure: MeanSd | None) -> str:
    """Return ``2.36 ± 0.41`` in per cent; without the deviation where there is none, a dash for None."""
    if figure is None:
        return NOTHING
    return percent(figure.mean) + (f" ± {percent(figure.sd)}" if figure.sd is not None else "")
