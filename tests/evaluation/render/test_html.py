import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonaface.evaluation import EvaluationSettings, ScoreTable, Threshold, evaluate_table
from bonaface.evaluation.operating_point import FROM_TEST
from bonaface.evaluation.render.html import html
from bonaface.evaluation.render.tables import grids

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
VOID = {"meta", "img", "br", "input"}


class _Page(HTMLParser):
    """Refuses tags that are not closed in order; keeps what the page shows and what it would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.fetched: list[str | None] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[Any]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href", "action")]
        if tag in ("link", "iframe", "object") or (tag == "script" and attrs):
            self.fetched.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)


def _html(drawn: Callable[..., Any]) -> str:
    return html(evaluate_table(drawn()))


def _page(text: str) -> "_Page":
    page = _Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return page


def test_page_is_self_contained_with_every_table(drawn: Callable[..., Any]) -> None:
    report = evaluate_table(drawn(), system="<script>alert(1)</script>")
    page = _page(html(report))
    assert page.fetched == []
    for grid in grids(report):
        for cell in (*grid.header, *(cell for row in grid.rows for cell in row)):
            assert cell in page.cells
    assert "Report: <script>alert(1)</script>" in page.text
    # DET, sweep, scores, bars, calibration; who carries the errors; six videos.
    assert html(report).count("<svg") == 5 + 1 + 6


def test_the_page_opens_with_the_warning(drawn: Callable[..., Any]) -> None:
    text = html(evaluate_table(drawn(), settings=EvaluationSettings("test")))
    assert FROM_TEST in text.splitlines()[0]
    title, _style, first = [part for part in _page(text).text if part.strip()][:3]
    assert (title, first) == ("Report: scores", FROM_TEST)
    assert FROM_TEST not in html(evaluate_table(drawn()))


def test_page_has_a_section_for_each_fold(drawn: Callable[..., Any]) -> None:
    table = ScoreTable.from_tables([drawn(seed=n, fold=f"f{n}") for n in (1, 2)])
    text = html(evaluate_table(table))
    assert text.count("<svg") == 2 * (5 + 1 + 6)
    assert "Fold f1" in text
    assert "Fold f2" in text


def test_escapes_names_from_a_file(row: Callable[..., Any]) -> None:
    rows = [row("a", 1, 0.9), row("<img src=x>", 0, 0.8, "<b>mask & co")]
    report = evaluate_table(ScoreTable.from_scores(rows), settings=EvaluationSettings(Threshold(0.5)))
    page = _page(html(report, lambda _: b"png"))
    assert "<b>mask & co" in page.cells
    assert any(part.startswith("<img src=x>: <b>mask & co, accepted") for part in page.text)
    assert len(page.fetched) == 1


def test_the_gallery_shows_the_errors_that_have_a_picture(drawn: Callable[..., Any]) -> None:
    report = evaluate_table(drawn())
    wanted = []

    def gallery(sample_id: str) -> bytes:
        wanted.append(sample_id)
        return None if len(wanted) == 1 else f"png of {sample_id}".encode()

    page = _page(html(report, gallery))
    assert wanted == [mistake.sample_id for mistake in report.folds[0].mistakes]
    pictures = [base64.b64decode(source.partition(",")[2]).decode() for source in page.fetched]
    assert pictures == [f"png of {name}" for name in wanted[1:]]
    assert "Errors, farthest from the threshold first" not in html(report, lambda _: None)


def test_one_class_makes_a_page(row: Callable[..., Any]) -> None:
    report = evaluate_table(
        ScoreTable.from_scores(
            [row(f"v{n}", 1, n / 10) for n in range(5)]
            + [row("d", 0, 0.1, split="dev"), row("e", 1, 0.9, split="dev")]
        ),
    )
    # Scores and bars: the others need both classes, subjects or frames.
    assert html(report).count("<svg") == 2


def test_the_policy_allows_the_pages_own_script_alone(drawn: Callable[..., Any]) -> None:
    text = html(evaluate_table(drawn()))
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )
    for asking in ("fetch(", "XMLHttpRequest", "import(", "WebSocket", "Beacon", ".src", "eval("):
        assert asking not in script


def test_the_slider_has_the_points_of_the_det_curve(drawn: Callable[..., Any]) -> None:
    fold = evaluate_table(drawn()).folds[0]
    (slider,) = re.findall(
        r'<input type="range" min="0" max="(\d+)" value="(\d+)" data-det="([^"]*)"', _html(drawn)
    )
    found = json.loads(unescape(slider[2]))
    assert found["thresholds"] == pytest.approx(fold.det.thresholds, rel=1e-6)
    for name in ("worst", "pooled", "bpcer"):
        assert found[name] == pytest.approx(getattr(fold.det, name), rel=1e-6)
    assert int(slider[0]) == len(fold.det.thresholds) - 1
    away = np.abs(np.array(fold.det.thresholds) - fold.threshold.value)
    assert int(slider[1]) == away.argmin()


def test_folds_have_equal_scales(drawn: Callable[..., Any]) -> None:
    tables = [drawn(seed=n, fold=f"f{n}", shift=n / 5) for n in (1, 2)]
    text = html(evaluate_table(ScoreTable.from_tables(tables)))
    axes = re.findall(r'data-low="([^"]*)" data-high="([^"]*)"', text)
    assert len(axes) == 4
    assert len(set(axes)) == 1
    # The axes of the bars end at the same share.
    bars = re.findall(r"<title>BPCER and APCER of each species with 95 % intervals</title>(.*?)</svg>", text)
    ticks = [re.findall(r'text-anchor="middle" font-size="11">([\d.]+)</text>', part) for part in bars]
    assert len(ticks) == 2
    assert ticks[0] == ticks[1]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian's package chromium)")
@pytest.mark.slow
def test_a_browser_reads_the_errors_off_the_curves(drawn: Callable[..., Any], tmp_path: Path) -> None:
    fold = evaluate_table(drawn()).folds[0]
    row = int(np.abs(np.array(fold.det.worst) - 0.1).argmin())  # well inside the curve's frame
    # The policy would refuse the test's own script, which moves the slider, and then points at the curve.
    page = re.sub(r"<meta http-equiv=[^>]*>", "", _html(drawn))
    act = f"""<script>
      const said = [], slider = document.querySelector("input"), output = document.querySelector("output");
      slider.value = {row}; slider.dispatchEvent(new Event("input")); said.push(output.textContent);
      const svg = document.querySelector('svg[data-plot="det"]'), curve = [...svg.querySelectorAll("polyline")].at(-1);
      const point = new DOMPoint(curve.points[{row}].x, curve.points[{row}].y).matrixTransform(svg.getScreenCTM());
      slider.value = 0; slider.dispatchEvent(new Event("input"));
      svg.dispatchEvent(new PointerEvent("pointermove", {{clientX: point.x, clientY: point.y}}));
      said.push(output.textContent); document.title = JSON.stringify(said);
    </script>"""
    path = tmp_path / "page.html"
    path.write_text(page.replace("</body>", f"{act}</body>"))
    shown = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
            *(
                "--disable-background-networking",
                "--disable-component-update",
                f"--user-data-dir={tmp_path}/profile",
            ),
            *("--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    (title,) = re.findall(r"<title>(\[.*?\])</title>", shown)
    by_slider, by_pointer = json.loads(title)
    worst, pooled, bpcer = (
        f"{100 * share[row]:.2f} %" for share in (fold.det.worst, fold.det.pooled, fold.det.bpcer)
    )
    assert by_slider.endswith(f"APCER {worst} (worst species), {pooled} (pooled), BPCER {bpcer}")
    # Where the curves meet either one answers, with the errors of that place.
    assert by_pointer.partition(":")[2].endswith(f"BPCER {bpcer}")
    assert worst in by_pointer
