import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bonaface.cli.report import report
from bonaface.core.errors import InputError, UnknownNameError

app = typer.Typer()
app.command()(report)

ROWS = [
    *((f"b{n}", 1, "", 0.5 + n / 20, "dev" if n % 2 else "eval") for n in range(10)),
    *((f"a{n}", 0, "print", n / 16, "dev" if n % 2 else "eval") for n in range(10)),
]


@pytest.fixture
def scores(tmp_path: Path) -> dict[str, Path]:
    """One file for each split, with columns of another program's."""
    paths = {}
    for split in ("dev", "eval"):
        lines = [
            f"{name},{label},{species},{1 - score}" for name, label, species, score, of in ROWS if of == split
        ]
        paths[split] = tmp_path / f"liveness-{split}.csv"
        paths[split].write_text("\n".join(["file,genuine,attack,spoof", *lines]) + "\n")
    return paths


MAP = [
    part
    for pair in ("sample_id=file", "label=genuine", "species=attack", "score=-spoof")
    for part in ("--map", pair)
]


def _run(*arguments: object) -> Any:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "80"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_reports_another_programs_scores_with_their_dev_set(scores: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = _run(scores["eval"], "--dev", scores["dev"], *MAP, "--out", out)
    assert result.exit_code == 0
    # Bona fide -0.5 -0.4 ...; attacks 0/16, 2/16 ... 8/16: the highest, 0.5, ties with the lowest bona fide.
    plain = json.loads((out / "report.json").read_text())
    assert plain["system"] == "liveness-eval"
    assert plain["folds"][0]["test"]["bona_fide"] == plain["folds"][0]["test"]["attacks"] == 5
    assert plain["folds"][0]["threshold"]["data"] == "dev set"
    assert "(EER of dev set, by picture)" in result.stdout
    assert "5 bona fide and 5 attack pictures" in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert sorted(path.name for path in out.iterdir()) == [
        f"report.{s}" for s in ("csv", "html", "json", "md", "tex")
    ]


def test_threshold_by_number_by_rule_and_from_test(scores: dict[str, Path]) -> None:
    result = _run(scores["eval"], *MAP, "--threshold-from", "-0.5")
    assert "Threshold -0.5 (fixed)." in result.stdout
    result = _run(scores["eval"], "--dev", scores["dev"], *MAP, "--rule", "bpcer=0.2")
    assert "(BPCER = 0.2 of dev set, by picture)" in result.stdout
    result = _run(scores["eval"], *MAP, "--threshold-from", "test")
    assert result.stdout.startswith("THE THRESHOLD WAS TAKEN FROM THE TEST SCORES")


def test_missing_dev_scores_say_what_to_do(scores: dict[str, Path]) -> None:
    told = r"give them \(--dev FILE; bonaface evaluate --threshold-from dev writes them too\), give a number"
    with pytest.raises(InputError, match=told):
        _run(scores["eval"], *MAP)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--threshold-from", "half"], InputError, "takes dev, test or a number, got 'half'"),
        (["--unit", "clip"], UnknownNameError, "unknown unit 'clip'"),
        (["--aggregation", "max"], UnknownNameError, "unknown aggregation"),
        (["--rule", "far"], UnknownNameError, "unknown threshold rule 'far'"),
        (["--output", "binary", "--threshold-from", "0"], UnknownNameError, "unknown score output 'binary'"),
    ],
)
def test_rejects_unknown_options(
    scores: dict[str, Path],
    arguments: list[str],
    error: type[InputError] | type[UnknownNameError],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        _run(scores["eval"], *MAP, *arguments)


def test_rejects_overwriting_another_report(scores: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = [scores["eval"], "--dev", scores["dev"], *MAP, "--out", out]
    _run(*arguments)
    _run(*arguments)  # the same again
    before = (out / "report.json").read_bytes()
    with pytest.raises(InputError, match=r"out holds another result \(report.json\), which would be lost"):
        _run(*arguments, "--name", "another")
    assert (out / "report.json").read_bytes() == before


def test_pictures_are_called_pictures_and_the_figures_are_explained(
    scores: dict[str, Path], tmp_path: Path
) -> None:
    result = _run(scores["eval"], "--dev", scores["dev"], *MAP, "--out", tmp_path / "out")
    for text in (
        result.stdout,
        (tmp_path / "out/report.md").read_text(),
        (tmp_path / "out/report.html").read_text(),
    ):
        assert "5 bona fide and 5 attack pictures" in text
        assert "by video" not in text
        for name in (
            "APCER: share of",
            "BPCER: share of",
            "ACER: mean of",
            "EER: the error at",
            "DET curve: ",
        ):
            assert name in text


def test_suggests_a_source_for_a_misspelt_one(scores: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="takes dev, test or a number, got 'tset'; did you mean test"):
        _run(scores["eval"], *MAP, "--threshold-from", "tset")


@pytest.mark.parametrize("score", ["score=-spoof", "score=spoof"])
def test_tells_inverted_labels_from_inverted_scores(scores: dict[str, Path], score: str) -> None:
    """Labels turned round, or scores: the AUC is low in either case, and the note offers both."""
    mapping = ["--map", "label=-genuine" if score == "score=-spoof" else "label=genuine", "--map", score]
    flat = " ".join(_run(scores["eval"], *mapping, "--threshold-from", "test").stdout.split())
    assert "turn the scores round (--map score=-COLUMN)" in flat
    assert (
        "turn the labels round (--map label=-COLUMN). The wrong one of the two exchanges APCER and BPCER"
        in flat
    )


def test_each_score_file_has_its_own_columns(scores: dict[str, Path]) -> None:
    """The dev file's column of scores has another name."""
    dev = scores["dev"]
    dev.write_text(dev.read_text().replace("spoof", "points", 1))
    result = _run(scores["eval"], "--dev", dev, *MAP, "--map", f"{dev}:score=-points")
    assert result.exit_code == 0
    assert "EER of dev" in " ".join(result.stdout.split())
    with pytest.raises(
        InputError, match=r"speaks of the file nowhere\.csv, and the score files are .*liveness-eval"
    ):
        _run(scores["eval"], "--dev", dev, *MAP, "--map", "nowhere.csv:score=-points")


def test_draws_plots_as_files(scores: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = _run(scores["eval"], "--dev", scores["dev"], *MAP, "--out", out, "--plots", "svg")
    assert result.exit_code == 0
    # Scores below 0 are no probabilities, nobody is named, and pictures have no frames.
    assert sorted(path.name for path in (out / "plots").iterdir()) == [
        "bars.svg",
        "det.svg",
        "scores.svg",
        "sweep.svg",
    ]
    with pytest.raises(InputError, match=r"needs a folder for them: give --out DIR"):
        _run(scores["eval"], "--dev", scores["dev"], *MAP, "--plots", "svg")
