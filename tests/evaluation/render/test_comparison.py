import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from bonaface.evaluation import EvaluationSettings
from bonaface.evaluation.comparison import compare_tables
from bonaface.evaluation.operating_point import FROM_TEST
from bonaface.evaluation.render.comparison import print_comparison, write_comparison


def test_prints_and_writes_a_comparison(
    drawn: Callable[..., Any], noisy: Callable[..., Any], tmp_path: Path
) -> None:
    first = drawn(videos=400)
    found = compare_tables(
        first, noisy(first, 4), settings=EvaluationSettings("test"), names=("ours", "theirs")
    )
    file = io.StringIO()
    console = Console(width=80, file=file, color_system=None)
    print_comparison(found, console)
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert text.startswith(FROM_TEST[:60])
    assert "ours (A) and theirs (B) on oulu-npu/1, by video" in text
    assert f"{len(found.flips)} presentations are decided differently" in text
    assert f"and {len(found.flips) - 10} more; all are in flips.csv" in text
    paths = {path.name: path for path in write_comparison(found, tmp_path / "out")}
    plain = json.loads(paths["compare.json"].read_text())
    assert next(iter(plain)) == "warning"
    assert plain["differences"]["eer"]["interval"]["low"] == found.differences["eer"].interval.low
    lines = paths["flips.csv"].read_text().splitlines()
    assert lines[0].startswith(f"# {FROM_TEST[:40]}")
    assert len(list(csv.DictReader(lines[1:]))) == len(found.flips)
    assert paths["compare.md"].read_text().startswith(FROM_TEST)
