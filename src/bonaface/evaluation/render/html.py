"""A report as one HTML page that needs nothing else: no script, no font, no picture from anywhere."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from html import escape

from bonaface.evaluation.render.svg import det_svg, histogram_svg
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
.plots, .gallery { display: flex; flex-wrap: wrap; gap: 1rem }
.plots figure { flex: 1 1 24rem; margin: 0 } svg { width: 100%; height: auto }
.gallery figure { width: 9rem; margin: 0; font-size: .8rem; overflow-wrap: anywhere }
.gallery img { width: 100% }
"""


def html(report: Report, gallery: Gallery | None = None) -> str:
    """Return the report as a page: tables with intervals, DET curve, histograms; the errors with a `gallery`."""
    lines = [line for line in heading(report) if line != report.warning]
    title = f"Report: {report.system or 'scores'}"
    several = len(report.folds) > 1
    parts = [
        *(f"<p>{escape(line)}</p>" for line in lines),
        _legend(),
        *([_grid(folds_grid(report))] if several else []),
        *(_fold(report, fold, gallery, titled=several) for fold in report.folds),
        *([f"<h2>Notes</h2><ul>{''.join(f'<li>{escape(note)}</li>' for note in notes(report))}</ul>"]),
    ]
    return _page(title, report.warning, parts)


def _legend() -> str:
    return "".join(f'<p class="note">{escape(line)}</p>' for line in LEGEND)


def html_grids(title: str, grids: Sequence[Grid], warning: str = "") -> str:
    """Return a page of tables; `warning`, if there is one, comes first."""
    return _page(title, warning, [_grid(grid) for grid in grids])


def _page(title: str, warning: str, parts: Sequence[str]) -> str:
    lines = [
        *([f"<!-- {escape(warning)} -->"] if warning else []),
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        *([f'<p class="warning">{escape(warning)}</p>'] if warning else []),
        f"<h1>{escape(title)}</h1>",
        *parts,
        "</body></html>",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def _fold(report: Report, fold: Fold, gallery: Gallery | None, titled: bool) -> str:
    name = f"<h2>Fold {escape(fold.name)}</h2>" if titled else ""
    lines = "".join(f"<p>{escape(line)}</p>" for line in fold_lines(report, fold)) if titled else ""
    return (
        name
        + lines
        + "".join(_grid(grid) for grid in fold_grids(fold))
        + _plots(fold)
        + _errors(fold, gallery)
    )


def _grid(grid: Grid) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in grid.header)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in row)}</tr>" for row in grid.rows)
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in grid.notes)
    table = f"<caption>{escape(grid.title)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return f'<div class="scroll"><table>{table}</table></div>{notes}'


def _plots(fold: Fold) -> str:
    pictures = []
    if fold.det:
        apcer, bpcer = fold.test.errors.apcer["species"].value, fold.test.errors.bpcer.value
        at = (apcer, bpcer) if apcer is not None and bpcer is not None else None
        pictures.append(("DET curve", det_svg(fold.det, at)))
    if fold.histogram:
        pictures.append(("Scores", histogram_svg(fold.histogram, fold.threshold.value)))
    figures = "".join(
        f"<figure>{svg}<figcaption>{escape(name)}</figcaption></figure>" for name, svg in pictures
    )
    return f'<div class="plots">{figures}</div>' if figures else ""


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
    caption = f"{mistake.id}: {kind}, score {mistake.score:.4g}"
    picture = f'<img src="data:image/png;base64,{b64encode(png).decode()}" alt="{escape(caption)}">'
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"
