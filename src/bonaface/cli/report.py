"""`bonaface report`."""

from pathlib import Path
from typing import Annotated

import typer

from bonaface.cli.evaluation_settings import (
    AggregationOption,
    MapOption,
    OutputOption,
    RuleOption,
    ThresholdOption,
    UnitOption,
    column_mapping,
    evaluation_settings,
)
from bonaface.core.errors import InputError


def report(
    scores: Annotated[
        list[Path],
        typer.Argument(
            help="Score tables of one system: CSV, Parquet or bob's text. Several files are read as one."
        ),
    ],
    dev: Annotated[
        Path | None,
        typer.Option(
            help="Score table that sets the threshold. Default: the rows of SCORES whose split is dev."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.html, .json, .md, .tex and .csv.")
    ] = None,
    threshold_from: ThresholdOption = "dev",
    rule: RuleOption = "eer",
    unit: UnitOption = "video",
    aggregation: AggregationOption = "mean",
    output: OutputOption = None,
    mapping: MapOption = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the system. Default: the name of the first file.")
    ] = None,
    plots: Annotated[
        str | None,
        typer.Option(
            metavar="png,svg,pdf", help="Draw the plots as files, too, into the folder plots of --out."
        ),
    ] = None,
) -> None:
    """Report error rates of any system by ISO/IEC 30107-3 from its scores, with counts and 95 % intervals.

    A table needs a label (1 bona fide, 0 attack; or words as live and spoof) and a score (higher: bona fide);
    with species, subject, video_id and split it says more. See docs/figures.md for what each figure means.
    """
    from bonaface.cli.tables import terminal
    from bonaface.evaluation.render.files import check_free, write_report
    from bonaface.evaluation.render.plots import plot_kinds, write_plots
    from bonaface.evaluation.render.text import print_report
    from bonaface.evaluation.report import evaluate_table
    from bonaface.evaluation.score_table import ScoreTable

    if plots is not None and out is None:
        raise InputError("--plots draws files, so it needs a folder for them: give --out DIR")
    kinds = plot_kinds(plots) if plots is not None else ()
    settings = evaluation_settings(threshold_from, rule, unit, aggregation, output)
    columns = column_mapping(mapping, [*scores, dev])
    table = ScoreTable.read(*scores, mapping=columns)
    apart = ScoreTable.read(dev, mapping=columns) if dev else None
    found = evaluate_table(table, dev=apart, settings=settings, system=name or scores[0].stem)
    if out:
        check_free(out, "report.json", found.as_dict())
    console = terminal()
    print_report(found, console)
    if out:
        written = write_report(found, out)
        if kinds:
            written += write_plots(found, out / "plots", kinds)
        console.print(f"\nWritten: {', '.join(map(str, written))}", highlight=False)
