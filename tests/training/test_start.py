"""A start from the linear classifier: the weights against scikit-learn, and a run that begins with them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.linalg import fractional_matrix_power
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from bonaface.core.errors import InputError
from bonaface.models import create_model
from bonaface.models.base import GradientModel
from bonaface.store.crop_store import CropStore
from bonaface.training import fit
from bonaface.training.checkpoint_saver import BEST
from bonaface.training.data import PadData
from bonaface.training.fit import train
from bonaface.training.settings import RunSettings, choose_preset
from bonaface.training.solving import train_draws
from bonaface.training.start import linear_start

SMALL: dict[str, Any] = {"size": 32, "crop": "tight", "batch": 4, "bn_batches": 0}


def settings(store: Path, model: str = "deep-pix-bis", **changes: object) -> RunSettings:
    preset = choose_preset(model, "transfer", {**SMALL, **changes})
    return RunSettings(preset, str(store), "split", micro_batch=4, accelerator="cpu")


def oracle(values: np.ndarray, labels: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """Return scikit-learn's logit of the features, turned by (I + 100 W)^(-1/2); W: how a picture's passes differ."""
    standard = StandardScaler().fit_transform(values)
    numbers = np.unique(pictures)
    moves = [standard[pictures == number] - standard[pictures == number].mean(0) for number in numbers]
    within = sum(away.T @ away for away in moves) / (len(values) - len(numbers))
    turned = standard @ fractional_matrix_power(np.eye(values.shape[1]) + 100 * within, -0.5).real
    solver = LogisticRegression(C=2e-3, class_weight="balanced", max_iter=3000, tol=1e-8)
    decision: np.ndarray = solver.fit(turned, labels).decision_function(turned)
    return decision


def test_weights_are_scikit_learns_on_the_features_as_they_are() -> None:
    rng = np.random.default_rng(0)
    labels, pictures = np.tile(np.repeat([0, 1], [30, 20]), 2), np.tile(np.arange(50), 2)
    values = (rng.normal(size=(100, 4)) * [1, 10, 0.1, 3] + 5 + labels[:, None]).astype(np.float32)
    weight, bias = linear_start(values, labels, pictures)
    expected = oracle(values.astype(np.float64), labels, pictures)
    np.testing.assert_allclose(values @ weight + bias, expected, atol=1e-5)


def test_a_run_without_steps_has_the_scores_of_the_linear_classifier(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a rate of 0 the weights stay where they start; an average of the weights starts there, too."""
    monkeypatch.setattr(fit, "write_bundle", lambda *_: None)
    chosen = settings(store, lr=0.0, weight_decay=0.0, ema=0.9)
    train(chosen, tmp_path / "run")
    network = create_model("deep-pix-bis", backbone="efficientnet-lite0", size=32, pooling="mean-spread")
    assert isinstance(network, GradientModel)
    data = PadData(CropStore.open(store), chosen)
    with np.load(tmp_path / "run" / "features" / "start" / "00000.npz") as kept:
        values = kept["values"].astype(np.float64)
    # Two passes over the train pictures, the first of them as they are.
    assert values.shape == (48, 224)
    draws = train_draws(data.train.labels, settings(store, epochs=2))
    pictures = np.array([draw.position for draw in draws])
    expected = expit(oracle(values, data.train.about(draws)[0], pictures)[:4])
    network.load_state_dict(load_file(tmp_path / "run" / BEST))
    images = (data.train[draws[:4]].crops.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    with torch.no_grad():
        scores = network.eval()(images).scores["feature_map"]
    np.testing.assert_allclose(scores, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("model", "changes"), [("bi-fas", {"start": "linear"}), ("deep-pix-bis", {"pooling": "mean"})]
)
def test_refuses_networks_that_have_no_such_pixels(
    model: str, changes: dict[str, Any], store: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=f"{model} with these options can't start from a linear classifier"):
        train(settings(store, model, **changes), tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()
