"""A report as files: HTML, JSON, Markdown, LaTeX and CSV, each written whole."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bonaface.core.errors import InputError
from bonaface.core.files import json_text, write_json, write_text
from bonaface.evaluation.render.html import Gallery, html, html_grids
from bonaface.evaluation.render.tables import Grid
from bonaface.evaluation.render.text import csv_grids, csv_text, latex, latex_grid, markdown, markdown_grid
from bonaface.evaluation.report import Report


def write_report(report: Report, folder: Path, gallery: Gallery | None = None) -> list[Path]:
    """Write report.html, .json, .md, .tex and .csv into `folder` and return their paths.

    Args:
        report: what to write.
        folder: made if it is not there; files of the same names are replaced.
        gallery: gives the PNG of a frame by its sample_id, or None; with it the page shows the errors.
    """
    paths = {suffix: folder / f"report.{suffix}" for suffix in ("html", "json", "md", "tex", "csv")}
    write_text(paths["html"], html(report, gallery))
    write_json(paths["json"], report.as_dict())
    write_text(paths["md"], markdown(report))
    write_text(paths["tex"], latex(report))
    write_text(paths["csv"], csv_text(report))
    return list(paths.values())


def check_free(folder: Path, name: str, content: dict[str, Any]) -> None:
    """Refuse to write `content` as JSON where the file `name` of `folder` holds anything else.

    Raises:
        InputError: another report or comparison is there.
    """
    path = folder / name
    if path.exists() and path.read_text(encoding="utf-8") != json_text(content):
        raise InputError(
            f"{folder} holds another result ({name}), which would be lost; give another folder (--out), or remove it"
        )


def write_grids(
    grids: Sequence[Grid],
    folder: Path,
    title: str,
    warning: str = "",
    *,
    name: str = "tables",
    pictures: Sequence[tuple[str, str]] = (),
    suffixes: Sequence[str] = ("html", "md", "tex", "csv"),
) -> list[Path]:
    """Write tables.html, .md, .tex and .csv into `folder` and return their paths.

    Args:
        grids: the tables; the CSV has those of figures, with a model and a source in each row's first two cells.
        folder: made if it is not there; files of the same names are replaced.
        title: of the page.
        warning: the first line of every file, if it is not empty.
        name: of the files.
        pictures: (caption, SVG), below the tables of the page.
        suffixes: of the files that are wanted.
    """
    first = f"{warning}\n" if warning else ""
    contents = {
        "html": html_grids(title, grids, warning, pictures),
        "md": "\n\n".join([*filter(None, (warning, f"# {title}")), *map(markdown_grid, grids)]) + "\n",
        "tex": f"{first and '% '}{first}" + "\n\n".join(latex_grid(grid, warning) for grid in grids) + "\n",
        "csv": f"{first and '# '}{first}" + csv_grids(grids),
    }
    paths = []
    for suffix in suffixes:
        paths.append(folder / f"{name}.{suffix}")
        write_text(paths[-1], contents[suffix])
    return paths
