"""A report as Markdown, LaTeX, CSV and in the terminal."""

import csv
import io
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bonaface.core.csv_lines import CsvLines
from bonaface.evaluation.error_rates import Errors, Figure, SetFigures
from bonaface.evaluation.render.tables import (
    LEGEND,
    NOTHING,
    Grid,
    fold_grids,
    folds_grid,
    grids,
    heading,
    notes,
)
from bonaface.evaluation.report import Report, headline

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"$<$",
        ">": r"$>$",
        "±": r"$\pm$",
    }
)
_CSV_COLUMNS = (
    "fold", "set", "non_responses", "figure", "of", "value", "low", "high", "errors", "total",
    "threshold", "rule", "data", "unit",
)  # fmt: skip


def print_report(report: Report, console: Console) -> None:
    """Write the report to `console`, in at most 80 columns: who was there, the threshold, the tables."""
    for number, line in enumerate(heading(report)):
        console.print(
            line, markup=False, highlight=False, style="bold red" if not number and report.warning else ""
        )
    shown = fold_grids(report.folds[0]) if len(report.folds) == 1 else [folds_grid(report)]
    for grid in shown:
        console.print()
        print_grid(grid, console)
    console.print()
    for line in LEGEND:
        console.print(line, markup=False, highlight=False, style="dim")
    for note in notes(report):
        console.print()
        console.print(f"Note: {note}", markup=False, highlight=False)


def print_grid(grid: Grid, console: Console) -> None:
    """Write one table with its notes to `console`."""
    console.print(_terminal(grid))
    for note in grid.notes:
        console.print(note, markup=False, highlight=False, style="dim")


def markdown(report: Report) -> str:
    """Return the report as GitHub-flavoured Markdown."""
    lines = [line for sentence in heading(report) for line in (sentence, "")]
    lines += [text for grid in grids(report) for text in (markdown_grid(grid), "")]
    lines += [*(f"- {line}" for line in LEGEND), *(f"- {note}" for note in notes(report))]
    return "\n".join(lines).rstrip() + "\n"


def markdown_grid(grid: Grid) -> str:
    """Return one table as Markdown, its title above and its notes below."""
    cells = [grid.header, (":---", *("---:" for _ in grid.header[1:])), *grid.rows]
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells]
    below = ["", *grid.notes] if grid.notes else []
    return "\n".join([f"**{grid.title}**", "", *lines, *below])


def latex(report: Report) -> str:
    """Return the report as LaTeX tables that need no package."""
    lines = [f"% {line}" for line in heading(report)]
    caption = report.warning
    return "\n".join([*lines, *(latex_grid(grid, caption) for grid in grids(report))]) + "\n"


def latex_grid(grid: Grid, warning: str = "") -> str:
    """Return one table as LaTeX; `warning`, if there is one, opens the caption."""
    rows = [" & ".join(cell.translate(_LATEX) for cell in row) + r" \\" for row in (grid.header, *grid.rows)]
    caption = " ".join(f"{text.rstrip('.')}." for text in (warning, grid.title, *grid.notes) if text)
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{caption.translate(_LATEX)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(grid.header) - 1)}}}",
            r"\hline",
            rows[0],
            r"\hline",
            *rows[1:],
            r"\hline",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def csv_grids(grids: Sequence[Grid]) -> str:
    """Return the tables as one CSV: a row for each cell, ``2.92 ± 2.30`` in the columns mean and sd.

    Only tables of figures are in it, those whose rows begin with a model and a source.
    """
    file = io.StringIO()
    writer = csv.writer(CsvLines(file))
    writer.writerow(("table", "model", "source", "figure", "mean", "sd"))
    for grid in grids:
        if grid.header[:2] != ("model", "source"):
            continue
        for model, source, *cells in grid.rows:
            for figure, cell in zip(grid.header[2:], cells, strict=True):
                mean, _, sd = cell.partition(" ± ")
                writer.writerow((grid.title, model, source, figure, "" if mean == NOTHING else mean, sd))
    return file.getvalue()


def csv_text(report: Report) -> str:
    """Return every figure of the report as one row of a CSV, in full precision.

    The report's warning, if there is one, is the first line, a comment (#).
    """
    file = io.StringIO()
    if report.warning:
        file.write(f"# {report.warning}\n")
    writer = csv.DictWriter(CsvLines(file), _CSV_COLUMNS, restval="")
    writer.writeheader()
    for fold in report.folds:
        given = {
            "fold": fold.name,
            "threshold": fold.threshold.value,
            "rule": fold.threshold.rule,
            "data": fold.threshold.data,
            "unit": report.unit,
        }
        sets = [("test", fold.test), *([("dev", fold.dev)] if fold.dev else [])]
        writer.writerows({**given, "set": name, **row} for name, part in sets for row in _csv_rows(part))
    if len(report.folds) > 1:
        for name, figure in report.summary.items():
            common = {"set": "test", "non_responses": "left out", "figure": name, "unit": report.unit}
            writer.writerow({**common, "fold": "mean", "value": figure.mean, "total": figure.n})
            writer.writerow({**common, "fold": "sd", "value": figure.sd, "total": figure.n})
    return file.getvalue()


def _csv_rows(figures: SetFigures) -> Iterator[dict[str, object]]:
    for name, figure in headline(figures).items():
        yield {"non_responses": "left out", "figure": name, "of": "", **_csv_figure(figure)}
    for non_responses, errors in (("left out", figures.errors), ("rejected", figures.strict)):
        for name, of, figure in _csv_errors(errors):
            if of or non_responses == "rejected":
                yield {"non_responses": non_responses, "figure": name, "of": of, **_csv_figure(figure)}
    for of, figure in figures.apnrr_per_species.items():
        yield {"non_responses": "counted", "figure": "apnrr", "of": of, **_csv_figure(figure)}


def _csv_errors(errors: Errors) -> Iterator[tuple[str, str, Figure]]:
    yield from (("apcer", name, figure) for name, figure in errors.per_species.items())
    yield from (("apcer_of_category", name, figure) for name, figure in errors.per_category.items())
    yield from ((f"apcer_{name}", "", figure) for name, figure in errors.apcer.items())
    yield "bpcer", "", errors.bpcer
    yield from ((f"acer_{name}", "", figure) for name, figure in errors.acer.items())


def _csv_figure(figure: Figure) -> dict[str, object]:
    low, high = figure.interval if figure.interval else ("", "")
    return {
        "value": "" if figure.value is None else figure.value,
        "low": low,
        "high": high,
        "errors": "" if figure.errors is None else figure.errors,
        "total": "" if figure.total is None else figure.total,
    }


def _terminal(grid: Grid) -> Table:
    table = Table(title=Text(grid.title, "bold"), title_justify="left", box=box.SIMPLE_HEAD)
    table.show_edge, table.pad_edge = False, False
    for number, name in enumerate(grid.header):
        table.add_column(Text(name), justify="right" if number else "left", overflow="fold")
    for row in grid.rows:
        table.add_row(*map(Text, row))
    return table
