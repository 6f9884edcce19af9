"""A report as files: HTML, JSON, Markdown, LaTeX and CSV, each written whole."""

from pathlib import Path

from bonaface.core.files import write_json, write_text
from bonaface.evaluation.html import Gallery, html
from bonaface.evaluation.render import csv_text, latex, markdown
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
