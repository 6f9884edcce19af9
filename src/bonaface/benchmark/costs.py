"""What each model of a grid costs, beside its errors: measured once the runs are there, and kept in OUT/costs.json."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from bonaface.benchmark.claims import TRAINING
from bonaface.benchmark.grid import PlannedCell
from bonaface.benchmark.spec import Model, Spec
from bonaface.core.files import write_json
from bonaface.core.machine import usable_cores
from bonaface.evaluation.render.published import mean_sd
from bonaface.evaluation.render.svg_pareto import Priced, pareto_front, pareto_svg
from bonaface.evaluation.render.tables import ACADEMIC, NOTHING, Grid
from bonaface.evaluation.report import Report
from bonaface.export.cost import Cost, StepCost, measure_costs
from bonaface.inference.bundle import Bundle

_FILE = "costs.json"
COLUMNS = ("parameters", "MMAC", "ms", "bundle kB")
_NONE = (NOTHING,) * len(COLUMNS)
NOTE = (
    "Cost of one picture: parameters are the weights in the ONNX file, fixed ones such as those of a DFT among them. "
    "MMAC are millions of multiplications of convolutions and matrix products; what descriptors compute beside them is "
    "not counted. ms: all crops of one face, one face at a time, by onnxruntime on {threads} thread(s), all networks "
    "in turn on one machine, without finding the face. Bundle: the ONNX file and its description."
)
_ERRORS = {"APCER %": "apcer_species", "BPCER %": "bpcer", "ACER %": "acer_species"}
_FRONT = "APCER and ACER: worst species. Front: no other is quicker and better."


class Costs(msgspec.Struct, frozen=True):
    """Measured costs by the name of the model; `runs` are the folders of the bundles that were measured.

    `steps` are those of a step in training, of the models that a claim asks for.
    """

    threads: int
    runs: dict[str, str]
    models: dict[str, Cost]
    steps: dict[str, StepCost] = {}


def read_costs(out: Path) -> Costs | None:
    """Return what a grid measured into `out`; None where nothing was measured yet."""
    path = out / _FILE
    return msgspec.json.decode(path.read_bytes(), type=Costs) if path.is_file() else None


def measure_grid(spec: Spec, planned_cells: Sequence[PlannedCell], out: Path) -> Costs:
    """Return the costs of each model's first finished run; they are measured again if other runs are there.

    Raises:
        BonafaceError: a bundle that can't be opened.
    """
    runs: dict[str, str] = {}
    for planned in planned_cells:
        if planned.done and planned.job:
            runs.setdefault(planned.cell.model.name, planned.job.run.name)
    kept = read_costs(out)
    asked = _in_training(spec)
    if kept and kept.runs == runs and set(kept.steps) == set(asked):
        return kept
    threads = usable_cores()
    bundles = {name: Bundle.open(out / "runs" / run) for name, run in runs.items()}
    costs = Costs(threads, runs, measure_costs(bundles, threads), _steps(asked))
    write_json(out / _FILE, msgspec.to_builtins(costs))
    return costs


def cost_grids(reports: Sequence[Report], costs: Costs) -> tuple[list[Grid], list[tuple[str, str]]]:
    """Return cost beside error on each protocol, the cheapest first, and a picture of it: (caption, SVG)."""
    grids, pictures = [], []
    for pair in dict.fromkeys((report.trained_on, report.tested_on) for report in reports):
        same = {
            _named(report): report
            for report in reports
            if (report.trained_on, report.tested_on) == pair
            and report.unit == reports[0].unit
            and _model(report) in costs.models
            and "acer_species" in report.summary
        }
        if not same:
            continue
        points = sorted(
            (
                Priced(name, costs.models[_model(report)].milliseconds, report.summary["acer_species"].mean)
                for name, report in same.items()
            ),
            key=lambda point: point.cost,
        )
        front = pareto_front(points)
        rows = tuple(
            (
                point.name,
                *_cells(costs, point.name),
                *(mean_sd(same[point.name].summary.get(figure)) for figure in _ERRORS.values()),
                "yes" if point in front else "",
            )
            for point in points
        )
        title = f"Cost beside error: {' -> '.join(dict.fromkeys(pair))}"
        header = ("model", *COLUMNS, *_ERRORS, "front")
        notes = (NOTE.format(threads=costs.threads), _FRONT, ACADEMIC)
        grids.append(Grid(title, header, rows, notes))
        pictures.append((title, pareto_svg(points, "ACER, worst species, %", "ms a picture")))
    return grids, pictures


def with_costs(grid: Grid, costs: Costs) -> Grid:
    """Return a table of models and their errors with four columns of cost; others as they are."""
    if grid.header[:2] != ("model", "source"):
        return grid
    rows = tuple((*row, *(_cells(costs, row[0]) if row[1] != "published" else _NONE)) for row in grid.rows)
    note = NOTE.format(threads=costs.threads)
    return replace(grid, header=(*grid.header, *COLUMNS), rows=rows, notes=(*grid.notes, note))


def cost_cells(cost: Cost) -> tuple[str, ...]:
    """Return a cost as the cells of `COLUMNS`."""
    counted = "not counted" if cost.multiplications is None else f"{cost.multiplications / 1e6:,.1f}"
    return f"{cost.parameters:,}", counted, f"{cost.milliseconds:.2f}", f"{cost.size / 1000:,.0f}"


def _cells(costs: Costs, name: str) -> tuple[str, ...]:
    cost = next((costs.models[each] for each in _prefixes(name) if each in costs.models), None)
    return _NONE if cost is None else cost_cells(cost)


def _model(report: Report) -> str:
    return report.system.partition(" [")[0]


def _named(report: Report) -> str:
    return f"{_model(report)} ({report.output})" if report.output else _model(report)


def _prefixes(name: str) -> tuple[str, str]:
    """Return the model that the first cell of a row may name: with the score output behind it, or without."""
    whole = name.partition(" [")[0]
    return whole, whole.rpartition(" (")[0]


def _in_training(spec: Spec) -> dict[str, Model]:
    """Return the models that the claims about training compare, as far as the grid has them."""
    names = {
        side.model
        for claim in spec.claims
        if claim.measure == TRAINING
        for side in (claim.one, *claim.others)
    }
    return {cell.model.name: cell.model for cell in spec.cells if cell.model.name in names}


def _steps(models: Mapping[str, Model]) -> dict[str, StepCost]:
    if not models:
        return {}
    from bonaface.training.settings import choose_preset
    from bonaface.training.step_cost import measure_steps

    return measure_steps(
        {name: choose_preset(model.model, model.preset, model.changes) for name, model in models.items()}
    )
