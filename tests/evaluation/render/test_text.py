import csv
import io
import math
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from bonaface.evaluation import EvaluationSettings, ScoreTable, Threshold, evaluate_table
from bonaface.evaluation.operating_point import FROM_TEST
from bonaface.evaluation.render.tables import Grid, grids
from bonaface.evaluation.render.text import (
    csv_text,
    latex,
    latex_grid,
    markdown,
    markdown_grid,
    print_grid,
    print_report,
)
from bonaface.evaluation.report import Report, headline


def _printed(report: Report, width: int = 80) -> str:
    file = io.StringIO()
    console = Console(width=width, file=file, color_system=None)
    print_report(report, console)
    return file.getvalue()


@pytest.fixture
def report(drawn: Callable[..., Any]) -> Report:
    return evaluate_table(drawn(), system="bi_fas & co")


@pytest.fixture
def from_test(drawn: Callable[..., Any]) -> Report:
    return evaluate_table(drawn(), settings=EvaluationSettings("test"), system="ours")


@pytest.fixture
def folds(drawn: Callable[..., Any]) -> Report:
    table = ScoreTable.from_tables([drawn(seed=n, fold=str(n)) for n in range(1, 7)])
    return evaluate_table(table, system="ours")


@pytest.mark.parametrize("markup", [True, False])
def test_names_print_as_they_are_on_any_console(markup: bool) -> None:
    grid = Grid("errors of [mine]", ("[/x]", r"a\[b]"), (("[mask]", "1"), ("a :smile: b", "2")))
    console = Console(width=80, file=io.StringIO(), color_system=None, markup=markup, emoji=markup)
    print_grid(grid, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert [line.split()[0] for line in text.splitlines() if "[" in line] == ["errors", "[/x]", "[mask]"]
    assert r"a\[b]" in text
    assert "\\[mask]" not in text
    assert "a :smile: b" in text


def test_terminal_output_fits_80_columns(report: Report) -> None:
    text = _printed(report)
    assert max(map(len, text.splitlines())) <= 80
    fold = report.folds[0]
    pooled, bpcer = fold.test.errors.apcer["pooled"], fold.test.errors.bpcer
    for needed in (
        "bi_fas & co on oulu-npu/1, judged by video (mean of its frames).",
        f"Threshold {fold.threshold.value:.6g} (EER of dev set of oulu-npu/1, by video).",
        f"{100 * pooled.value:.2f}",
        f"{pooled.errors}/{pooled.total}",
        f"{100 * pooled.interval.low:.2f} to {100 * pooled.interval.high:.2f}",
        f"{bpcer.errors}/{bpcer.total}",
        "ACER is an academic figure",
        "non-responses counted as rejected",
        "BPCER20 (APCER <= 5 %)",
        "No response: no face",
    ):
        assert needed in text, needed


def test_the_terminal_shows_folds_with_mean_and_deviation(folds: Report) -> None:
    text = _printed(folds)
    assert max(map(len, text.splitlines())) <= 80
    assert f"Fold 6: threshold {folds.folds[5].threshold}." in " ".join(text.split())
    acer = folds.summary["acer_species"]
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert f"{100 * acer.mean:.2f}" in lines["mean"]
    assert f"{100 * acer.sd:.2f}" in lines["sd"]
    assert all(str(number) in lines for number in range(1, 7))


@pytest.mark.parametrize("render", [_printed, markdown, latex, csv_text])
def test_the_first_line_says_that_the_threshold_is_from_test(
    from_test: Report, report: Report, render: Callable[..., Any]
) -> None:
    first = render(from_test).splitlines()[0]
    assert FROM_TEST[:70] in first + render(from_test).splitlines()[1]
    assert FROM_TEST[:40] in first
    assert FROM_TEST[:40] not in render(report)


def test_markdown_has_every_table_with_whole_rows(folds: Report) -> None:
    text = markdown(folds)
    for grid in grids(folds):
        assert f"**{grid.title}**" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == sum(len(grid.rows) + 2 for grid in grids(folds))
    grid = Grid("t", ("a|b", "%"), (("x|y", "1"),), ("note",))
    assert markdown_grid(grid) == "**t**\n\n| a\\|b | % |\n| :--- | ---: |\n| x\\|y | 1 |\n\nnote"


def test_latex_is_escaped_and_balanced(report: Report) -> None:
    text = latex(report)
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == len(grids(report))
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}")
    row = latex_grid(Grid("50 %", ("a_b", "±"), (("x & y", "<1#"),)), "Mind!")
    assert r"\caption{Mind!. 50 \%.}" in row
    assert r"a\_b & $\pm$ \\" in row
    assert r"x \& y & $<$1\# \\" in row


def test_csv_has_every_figure_in_full_precision(report: Report, folds: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(report))))
    fold = report.folds[0]
    for name, figure in headline(fold.test).items():
        (found,) = [
            r
            for r in rows
            if (r["figure"], r["set"], r["non_responses"], r["of"]) == (name, "test", "left out", "")
        ]
        assert float(found["value"]) == figure.value
        assert float(found["threshold"]) == fold.threshold.value
    species = {
        r["of"]: r
        for r in rows
        if (r["figure"], r["set"], r["non_responses"]) == ("apcer", "test", "rejected")
    }
    assert set(species) == {"print-1", "print-2", "display-1", "display-2"}
    assert int(species["print-1"]["total"]) == fold.test.strict.per_species["print-1"].total
    rows = list(csv.DictReader(io.StringIO(csv_text(folds))))
    (mean,) = [r for r in rows if r["fold"] == "mean" and r["figure"] == "hter"]
    assert float(mean["value"]) == folds.summary["hter"].mean


def test_undefined_figures_are_a_dash(row: Callable[..., Any]) -> None:
    rows = [row("a", 1, 0.7), row("b", 1, math.nan, response="no face")]
    text = markdown(evaluate_table(ScoreTable.from_scores(rows), settings=EvaluationSettings(Threshold(0.5))))
    assert "| APCER, worst species | - | - | 0/0 |" in text
    assert "| BPCER | 0.00 | 0.00 to 97.50 | 0/1 |" in text
    assert "nan" not in text.lower()
