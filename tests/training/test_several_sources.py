"""Runs on several sets, of a network and of a solver: resume, bundle, thresholds, provenance, and the commands."""

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from bonaface.cli.main import app
from bonaface.core.errors import InputError
from bonaface.core.records import Score
from bonaface.evaluation.score_table import ScoreTable
from bonaface.inference.bundle import Bundle
from bonaface.inference.provenance import own_threshold, seen_in_training, seen_rows, source_on, trained_on
from bonaface.inference.runtime import OnnxRunner
from bonaface.inference.scoring import ScoredSplit, score_part
from bonaface.metrics.thresholds import eer_threshold
from bonaface.store.crop_store import CropStore
from bonaface.training import checkpoint_saver, features, fit
from bonaface.training.bundling import DEV_SCORES
from bonaface.training.data import open_split
from bonaface.training.fit import train
from bonaface.training.page import PAGE
from bonaface.training.settings import RunSettings, choose_preset

PROTOCOLS = {"oulu-npu": "1", "casia-fasd": "overall"}
NAME = "oulu-npu/1 + casia-fasd/overall"
CHANGES: dict[str, dict[str, Any]] = {
    "global-statistics": {"size": 64},
    "deep-pix-bis": {
        "backbone": "random:efficientnet-lite0",
        "size": 64,
        "epochs": 2,
        "batch": 8,
        "bn_batches": 2,
    },
}


def settings(model: str, stores: dict[str, Path]) -> RunSettings:
    given = tuple(str(stores[name]) for name in PROTOCOLS)
    preset = choose_preset(model, None, CHANGES[model])
    return RunSettings(preset, given, NAME, micro_batch=4, checkpoint_every=1, accelerator="cpu")


@pytest.fixture(scope="module", params=list(CHANGES))
def finished(
    request: pytest.FixtureRequest, four_stores: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    run = tmp_path_factory.mktemp("several") / request.param
    train(settings(request.param, four_stores), run)
    return run


def test_thresholds_are_those_of_the_joined_dev_parts(finished: Path, four_stores: dict[str, Path]) -> None:
    """Each set's dev scored on its own, from its own store; then their scores together."""
    bundle = Bundle.open(finished)
    card = bundle.card
    scores: list[Score] = []
    for name, protocol in PROTOCOLS.items():
        store = CropStore.open(four_stores[name])
        dev = open_split(store, protocol, "", 0).dev
        scores += score_part(store, ScoredSplit(dev, "dev", protocol), card, OnnxRunner(bundle))
    assert len(scores) == 8  # four pictures of one subject of each set
    for output in card.outputs:
        labels, values = zip(*((row.label, row.outputs[output]) for row in scores), strict=True)
        expected = np.clip(eer_threshold(labels, values), 0, 1)
        assert (
            card.threshold(output, "frame")
            == card.threshold(output, "video")
            == pytest.approx(expected, abs=1e-6)
        )
    source = card.source
    assert (source.dataset, source.protocol, source.fold) == ("oulu-npu + casia-fasd", "1 + overall", "")
    assert (source.bona_fide, source.attacks, source.subjects) == (4, 4, 2)


def test_run_and_bundle_name_every_store(finished: Path, four_stores: dict[str, Path]) -> None:
    described, card = json.loads((finished / "run.json").read_text()), Bundle.open(finished).card
    digests = {name: CropStore.open(four_stores[name]).digest for name in PROTOCOLS}
    for values in (described, card.provenance):
        assert values["store_digests"] == digests
        assert values["settings"]["store"] == [str(four_stores[name]) for name in PROTOCOLS]
        assert values["settings"]["protocol"] == NAME
    assert described["frames"]["train"] == {"attack": 8, "bona_fide": 8}
    assert described["frames"]["dev"] == {"attack": 4, "bona_fide": 4}


def test_dev_scores_and_page_keep_the_set_of_every_name(finished: Path) -> None:
    scores = ScoreTable.read(finished / DEV_SCORES)
    rows = set(zip(scores.text("subject"), scores.text("species"), strict=True))
    assert {subject for subject, _ in rows} == {"oulu-npu/3", "casia-fasd/2"}
    assert {species for _, species in rows} == {"", "print-1 (oulu-npu)", "print-warped (casia-fasd)"}
    page = (finished / PAGE).read_text()
    assert f"trained on {NAME} with seed 0" in page
    assert page.count("data:image/png") >= 8  # a crop of each presentation of dev, from either store
    for name in ("oulu-npu/3-real-0: bona fide", "casia-fasd/2-print-warped-1: print-warped (casia-fasd)"):
        assert name in page


def test_provenance_knows_what_of_each_store_was_seen(finished: Path, four_stores: dict[str, Path]) -> None:
    card = Bundle.open(finished).card
    assert trained_on(card) == NAME
    assert own_threshold(card, card.default_output, "video").data == f"dev of {NAME}, in the bundle"
    for name in four_stores:
        store, source = CropStore.open(four_stores[name]), source_on(card, name)
        assert (source and source.protocol.name) == PROTOCOLS.get(name)
        learned = {n for n, row in enumerate(store.presentations) if row.split in ("train", "dev")}
        assert seen_rows(card, store) == (learned if name in PROTOCOLS else set())
    store = CropStore.open(four_stores["casia-fasd"])
    assert seen_in_training(card, store, range(len(store.presentations))) == 12


@pytest.mark.parametrize("dataset", ["a + b", "somewhere"])
def test_a_strangers_words_stay_as_they_are(dataset: str, bundle: Path) -> None:
    card = Bundle.open(bundle).card
    points = {
        rule: msgspec.structs.replace(point, source=msgspec.structs.replace(point.source, dataset=dataset))
        for rule, point in card.operating_points.items()
    }
    assert trained_on(msgspec.structs.replace(card, operating_points=points)) == f"{dataset}/split"


class StoppedError(Exception):
    pass


def test_resumed_run_gives_the_same_weights_bit_for_bit(
    finished: Path, four_stores: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after its second checkpoint, or after the second of four chunks of features."""
    chosen, run = settings(finished.name, four_stores), tmp_path / "run"
    monkeypatch.setattr(features, "CHUNK", 8)
    monkeypatch.setattr(fit, "write_bundle", lambda *_: None)
    solved = finished.name == "global-statistics"
    owner, name = (features, "_write") if solved else (checkpoint_saver.CheckpointSaver, "_save")
    keep, kept = getattr(owner, name), []

    def stopping(*arguments: object) -> None:
        keep(*arguments)
        kept.append(1)
        if len(kept) == 2:
            raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stopping)
        with pytest.raises(StoppedError):
            train(chosen, run)
    torch.manual_seed(99)
    train(chosen, run, resume=True)
    expected, found = (load_file(each / checkpoint_saver.BEST) for each in (finished, run))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[each], found[each]) for each in expected)


def test_refuses_to_go_on_with_another_store(
    finished: Path, four_stores: dict[str, Path], tmp_path: Path
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    other = Path(shutil.copytree(four_stores["casia-fasd"], tmp_path / "casia"))
    chosen = settings(finished.name, {**four_stores, "casia-fasd": other})
    with pytest.raises(InputError, match="a resumed run keeps its settings, but these differ: store"):
        train(chosen, run, resume=True)
    moved = json.loads((run / "run.json").read_text())
    moved["settings"] = chosen.as_dict()
    del moved["checksum"]
    (run / "run.json").write_text(json.dumps(moved))
    train(chosen, run, resume=True)  # the same store at another place, as the run's own file says
    with (other / "store.json").open("a") as file:
        file.write("\n")
    with pytest.raises(InputError, match=r"oulu-npu or .*casia has changed since the run began"):
        train(chosen, run, resume=True)


def bonaface(*arguments: object) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def test_the_commands_train_on_several_sets_and_test_on_another(
    four_stores: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    data = [word for name in ("casia-fasd", "oulu-npu") for word in ("--data", four_stores[name])]
    said = bonaface(
        "train",
        "global-statistics",
        *data,
        "--protocol",
        "oulu-npu/1+casia-fasd/overall",
        "--size",
        64,
        "--out",
        run,
    )
    assert f"next: bonaface evaluate {run} --data STORE --protocol '{NAME} -> DATASET/PROTOCOL'" in said
    assert "left as it is" in bonaface("train", "--resume", "--out", run)
    experiment = "casia-fasd/overall + oulu-npu/1 -> msu-mfsd/official"  # the sources in any order
    said = bonaface("evaluate", run, "--data", four_stores["msu-mfsd"], "--protocol", experiment)
    assert f"global-statistics, trained on {NAME}, tested on msu-mfsd/official" in said
    report = json.loads((run / "evaluation/msu-mfsd-official/report.json").read_text())
    assert (report["trained_on"], report["dataset"], report["protocol"]) == (NAME, "msu-mfsd", "official")
    assert report["folds"][0]["threshold"]["data"] == f"dev of {NAME}, in the bundle"
    assert report["seen_in_training"] == 0
    for name, sentence in (
        ("oulu-npu/1 -> msu-mfsd/official", f"but this one was trained on {NAME}; evaluate another run"),
        (f"{NAME} -> replay-attack/grandtest", "tests on replay-attack, but"),
        (NAME, "several to train on have + between them"),
    ):
        with pytest.raises(InputError) as caught:
            bonaface("evaluate", run, "--data", four_stores["msu-mfsd"], "--protocol", name)
        assert sentence in str(caught.value)
