"""Compare two systems on the same presentations: paired differences, McNemar's test, changed decisions."""

import csv
import io
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from bonaface.core.csv_lines import CsvLines
from bonaface.core.files import write_json, write_text
from bonaface.evaluation.comparison import Comparison, Flip
from bonaface.evaluation.render.tables import ACADEMIC, Grid, percent, threshold_text, unit_of
from bonaface.evaluation.render.text import markdown_grid, print_grid

_NAMES = {
    "apcer_species": "APCER, worst species",
    "apcer_pooled": "APCER, all attacks pooled",
    "bpcer": "BPCER",
    "acer_species": "ACER, worst species",
    "acer_pooled": "ACER, pooled = HTER",
    "eer": "EER",
}
_SHOWN = 10


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Write the comparison to `console`, in at most 80 columns."""
    for number, line in enumerate(_heading(comparison)):
        alarm = "bold red" if comparison.warning and not number else ""
        console.print(line, markup=False, highlight=False, style=alarm)
    for grid in _grids(comparison, _SHOWN):
        console.print()
        print_grid(grid, console)


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write compare.json, compare.md and flips.csv into `folder`, each whole, and return their paths."""
    paths = [folder / name for name in ("compare.json", "compare.md", "flips.csv")]
    write_json(paths[0], comparison.as_dict())
    text = [line for sentence in _heading(comparison) for line in (sentence, "")]
    text += [line for grid in _grids(comparison, None) for line in (markdown_grid(grid), "")]
    write_text(paths[1], "\n".join(text).rstrip() + "\n")
    write_text(paths[2], _flips_csv(comparison))
    return paths


def _heading(comparison: Comparison) -> list[str]:
    protocol = "/".join(part for part in (comparison.dataset, comparison.protocol) if part)
    lines = [comparison.warning] if comparison.warning else []
    lines.append(
        f"{comparison.first} (A) and {comparison.second} (B){f' on {protocol}' if protocol else ''}, "
        f"by {unit_of(comparison)}: {comparison.presentations} presentations."
    )
    lines += comparison.notes
    if comparison.left_out:
        lines.append(f"{comparison.left_out} more are left out: not both systems responded to them.")
    for fold, thresholds in comparison.thresholds.items():
        first, second = (threshold_text(comparison, threshold) for threshold in thresholds)
        lines.append(f"Thresholds{f' of fold {fold}' if fold else ''}: A {first}; B {second}.")
    return lines


def _grids(comparison: Comparison, most: int | None) -> list[Grid]:
    return [_differences(comparison), _tests(comparison), _flips(comparison, most)]


def _differences(comparison: Comparison) -> Grid:
    rows = tuple(
        (
            _NAMES[name],
            percent(found.first),
            percent(found.second),
            f"{100 * found.difference:+.2f}",
            f"{100 * found.interval.low:+.2f} to {100 * found.interval.high:+.2f}",
        )
        for name, found in comparison.differences.items()
    )
    folds = " Means over the folds." if len(comparison.thresholds) > 1 else ""
    note = f"Intervals over subjects, paired; one that holds 0 shows no difference.{folds}"
    return Grid("Differences", ("figure", "A %", "B %", "A - B", "95 % interval"), rows, (note, ACADEMIC))


def _tests(comparison: Comparison) -> Grid:
    rows = tuple(
        (kind, str(test.only_first), str(test.only_second), f"{test.p:.2g}")
        for kind, test in comparison.mcnemar.items()
    )
    note = "It takes presentations as independent; several of one subject make it see too much."
    header = ("presentations", "only A wrong", "only B wrong", "p")
    return Grid("McNemar's exact test at the thresholds", header, rows, (note,))


def _flips(comparison: Comparison, most: int | None) -> Grid:
    flips = comparison.flips if most is None else comparison.flips[:most]
    rows = tuple(
        (
            flip.id,
            _kind(flip),
            f"{flip.first:.4f}",
            f"{flip.second:.4f}",
            "A" if flip.right == "first" else "B",
        )
        for flip in flips
    )
    rest = len(comparison.flips) - len(flips)
    note = (f"and {rest} more; all are in flips.csv (--out DIR).",) if rest else ()
    title = f"{len(comparison.flips)} presentations are decided differently"
    return Grid(title, ("presentation", "kind", "score A", "score B", "right"), rows, note)


def _kind(flip: Flip) -> str:
    return "bona fide" if flip.label else flip.species


def _flips_csv(comparison: Comparison) -> str:
    file = io.StringIO()
    if comparison.warning:
        file.write(f"# {comparison.warning}\n")
    names = ["fold", "id", "label", "species", "first", "second", "right"]
    writer = csv.DictWriter(CsvLines(file), names)
    writer.writeheader()
    writer.writerows(asdict(flip) for flip in comparison.flips)
    return file.getvalue()
