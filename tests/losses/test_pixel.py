"""BCE at pixels, against numpy in double precision and by hand."""

import numpy as np
import torch

from bonaface.losses.pixel import pixel_bce, spread


def test_values_by_hand() -> None:
    # sigmoid(log 3) = 3/4, sigmoid(0) = 1/2
    logits = torch.tensor([[np.log(3.0), 0.0], [np.log(3.0), 0.0]])
    losses = pixel_bce(logits, torch.tensor([1, 0]))
    expected = [[-np.log(0.75), -np.log(0.5)], [-np.log(0.25), -np.log(0.5)]]
    np.testing.assert_allclose(losses.numpy(), expected, rtol=1e-6)


def test_agrees_with_numpy_in_double_precision() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 4, (6, 5, 3)), rng.integers(0, 2, 6)
    probability = 1 / (1 + np.exp(-logits))
    y = labels[:, None, None]
    expected = -(y * np.log(probability) + (1 - y) * np.log(1 - probability))
    losses = pixel_bce(torch.tensor(logits), torch.tensor(labels))
    assert losses.dtype == torch.float32
    np.testing.assert_allclose(losses.numpy(), expected, rtol=2e-5, atol=1e-6)


def test_float_and_integer_labels_are_the_same() -> None:
    logits = torch.randn(4, 2, 2, generator=torch.Generator().manual_seed(0))
    whole = torch.tensor([0, 1, 1, 0])
    assert torch.equal(pixel_bce(logits, whole), pixel_bce(logits, whole.float()))


def test_half_precision_logits_are_computed_in_float32() -> None:
    logits = torch.linspace(-9, 9, 64).bfloat16()
    labels = torch.arange(64) % 2
    assert torch.equal(pixel_bce(logits, labels), pixel_bce(logits.float(), labels))


def test_saturated_logits_keep_finite_loss_and_gradient() -> None:
    logits = torch.tensor([[-1e4, 1e4], [-1e4, 1e4]], requires_grad=True)
    losses = pixel_bce(logits, torch.tensor([1, 0]))
    losses.sum().backward()
    assert losses.detach().isfinite().all()
    np.testing.assert_allclose(logits.grad.numpy(), [[-1, 0], [0, 1]], atol=1e-6)


def test_spread_repeats_the_label_at_every_position() -> None:
    spread_labels = spread(torch.tensor([1, 0]), torch.zeros(2, 3, 2))
    assert spread_labels.shape == (2, 3, 2)
    assert spread_labels[0].eq(1).all()
    assert spread_labels[1].eq(0).all()
