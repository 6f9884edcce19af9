"""A report as one HTML page that needs nothing else: no script, no font, no picture from anywhere.

The page's own script is a few lines inside it, and its policy forbids every request and every other script.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from html import escape

from bonaface.evaluation.curves import Det
from bonaface.evaluation.render.script import SCRIPT
from bonaface.evaluation.render.svg import (
    Limits,
    calibration_svg,
    det_svg,
    histogram_svg,
    limits_of,
    operating_point,
    sweep_svg,
)
from bonaface.evaluation.render.svg_details import bars_svg, strips_svg, video_svg
from bonaface.evaluation.render.tables import LEGEND, Grid, fold_grids, fold_lines, folds_grid, heading, notes
from bonaface.evaluation.report import Fold, Mistake, Report

# sample_id of a frame -> its PNG, or None where there is no picture.
Gallery = Callable[[str], bytes | None]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2.5rem }
.warning { background: #b00020; color: #fff; padding: .6rem 1rem; font-weight: bold }
.scroll { overflow-x: auto } table { border-collapse: collapse; margin: 1rem 0 .3rem }
caption { text-align: left; font-weight: bold; padding-bottom: .3rem }
th, td { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #ddd }
td { font-variant-numeric: tabular-nums }
th:first-child, td:first-child { text-align: left; padding-left: 0 }
.note { color: #555; font-size: .9rem; margin: .1rem 0 }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(24rem, 100%), 1fr)); gap: 1rem }
.plots figure { margin: 0 } svg { width: 100%; height: auto } figcaption { overflow-wrap: anywhere }
.gallery { display: flex; flex-wrap: wrap; gap: 1rem }
.control { grid-column: 1 / -1 } .control label { display: flex; gap: .6rem; max-width: 40rem }
.control input { flex: 1 } .control output { font-variant-numeric: tabular-nums }
.gallery figure { width: 9rem; margin: 0; font-size: .8rem; overflow-wrap: anywhere }
.gallery img { width: 100% }
"""


def html(report: Report, gallery: Gallery | None = None) -> str:
    """Return the report as a page: tables with intervals, DET curve, histograms; the errors with a `gallery`."""
    lines = [line for line in heading(report) if line != report.warning]
    title = f"Report: {report.system or 'scores'}"
    several, limits = len(report.folds) > 1, limits_of(report.folds)
    parts = [
        *(f"<p>{escape(line)}</p>" for line in lines),
        _legend(),
        *([table(folds_grid(report))] if several else []),
        *(_fold(report, fold, gallery, limits, titled=several) for fold in report.folds),
        *([f"<h2>Notes</h2><ul>{''.join(f'<li>{escape(note)}</li>' for note in notes(report))}</ul>"]),
    ]
    return page(title, report.warning, parts, SCRIPT)


def _legend() -> str:
    return "".join(f'<p class="note">{escape(line)}</p>' for line in LEGEND)


def html_grids(
    title: str, grids: Sequence[Grid], warning: str = "", pictures: Sequence[tuple[str, str]] = ()
) -> str:
    """Return a page of tables, then pictures, (caption, SVG); `warning`, if there is one, comes first."""
    below = [f'<div class="plots">{figures(pictures)}</div>'] if pictures else []
    return page(title, warning, [*map(table, grids), *below])


def page(title: str, warning: str, parts: Sequence[str], script: str = "") -> str:
    """Return a page of `parts`, each HTML, under its title; a `warning` comes first. Nothing else may be fetched."""
    allowed = (
        f"; script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" if script else ""
    )
    lines = [
        *([f"<!-- {escape(warning)} -->"] if warning else []),
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" '
        f"content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'{allowed}\">",
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        *([f'<p class="warning">{escape(warning)}</p>'] if warning else []),
        f"<h1>{escape(title)}</h1>",
        *parts,
        *([f"<script>{script}</script>"] if script else []),
        "</body></html>",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def _fold(report: Report, fold: Fold, gallery: Gallery | None, limits: Limits, titled: bool) -> str:
    name = f"<h2>Fold {escape(fold.name)}</h2>" if titled else ""
    lines = "".join(f"<p>{escape(line)}</p>" for line in fold_lines(report, fold)) if titled else ""
    return (
        name
        + lines
        + "".join(table(grid) for grid in fold_grids(fold))
        + _plots(fold, limits)
        + _details(fold, limits)
        + _errors(fold, gallery)
    )


def table(grid: Grid) -> str:
    """Return a table with its notes below."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in grid.header)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in row)}</tr>" for row in grid.rows)
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in grid.notes)
    inner = f"<caption>{escape(grid.title)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return f'<div class="scroll"><table>{inner}</table></div>{notes}'


def _plots(fold: Fold, limits: Limits) -> str:
    threshold, pictures = fold.threshold.value, []
    if fold.det:
        pictures.append(("DET curve", det_svg(fold.det, operating_point(fold), limits.det)))
        pictures.append(("Errors by threshold", sweep_svg(fold.det, threshold, limits.score)))
    if fold.histogram:
        drawn = histogram_svg(fold.histogram, threshold, limits.score, limits.share)
        pictures.append(("Scores", drawn))
    pictures.append(("Errors at the threshold, by kind", bars_svg(fold.test.errors, limits.error)))
    if fold.calibration:
        caption = (
            f"Calibration: how far a score is the probability of bona fide among these presentations; "
            f"expected calibration error {fold.calibration.error:.3f}"
        )
        pictures.append((caption, calibration_svg(fold.calibration)))
    control = _control(fold.det, threshold) if fold.det else ""
    return f'<div class="plots">{control}{figures(pictures)}</div>'


def _control(det: Det, threshold: float) -> str:
    """Return the slider over the thresholds of `det`, and the place where the script writes the errors there."""
    columns = {"thresholds": det.thresholds, "worst": det.worst, "pooled": det.pooled, "bpcer": det.bpcer}
    # Seven digits are more than can be read off; in full the page would be twice as long.
    short = {name: [float(f"{value:.7g}") for value in values] for name, values in columns.items()}
    nearest = min(range(len(det.thresholds)), key=lambda n: abs(det.thresholds[n] - threshold))
    return (
        '<div class="control"><label>Threshold '
        f'<input type="range" min="0" max="{len(det.thresholds) - 1}" value="{nearest}" '
        f'data-det="{escape(json.dumps(short, separators=(",", ":")))}"></label>'
        "<output>Move the slider, or point at a curve, to read the errors at another threshold.</output></div>"
    )


def _details(fold: Fold, limits: Limits) -> str:
    """Return who carries the errors, and how the scores of the worst videos go."""
    threshold, parts = fold.threshold.value, []
    if fold.subjects:
        shown, all_errors = sum(one.errors for one in fold.subjects), fold.test.errors
        total = sum(figure.errors or 0 for figure in (all_errors.bpcer, all_errors.apcer["pooled"]))
        caption = (
            f"{len(fold.subjects)} of {fold.test.subjects} subjects, those with the most errors first; beside each "
            f"name its errors and presentations. These subjects have {shown} of all {total} errors"
        )
        picture = [(caption, strips_svg(fold.subjects, threshold, limits.score))]
        parts.append(f'<h3>Who carries the errors</h3><div class="plots">{figures(picture)}</div>')
    if fold.videos:
        pictures = [(one.id, video_svg(one, threshold, limits.frame)) for one in fold.videos]
        title = "Score over time: of each class the videos most wrong, or nearest to it"
        parts.append(f'<h3>{title}</h3><div class="plots">{figures(pictures)}</div>')
    return "".join(parts)


def figures(pictures: Sequence[tuple[str, str]]) -> str:
    """Return drawn pictures, (caption, SVG) each."""
    return "".join(f"<figure>{svg}<figcaption>{escape(name)}</figcaption></figure>" for name, svg in pictures)


def _errors(fold: Fold, gallery: Gallery | None) -> str:
    if gallery is None or not fold.mistakes:
        return ""
    shown = [_error(mistake, gallery(mistake.sample_id)) for mistake in fold.mistakes]
    figures = "".join(figure for figure in shown if figure)
    if not figures:
        return ""
    return f'<h3>Errors, farthest from the threshold first</h3><div class="gallery">{figures}</div>'


def _error(mistake: Mistake, png: bytes | None) -> str:
    if png is None:
        return ""
    kind = "bona fide, rejected" if mistake.label else f"{mistake.species}, accepted"
    return photo(f"{mistake.id}: {kind}, score {mistake.score:.4g}", png)


def photo(caption: str, png: bytes) -> str:
    """Return a picture with its caption, for a gallery."""
    picture = f'<img src="data:image/png;base64,{b64encode(png).decode()}" alt="{escape(caption)}">'
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"
