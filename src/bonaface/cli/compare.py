"""`bonaface compare`."""

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


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Score table of one system.")],
    second: Annotated[
        Path, typer.Argument(metavar="B", help="Score table of another system on the same presentations.")
    ],
    dev_a: Annotated[
        Path | None, typer.Option(help="Dev scores of A. Default: A's rows whose split is dev.")
    ] = None,
    dev_b: Annotated[
        Path | None, typer.Option(help="Dev scores of B. Default: B's rows whose split is dev.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for compare.json, compare.md and flips.csv.")
    ] = None,
    threshold_from: ThresholdOption = "dev",
    rule: RuleOption = "eer",
    unit: UnitOption = "video",
    aggregation: AggregationOption = "mean",
    output: OutputOption = None,
    mapping: MapOption = None,
) -> None:
    """Compare two systems on the same presentations: paired differences, McNemar's test, decisions that differ.

    Each system has its own threshold. A presentation to which either gave no response is left out.
    """
    from bonaface.cli.tables import terminal
    from bonaface.evaluation.comparison import compare_tables
    from bonaface.evaluation.render.comparison import print_comparison, write_comparison
    from bonaface.evaluation.render.files import check_free
    from bonaface.evaluation.score_table import ScoreTable

    settings = evaluation_settings(threshold_from, rule, unit, aggregation, output)
    columns = column_mapping(mapping, [first, second, dev_a, dev_b])
    tables = [ScoreTable.read(path, mapping=columns) for path in (first, second)]
    devs = [ScoreTable.read(path, mapping=columns) if path else None for path in (dev_a, dev_b)]
    found = compare_tables(
        tables[0],
        tables[1],
        dev_first=devs[0],
        dev_second=devs[1],
        settings=settings,
        names=(first.stem, second.stem),
    )
    if out:
        check_free(out, "compare.json", found.as_dict())
    console = terminal()
    print_comparison(found, console)
    if out:
        written = write_comparison(found, out)
        console.print(f"\nWritten: {', '.join(map(str, written))}", highlight=False)
