"""What every registered model promises, whatever paper it comes from.

A new model is tested the day it is registered: the cases are all presets of all names in the registry and the parts
that combine, each built small. A model that is not worth building at `SIZE`, or whose options must differ, gets an
entry in `SMALL`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bonaface.inference.bundle import (
    CARD,
    ONNX,
    OperatingPoint,
    ThresholdSource,
    UnitThresholds,
    read_card,
    write_card,
)
from bonaface.models import (
    FeatureSet,
    GradientModel,
    Output,
    PadModel,
    SolverModel,
    create_model,
    default_preset,
    describe,
    model_names,
    presets,
)
from bonaface.models.face_surface import face_surface
from bonaface.testing.networks import card

SIZE = 64
TINY_BACKBONE = "random:test_efficientnet"  # timm's smallest with every stride, 0.08 M parameters

SMALL: dict[str, dict[str, Any]] = {
    "bi-fas-s": {"spectrum_size": 16},
    "linear-probe": {"strength": 1.0},
    "global-statistics": {"strength": 1e4},
    "cdcn": {"width": 0.125},
    "cdcn-pp": {"width": 0.125},
}
_SPREAD = {"pooling": "mean-spread"}
# Parts that combine and that no preset has, by a name for the test.
COMBINED: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "deep-pix-bis": [("spread", _SPREAD), ("attention", {"attention": True})],
    "a-deep-pix-bis": [("spread", _SPREAD)],
    "bi-fas": [
        ("spread", _SPREAD),
        ("spread-a-attention", {**_SPREAD, "pixel_loss": "a-bce", "attention": True}),
        ("pixel-depth", {"pixel_target": "depth", "levels": (1, 2)}),
    ],
    "bi-fas-s": [("spread", _SPREAD), ("pixel-depth", {"pixel_target": "depth", "levels": (1, 2)})],
    "cdcn": [
        ("bce-attention", {"pixel_loss": "bce", "attention": True}),
        ("spread", {**_SPREAD, "pixel_loss": "bce"}),
    ],
    "cdcn-pp": [("spread-a", {**_SPREAD, "pixel_loss": "a-bce"})],
}
STEPS = 40
SAME_GRID = {"patchnet"}  # a map of nine patches, whatever the size
ONLY_A_THRESHOLD = {
    "hfd"
}  # learn nothing else, so they cannot know pictures; their own tests show what they tell
AUXILIARY_TERMS = {
    "spectrum",
    "branch",
}  # loss terms of training branches: each must fall by half within `STEPS`


@dataclass(frozen=True)
class Case:
    """One model with one preset's options, small enough to be trained in a test."""

    model: str
    preset: str
    options: dict[str, Any] = field(default_factory=dict)

    def build(self, size: int = SIZE) -> PadModel:
        backbone = TINY_BACKBONE if default_preset(self.model).backbone else None
        torch.manual_seed(0)
        return create_model(self.model, backbone=backbone, size=size, **self.options)

    def __str__(self) -> str:
        return f"{self.model}:{self.preset}"


def all_cases() -> list[Case]:
    """One case for each set of options that a preset of any model has, and for each of COMBINED."""
    cases: list[Case] = []
    for model in model_names():
        own = [(preset.name, preset.options) for preset in presets(model).values()]
        for name, chosen in [*own, *COMBINED.get(model, [])]:
            options = {**SMALL.get(model, {}), **chosen}
            if not any(case.model == model and case.options == options for case in cases):
                cases.append(Case(model, name, options))
    return cases


CASES = all_cases()
SOLVED = [case for case in CASES if describe(case.model).fitted_by_solver]
LEARNING = [case for case in CASES if case not in SOLVED]  # by gradient steps


@pytest.fixture(params=CASES, ids=str, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(params=LEARNING, ids=str, scope="module")
def learning(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """Eight normalised pictures without a cue that separates the classes: to tell them apart is to know them."""
    coarse = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")


@pytest.fixture(scope="module")
def labels() -> torch.Tensor:
    return torch.tensor([1, 0, 0, 1, 1, 0, 1, 0])


@dataclass(frozen=True)
class Trained:
    """A model that has seen the eight pictures until it knew them, and its losses at each gradient step."""

    model: PadModel
    losses: list[dict[str, float]]


@pytest.fixture(scope="module")
def trained(case: Case, pictures: torch.Tensor, labels: torch.Tensor) -> Trained:
    model = case.build().train()
    if isinstance(model, SolverModel):
        settle(model, pictures)
        fit(model.eval(), pictures, labels)
        return Trained(model, [])
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(STEPS):
        optimiser.zero_grad()
        terms = model.loss(model(*inputs(model, pictures)), shown(labels), pictures)
        terms["total"].backward()
        optimiser.step()
        losses.append({name: value.item() for name, value in terms.items()})
    settle(model, pictures)
    return Trained(model.eval(), losses)


def shown(labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return every target that a model of the package reads, of pictures with these labels: one face in all of them."""
    landmarks = SIZE * np.array([[0.36, 0.42], [0.64, 0.42], [0.5, 0.58], [0.39, 0.74], [0.61, 0.74]])
    depth = torch.from_numpy(face_surface(landmarks, SIZE))
    return {
        "label": labels,
        "face_depth": depth.expand(len(labels), -1, -1),
        "species": 1 - labels.long(),
        "domain": torch.zeros(len(labels), dtype=torch.long),
    }


def inputs(model: PadModel, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return what `model` reads of the pictures: for several views as many pictures, and nothing of them mirrored."""
    views = len(model.views)
    if views <= 1:
        return (pictures,)
    return torch.stack([pictures.roll(view, 2) for view in range(views)], 1), torch.zeros(
        len(pictures), views
    )


def fit(model: SolverModel, pictures: torch.Tensor, labels: torch.Tensor) -> None:
    """Let the solver see the eight pictures in as many passes as it needs, as training and as dev data."""
    with torch.no_grad():
        features = model.features(inputs(model, pictures)[0]).numpy()
    numbers = np.tile(np.arange(len(labels)), model.passes)
    shown = FeatureSet(
        features[numbers],
        labels.numpy()[numbers],
        numbers.astype(str),
        np.where(labels == 1, "", "print")[numbers],
        np.zeros((len(numbers), max(len(model.views), 1)), np.float32),
        numbers,
    )
    model.fit(shown, shown)


def settle(model: PadModel, pictures: torch.Tensor) -> None:
    """Estimate the running statistics of batch normalisation on the pictures, as training does before a bundle."""
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        model(*inputs(model, pictures))


def predict(model: PadModel, pictures: torch.Tensor) -> Output:
    with torch.no_grad():
        return model(*inputs(model, pictures))


@pytest.mark.parametrize("training", [True, False])
def test_output_has_the_promised_names_shapes_and_ranges(
    case: "Case", pictures: torch.Tensor, training: bool
) -> None:
    model = case.build().train(training)
    output = predict(model, pictures)
    assert isinstance(output, Output)
    assert model.score_names
    assert tuple(output.scores) == model.score_names
    assert tuple(output.maps) == model.map_names
    assert len(set(model.output_names)) == len(model.output_names) == len(output.scores) + len(output.maps)
    for score in output.scores.values():
        assert score.shape == (8,)
    for pixels in output.maps.values():
        assert pixels.ndim == 3
        assert len(pixels) == 8
    for value in (*output.scores.values(), *output.maps.values()):
        assert value.dtype == torch.float32
        assert 0 <= value.min() <= value.max() <= 1
    assert training or output.auxiliary == {}


def test_loss_is_a_mean_over_the_batch_with_its_terms(
    learning: Case, pictures: torch.Tensor, labels: torch.Tensor
) -> None:
    model = learning.build().eval()
    terms = model.loss(predict(model, pictures), shown(labels), pictures)
    twice = model.loss(
        predict(model, pictures.repeat(2, 1, 1, 1)), shown(labels.repeat(2)), pictures.repeat(2, 1, 1, 1)
    )
    assert len(terms) >= 2
    for name, value in terms.items():
        assert value.shape == ()
        assert value.dtype == torch.float32
        torch.testing.assert_close(twice[name], value, msg=name)
    assert torch.equal(
        model.loss(predict(model, pictures), shown(labels.float()), pictures)["total"], terms["total"]
    )


def test_a_bundle_takes_the_names_of_its_scores_and_maps(case: Case, tmp_path: Path) -> None:
    model = case.build()
    source = ThresholdSource("folder", "split", "", 4, 4, 2)
    point = OperatingPoint(dict.fromkeys(model.score_names, UnitThresholds(0.5, 0.5)), source)
    wanted = card(outputs=model.score_names, maps=model.map_names, operating_points={"eer": point})
    (tmp_path / ONNX).write_bytes(b"")
    write_card(tmp_path, wanted)
    found = read_card(tmp_path / CARD)
    assert (found.outputs, found.maps) == (tuple(model.score_names), tuple(model.map_names))


def test_every_parameter_gets_a_finite_gradient(
    learning: Case, pictures: torch.Tensor, labels: torch.Tensor
) -> None:
    """A parameter without a gradient is a layer that nothing uses, and stops training over several devices."""
    model = learning.build().train()
    model.loss(model(*inputs(model, pictures)), shown(labels), pictures)["total"].backward()
    parameters = dict(model.named_parameters())
    assert [name for name, p in parameters.items() if p.grad is None] == []
    assert [name for name, p in parameters.items() if not p.grad.isfinite().all()] == []
    learned_elsewhere = [p for part in model.backbones for p in part.parameters()]
    assert any(p.grad.ne(0).any() for p in learned_elsewhere or parameters.values())


def test_mixed_precision_keeps_scores_and_losses_in_float32(
    learning: Case, pictures: torch.Tensor, labels: torch.Tensor
) -> None:
    model = learning.build().train()
    with torch.autocast("cpu", torch.bfloat16):
        output = model(*inputs(model, pictures))
        terms = model.loss(output, shown(labels), pictures)
    terms["total"].backward()
    assert {t.dtype for t in (*output.scores.values(), *output.maps.values(), *terms.values())} == {
        torch.float32
    }
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_overfits_eight_pictures(trained: "Trained", pictures: torch.Tensor, labels: torch.Tensor) -> None:
    if trained.model.name in ONLY_A_THRESHOLD:
        pytest.skip("this model learns a threshold only")
    for name, score in predict(trained.model, pictures).scores.items():
        assert score[labels == 1].min() > score[labels == 0].max() + 0.05, name
    if not trained.losses:  # fitted by a solver
        return
    first, last = trained.losses[0], trained.losses[-1]
    assert last["total"] < 0.75 * first["total"]
    for name in AUXILIARY_TERMS & first.keys():
        assert last[name] < 0.5 * first[name], name


def test_a_picture_scores_the_same_alone_and_in_a_batch(trained: "Trained", pictures: torch.Tensor) -> None:
    together = predict(trained.model, pictures)
    for i in range(len(pictures)):
        alone = predict(trained.model, pictures[i : i + 1])
        for name in trained.model.score_names:
            torch.testing.assert_close(
                alone.scores[name], together.scores[name][i : i + 1], rtol=0, atol=2e-6
            )


def test_saved_and_loaded_weights_give_the_same_scores_without_training_parts(
    case: "Case", trained: "Trained", pictures: torch.Tensor, tmp_path: Path
) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(trained.model.inference_state_dict(), path)
    fresh = case.build()
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.add_(1.0)
    fresh.load_inference_state_dict(load_file(path))
    expected, given = predict(trained.model, pictures), predict(fresh.eval(), pictures)
    for name in trained.model.score_names:
        assert torch.equal(given.scores[name], expected.scores[name])
    for name in trained.model.map_names:
        assert torch.equal(given.maps[name], expected.maps[name])
    parts = trained.model.training_parts
    assert not any(key.split(".")[0] in parts for key in (*load_file(path), *fresh.state_dict()))


def test_the_inference_module_gives_the_same_numbers_as_plain_tensors(
    trained: "Trained", pictures: torch.Tensor
) -> None:
    module = trained.model.inference_module()
    with torch.no_grad():
        values = dict(zip(module.output_names, module(*inputs(trained.model, pictures)), strict=True))
    output = predict(trained.model, pictures)
    assert tuple(values) == trained.model.output_names
    for name, value in {**output.scores, **output.maps}.items():
        assert torch.equal(values[name], value)


def test_a_whole_state_dict_gives_the_same_scores_and_losses(
    case: Case, trained: Trained, pictures: torch.Tensor, labels: torch.Tensor
) -> None:
    other = case.build()
    other.load_state_dict(trained.model.state_dict())
    expected, given = (predict(model.eval(), pictures) for model in (trained.model, other))
    for name in trained.model.score_names:
        assert torch.equal(given.scores[name], expected.scores[name])
    if isinstance(other, GradientModel):
        pairs = ((trained.model, expected), (other, given))
        losses = [model.loss(output, shown(labels), pictures)["total"] for model, output in pairs]
        assert torch.equal(*losses)


@pytest.fixture(params=SOLVED, ids=str, scope="module")
def solved(request: pytest.FixtureRequest, pictures: torch.Tensor, labels: torch.Tensor) -> SolverModel:
    model = request.param.build().eval()
    fit(model, pictures, labels)
    return model


def test_kept_features_give_the_networks_own_score(solved: SolverModel, pictures: torch.Tensor) -> None:
    with torch.no_grad():
        images, *shares = inputs(solved, pictures)
        features = solved.features(images)
        given = solved.predict(features, *shares)
    assert (features.dtype, features.shape[0], given.shape) == (torch.float32, 8, (8,))
    assert torch.equal(given, predict(solved, pictures).scores[solved.score_names[0]])


def test_features_are_float32_in_mixed_precision_too(solved: SolverModel, pictures: torch.Tensor) -> None:
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert solved.features(inputs(solved, pictures)[0]).dtype == torch.float32
        scores = solved(*inputs(solved, pictures)).scores.values()
    assert {score.dtype for score in scores} == {torch.float32}


def test_a_solver_finds_the_same_weights_again_and_changes_nothing_but_its_head(
    solved: SolverModel, pictures: torch.Tensor, labels: torch.Tensor
) -> None:
    before = {name: value.clone() for name, value in solved.state_dict().items()}
    fit(solved, pictures, labels)
    assert all(torch.equal(value, before[name]) for name, value in solved.state_dict().items())
    fit(solved, pictures, (torch.arange(len(labels)) == 3).long())
    changed = {name for name, value in solved.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert not any(name.startswith("backbone.") for name in changed)


def test_another_input_size(case: "Case") -> None:
    model = case.build(size=96)
    assert model.input_size == 96
    coarse, fine = (
        predict(case.build(), torch.randn(2, 3, SIZE, SIZE)),
        predict(model, torch.randn(2, 3, 96, 96)),
    )
    for name in () if model.name in SAME_GRID else model.map_names[:1]:
        assert fine.maps[name].shape[-1] > coarse.maps[name].shape[-1]
    assert fine.scores[model.score_names[0]].shape == (2,)


@pytest.mark.parametrize("name", model_names())
def test_real_weights_and_three_channel_normalisation(name: str) -> None:
    """The packaged backbone, as the command line takes it: every gradient is there, mean and std are the backbone's."""
    if not default_preset(name).backbone:
        pytest.skip("this model has no backbone")
    model = create_model(name, backbone="efficientnet-lite0", size=SIZE).train()
    assert (model.mean, model.std) == ((0.5,) * 3, (0.5,) * 3)
    if isinstance(model, SolverModel):
        return
    pictures = torch.randn(2, 3, SIZE, SIZE)
    model.loss(model(*inputs(model, pictures)), shown(torch.tensor([0, 1])), pictures)["total"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
