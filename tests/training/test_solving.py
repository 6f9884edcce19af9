"""A run of a model that a solver fits: the same folder, resume and bundle as any other."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.export.torch_runner import load_network
from bonaface.inference.bundle import Bundle
from bonaface.inference.runtime import OnnxRunner
from bonaface.inference.scoring import ScoredSplit, score_part
from bonaface.models import SolverModel, create_model
from bonaface.models.linear_probe import solve_logistic, steady_bases
from bonaface.store.crop_store import CropStore
from bonaface.training import features, fit
from bonaface.training.batches import CropBatches, Draw
from bonaface.training.checkpoint_saver import BEST, HISTORY
from bonaface.training.data import PadData
from bonaface.training.fit import train
from bonaface.training.settings import RunSettings, choose_preset
from bonaface.training.solving import picture_numbers, train_draws

CHANGES = {"size": 64, "crop": "tight"}


def settings(store: Path, **changes: object) -> RunSettings:
    preset = choose_preset("linear-probe", None, {"epochs": 1, **CHANGES, **changes})
    return RunSettings(preset, str(store), "split", micro_batch=4, accelerator="cpu")


@pytest.fixture(scope="module")
def finished(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("solved") / "run"
    train(settings(store), run)
    return run


def test_bundle_scores_match_scikit_learn_on_the_same_crops(finished: Path, store: Path) -> None:
    """Written out by hand: crops, backbone, mean and spread, pipeline; against ONNX through the whole chain."""
    opened, bundle = CropStore.open(store), Bundle.open(finished)
    data = PadData(opened, settings(store))
    backbone = create_model("linear-probe", backbone="efficientnet-lite0", size=64).eval().backbone

    def rows(part: CropBatches) -> np.ndarray:
        crops = part[[Draw(number, None) for number in range(len(part))]].crops
        images = (crops.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
        with torch.no_grad():
            levels = [level.double() for level in backbone(images)]
        return torch.cat(
            [x for y in levels for x in (y.mean((2, 3)), y.std((2, 3), correction=0))], 1
        ).numpy()

    solver = LogisticRegression(C=1e-3, class_weight="balanced", max_iter=3000)
    pipeline = make_pipeline(StandardScaler(), solver).fit(rows(data.train), data.train.labels)
    expected = pipeline.predict_proba(rows(data.dev))[:, 1]
    split = ScoredSplit(data.split.dev, "dev", "split")
    given = [r for r in score_part(opened, split, bundle.card, OnnxRunner(bundle)) if not r.response]
    np.testing.assert_allclose([row.score for row in given], expected, atol=1e-4)
    far, tpr, _ = roc_curve(data.dev.labels, expected)
    assert np.ptp(expected) > 0.01
    with (finished / HISTORY).open() as file:
        (history,) = csv.DictReader(file)
    assert float(history["dev/acer"]) == pytest.approx(
        ((far + 1 - tpr) / 2)[np.argmin(np.abs(far - (1 - tpr)))]
    )
    labels = data.dev.labels
    log_loss = -np.log(np.where(labels == 1, expected, 1 - expected)).mean()
    assert float(history["dev/loss"]) == pytest.approx(log_loss, abs=1e-4)
    assert bundle.card.provenance["dev_acer"] == pytest.approx(float(history["dev/acer"]))


def test_run_folder_has_the_usual_files(finished: Path, store: Path) -> None:
    described = json.loads((finished / "run.json").read_text())
    assert described["settings"]["preset"]["model"] == "linear-probe"
    assert described["frames"]["train"] == {"attack": 12, "bona_fide": 12}
    with np.load(finished / "features" / "train" / "00000.npz") as kept:
        assert kept["values"].shape == (24, 1, 944)
    card = Bundle.open(finished).card
    assert (card.outputs, card.maps) == (("linear",), ("view",))
    assert card.provenance["parity_to_torch"] <= 1e-4
    sentences: list[str] = []
    train(settings(store), finished, resume=True, log=sentences.append)
    assert sentences == [f"this run is finished, and left as it is: {finished / 'bundle'}"]


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("chunks", [1, 4, 6])
def test_resumed_run_gives_the_same_weights_bit_for_bit(
    chunks: int, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in train, between train and dev, and before the solver: 48 draws make six chunks, dev's eight one."""
    monkeypatch.setattr(fit, "write_bundle", lambda *_: None)
    monkeypatch.setattr(features, "CHUNK", 8)
    # Two passes: the second is augmented.
    chosen = settings(store, epochs=2)
    train(chosen, tmp_path / "whole")
    written = 0
    write = features._write

    def stopping(path: Path, chunk: features._Chunk) -> None:
        nonlocal written
        if written == chunks:
            raise StoppedError
        write(path, chunk)
        written += 1

    with monkeypatch.context() as patch:
        patch.setattr(features, "_write", stopping)
        with pytest.raises(StoppedError):
            train(chosen, tmp_path / "stopped")
    torch.manual_seed(99)
    train(chosen, tmp_path / "stopped", resume=True)
    expected, found = (load_file(tmp_path / name / BEST) for name in ("whole", "stopped"))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_only_the_first_pass_is_not_augmented(store: Path) -> None:
    labels = np.array([1, 0, 0, 1])
    once = train_draws(labels, settings(store))
    assert [(draw.position, draw.key, draw.simulated) for draw in once] == [
        (n, None, False) for n in range(4)
    ]
    changes = {"epochs": 3, "augment.simulate": 0.5}
    thrice = train_draws(labels, settings(store, **changes))
    assert thrice[:4] == once
    assert len(thrice) == 4 + 5 + 5  # one of two bona fide pictures again, as a simulated attack
    assert all(draw.key is not None for draw in thrice[4:])
    assert len({draw.key for draw in thrice[4:]}) == 10
    assert [draw.position for draw in thrice[4:]] != sorted(draw.position for draw in thrice[4:])
    assert sum(draw.simulated for draw in thrice) == 2
    numbers = picture_numbers(thrice, 4)
    assert all(
        len({(draw.position, draw.simulated) for draw, n in zip(thrice, numbers, strict=True) if n == number})
        == 1
        for number in numbers
    ), "a simulated attack is no pass of the picture that it was made of"
    balanced = train_draws(np.array([1, 0, 0, 0]), settings(store, balance="undersample"))
    assert (len(balanced), balanced[0].position) == (2, 0)


def test_rejects_gradient_settings_of_a_solver_model(store: Path) -> None:
    for name in ("lr", "weight_decay", "batch", "bn_batches", "backbone_rate"):
        with pytest.raises(UnknownNameError, match=f"setting of linear-probe '{name}'"):
            choose_preset("linear-probe", None, {name: 1})
    assert settings(store, strength=0.1).preset.options == {"strength": 0.1}


def test_the_passes_of_a_picture_are_compared(store: Path, tmp_path: Path) -> None:
    """The weights of a run are those that its kept features give, when each row has the number of its picture."""
    chosen = settings(store, epochs=2, invariance=10.0, **{"augment.color_transfer": 1.0})
    train(chosen, tmp_path / "run")
    data = PadData(CropStore.open(store), chosen)
    draws = train_draws(data.train.labels, chosen)
    with np.load(tmp_path / "run" / "features" / "train" / "00000.npz") as kept:
        values = kept["values"].astype(np.float64)
    standard = (values - values.mean(0)) / values.std(0)
    labels = data.train.about(draws)[0]
    pictures = np.array([draw.position for draw in draws])
    bases = steady_bases(standard, pictures, 10.0)
    expected, _ = solve_logistic(standard, labels, np.ones((1, 1)), 1e-3, bases)
    shuffled = steady_bases(standard, np.roll(pictures, 1), 10.0)
    other, _ = solve_logistic(standard, labels, np.ones((1, 1)), 1e-3, shuffled)
    found = load_file(tmp_path / "run" / BEST)["weight"].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found - other).max() > 1e-5


def test_refuses_one_pass_where_passes_are_compared(store: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="compares a picture's passes and needs epochs=2 or more, got 1"):
        train(settings(store, invariance=10.0), tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


def test_rejects_several_devices(store: Path) -> None:
    with pytest.raises(InputError, match="linear-probe is fitted by a solver, on one device"):
        replace(settings(store), devices=2)
    assert replace(settings(store), micro_batch=24).micro_batch == 24  # no optimiser step is to be gathered


def test_run_with_several_views_makes_a_bundle_with_them(store: Path, tmp_path: Path) -> None:
    """The scores of the bundle are those of the features that the run has kept, mirrored shares included."""
    views = ("tight", "square-1.3", "square-2.0")
    chosen = settings(store, views=views, mirrored_limits=(0.05, 0.05))
    train(chosen, tmp_path / "run")
    bundle = Bundle.open(tmp_path / "run")
    assert (bundle.card.views, bundle.card.maps) == (views, views)
    network = load_network(bundle)
    assert isinstance(network, SolverModel)
    with np.load(tmp_path / "run" / "features" / "dev" / "00000.npz") as kept:
        features = torch.from_numpy(kept["values"])
    opened = CropStore.open(store)
    data = PadData(opened, chosen)
    shares = data.dev.shares([Draw(number, None) for number in range(len(data.dev))])
    assert len({tuple(row) for row in shares[:, 1:] <= 0.05}) > 1, "some views must be left out, and not all"
    with torch.no_grad():
        expected = network.predict(features, torch.from_numpy(shares)).numpy()
    split = ScoredSplit(data.split.dev, "dev", "split")
    given = [r for r in score_part(opened, split, bundle.card, OnnxRunner(bundle)) if not r.response]
    np.testing.assert_allclose([row.score for row in given], expected, atol=1e-4)
