import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def tool(load_script: Callable[[str], Any]) -> Any:
    return load_script("tools/demo_page.py")


def report(system: str, protocol: str) -> dict[str, object]:
    figures = ("acer_species", "apcer_species", "acer_pooled", "apcer_pooled", "bpcer", "eer", "auc")
    summary = {name: {"mean": 0.01 * number} for number, name in enumerate(figures, start=11)}
    return {"warning": "SIMULATED", "system": system, "protocol": protocol, "summary": summary}


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    for name, system, protocol in (("m-1", "bi-fas-s", "1"), ("m-4", "bi-fas-s", "4")):
        (tmp_path / "reports" / name).mkdir(parents=True)
        (tmp_path / "reports" / name / "report.json").write_text(json.dumps(report(system, protocol)))
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "verdicts.txt").write_text(
        "$ bonaface check demo/pictures/bona-fide.png demo/pictures/attack.png --model demo/runs/x\n"
        "demo/pictures/bona-fide.png: bona fide, score 0.81\ndemo/pictures/attack.png: attack, score 0.02\n"
    )
    return tmp_path


def test_the_figures_are_those_of_the_worst_species_as_in_the_reports(tool: Any, demo: Path) -> None:
    tool.page(demo)
    page = (demo / "index.html").read_text()
    assert "<th>ACER</th><th>APCER</th><th>BPCER</th><th>EER</th><th>AUC</th>" in page
    assert "<td>11.0</td><td>12.0</td><td>15.0</td><td>16.0</td><td>17.0</td>" in page


def test_protocols_are_named_and_explained(tool: Any, demo: Path) -> None:
    tool.page(demo)
    page = (demo / "index.html").read_text()
    assert '<a href="reports/m-1/report.html">bi-fas-s, protocol 1</a>' in page
    assert "Protocol 1: unseen session" in page
    assert "Protocol 4: unseen session, instruments and phone" in page


def test_page_shows_checked_pictures_with_their_verdicts(tool: Any, demo: Path) -> None:
    tool.page(demo)
    page = (demo / "index.html").read_text()
    real, attack = page.index("pictures/bona-fide.png"), page.index("pictures/attack.png")
    assert real < page.index("<strong>bona fide, score 0.81</strong>") < attack
    assert attack < page.index("<strong>attack, score 0.02</strong>")
    (demo / "pictures" / "verdicts.txt").unlink()
    tool.page(demo)
    assert (demo / "index.html").read_text().count("<strong>not checked</strong>") == 2


def test_next_steps_are_existing_commands(tool: Any, demo: Path) -> None:
    from bonaface.cli.main import app

    tool.page(demo)
    page = (demo / "index.html").read_text()
    commands = {command.callback.__name__ for command in app.registered_commands if command.callback}
    said = [line.split()[1] for line in page.split("<pre>")[1].split("</pre>")[0].splitlines()]
    assert said == ["doctor", "prepare", "train", "evaluate", "check"]
    assert set(said) <= commands
