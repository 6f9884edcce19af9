"""The linear classifier: scikit-learn's own pipeline on the same features, and a map whose mean is the logit."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bonaface.core.errors import BonafaceError, InputError
from bonaface.models import FeatureSet, LinearProbe, create_model

COUNT = 40


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    coarse = torch.randn(COUNT, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    return torch.nn.functional.interpolate(coarse, size=(64, 64), mode="bilinear")


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return (np.arange(COUNT) % 4 == 0).astype(np.int64)


def probe(**options: Any) -> LinearProbe:
    torch.manual_seed(0)
    model = create_model("linear-probe", backbone="efficientnet-lite0", size=64, **options).eval()
    assert isinstance(model, LinearProbe)
    return model


def shown(model: LinearProbe, pictures: torch.Tensor, labels: np.ndarray) -> FeatureSet:
    with torch.no_grad():
        features = model.features(pictures).numpy()
    nobody, shares = np.array([""] * len(labels)), np.zeros((len(labels), 1), np.float32)
    return FeatureSet(features, labels, nobody, nobody, shares)


@pytest.fixture(scope="module")
def fitted(pictures: torch.Tensor, labels: np.ndarray) -> LinearProbe:
    model = probe()
    features = shown(model, pictures, labels)
    model.fit(features, features)
    return model


def test_features_are_mean_and_spread_of_every_channel_level_by_level(pictures: Any) -> None:
    model = probe()
    with torch.no_grad():
        given = model.features(pictures[:3])
        levels = [level.double() for level in model.backbone(pictures[:3])]
    expected = torch.cat([x for y in levels for x in (y.mean((2, 3)), y.std((2, 3), correction=0))], 1)
    assert given.shape == (3, 944)
    torch.testing.assert_close(given.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("strength", [1e-3, 0.1])
def test_decision_values_are_those_of_scikit_learns_pipeline(
    pictures: Any, labels: Any, strength: Any
) -> None:
    model = probe(strength=strength)
    features = shown(model, pictures, labels)
    model.fit(features, features)
    solver = LogisticRegression(C=strength, class_weight="balanced", max_iter=3000)
    pipeline = make_pipeline(StandardScaler(), solver).fit(features.features.astype(np.float64), labels)
    with torch.no_grad():
        logits = model(pictures).logits["linear"].numpy()
    expected = pipeline.decision_function(features.features.astype(np.float64))
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    np.testing.assert_allclose(
        model(pictures).scores["linear"].detach().numpy(), 1 / (1 + np.exp(-expected)), atol=1e-4
    )


def test_the_means_of_the_pixel_logits_add_up_to_the_logit(fitted: Any, pictures: Any) -> None:
    with torch.no_grad():
        output = fitted(pictures)
    assert [tuple(output.maps[name].shape[1:]) for name in fitted.map_names] == [(8, 8), (4, 4), (2, 2)]
    together = sum(output.logits[name].mean((1, 2)) for name in fitted.map_names)
    torch.testing.assert_close(together, output.logits["linear"], rtol=0, atol=1e-4)
    for name in fitted.map_names:
        assert torch.equal(output.maps[name], torch.sigmoid(output.logits[name]))


def test_what_is_constant_is_shared_out_evenly_over_the_levels(fitted: Any, pictures: Any) -> None:
    """Each level's pixels average what its own channels add, and a third of the rest."""
    with torch.no_grad():
        output = fitted(pictures)
        features = output.embeddings["statistics"].double()
    slopes = (fitted.weight / fitted.scale).detach().double()
    constant = (fitted.bias.double() - slopes @ fitted.center.double()).item()
    for name, part in (
        ("stride8", slice(0, 80)),
        ("stride16", slice(80, 304)),
        ("stride32", slice(304, 944)),
    ):
        expected = features[:, part] @ slopes[part] + constant / 3
        torch.testing.assert_close(
            output.logits[name].mean((1, 2)).double(), expected, rtol=0, atol=1e-4, msg=name
        )


def test_an_even_picture_has_finite_maps_and_gradients(fitted: Any) -> None:
    pictures = torch.zeros(2, 3, 64, 64, requires_grad=True)
    fitted(pictures).scores["linear"].sum().backward()
    assert pictures.grad is not None
    assert pictures.grad.isfinite().all()
    fitted.zero_grad()


def test_rejects_a_strength_that_is_not_positive() -> None:
    for strength in (0.0, -1.0, float("nan")):
        with pytest.raises(
            InputError, match=r"strength must be above 0|strength: expected a number, got nan"
        ):
            probe(strength=strength)


def test_a_solver_that_does_not_converge_says_so(pictures: Any, labels: Any, monkeypatch: Any) -> None:
    model = probe(strength=1.0)
    features = shown(model, pictures, labels)
    monkeypatch.setattr("bonaface.models.linear_probe._ITERATIONS", 1)
    with pytest.raises(
        BonafaceError, match=r"no solution in 1 steps; regularise it more: --set strength=0\.1"
    ):
        model.fit(features, features)
