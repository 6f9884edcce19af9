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
    evaluation_settings,
    read_scores,
)


def report(
    scores: Annotated[
        list[Path],
        typer.Argument(help="Score tables of one system: CSV, Parquet, or bob's. Several are read as one."),
    ],
    dev: Annotated[
        Path | None,
        typer.Option(help="Scores to set the threshold on; default: the rows of SCORES whose split is dev."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for report.html, .json, .md, .tex and .csv.")
    ] = None,
    threshold_from: ThresholdOption = "dev",
    rule: RuleOption = "eer",
    unit: UnitOption = "video",
    aggregation: AggregationOption = "mean",
    output: OutputOption = None,
    mapping: MapOption = None,
    name: Annotated[
        str | None, typer.Option(help="What to call the system; default: the first file's name.")
    ] = None,
) -> None:
    """Judge scores of any system by ISO/IEC 30107-3: error rates with counts and 95 % intervals.

    A table needs a label (1 bona fide, 0 attack; or words as live and spoof) and a score (higher: bona fide);
    with species, subject, video_id and split it says more. See docs/figures.md for what each figure means.
    """
    from rich.console import Console

    from bonaface.evaluation.render.files import check_free, write_report
    from bonaface.evaluation.render.text import print_report
    from bonaface.evaluation.report import evaluate_table

    settings = evaluation_settings(threshold_from, rule, unit, aggregation, output)
    table = read_scores(scores, mapping)
    apart = read_scores([dev], mapping) if dev else None
    found = evaluate_table(table, dev=apart, settings=settings, system=name or scores[0].stem)
    if out:
        check_free(out, "report.json", found.as_dict())
    console = Console()
    print_report(found, console)
    if out:
        written = write_report(found, out)
        console.print(f"\nWritten: {', '.join(map(str, written))}", markup=False, highlight=False)
