"""`bonaface calibrate` and `bonaface drift`, on the drawn people."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bonaface.cli.main import app
from bonaface.core.errors import BonafaceError, InputError
from bonaface.inference.bundle import Bundle
from bonaface.metrics.thresholds import bpcer_threshold
from bonaface.testing.networks import write_bundle


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model whose score is a face's brightness."""
    return write_bundle(tmp_path / "model")


def scores(folder: Path, model: Path) -> list[float]:
    done = CliRunner().invoke(app, ["check", str(folder), "--model", str(model), "--json"])
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    return [verdict["score"] for verdict in verdicts if verdict["score"] is not None]


def test_a_calibrated_bundle_decides_by_its_own_threshold(
    model: Path, faces_root: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    people, attacks = faces_root / "bonafide", faces_root / "attack"
    output = run(
        "calibrate", model, "--bona-fide", people, "--attacks", attacks, "--rule", "bpcer=0.2", "--out", new
    )
    genuine = scores(people, model)
    expected = bpcer_threshold([1] * len(genuine), genuine, 0.2)
    card = Bundle.open(new).card
    assert card.default_point == "bpcer=0.2"
    assert card.threshold("score", "frame") == pytest.approx(expected)
    assert "20 bona fide presentations of 10 people" in output
    assert "1 presentations got no score" in output
    assert f"({sum(score < expected for score in genuine)}/20), 95 % interval" in output
    done = CliRunner().invoke(app, ["check", str(people), "--model", str(new), "--json"])
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    assert {verdict["threshold"] for verdict in verdicts} == {card.threshold("score", "frame")}
    assert sum(verdict["decision"] == "attack" for verdict in verdicts) == 4  # a fifth of 20
    assert not list(tmp_path.glob(".new*"))


def test_evaluate_judges_at_the_threshold_that_check_decides_by(
    model: Path, store: Path, faces_root: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    run("calibrate", model, "--bona-fide", faces_root / "bonafide", "--rule", "bpcer=0.2", "--out", new)
    card = Bundle.open(new).card
    assert card.threshold("score", "frame") != card.threshold("score", "frame", "eer")
    for options, point in (((), "bpcer=0.2"), (("--rule", "eer"), "eer")):
        run("evaluate", new, "--data", store, "--protocol", "test", "--out", tmp_path / point, *options)
        (fold,) = json.loads((tmp_path / point / "report.json").read_text())["folds"]
        assert fold["threshold"]["value"] == card.threshold("score", "video", point)


def test_says_what_it_takes(model: Path, faces_root: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"takes at least 100 bona fide presentations .* got 21; give 79 more"
    ):
        run("calibrate", model, "--bona-fide", faces_root / "bonafide", "--out", tmp_path / "new")
    people, new = faces_root / "bonafide", tmp_path / "new"
    with pytest.raises(InputError, match="BPCER of 0 can't be kept"):
        run("calibrate", model, "--bona-fide", people, "--rule", "bpcer=0", "--out", new)
    assert not list(tmp_path.glob("*new*"))  # nor a journal: nothing was scored for that
    with pytest.raises(InputError, match="expected a folder of pictures or videos"):
        run("calibrate", model, "--bona-fide", tmp_path / "nobody", "--out", tmp_path / "new")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="expected pictures or videos, got none"):
        run("calibrate", model, "--bona-fide", tmp_path / "empty", "--out", tmp_path / "new")
    with pytest.raises(InputError, match="expected a new or empty folder"):
        run("calibrate", model, "--bona-fide", faces_root / "bonafide", "--out", model)
    (tmp_path / "both" / "anna").mkdir(parents=True)
    for name in ("a.png", "b.mp4"):
        (tmp_path / "both" / "anna" / name).write_bytes(b"x")
    with pytest.raises(InputError, match="calibrate with one kind"):
        run("calibrate", model, "--bona-fide", tmp_path / "both", "--out", tmp_path / "new")


def test_a_stopped_calibration_goes_on(
    model: Path, faces_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bonaface.inference import journal

    add, seen = journal.Journal.add, []

    def stopping(self: journal.Journal, rows: list[object]) -> None:
        add(self, rows)  # type: ignore[arg-type]
        seen.append(rows)
        if len(seen) == 8:
            raise KeyboardInterrupt

    command = ("calibrate", model, "--bona-fide", faces_root / "bonafide", "--rule", "bpcer=0.2", "--out")
    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "add", stopping)
        CliRunner().invoke(app, list(map(str, (*command, tmp_path / "new"))))
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(journal.Journal, "add", lambda self, rows: (seen.append(rows), add(self, rows))[1])
    run(*command, tmp_path / "new")
    assert len(seen) == 21  # each presentation once
    run(*command, tmp_path / "whole")
    one, two = (Bundle.open(tmp_path / name).card.operating_points for name in ("new", "whole"))
    assert one == two


@pytest.mark.parametrize("name", ["caf\udce9", "long" * 60])
def test_people_may_lie_in_a_folder_of_any_name(
    model: Path, faces_root: Path, tmp_path: Path, name: str
) -> None:
    people = tmp_path / name / "bona fide"
    people.mkdir(parents=True)
    for person in (faces_root / "bonafide").iterdir():
        (people / person.name).symlink_to(person)
    (people / "gone.png").symlink_to("nowhere")
    attacks = faces_root / "attack"
    output = run(
        "calibrate",
        model,
        "--bona-fide",
        people,
        "--attacks",
        attacks,
        "--rule",
        "bpcer=0.2",
        "--out",
        tmp_path / "new",
    )
    assert "20 bona fide presentations of 10 people" in output
    assert "2 presentations got no score" in output  # nobody, and the link that leads nowhere
    assert Bundle.open(tmp_path / "new").card.point("bpcer=0.2").source.dataset == "bona fide and attack"


def test_the_current_folder_is_refused_before_anything_is_scored(
    model: Path, faces_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match="name a new folder in it"):
        run("calibrate", model, "--bona-fide", faces_root / "bonafide", "--rule", "bpcer=0.2", "--out", ".")


@pytest.fixture
def calibrated(model: Path, faces_root: Path, tmp_path: Path) -> Path:
    run(
        "calibrate",
        model,
        "--bona-fide",
        faces_root / "bonafide",
        "--rule",
        "bpcer=0.2",
        "--out",
        tmp_path / "new",
    )
    return tmp_path / "new"


def test_drift_reads_what_check_prints(calibrated: Path, faces_root: Path, tmp_path: Path) -> None:
    """People before the same camera, and people before a lamp that was turned down."""
    dark = tmp_path / "dark"
    for path in (faces_root / "bonafide").rglob("*.png"):
        copy = dark / path.relative_to(faces_root / "bonafide")
        copy.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((np.asarray(Image.open(path)) * 0.75).astype(np.uint8)).save(copy)
    codes = {}
    for name, folder in (("same", faces_root / "bonafide"), ("dark", dark)):
        done = CliRunner().invoke(app, ["check", str(folder), "--model", str(calibrated), "--json"])
        (tmp_path / f"{name}.json").write_text(done.stdout * 2)  # 20 scores are too few
        svg = tmp_path / f"{name}.svg"
        drift = CliRunner().invoke(
            app, ["drift", str(calibrated), str(tmp_path / f"{name}.json"), "--plot", str(svg)]
        )
        codes[name] = (drift.exit_code, drift.output)
        assert svg.read_text().startswith("<svg")
    assert codes["same"][0] == 0, codes["same"][1]
    assert "no drift" in codes["same"][1]
    assert "so few scores can show a distance of 0.45 or more at best, and 0.1 matters" in codes["same"][1]
    assert "distance 0.000" in codes["same"][1]
    assert codes["dark"][0] == 1, codes["dark"][1]
    assert "HAVE DRIFTED" in codes["dark"][1]
    assert "calibration" in codes["dark"][1].splitlines()[0]


def test_drift_reads_any_table(calibrated: Path, tmp_path: Path) -> None:
    rows = [f"{n % 7},{1 - n % 2},{0.5 + n / 1000}" for n in range(100)]
    (tmp_path / "today.csv").write_text("who,label,live\n" + "\n".join(rows) + "\n")
    done = CliRunner().invoke(
        app,
        [
            "drift",
            str(calibrated),
            str(tmp_path / "today.csv"),
            "--map",
            "score=live",
            "--map",
            "subject=who",
        ],
    )
    assert done.exit_code in (0, 1), done.output
    assert "50 of today" in done.output  # the attacks are left out
    for text, message in (("a,b\n1,2\n", "no column 'score'"), ('{"x": 1}\n', "line 1: expected an object")):
        (tmp_path / "wrong").write_text(text)
        with pytest.raises(BonafaceError, match=message):
            run("drift", calibrated, tmp_path / "wrong")


def test_drift_draws_svg_alone(calibrated: Path, tmp_path: Path) -> None:
    """A PNG by its name would be one that no viewer opens."""
    with pytest.raises(InputError, match="end its name with"):
        run("drift", calibrated, tmp_path / "today.json", "--plot", tmp_path / "drift.png")
