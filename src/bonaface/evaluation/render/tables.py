"""The tables of a report as text cells, one layout for the terminal, HTML, Markdown and LaTeX."""

from dataclasses import dataclass, field

from bonaface.evaluation.comparison import Comparison
from bonaface.evaluation.error_rates import GROUPINGS, Errors, Figure, SetFigures
from bonaface.evaluation.operating_point import Threshold
from bonaface.evaluation.report import Fold, Report, headline

NOTHING = "-"
ACADEMIC = "ACER is an academic figure: ISO/IEC 30107-3 does not know it."
LEGEND = (
    "APCER: share of attacks that were accepted as bona fide, by default of the worst species (kind of attack).",
    "BPCER: share of bona fide presentations (real users) that were rejected.",
    "ACER: mean of the two. EER: the error at the threshold where both are equal.",
    "DET curve: BPCER against APCER at every threshold; the nearer to the lower left, the better.",
)
OVER = {"species": "worst species", "category": "worst category", "pooled": "all attacks pooled"}
_FOLD_COLUMNS = {
    "APCER": "apcer_species",
    "category": "apcer_category",
    "pooled": "apcer_pooled",
    "BPCER": "bpcer",
    "ACER": "acer_species",
    "HTER": "hter",
    "EER": "eer",
}


@dataclass(frozen=True, slots=True)
class Grid:
    """A titled table of text; the first column is words, the others are figures. `notes` belong below it."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = field(default=())


def percent(value: float | None) -> str:
    """Return 0.0236 as ``2.36``; a dash for None."""
    return NOTHING if value is None else f"{100 * value:.2f}"


def between(figure: Figure) -> str:
    """Return the interval in per cent, ``1.38 to 3.75``."""
    if figure.interval is None:
        return NOTHING
    return f"{percent(figure.interval.low)} to {percent(figure.interval.high)}"


def counted(figure: Figure) -> str:
    """Return numerator and denominator, ``17/720``."""
    return NOTHING if figure.errors is None else f"{figure.errors}/{figure.total}"


def heading(report: Report) -> list[str]:
    """Return system, protocol and unit in a few lines; the warning, if there is one, first."""
    system = report.system or "Scores"
    on = f" on {report.tested_on}" if report.tested_on else ""
    if report.trained_on not in ("", report.tested_on):
        on = f", trained on {report.trained_on}, tested{on}"
    of = f", output {report.output}" if report.output else ""
    unit = f"by {unit_of(report)}"
    if unit == "by video":
        unit += f" ({report.aggregation} of its frames)"
    lines = [f"{system}{on}{of}, judged {unit}."]
    if len(report.folds) == 1:
        lines += fold_lines(report, report.folds[0])
    else:
        lines += [
            f"Fold {fold.name}: threshold {threshold_text(report, fold.threshold)}." for fold in report.folds
        ]
    return [report.warning, *lines] if report.warning else lines


def fold_lines(report: Report, fold: Fold) -> list[str]:
    """Return the presentations of a fold, by counts, and its threshold."""
    test = fold.test
    people = f" of {test.subjects} subjects" if test.subjects is not None else ""
    species = len(test.errors.per_species)
    return [
        f"{test.bona_fide} bona fide and {test.attacks} attack {unit_of(report)}s{people}, "
        f"{species} attack species.",
        f"Threshold {threshold_text(report, fold.threshold)}.",
    ]


def unit_of(judged: Report | Comparison) -> str:
    """Return the unit in words: video, frame, or picture where every video is a single frame."""
    return "picture" if judged.pictures else judged.unit


def threshold_text(judged: Report | Comparison, threshold: Threshold) -> str:
    """Return `threshold` and where it comes from as text, in the word for what is judged."""
    return str(threshold).replace(f", by {judged.unit})", f", by {unit_of(judged)})")


def grids(report: Report) -> list[Grid]:
    """Return all tables of the report: over the folds if there are several, then each fold's own."""
    several = [folds_grid(report)] if len(report.folds) > 1 else []
    return several + [grid for fold in report.folds for grid in fold_grids(fold)]


def fold_grids(fold: Fold) -> list[Grid]:
    """Return the tables of one fold: errors at the threshold, by species, at any threshold."""
    of = f", fold {fold.name}" if fold.name else ""
    return [*_errors_grids(fold, of), _species_grid(fold.test, of), _ranking_grid(fold, of)]


def folds_grid(report: Report) -> Grid:
    """Return one row a fold, then mean and standard deviation (n - 1), in per cent."""
    rows = []
    for fold in report.folds:
        figures = headline(fold.test)
        rows.append((fold.name, *(percent(figures[name].value) for name in _FOLD_COLUMNS.values())))
    summary = report.summary
    means = [summary.get(name) for name in _FOLD_COLUMNS.values()]
    rows.append(("mean", *(percent(m.mean if m else None) for m in means)))
    rows.append(("sd (n - 1)", *(percent(m.sd if m else None) for m in means)))
    return Grid(
        f"{len(report.folds)} folds, per cent",
        ("fold", *_FOLD_COLUMNS),
        tuple(rows),
        ("APCER and ACER: worst species; category, pooled: APCER over those groups.", ACADEMIC),
    )


def notes(report: Report) -> list[str]:
    """Return the notes that a careful reader needs beside these figures."""
    found = [*report.notes, *(note for fold in report.folds for note in _fold_notes(fold))]
    return list(dict.fromkeys(found))


def _errors_grids(fold: Fold, of: str) -> list[Grid]:
    """Return the errors at the threshold and, if some did not respond, again with those counted as rejected."""
    non_response = fold.test.apnrr.errors or fold.test.bpnrr.errors
    note = (
        "Non-responses are left out here and counted as rejected in the next table."
        if non_response
        else "Every presentation got a response: counting non-responses as rejected changes nothing."
    )
    title = f"Errors at the threshold{of}"
    grid = _errors_grid(title, fold.test.errors, fold.dev.errors if fold.dev else None, (note, ACADEMIC))
    if not non_response:
        return [grid]
    title = f"Again, non-responses counted as rejected{of}"
    return [grid, _errors_grid(title, fold.test.strict, fold.dev.strict if fold.dev else None, ())]


def _errors_grid(title: str, test: Errors, dev: Errors | None, notes: tuple[str, ...]) -> Grid:
    on_dev = _rows_of(dev) if dev else None
    rows: list[tuple[str, ...]] = [
        (
            _titled(name, test),
            percent(figure.value),
            between(figure),
            counted(figure),
            *([percent(on_dev[name].value)] if on_dev else []),
        )
        for name, figure in _rows_of(test).items()
    ]
    header = ("at the threshold", "%", "95 % interval", "errors", *(["dev %"] if dev else []))
    return Grid(title, header, tuple(rows), notes)


def _rows_of(errors: Errors) -> dict[str, Figure]:
    return {
        **{f"APCER, {name}": errors.apcer[name] for name in GROUPINGS},
        "BPCER": errors.bpcer,
        **{f"ACER, {name}": errors.acer[name] for name in GROUPINGS},
    }


def _titled(name: str, errors: Errors) -> str:
    figure, _, grouping = name.partition(", ")
    if not grouping:
        return figure
    which = errors.worst.get(grouping, "") if figure == "APCER" else ""
    equal = " = HTER" if (figure, grouping) == ("ACER", "pooled") else ""
    return f"{figure}, {OVER[grouping]}{f' ({which})' if which else ''}{equal}"


def _species_grid(test: SetFigures, of: str) -> Grid:
    errors = test.errors
    kinds = {name: (figure, test.apnrr_per_species[name]) for name, figure in errors.per_species.items()}
    if len(errors.per_category) < len(errors.per_species):
        kinds |= {f"{name}, all": (figure, Figure(None)) for name, figure in errors.per_category.items()}
    kinds["bona fide"] = (errors.bpcer, test.bpnrr)
    rows = tuple(
        (
            name,
            percent(error.value),
            between(error),
            counted(error),
            percent(non_response.value),
            counted(non_response),
        )
        for name, (error, non_response) in kinds.items()
    )
    reasons = ", ".join(f"{reason} {count}" for reason, count in test.reasons.items())
    note = (f"No response: {reasons}.",) if reasons else ()
    return Grid(
        f"APCER and APNRR by species; BPCER and BPNRR of bona fide{of}",
        ("presentations", "error %", "95 % interval", "errors", "no resp. %", "count"),
        rows,
        note,
    )


def _ranking_grid(fold: Fold, of: str) -> Grid:
    test, dev = _ranking_rows(fold.test), _ranking_rows(fold.dev) if fold.dev else {}
    rows = tuple(
        (name, percent(figure.value), between(figure), counted(figure))
        + ((percent(dev[name].value),) if dev else ())
        for name, figure in test.items()
    )
    header = ("at any threshold", "%", "95 % interval", "errors", *(["dev %"] if dev else []))
    note = "BPCERn: smallest BPCER with every species' APCER at most 1/n; both taken on the same scores."
    return Grid(f"How well the scores part the classes{of}", header, rows, (note,))


def _ranking_rows(figures: SetFigures) -> dict[str, Figure]:
    ranking = figures.ranking
    return {
        "EER": ranking.eer,
        "AUC": Figure(ranking.auc),
        **{f"BPCER{n} (APCER <= {100 // n} %)": figure for n, figure in ranking.bpcer_at.items()},
        "APCER where BPCER <= 1 %": ranking.apcer_at_bpcer1,
    }


def _fold_notes(fold: Fold) -> list[str]:
    test, of = fold.test, f" in fold {fold.name}" if fold.name else ""
    found = []
    for count, name in ((test.bona_fide, "bona fide presentation"), (test.attacks, "attack")):
        if not count:
            found.append(f"There is no {name}{of}: the figures that need one are left out ({NOTHING}).")
    if test.ranking.auc is not None and test.ranking.auc < 0.5:
        found.append(
            f"The AUC is {percent(test.ranking.auc)} %{of}: attacks score higher than bona fide presentations. If a "
            "higher score means attack in this table, turn the scores round (--map score=-COLUMN); if the label 1 "
            "means attack, turn the labels round (--map label=-COLUMN). The wrong one of the two exchanges APCER "
            "and BPCER."
        )
    if fold.unseen:
        found.append(f"Species that the dev set lacks{of}: {', '.join(fold.unseen)}.")
    if fold.shared_subjects:
        found.append(f"{fold.shared_subjects} subjects are in both dev and test{of}.")
    if test.subjects is None:
        found.append(
            "No subjects are named, so the intervals take each presentation for another person's; "
            "they are too narrow if a person appears more than once."
        )
    elif test.subjects == 1:
        found.append(f"There is only one subject{of}: the intervals hold for that person, not for others.")
    elif test.subjects < 10:
        found.append(f"Only {test.subjects} subjects{of}: take the intervals as a hint.")
    if 0 < test.bona_fide < 100:
        found.append(
            f"Only {test.bona_fide} bona fide presentations{of}: one error is {100 / test.bona_fide:.1f} %."
        )
    return found
