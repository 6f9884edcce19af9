"""BiFPN against effdet's with the same weights; cosine layers against trigonometry; pooling by hand."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.models.layers import (
    BiFpn,
    Cosine,
    WithSpread,
    attention_weights,
    check_pooling,
    mean_loss,
    pixel_head,
    pooled,
    spread,
    xavier,
)

with warnings.catch_warnings():  # effdet compiles with the deprecated torch.jit when it is imported
    warnings.simplefilter("ignore", FutureWarning)
    from effdet.config import get_efficientdet_config
    from effdet.efficientdet import BiFpn as EffdetBiFpn

CHANNELS = (40, 112, 320)


def effdet_bifpn(size: int) -> EffdetBiFpn:
    config = get_efficientdet_config("efficientdet_d0")
    config.image_size = (size, size)
    levels = [{"num_chs": c, "reduction": 8 * 2**i} for i, c in enumerate(CHANNELS)]
    return EffdetBiFpn(config, levels)


def effdet_name(own: str) -> str:
    """The name that effdet gives to one of our tensors: its nodes are numbered down from level 4, then up."""
    part, _, rest = own.partition(".")
    if part == "extra":
        return "resample.3.conv." + {"0": "conv", "1": "bn"}[rest[0]] + rest[1:]
    cell, path, index, tail = rest.split(".", 3)
    level = int(index) + 1 if path.startswith("up") else int(index)
    node = 3 + level if path.startswith("up") else 3 - level
    prefix = f"cell.{cell}.fnode.{node}."
    if "lateral" in path:
        return f"{prefix}combine.resample.{level}.conv." + {"0": "conv", "1": "bn"}[tail[0]] + tail[1:]
    if tail == "weights":
        return prefix + "combine.edge_weights"
    layer, _, kind = tail.partition(".")
    return (
        f"{prefix}after_combine.conv."
        + {"depthwise": "conv_dw", "pointwise": "conv_pw", "bn": "bn"}[layer]
        + f".{kind}"
    )


def twins(size: int) -> tuple[BiFpn, EffdetBiFpn]:
    """Our BiFPN with random weights and statistics, some fusion weights below zero, and effdet's with the same."""
    torch.manual_seed(0)
    own = BiFpn(CHANNELS).apply(xavier)
    for name, tensor in own.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif name.endswith("weights"):
            tensor.uniform_(-0.3, 1)
        elif tensor.is_floating_point():
            tensor.add_(torch.randn_like(tensor) * 0.05)
    other = effdet_bifpn(size)
    other.load_state_dict({effdet_name(name): value for name, value in own.state_dict().items()})
    return own, other


def pictures(size: int) -> list[torch.Tensor]:
    return [torch.randn(2, c, size // s, size // s) for c, s in zip(CHANNELS, (8, 16, 32), strict=True)]


@pytest.mark.parametrize("size", [128, 224])
@pytest.mark.parametrize("training", [True, False])
def test_bifpn_agrees_with_effdet(size: int, training: bool) -> None:
    own, other = twins(size)
    assert any((p < 0).any() for n, p in own.named_parameters() if n.endswith("weights"))
    features = pictures(size)
    given = own.train(training)(features)
    expected = other.train(training)(list(features))
    assert len(given) == len(expected) == 5
    for level, wanted in zip(given, expected, strict=True):
        torch.testing.assert_close(level, wanted, rtol=1e-5, atol=1e-5)
    for name, value in own.state_dict().items():  # the running statistics moved alike
        torch.testing.assert_close(value, other.state_dict()[effdet_name(name)], rtol=1e-5, atol=1e-5)


def test_bifpn_gradients_agree_with_effdet() -> None:
    own, other = (twin.double() for twin in twins(128))
    features = [level.double() for level in pictures(128)]
    sum(level.square().mean() for level in own(features)).backward()
    sum(level.square().mean() for level in other(list(features))).backward()
    theirs = dict(other.named_parameters())
    for name, parameter in own.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs[effdet_name(name)].grad)


def test_bifpn_levels_of_a_512_pixel_picture_are_those_of_table_2() -> None:
    levels = BiFpn(CHANNELS).eval()(pictures(512))
    assert [tuple(level.shape[1:]) for level in levels] == [(64, s, s) for s in (64, 32, 16, 8, 4)]


@pytest.mark.parametrize("coarsest", [1, 2, 3, 4, 5])
def test_bifpn_without_coarser_outputs_has_no_idle_parameters_and_the_same_finer_outputs(
    coarsest: int,
) -> None:
    torch.manual_seed(0)
    whole, part = BiFpn(CHANNELS), BiFpn(CHANNELS, coarsest=coarsest)
    part.load_state_dict({k: v for k, v in whole.state_dict().items() if k in part.state_dict()})
    features = pictures(128)
    levels = part(features)
    assert len(levels) == coarsest
    for given, expected in zip(levels, whole(features), strict=False):
        assert torch.equal(given, expected)
    levels[-1].sum().backward()  # the coarsest alone needs every node
    assert all(p.grad is not None for p in part.parameters())


def test_cosine_is_the_cosine_of_the_angle() -> None:
    torch.manual_seed(0)
    layer, vectors = Cosine(7), torch.randn(3, 7, 4, 5)
    w, x = layer.weight.detach().numpy()[0].astype(float), vectors.numpy().astype(float)
    expected = np.einsum("c,bchw->bhw", w, x) / np.linalg.norm(w) / np.linalg.norm(x, axis=1)
    np.testing.assert_allclose(layer(vectors).detach().numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(layer(vectors[:, :, 0, 0]).detach().numpy(), expected[:, 0, 0], atol=1e-6)


@pytest.mark.parametrize("factor", [1e-2, 1.0, 1e6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cosine_stays_in_range_whatever_the_length_of_weights_and_features(factor: float, dtype: Any) -> None:
    layer = Cosine(64)
    with torch.no_grad():
        layer.weight.mul_(factor)
    towards = layer.weight.detach().view(1, 64, 1, 1)
    vectors = (torch.cat([towards, -towards, torch.randn(6, 64, 1, 1)]) * factor).to(dtype)
    cosine = layer(vectors)
    assert cosine.dtype == torch.float32
    assert torch.equal(cosine, layer(vectors.float()))
    assert cosine.abs().max() <= 1
    np.testing.assert_allclose(cosine[:2].detach().flatten().numpy(), [1, -1], atol=1e-2)


def test_cosine_of_a_vector_without_a_direction_is_zero_with_a_finite_gradient() -> None:
    vectors = torch.zeros(1, 8, 2, 2, requires_grad=True)
    cosine = Cosine(8)(vectors)
    cosine.sum().backward()
    assert cosine.eq(0).all()
    assert vectors.grad.isfinite().all()


def test_mean_loss_by_hand() -> None:
    """Two pictures of 1 x 2 pixels; weights of 1/4 and 3/4 (eq. 17), and of 1/2 each (eq. 14)."""
    losses = torch.tensor([[[1.0, 5.0]], [[2.0, 0.0]]])
    assert mean_loss(losses, None).item() == 2
    attention = torch.tensor([[0.0, float(np.log(3))]], requires_grad=True)
    np.testing.assert_allclose(attention_weights(attention).detach().numpy(), [[0.25, 0.75]], rtol=1e-6)
    weighed = mean_loss(losses, attention)
    assert weighed.item() == pytest.approx((4 + 0.5) / 2)
    weighed.backward()
    assert attention.grad is not None
    assert attention.grad[0, 1].item() == pytest.approx(
        0.25 * 0.75 * (4 - 2) / 2
    )  # the losses' differences: 4, -2


def test_beside_each_channel_stands_its_squared_distance_from_the_mean_in_spreads() -> None:
    """1, 2, 3, 6: the mean is 3, the variance (4 + 1 + 0 + 9) / 4, and the spread its root."""
    level = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[5.0, 5.0], [5.0, 5.0]]]])
    root = 3.5**0.5
    torch.testing.assert_close(spread(level), torch.tensor([[root, 1e-6]]))
    given = WithSpread()(level)
    torch.testing.assert_close(given[:, :2], level)
    torch.testing.assert_close(given[0, 2], torch.tensor([[4.0, 1.0], [0.0, 9.0]]) / root)
    assert given[0, 3].eq(0).all()  # an even channel has no spread


def test_the_mean_of_the_pixels_weighs_mean_and_spread() -> None:
    torch.manual_seed(0)
    level = torch.randn(3, 5, 4, 6)
    head: Any = pixel_head("mean-spread", 5, lambda width: torch.nn.Conv2d(width, 1, 1))
    of_mean, of_spread = head[1].weight.flatten().split(5)
    values = level.numpy().astype(float)
    expected = (
        values.mean((2, 3)) @ of_mean.detach().numpy()
        + values.std((2, 3)) @ of_spread.detach().numpy()
        + head[1].bias.item()
    )
    logits = head(level).squeeze(1)
    np.testing.assert_allclose(logits.mean((1, 2)).detach().numpy(), expected, rtol=1e-5)
    score = pooled("mean-spread", torch.sigmoid(logits), logits)
    np.testing.assert_allclose(score.detach().numpy(), 1 / (1 + np.exp(-expected)), rtol=1e-5)


def test_the_mean_alone_reads_the_channels_alone() -> None:
    assert isinstance(pixel_head("mean", 5, Cosine), Cosine)
    logits = torch.tensor([[[0.0, float(np.log(3))]]])  # probabilities of 1/2 and 3/4
    assert pooled("mean", torch.sigmoid(logits), logits).tolist() == pytest.approx([0.625])
    assert pooled("mean-spread", torch.sigmoid(logits), logits).tolist() == pytest.approx(
        [3**0.5 / (1 + 3**0.5)]
    )


@pytest.mark.parametrize("value", [0.0, 1e4])
def test_the_spread_of_an_even_level_has_a_finite_gradient(value: float) -> None:
    level = torch.full((2, 3, 2, 2), value, requires_grad=True)
    WithSpread()(level).sum().backward()
    assert level.grad.isfinite().all()


def test_spreads_are_float32_in_mixed_precision() -> None:
    assert WithSpread()(torch.zeros(1, 2, 3, 3, dtype=torch.bfloat16)).dtype == torch.float32


def test_refuses_a_pooling_that_there_is_not_and_one_of_depths() -> None:
    with pytest.raises(UnknownNameError, match="unknown pooling 'max'"):
        check_pooling("max")
    check_pooling("mean", "pixel_target=depth")
    with pytest.raises(InputError, match="with pixel_target=depth a pixel is a depth; take pooling=mean"):
        check_pooling("mean-spread", "pixel_target=depth")
