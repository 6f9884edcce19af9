"""A-DeepPixBiS: what circulating code for this paper gets wrong, and its loss by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bonaface.core.errors import InputError
from bonaface.models import create_model
from bonaface.models.a_deep_pix_bis import ADeepPixBiS
from bonaface.models.record import Output

TINY: dict[str, Any] = {"backbone": "random:test_resnet", "size": 32}


def softplus(x: Any) -> Any:
    return np.log1p(np.exp(x))


def with_cosines(pixels: NDArray[np.float64], binary: NDArray[np.float64]) -> Output:
    return Output({}, {}, {"map": torch.tensor(pixels), "binary": torch.tensor(binary)})


@pytest.fixture
def model() -> ADeepPixBiS:
    torch.manual_seed(0)
    made = create_model("a-deep-pix-bis", **TINY)
    assert isinstance(made, ADeepPixBiS)
    return made


def test_cosines_stay_in_range_with_huge_weights(model: ADeepPixBiS) -> None:
    """Weights that are not really normalised let the "cosine" leave [-1, 1]."""
    with torch.no_grad():
        for head in (model.pixel, model.binary):
            head.weight.mul_(1e4)
        output = model.eval()(torch.randn(4, 3, 32, 32))
    for name, cosine in output.logits.items():
        # Not 1 itself, to which a clamp would hold what is too long.
        assert 1e-3 < cosine.abs().max() < 1, name


def test_the_length_of_the_weights_changes_nothing(model: ADeepPixBiS) -> None:
    pictures = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        before = model.eval()(pictures)
        model.pixel.weight.mul_(37.0)
        model.binary.weight.mul_(0.01)
        after = model(pictures)
    for name in before.logits:
        torch.testing.assert_close(after.logits[name], before.logits[name])


def test_a_batch_shown_twice_has_the_same_loss(model: ADeepPixBiS) -> None:
    """A pixel term summed over the batch would double and drown the binary term."""
    rng = np.random.default_rng(0)
    pixels, binary, labels = rng.uniform(-1, 1, (3, 2, 2)), rng.uniform(-1, 1, 3), torch.tensor([1, 0, 1])
    once = model.loss(with_cosines(pixels, binary), {"label": labels}, torch.empty(0))
    twice = model.loss(
        with_cosines(np.tile(pixels, (2, 1, 1)), np.tile(binary, 2)),
        {"label": labels.repeat(2)},
        torch.empty(0),
    )
    for name, value in once.items():
        torch.testing.assert_close(twice[name], value, msg=name)


def test_loss_by_hand_with_attention() -> None:
    model = create_model("a-deep-pix-bis", scale=2.0, pixel_weight=0.6, margin=0.3, **TINY)
    attention = np.array([[0.0, 1.0], [2.0, -1.0]])
    model.attention.data = torch.tensor(attention)
    theta = np.array([[[0.2, 1.0], [1.5, 2.0]], [[0.5, 1.1], [2.9, 3.0]]])
    theta_binary = np.array([0.4, 2.2])
    terms = model.loss(
        with_cosines(np.cos(theta), np.cos(theta_binary)), {"label": torch.tensor([1, 0])}, torch.empty(0)
    )
    weights = np.exp(attention) / np.exp(attention).sum()
    bona_fide = (weights * softplus(-2 * np.cos(theta[0] + 0.3))).sum()
    attack = (weights * softplus(2 * np.cos(theta[1]))).sum()
    pixel = (bona_fide + attack) / 2
    binary = (softplus(-2 * np.cos(0.4 + 0.3)) + softplus(2 * np.cos(2.2))) / 2
    assert terms["pixel"].item() == pytest.approx(pixel, rel=1e-5)
    assert terms["binary"].item() == pytest.approx(binary, rel=1e-5)
    assert terms["total"].item() == pytest.approx(0.6 * pixel + 0.4 * binary, rel=1e-5)


def test_attention_starts_even_and_sums_to_one(model: ADeepPixBiS) -> None:
    assert torch.equal(model.attention, torch.ones(2, 2))
    torch.testing.assert_close(model.attention_weights(), torch.full((2, 2), 0.25))
    model.attention.data = torch.randn(2, 2)
    assert model.attention_weights().sum().item() == pytest.approx(1)


def test_scores_have_no_margin_and_lie_within_sigmoid_of_one(model: ADeepPixBiS) -> None:
    pictures = torch.randn(8, 3, 32, 32)
    other = create_model("a-deep-pix-bis", margin=1.5, **TINY)
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        given, expected = other.eval()(pictures), model.eval()(pictures)
    for name, score in given.scores.items():
        assert torch.equal(score, expected.scores[name])
        assert 0.2689 < score.min() <= score.max() < 0.7311
    torch.testing.assert_close(given.scores["binary"], torch.sigmoid(given.logits["binary"]))
    torch.testing.assert_close(given.maps["map"], torch.sigmoid(given.logits["map"]))


def test_the_embedding_has_512_values_or_is_the_map_itself(model: ADeepPixBiS) -> None:
    assert model(torch.randn(2, 3, 32, 32)).embeddings["embedding"].shape == (2, 512)
    bare = create_model("a-deep-pix-bis", embedding=0, **TINY)
    output = bare(torch.randn(2, 3, 32, 32))
    torch.testing.assert_close(output.embeddings["embedding"], output.logits["map"].flatten(1))
    assert not any("embed" in name for name, _ in bare.named_parameters())


def test_rejects_a_negative_embedding() -> None:
    with pytest.raises(InputError, match="embedding must be 0"):
        create_model("a-deep-pix-bis", embedding=-1, **TINY)
