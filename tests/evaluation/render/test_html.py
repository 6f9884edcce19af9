import base64
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

from bonaface.evaluation import EvaluationSettings, ScoreTable, Threshold, evaluate_table
from bonaface.evaluation.operating_point import FROM_TEST
from bonaface.evaluation.render.html import html
from bonaface.evaluation.render.tables import grids

VOID = {"meta", "img", "br", "rect", "circle"}


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
        if tag in ("script", "link", "iframe"):
            self.fetched.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)


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
    assert html(report).count("<svg") == 2


def test_the_page_opens_with_the_warning(drawn: Callable[..., Any]) -> None:
    text = html(evaluate_table(drawn(), settings=EvaluationSettings("test")))
    assert FROM_TEST in text.splitlines()[0]
    title, _style, first = [part for part in _page(text).text if part.strip()][:3]
    assert (title, first) == ("Report: scores", FROM_TEST)
    assert FROM_TEST not in html(evaluate_table(drawn()))


def test_page_has_a_section_for_each_fold(drawn: Callable[..., Any]) -> None:
    table = ScoreTable.from_tables([drawn(seed=n, fold=f"f{n}") for n in (1, 2)])
    text = html(evaluate_table(table))
    assert text.count("<svg") == 4
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
    assert html(report).count("<svg") == 1
