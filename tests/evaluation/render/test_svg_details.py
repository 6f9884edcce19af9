import re
from collections.abc import Callable
from typing import Any

import pytest

from bonaface.evaluation import evaluate_table
from bonaface.evaluation.details import SubjectScores, VideoScores
from bonaface.evaluation.render.svg_details import bars_svg, strips_svg, video_svg


def test_bars_are_as_long_as_the_errors_counted_in_the_table(drawn: Callable[..., Any]) -> None:
    table = drawn(frames=1)
    fold = evaluate_table(table).folds[0]
    cells = table.data.rows(table.data.columns)
    rows = [dict(zip(table.data.columns, row, strict=True)) for row in cells]
    rows = [row for row in rows if row["split"] == "test" and row["score"] is not None]
    svg = bars_svg(fold.test.errors, 0.19)  # the axis ends at 20 %
    bars = {
        name: (float(width), told)
        for width, name, told in re.findall(
            r'<rect [^>]*width="([\d.]+)" height="16.0"[^>]*><title>([^:<]*): ([^<]*)</title>', svg
        )
    }
    assert len(bars) == 5
    for name, (width, told) in bars.items():
        species = "" if name.startswith("BPCER") else name.removeprefix("APCER ")
        own = [row["score"] for row in rows if row["species"] == species]
        wrong = sum((score >= fold.threshold.value) != (not species) for score in own)
        assert told == f"{100 * wrong / len(own):.2f} %, {wrong} of {len(own)}"
        assert width == pytest.approx(max((480 - 150 - 14) * wrong / len(own) / 0.2, 0.5), abs=0.06)


def test_whiskers_are_the_intervals(drawn: Callable[..., Any]) -> None:
    errors = evaluate_table(drawn()).folds[0].test.errors
    svg = bars_svg(errors, 1.0)
    lines = re.findall(r'points="([\d.]+),[\d.]+ ([\d.]+),[\d.]+"[^>]*><title>95 % interval', svg)
    figures = [errors.bpcer, *errors.per_species.values()]
    for (low, high), figure in zip(lines, figures, strict=True):
        expected = [150 + 316 * bound for bound in figure.interval]
        assert [float(low), float(high)] == pytest.approx(expected, abs=0.06)


def test_errors_are_the_large_dots_of_a_strip() -> None:
    anna = SubjectScores("anna", (0.2, 0.9), (0.1, 0.5), 1, 2, 1, 2)
    svg = strips_svg((anna,), 0.5, (0.0, 1.0))
    dots = re.findall(r'<circle cx="([\d.]+)"[^>]* r="([\d.]+)"[^>]*><title>anna: ([^<]*)', svg)
    assert [(float(x), radius, told) for x, radius, told in dots] == [
        (pytest.approx(150 + 31.6), "2", "0.1"),
        (pytest.approx(150 + 158), "4", "0.5, wrong"),
        (pytest.approx(150 + 63.2), "4", "0.2, wrong"),
        (pytest.approx(150 + 284.4), "2", "0.9"),
    ]
    assert ">anna 2/4</text>" in svg


def test_a_long_name_shows_its_end() -> None:
    long = SubjectScores("client-of-the-first-session-0017", (0.9,), (), 0, 1, 0, 0)
    assert ">…st-session-0017 0/1</text>" in strips_svg((long,), 0.5, (0, 1))


def test_a_line_is_cut_where_a_frame_got_no_response() -> None:
    video = VideoScores("v", 1, "", 0.5, (0, 5, 10, 15, 20), (0.0, 1.0, None, 0.5, 0.5))
    svg = video_svg(video, 0.4, (0.0, 1.0))
    lines = re.findall(r'<polyline points="([^"]*)" fill="none" stroke="#0072B2"', svg)
    assert lines == ["62.0,170.0 163.0,14.0", "365.0,92.0 466.0,92.0"]
    assert len(re.findall("<circle", svg)) == 4
    assert '<polyline points="62.0,107.6 466.0,107.6"' in svg  # the threshold
