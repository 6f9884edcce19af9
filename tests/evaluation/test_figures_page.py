"""The page docs/figures.md: its Python runs, its intervals are true, its score table can be judged."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bonaface.cli.main import app
from bonaface.evaluation import ScoreTable
from bonaface.evaluation.aggregate import to_unit
from bonaface.metrics.rates import Rate

PAGE = (Path(__file__).parents[2] / "docs" / "figures.md").read_text()


@pytest.mark.parametrize("snippet", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_snippets_run(snippet: str) -> None:
    exec(compile(snippet, "docs/figures.md", "exec"), {})


def test_the_intervals_are_those_of_the_code() -> None:
    rows = re.findall(r"\| (\d+) of (\d+) \| ([\d.]+) % \| ([\d.]+) % to ([\d.]+) % \|", PAGE)
    assert len(rows) == 5
    for errors, total, *printed in rows:
        rate = Rate(int(errors), int(total))
        assert printed == [f"{100 * value:.2f}" for value in (rate.value, *rate.interval())]


def test_the_example_table_is_read(tmp_path: Path) -> None:
    (text,) = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "scores.csv").write_text(text)
    samples = to_unit(ScoreTable.read(tmp_path / "scores.csv"))
    assert samples.ids.tolist() == ["u21-real", "u21-print", "u36-real", "u36-print"]
    assert samples.scores.tolist() == pytest.approx([0.83, 0.27, 0.895, 0.12])


def test_the_first_command_judges_the_example_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (text,) = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
    Path("scores.csv").write_text(text)
    first = re.findall(r"```bash\nbonaface (report .*)\n```", PAGE)[0]
    done = CliRunner().invoke(app, first.split(), catch_exceptions=False)
    assert done.exit_code == 0
    assert "Threshold 0.55 (EER of dev set" in done.stdout
    assert Path("report/report.html").is_file()
