import json
import re
from pathlib import Path
from typing import Any

import fsspec
import pytest
from PIL import Image
from typer.testing import CliRunner

from bonaface.cli.main import app
from bonaface.core.errors import BonafaceError, InputError
from bonaface.core.files import alone, write_checked_json
from bonaface.datasets.protocols import BySubject, Protocol
from bonaface.datasets.registry import open_dataset
from bonaface.inference.bundle import Bundle
from bonaface.store.prepare import prepare
from bonaface.testing.networks import write_bundle


def evaluate(run: Path, store: Path | str, protocol: str, *more: object) -> Any:
    arguments = ["evaluate", run, "--data", store, "--protocol", protocol, *more]
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_inter_dataset_protocol_uses_the_threshold_of_the_training_set(
    run: Path, store: Path, tmp_path: Path
) -> None:
    done = evaluate(run, store, "folder/split -> folder/test", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    heading = " ".join(done.output.split())
    assert "deep-pix-bis, trained on folder/split, tested on folder/test" in heading
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["trained_on"], report["dataset"], report["protocol"]) == ("folder/split", "folder", "test")
    (fold,) = report["folds"]
    assert fold["threshold"]["value"] == Bundle.open(run).card.threshold("feature_map", "video")
    assert fold["threshold"]["data"] == "dev of folder/split, in the bundle"
    assert fold["test"]["bona_fide"] == 21  # everybody, not the split's test subjects
    seen = 41 - 8  # of all pictures those of the eight people who train or tune
    assert report["seen_in_training"] == seen
    assert done.stdout.startswith(f"{seen} OF THE PRESENTATIONS ALSO TRAINED OR TUNED THE SYSTEM")
    assert not list(tmp_path.glob("*.part"))


def test_uses_another_operating_point_of_the_bundle_by_rule(run: Any, store: Any, tmp_path: Any) -> None:
    done = evaluate(run, store, "split", "--rule", "bpcer=0.01", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    (fold,) = json.loads((tmp_path / "report.json").read_text())["folds"]
    assert fold["threshold"]["value"] == Bundle.open(run).card.threshold("feature_map", "video", "bpcer=0.01")
    assert fold["threshold"]["rule"] == "BPCER = 0.01"
    assert fold["threshold"]["data"] == "dev of folder/split, in the bundle"


def test_a_protocol_may_be_named_with_its_set(run: Path, store: Path, tmp_path: Path) -> None:
    done = evaluate(run, store, "folder/split", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert "deep-pix-bis on folder/split" in done.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["folds"][0]["test"]["bona_fide"] == 4
    assert (report["seen_in_training"], "warning" in report) == (0, False)


def test_the_store_may_lie_at_a_url(run: Path, store: Path, tmp_path: Path) -> None:
    fsspec.filesystem("memory").put(f"{store}/", "/evaluate-store", recursive=True)
    done = evaluate(run, "memory://evaluate-store", "split", "--out", tmp_path / "far")
    assert done.exit_code == 0, done.output
    evaluate(run, store, "split", "--out", tmp_path / "near")
    assert (tmp_path / "far/scores.csv").read_bytes() == (tmp_path / "near/scores.csv").read_bytes()


@pytest.mark.parametrize("option", [("--rule", "bpcer=0.1"), ("--aggregation", "min")])
def test_rejects_the_models_threshold_under_another_rule(
    option: tuple[str, str], run: Path, store: Path, tmp_path: Path
) -> None:
    done = evaluate(run, store, "split", *option, "--out", tmp_path)
    assert isinstance(done.exception, InputError)
    assert "another --rule or --aggregation needs --threshold-from dev" in str(done.exception)
    done = evaluate(run, store, "split", *option, "--threshold-from", "dev", "--out", tmp_path)
    assert done.exit_code == 0, done.output


def test_scores_are_kept_until_the_report_is_written(
    run: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stops an evaluation while it judges costs no score: the next one begins with all of them."""
    full = "bonaface.evaluation.render.files.write_report"
    monkeypatch.setattr(full, lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    assert isinstance(evaluate(run, store, "split", "--out", tmp_path).exception, OSError)
    assert len((tmp_path / "scores-test.part").read_text().splitlines()) == 1 + 8


@pytest.mark.parametrize(
    ("protocol", "sentence"),
    [
        (
            "oulu-npu/1 -> folder/test",
            "is about models trained on oulu-npu/1, but this one was trained on folder/split",
        ),
        ("folder/split -> replay-mobile/grandtest", "tests on replay-mobile, but"),
        ("folder/split -> folder", "expected a protocol as DATASET/PROTOCOL"),
        ("folder/split -> folder/test -> folder/test", "expected a protocol as DATASET/PROTOCOL"),
    ],
)
def test_rejects_a_run_or_store_of_another_protocol(
    protocol: str, sentence: str, run: Path, store: Path, tmp_path: Path
) -> None:
    done = evaluate(run, store, protocol, "--out", tmp_path)
    assert isinstance(done.exception, InputError)
    assert sentence in str(done.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--threshold-from", "tset"), "takes bundle, dev, test or a number, got 'tset'; did you mean test?"),
        (("--aggregation", "max"), "unknown aggregation of a video's frames 'max'"),
        (("--unit", "clip"), "unknown unit 'clip'"),
    ],
)
def test_rejects_unknown_options(
    options: tuple[str, str], sentence: str, run: Path, store: Path, tmp_path: Path
) -> None:
    done = evaluate(run, store, "split", *options, "--out", tmp_path)
    assert isinstance(done.exception, InputError)
    assert sentence in str(done.exception)


def test_asks_for_a_missing_fold(
    run: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Protocol("split", "", splits=BySubject(0.2, 0.2), folds=("1", "2", "3"))
    monkeypatch.setattr("bonaface.datasets.protocols.find_protocol", lambda *_: found)
    done = evaluate(run, store, "split", "--out", tmp_path)
    assert isinstance(done.exception, InputError)
    assert "has 3 folds" in str(done.exception)
    assert "say which with --fold: 1, 2, 3" in str(done.exception)


@pytest.mark.parametrize(("threshold", "split"), [("0.5", "test"), ("dev", "dev")])
def test_says_that_a_store_has_no_face(tmp_path: Path, threshold: str, split: str) -> None:
    for number in range(10):
        for kind in ("bonafide", "attack/print"):
            path = tmp_path / "set" / kind / f"person-{number}" / "wall.png"
            path.parent.mkdir(parents=True)
            Image.new("RGB", (96, 96), (90, 120, 90)).save(path)
    rows = open_dataset("folder").read(tmp_path / "set")
    prepare(rows, tmp_path / "set", tmp_path / "store", workers=0)
    done = evaluate(
        write_bundle(tmp_path / "bundle"),
        tmp_path / "store",
        "split",
        "--threshold-from",
        threshold,
        "--out",
        tmp_path / "out",
    )
    assert isinstance(done.exception, InputError)
    message = (
        rf"store: expected faces to score, but none of the \d+ {split} presentations of folder/split has one"
    )
    assert re.search(message, str(done.exception))
    assert not (tmp_path / "out").exists()


def test_rejects_two_evaluations_at_once(run: Path, store: Path, tmp_path: Path) -> None:
    with alone(tmp_path, "evaluation"):
        done = evaluate(run, store, "split", "--out", tmp_path)
    assert isinstance(done.exception, BonafaceError)
    assert "another process is making this evaluation" in str(done.exception)


def test_rejects_a_folder_with_other_results(run: Path, store: Path, tmp_path: Path) -> None:
    """Two stores of one name, two runs, two protocols in one folder."""
    assert evaluate(run, store, "split", "--out", tmp_path).exit_code == 0
    path = tmp_path / "evaluation.json"
    note = json.loads(path.read_text())
    assert note.pop("checksum")
    assert set(note.pop("files")) >= {"scores.csv", "report.json", "report.html"}
    assert (note["protocol"], note["store"]["path"]) == ("folder/split", str(store))
    before = (tmp_path / "report.json").read_bytes()
    elsewhere = {"path": "elsewhere", "digest": "0" * 64}
    for other, said in (
        ({**note, "store": elsewhere}, "the store elsewhere"),
        ({**note, "bundle": elsewhere}, "the bundle elsewhere"),
        ({**note, "protocol": "folder/test"}, "the protocol folder/test"),
    ):
        write_checked_json(path, other)
        done = evaluate(run, store, "split", "--out", tmp_path)
        assert isinstance(done.exception, InputError)
        assert f"holds the results of {said}; give these another folder (--out)" in str(done.exception)
    assert (tmp_path / "report.json").read_bytes() == before
    # A bundle or store that was moved, or made again at the same path, counts as the same.
    for same in ({"path": "moved"}, {"digest": "0" * 64}):
        write_checked_json(path, {**note, "store": {**note["store"], **same}})
        assert evaluate(run, store, "split", "--out", tmp_path).exit_code == 0
    for damaged in ("{", json.dumps({**note, "protocol": "folder/test", "checksum": "0" * 64}), "{}"):
        path.write_text(damaged)
        done = evaluate(run, store, "split", "--out", tmp_path)
        assert isinstance(done.exception, InputError)
        assert str(done.exception).startswith(f"{path}: ")
        assert str(done.exception).endswith(f"; delete the folder {tmp_path} and run the same again")


@pytest.mark.parametrize("source", ["bundle", "dev", "0.5"])
def test_report_and_compare_read_its_scores(source: str, run: Path, store: Path, tmp_path: Path) -> None:
    done = evaluate(run, store, "split", "--threshold-from", source, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    scores = str(tmp_path / "scores.csv")
    again = CliRunner().invoke(app, ["report", scores, "--out", str(tmp_path / "again")])
    assert again.exit_code == 0, again.output
    first, second = (
        json.loads((tmp_path / name).read_text()) for name in ("report.json", "again/report.json")
    )
    assert second["folds"][0]["threshold"] == first["folds"][0]["threshold"]
    assert second["folds"][0]["test"] == first["folds"][0]["test"]
    compared = CliRunner().invoke(app, ["compare", scores, scores])
    assert compared.exit_code == 0, compared.output
    assert "0 presentations are decided differently" in compared.output
