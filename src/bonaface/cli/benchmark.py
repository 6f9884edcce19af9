"""`bonaface benchmark`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bonaface.cli.engine import Address
from bonaface.core.errors import MissingExtraError
from bonaface.core.machine import Engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bonaface.benchmark.grid import PlannedCell
    from bonaface.benchmark.spec import Spec
    from bonaface.evaluation.render.tables import Grid


def benchmark(
    spec: Annotated[
        Path,
        typer.Argument(
            metavar="SPEC.yaml",
            help="YAML file with stores, models, protocols and seeds; see docs/benchmark.md.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for runs and tables. Default: benchmark-SPEC.", show_default=False),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many runs go on at the same time.")] = 1,
    engine: Annotated[
        Engine,
        typer.Option(
            help="local: processes on this machine; ray: tasks on a Ray cluster that sees the same files."
        ),
    ] = "local",
    address: Address = None,
    tables: Annotated[
        bool, typer.Option("--tables", help="Show the tables of the finished runs and start none.")
    ] = False,
    cost: Annotated[
        bool,
        typer.Option("--cost", help="Show parameters, multiplications, time and size in every table."),
    ] = False,
) -> None:
    """Train and evaluate a grid of models, protocols, folds and seeds, and write the papers' tables.

    A finished cell is not run again. A cell that fails becomes a row with its error, and the others go on. Writes
    tables.html, .md, .tex, .csv, cells.csv and a report for each model and protocol, and where the file names claims,
    claims.html and .md with their verdicts. Exits with 1 if a cell failed.
    """
    from bonaface.benchmark.costs import cost_grids, measure_grid, read_costs, with_costs
    from bonaface.benchmark.grid import plan, run_grid
    from bonaface.benchmark.results import reports_of, tables_of, warning_of, write_results
    from bonaface.benchmark.spec import read_spec
    from bonaface.benchmark.verdicts import claims_grids
    from bonaface.cli.progress import bar
    from bonaface.cli.tables import terminal
    from bonaface.core.files import alone
    from bonaface.evaluation.render.files import write_grids
    from bonaface.evaluation.render.text import print_grid

    wanted = read_spec(spec)
    folder = (out or Path(f"benchmark-{spec.stem}")).resolve()
    planned_cells = plan(wanted, folder)
    if not tables:
        _check(wanted)
        with alone(folder, "benchmark"), bar("cells") as progress:
            run_grid(planned_cells, jobs, engine=engine, address=address, progress=progress)
            measure_grid(wanted, planned_cells, folder)
    costs = read_costs(folder)
    reports = reports_of(planned_cells, wanted.units)
    grids = tables_of(reports, planned_cells)
    pictures: list[tuple[str, str]] = []
    if costs:
        grids = [with_costs(grid, costs) for grid in grids] if cost else grids
        beside, pictures = cost_grids(reports, costs)
        grids += beside
    console = terminal()
    for warning in dict.fromkeys(report.warning for report in reports if report.warning):
        console.print(warning, highlight=False, style="bold red")
    for grid in grids:
        print_grid(grid, console)
        console.print()
    written = write_results(reports, grids, planned_cells, folder, f"Benchmark {spec.stem}", pictures)
    if wanted.claims:
        found = claims_grids(wanted.claims, planned_cells, wanted.units[0], costs.steps if costs else {})
        print_grid(_narrow(found[0]), console)
        console.print()
        title = f"Claims, {spec.stem}"
        written += write_grids(
            found, folder, title, warning_of(reports), name="claims", suffixes=("html", "md")
        )
    console.print(f"Written: {', '.join(map(str, written))}", highlight=False, soft_wrap=True)
    _leave(planned_cells)


def _check(spec: "Spec") -> None:
    try:
        from bonaface.benchmark.spec import check_models

        check_models(spec)
    except ModuleNotFoundError as error:
        raise MissingExtraError("a benchmark", "train", str(error.name)) from error


def _narrow(grid: "Grid") -> "Grid":
    """Return the claims without their sentences, which are longer than a terminal is wide."""
    return replace(grid, header=grid.header[:-1], rows=tuple(row[:-1] for row in grid.rows))


def _leave(planned_cells: "Sequence[PlannedCell]") -> None:
    done, failed = (
        sum(planned.done for planned in planned_cells),
        sum(bool(planned.error) for planned in planned_cells),
    )
    typer.echo(f"{done} of {len(planned_cells)} cells are done, {failed} failed")
    if failed:
        raise typer.Exit(1)
