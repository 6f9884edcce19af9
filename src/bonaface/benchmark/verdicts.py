"""Decide each claim by the grid's own runs, and draw the tables of the claims."""

from collections.abc import Mapping, Sequence

from bonaface.benchmark.claims import (
    NO_FIGURES,
    TRAINING,
    Check,
    Claim,
    Side,
    Verdict,
    overall,
    printed_checks,
)
from bonaface.benchmark.grid import PlannedCell
from bonaface.benchmark.results import fold_of
from bonaface.core.records import SIMULATED
from bonaface.datasets.experiment import Experiment
from bonaface.evaluation.aggregate import Unit
from bonaface.evaluation.comparison import Difference, differences_of
from bonaface.evaluation.render.published import PAPERS
from bonaface.evaluation.render.tables import ACADEMIC, NOTHING, Grid, percent
from bonaface.export.cost import StepCost

# The papers do not say over what their APCER is taken; ours is of the worst species, as ISO/IEC 30107-3 has it.
_TIME = "ms a picture"
_FIGURES = {
    "acer": "acer_species",
    "apcer": "apcer_species",
    "bpcer": "bpcer",
    "hter": "acer_pooled",
    "eer": "eer",
}
_HOW = (
    "By these runs: first - second with its 95 % interval over subjects, paired by presentation, as means over folds "
    "and seeds. A difference is shown where the interval holds no 0 and every seed goes the same way.",
    "An interval says nothing of other trainings, and of twenty claims without any difference one shows one.",
    "The generalised accuracy of Bi-FPNFAS is 1 - ACER, by its appendix.",
)
_BY_TABLE = {"holds": "holds", "contradicted": "does not hold"}


def claims_grids(
    claims: Sequence[Claim],
    planned_cells: Sequence[PlannedCell],
    unit: Unit,
    steps: Mapping[str, StepCost] | None = None,
) -> list[Grid]:
    """Return the claims with their verdicts, then what these rest on: the papers' tables, and the runs.

    Args:
        claims: of the benchmark's file.
        planned_cells: the grid, of which finished cells decide.
        unit: what is judged.
        steps: the cost of a training step by the name of the model, where it was measured.
    """
    printed = {claim.claim: printed_checks(claim) for claim in claims}
    ours = {
        claim.claim: training_checks(claim, steps or {})
        if claim.measure == TRAINING
        else run_checks(claim, planned_cells, unit)
        for claim in claims
    }
    rows = tuple(
        (
            claim.claim,
            _by_tables(claim, printed[claim.claim]),
            _by_runs(claim, ours[claim.claim]),
            f'{PAPERS[claim.paper]}, {claim.section}: "{claim.says}"',
        )
        for claim in claims
    )
    notes = [f"{claim.claim}: {claim.note}" for claim in claims if claim.note]
    header = ("claim", "by the paper's own tables", "by these runs", "where")
    return [
        Grid("Claims of the papers", header, rows, (*notes, *_HOW)),
        _details("By the papers' own tables", [check for claim in claims for check in printed[claim.claim]]),
        _details(
            f"By these runs, by {unit}", [check for claim in claims for check in ours[claim.claim]], ACADEMIC
        ),
    ]


def run_checks(claim: Claim, planned_cells: Sequence[PlannedCell], unit: Unit) -> list[Check]:
    """Return the claim against the grid's finished runs, paired by fold and seed, on each protocol.

    A simulated set stands for the one that it imitates. A difference is shown where its 95 % interval over subjects
    holds no 0 and every seed goes the same way.
    """
    return [
        _compared(claim, side, protocol, planned_cells, unit)
        if side
        else _undecided(claim, "", protocol, "a figure of another data set")
        for protocol in claim.protocols
        for side in (claim.others if claim.second else (None,))
    ]


def training_checks(claim: Claim, steps: Mapping[str, StepCost]) -> list[Check]:
    """Return the claim against measured steps in training: parameters, multiplications, milliseconds a picture."""
    checks = []
    for side in claim.others:
        one, two = steps.get(claim.one.model), steps.get(side.model)
        if one is None or two is None:
            checks.append(_undecided(claim, str(side), TRAINING, "no step was measured"))
            continue
        for what, first, second in (
            ("parameters", one.parameters, two.parameters),
            ("multiplications", one.multiplications, two.multiplications),
        ):
            checks.append(
                Check(
                    claim.claim,
                    str(claim.one),
                    str(side),
                    what,
                    (f"{first:,}", f"{second:,}"),
                    f"{100 * (first / second - 1):+.2f} %",
                    "counted",
                    _verdict(claim, first - second, first == second),
                )
            )
        low, middle, high = one.ratio(two)
        checks.append(
            Check(
                claim.claim,
                str(claim.one),
                str(side),
                _TIME,
                (f"{one.milliseconds:.2f}", f"{two.milliseconds:.2f}"),
                f"{100 * (middle - 1):+.1f} % ({100 * (low - 1):+.1f} to {100 * (high - 1):+.1f})",
                f"{len(one.rounds)} rounds",
                _verdict(claim, middle - 1, low <= 1 <= high),
            )
        )
    return checks


def _by_tables(claim: Claim, checks: Sequence[Check]) -> str:
    if not checks:
        return NO_FIGURES
    verdicts = [check.verdict for check in checks]
    found = _BY_TABLE[overall(verdicts, claim.at_least)]
    return f"{found} ({verdicts.count('holds')} of {len(verdicts)})" if len(verdicts) > 1 else found


def _by_runs(claim: Claim, checks: Sequence[Check]) -> str:
    if claim.measure == TRAINING:  # the time decides; parameters and multiplications stand beside it
        checks = [check for check in checks if check.protocol in (_TIME, TRAINING)]
    verdicts = [check.verdict for check in checks]
    found = overall(verdicts, claim.at_least)
    counts = ", ".join(f"{verdicts.count(each)} {each}" for each in dict.fromkeys(verdicts) if each != found)
    return f"{found} ({verdicts.count(found)} of {len(verdicts)}; {counts})" if counts else found


def _compared(
    claim: Claim, side: Side, protocol: str, planned_cells: Sequence[PlannedCell], unit: Unit
) -> Check:
    firsts, seconds = (_cells(planned_cells, one.model, protocol) for one in (claim.one, side))
    for name, cells in ((claim.one.model, firsts), (side.model, seconds)):
        if not cells:
            return _undecided(claim, str(side), protocol, f"no row {name} here")
    every = [key for key in firsts if key in seconds]
    keys = [key for key in every if firsts[key].done and seconds[key].done]
    if not keys:
        return _undecided(claim, str(side), protocol, "no finished runs of both")
    one = [fold_of(firsts[key], claim.one.output, unit) for key in keys]
    two = [fold_of(seconds[key], side.output, unit) for key in keys]
    figure = _FIGURES[claim.measure]
    found = differences_of(one, two)[figure]
    seeds = {
        seed: differences_of(
            [fold for fold, key in zip(one, keys, strict=True) if key[-1] == seed],
            [fold for fold, key in zip(two, keys, strict=True) if key[-1] == seed],
        )[figure].difference
        for seed in dict.fromkeys(key[-1] for key in keys)
    }
    agree = all(value * found.difference > 0 for value in seeds.values())
    holds_0 = found.interval.low <= 0 <= found.interval.high
    missing = f" of {len(every)}" if len(keys) < len(every) else ""
    return Check(
        claim.claim,
        str(claim.one),
        str(side),
        protocol,
        (percent(found.first), percent(found.second)),
        _interval(found),
        f"{len(keys)}{missing} runs each{'' if agree or holds_0 else '; seeds disagree'}",
        _verdict(claim, found.difference, holds_0 or not agree),
    )


def _cells(
    planned_cells: Sequence[PlannedCell], model: str, protocol: str
) -> dict[tuple[str, str, int], PlannedCell]:
    wanted = Experiment.parse(protocol)
    return {
        (planned.cell.train_fold, planned.cell.test_fold, planned.cell.seed): planned
        for planned in planned_cells
        if planned.cell.model.name == model
        and planned.cell.experiment.trained_on.replace(SIMULATED, "") == wanted.trained_on
        and planned.cell.experiment.tested_on.replace(SIMULATED, "") == wanted.tested_on
    }


def _verdict(claim: Claim, difference: float, unshown: bool) -> Verdict:
    if unshown:
        return "no difference shown"
    found = "lower" if difference < 0 else "higher"
    return "holds" if found == claim.expect else "contradicted"


def _undecided(claim: Claim, second: str, protocol: str, basis: str) -> Check:
    names = str(claim.one), second
    return Check(claim.claim, *names, protocol, (NOTHING, NOTHING), NOTHING, basis, "not decidable here")


def _interval(found: Difference) -> str:
    low, high = found.interval
    return f"{100 * found.difference:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def _details(title: str, checks: Sequence[Check], *notes: str) -> Grid:
    rows = tuple(
        (
            check.claim,
            check.first,
            check.second or NOTHING,
            check.protocol,
            *(figure or NOTHING for figure in check.figures),
            check.difference,
            check.basis,
            _BY_TABLE[check.verdict] if "papers" in title else check.verdict,
        )
        for check in checks
    )
    header = ("claim", "first", "second", "on", "first %", "second %", "first - second", "basis", "verdict")
    return Grid(title, header, rows, notes)
