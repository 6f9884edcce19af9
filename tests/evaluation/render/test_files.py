import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bonaface.evaluation import evaluate_table
from bonaface.evaluation.render.files import write_grids, write_report
from bonaface.evaluation.render.tables import Grid


def test_every_file_is_written(drawn: Callable[..., Any], tmp_path: Path) -> None:
    report = evaluate_table(drawn())
    paths = write_report(report, tmp_path / "new" / "folder")
    assert sorted(path.name for path in paths) == [
        f"report.{s}" for s in ("csv", "html", "json", "md", "tex")
    ]
    assert all(path.stat().st_size > 1000 for path in paths)
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(
        p.name for p in paths
    )


def test_tables_are_written_in_every_form_with_the_warning_first(tmp_path: Path) -> None:
    grids = [
        Grid(
            "One & more",
            ("model", "source", "HTER %"),
            (("a|b", "ours", "2.92 ± 2.30"), ("c", "published", "-")),
        ),
        Grid("Two", ("model", "source", "EER %"), (("d", "ours", "1.00"),), ("a note",)),
    ]
    paths = {path.suffix: path.read_text() for path in write_grids(grids, tmp_path, "A title", "BEWARE")}
    firsts = {suffix: text.splitlines()[0] for suffix, text in paths.items()}
    assert firsts == {".html": "<!-- BEWARE -->", ".md": "BEWARE", ".tex": "% BEWARE", ".csv": "# BEWARE"}
    rows = list(csv.reader(io.StringIO(paths[".csv"])))[1:]
    assert rows == [
        ["table", "model", "source", "figure", "mean", "sd"],
        ["One & more", "a|b", "ours", "HTER %", "2.92", "2.30"],
        ["One & more", "c", "published", "HTER %", "", ""],
        ["Two", "d", "ours", "EER %", "1.00", ""],
    ]
    assert "<h1>A title</h1>" in paths[".html"]
    assert "One &amp; more" in paths[".html"]
    assert "# A title" in paths[".md"]
    assert r"2.92 $\pm$ 2.30" in paths[".tex"]
    for text in paths.values():
        assert "a note" in text or text.startswith("# BEWARE")
    plain = {path.suffix: path.read_text() for path in write_grids(grids, tmp_path, "A title")}
    assert not any("BEWARE" in text for text in plain.values())
    assert plain[".csv"].startswith("table,")
