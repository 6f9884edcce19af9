"""The linear classifier: scikit-learn's own pipeline on the same features, and a map whose mean is the logit."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bonaface.core.errors import BonafaceError, InputError
from bonaface.metrics.thresholds import eer_threshold
from bonaface.models import FeatureSet, LinearProbe, LpFt, create_model
from bonaface.models.linear_probe import solve_logistic, steady_bases

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
    return feature_set(features, labels)


def feature_set(features: np.ndarray, labels: np.ndarray, pictures: np.ndarray | None = None) -> FeatureSet:
    nothing, shares = np.array([""] * len(labels)), np.zeros(features.shape[:2], np.float32)
    numbers = np.arange(len(labels)) if pictures is None else pictures
    return FeatureSet(features, labels, nothing, nothing, shares, numbers)


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
    assert given.shape == (3, 1, 944)
    torch.testing.assert_close(given[:, 0].double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("strength", [1e-3, 0.1])
def test_decision_values_are_those_of_scikit_learns_pipeline(
    pictures: Any, labels: Any, strength: Any
) -> None:
    model = probe(strength=strength)
    features = shown(model, pictures, labels)
    model.fit(features, features)
    solver = LogisticRegression(C=strength, class_weight="balanced", max_iter=3000, tol=1e-8)
    values = features.features[:, 0].astype(np.float64)
    pipeline = make_pipeline(StandardScaler(), solver).fit(values, labels)
    with torch.no_grad():
        logits = model(pictures).logits["linear"].numpy()
    expected = pipeline.decision_function(values)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    np.testing.assert_allclose(
        model(pictures).scores["linear"].detach().numpy(), 1 / (1 + np.exp(-expected)), atol=1e-4
    )


def test_the_mean_of_the_map_is_the_logit(fitted: Any, pictures: Any) -> None:
    with torch.no_grad():
        output = fitted(pictures)
    assert fitted.map_names == ("view",)
    assert tuple(output.maps["view"].shape[1:]) == (8, 8)
    torch.testing.assert_close(
        output.logits["map view"].mean((1, 2)), output.logits["linear"], rtol=0, atol=1e-4
    )
    assert torch.equal(output.maps["view"], torch.sigmoid(output.logits["map view"]))


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


VIEWS = ("tight", "square-1.3", "square-2.0")


@pytest.fixture(scope="module")
def three(pictures: torch.Tensor, labels: np.ndarray) -> LinearProbe:
    """A probe of three views, the second and third being other pictures."""
    model = probe(views=VIEWS, strength=1e-2)
    features = shown(model, stacked(pictures), labels)
    model.fit(features, features)
    return model


def stacked(pictures: torch.Tensor) -> torch.Tensor:
    return torch.stack([pictures, pictures.flip(3), pictures.roll(7, 2)], 1)  # (B, 3, 3, H, W)


def test_views_are_solved_like_scikit_learn_on_every_choice_of_them() -> None:
    rng = np.random.default_rng(1)
    values, labels = rng.normal(size=(60, 3, 5)), (np.arange(60) % 3 == 0).astype(np.int64)
    values[labels == 1] += rng.normal(size=(3, 5))
    choices = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1]], np.float64)
    weight, bias = solve_logistic(values, labels, choices, 0.1)
    copies = np.concatenate([(values * choice[None, :, None]).reshape(60, -1) for choice in choices])
    solver = LogisticRegression(C=0.1 / 4, class_weight="balanced", max_iter=10_000, tol=1e-8)
    solver.fit(copies, np.tile(labels, 4))
    np.testing.assert_allclose(weight.ravel(), solver.coef_[0], atol=1e-5)
    assert bias == pytest.approx(solver.intercept_[0], abs=1e-5)


@pytest.mark.parametrize(
    ("shares", "used"),
    [
        ([0.0, 0.0, 0.0], [1, 1, 1]),
        ([0.0, 0.4, 0.41], [1, 1, 0]),
        ([0.0, 0.7, 0.1], [1, 0, 1]),
        ([0.9, 0.9, 0.9], [1, 0, 0]),  # the first view is always used
    ],
)
def test_a_view_that_is_mirrored_too_far_is_left_out(
    three: Any, pictures: Any, shares: Any, used: Any
) -> None:
    given = torch.tensor([shares])
    with torch.no_grad():
        output = three(stacked(pictures[:1]), given)
        statistics = output.embeddings["statistics"].view(1, 3, -1)
        parts = ((statistics - three.center) / three.scale * three.weight).sum(2)[0]
    offset = three.offsets[sum(bit << view for view, bit in enumerate(used))]
    expected = (parts * torch.tensor(used)).sum() + offset
    assert output.logits["linear"].item() == pytest.approx(expected.item(), abs=1e-5)
    with torch.no_grad():
        kept = three.predict(three.features(stacked(pictures[:1])), given)
    assert kept.item() == pytest.approx(output.scores["linear"].item(), abs=1e-6)


def test_a_views_map_has_its_logit_for_its_mean(three: Any, pictures: Any) -> None:
    with torch.no_grad():
        output = three(stacked(pictures[:4]), torch.zeros(4, 3))
        statistics = output.embeddings["statistics"].view(4, 3, -1)
        parts = ((statistics - three.center) / three.scale * three.weight).sum(2)
    assert three.map_names == VIEWS
    for view, name in enumerate(VIEWS):
        torch.testing.assert_close(
            output.logits[f"map {name}"].mean((1, 2)), parts[:, view], rtol=0, atol=1e-4
        )


def test_for_each_view_left_out_fewer_attacks_of_dev_pass() -> None:
    """The features overlap, the first view's most: at equal errors of its own it would let more attacks pass."""
    rng = np.random.default_rng(5)
    model = probe(views=VIEWS, strength=1e-2)
    labels = (np.arange(400) % 2).astype(np.int64)
    train, values = rng.normal(size=(2, 400, 3, model.weight.shape[1])).astype(np.float32)
    for view, distance in enumerate((0.02, 0.06, 0.1)):
        train[labels == 1, view] += distance
        values[labels == 1, view] += distance
    model.fit(feature_set(train, labels), feature_set(values, labels))
    passed = {}
    for shares in ([0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 1.0]):
        with torch.no_grad():
            given = torch.tensor([shares] * len(labels))
            scores = model.predict(torch.from_numpy(values), given).double().numpy()
        passed[tuple(shares)] = int((scores[labels == 0] >= 0.5).sum())
        if not sum(shares):
            assert eer_threshold(labels, scores) == pytest.approx(0.5, abs=1e-5)
    everything = passed.pop((0.0, 0.0, 0.0))
    assert everything >= 9
    for left_out, count in passed.items():
        expected = everything * (2 / 3) ** sum(left_out)
        assert expected - 2 < count <= expected


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ((0.2, 1.5), r"mirrored_limits must be shares between 0 and 1, got \[0\.2, 1\.5\]"),
        (
            (0.2,),
            "mirrored_limits must have one share for each view after the first, here 2, got 1; set them as well",
        ),
    ],
)
def test_rejects_limits_that_are_no_shares_of_the_further_views(limits: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        probe(views=VIEWS, mirrored_limits=limits)


@pytest.mark.parametrize(
    ("shares", "used"),
    [([0.0, 0.2, 0.7], [1, 1, 1]), ([0.0, 0.21, 0.7], [1, 0, 1]), ([0.0, 0.2, 0.71], [1, 1, 0])],
)
def test_each_view_has_a_limit_of_its_own(pictures: Any, labels: Any, shares: Any, used: Any) -> None:
    model = probe(views=VIEWS, strength=1e-2, mirrored_limits=(0.2, 0.7))
    features = shown(model, stacked(pictures), labels)
    model.fit(features, features)
    values = torch.from_numpy(features.features[:1])
    with torch.no_grad():
        score = model.predict(values, torch.tensor([shares]))
        parts = ((values - model.center) / model.scale * model.weight).sum(2)[0]
    offset = model.offsets[sum(bit << view for view, bit in enumerate(used))]
    expected = torch.sigmoid((parts * torch.tensor(used)).sum() + offset)
    assert score.item() == pytest.approx(expected.item(), abs=1e-5)


def test_directions_in_which_a_picture_moves_cost_more() -> None:
    # Two pictures, each in two passes: the first feature moves by 2 and 4, the second never.
    values = np.array([[1.0, 5.0], [3.0, 5.0], [0.0, -5.0], [4.0, -5.0]])[:, None]
    base = steady_bases(values, np.array([7, 7, 9, 9]), 3.0)
    covariance = (1.0 + 1.0 + 4.0 + 4.0) / 2
    np.testing.assert_allclose(base, [np.diag([(1 + 3 * covariance) ** -0.5, 1.0])], atol=1e-12)


def test_a_picture_that_is_shown_once_adds_nothing_to_what_moves() -> None:
    rng = np.random.default_rng(0)
    values, pictures = rng.normal(size=(7, 2, 5)), np.array([3, 3, 3, 1, 1, 8, 8])
    alone = np.concatenate([values, 100 * rng.normal(size=(2, 2, 5))])
    np.testing.assert_allclose(
        steady_bases(values, pictures, 2.0), steady_bases(alone, np.append(pictures, [4, 5]), 2.0), atol=1e-9
    )


def test_invariance_is_a_penalty_on_the_variance_of_the_logit_within_pictures() -> None:
    rng = np.random.default_rng(0)
    model = probe(invariance=5.0, strength=0.01)
    labels, pictures = np.tile(np.arange(30) % 2, 3), np.tile(np.arange(30), 3)
    features = rng.normal(size=(90, 1, model.weight.shape[1])).astype(np.float32)
    features[:, 0, 0] += 2 * labels
    features[30:60, 0, :20] += 3  # the second pass is in other light
    shown = feature_set(features, labels, pictures)
    model.fit(shown, shown)

    # The gradient of the objective, written down anew: 1/2 |w|^2 + 1/2 invariance w' W w + C times the balanced loss.
    center, scale = features[:, 0].mean(0), features[:, 0].std(0)
    standard = (features[:, 0].astype(np.float64) - center) / scale
    within = sum(
        np.cov(standard[pictures == number].T, ddof=0) * (pictures == number).sum() for number in range(30)
    ) / (90 - 30)
    weight, bias = model.weight.detach().numpy()[0].astype(np.float64), float(model.offsets[-1])
    sign = np.where(labels == 1, 1.0, -1.0)
    slope = -sign / (1 + np.exp(sign * (standard @ weight + bias)))  # 45 of each class: all weigh 1
    gradient = weight + 5.0 * within @ weight + 0.01 * standard.T @ slope
    assert np.abs(gradient).max() < 1e-4 * np.abs(0.01 * standard.T @ np.abs(slope)).max() + 1e-5


def test_invariance_needs_pictures_that_are_shown_twice(pictures: Any, labels: Any) -> None:
    model = probe(invariance=1.0)
    features = shown(model, pictures, labels)
    with pytest.raises(InputError, match="every picture is shown once"):
        model.fit(features, features)


@pytest.mark.parametrize(
    ("invariance", "sentence"),
    [
        (-1.0, r"invariance must be 0 or more, got -1\.0"),
        (float("inf"), "invariance: expected a number, got inf"),
        (float("nan"), "invariance: expected a number, got nan"),
    ],
)
def test_rejects_an_invariance_that_is_negative_or_no_number(invariance: float, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        probe(invariance=invariance)


def test_each_view_is_held_down_where_it_moves() -> None:
    """The gradient of the objective, written down anew for two views and their choices, is zero at the solution."""
    rng = np.random.default_rng(2)
    labels, pictures = np.tile(np.arange(30) % 2, 2), np.tile(np.arange(30), 2)
    values = rng.normal(size=(60, 2, 6))
    values[labels == 1, :, 0] += 1
    values[30:, 0, :3] += [4, 2, 1]  # in the second pass the first view moves another way than the second one
    values[30:, 1, 3:] += [1, 2, 5]
    choices = np.array([[1.0, 0.0], [1.0, 1.0]])
    weight, bias = solve_logistic(values, labels, choices, 0.1, steady_bases(values, pictures, 7.0))
    sign = np.where(labels == 1, 1.0, -1.0)[:, None]
    logits = np.einsum("nvf,vf,mv->nm", values, weight, choices) + bias
    slope = -sign / (1 + np.exp(sign * logits)) / len(choices)
    for view in range(2):
        moves = [values[pictures == p, view] - values[pictures == p, view].mean(0) for p in range(30)]
        within = sum(away.T @ away for away in moves) / 30
        loss = np.einsum("nf,nm,m->f", values[:, view], slope, choices[:, view])
        np.testing.assert_allclose(weight[view] + 7 * within @ weight[view] + 0.1 * loss, 0, atol=1e-5)


def test_fine_tuning_minimises_the_log_loss_of_every_choice_of_views() -> None:
    """Of three views, the first of which is always used, there are four choices."""
    torch.manual_seed(0)
    model = create_model(
        "lp-ft", backbone="random:test_efficientnet", size=64, views=("tight", "native", "box-2")
    )
    assert isinstance(model, LpFt)
    model.eval().offsets.fill_(0.25)
    images, labels = torch.randn(4, 3, 3, 64, 64), torch.tensor([1.0, 0.0, 0.0, 1.0])
    with torch.no_grad():
        output = model(images, torch.zeros(4, 3))
        terms = model.loss(output, {"label": labels}, images)
        statistics = output.embeddings["statistics"].reshape(4, 3, -1).double().numpy()
    a, b, c = (statistics * model.weight.detach().double().numpy()).sum(2).T
    losses = []
    for parts in (a, a + b, a + c, a + b + c):
        chance = 1 / (1 + np.exp(-(parts + 0.25)))
        losses.append(-np.mean(np.log(np.where(labels.numpy() == 1, chance, 1 - chance))))
    assert terms["total"].item() == pytest.approx(np.mean(losses), rel=1e-4)
    assert terms["label"] == terms["total"]


def test_fine_tuning_reaches_the_backbone() -> None:
    model = create_model("lp-ft", backbone="random:test_efficientnet", size=64)
    images = torch.randn(2, 3, 64, 64)
    model.loss(model(images), {"label": torch.tensor([0, 1])}, images)["total"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.backbone.parameters())
