"""A-BCE and its margin, against trigonometry in double precision and by hand."""

from math import cos, exp, log, pi, sin

import numpy as np
import pytest
import torch

from bonaface.core.errors import InputError
from bonaface.losses.angular import add_margin, angular_bce, check_angular

MARGIN = 0.5


def softplus(x: float) -> float:
    return log(1 + exp(x))


def test_the_margin_is_added_to_the_angle() -> None:
    theta = np.linspace(0.05, pi - MARGIN - 0.01, 50)
    shifted = add_margin(torch.tensor(np.cos(theta)), MARGIN)
    np.testing.assert_allclose(shifted.numpy(), np.cos(theta + MARGIN), atol=1e-9)


def test_beyond_pi_minus_m_only_the_literal_margin_rises() -> None:
    theta = np.linspace(pi - MARGIN + 0.01, pi - 0.01, 20)
    cosine = torch.tensor(np.cos(theta))
    continued, literal = add_margin(cosine, MARGIN), add_margin(cosine, MARGIN, literal=True)
    np.testing.assert_allclose(continued.numpy(), np.cos(theta) - MARGIN * sin(MARGIN), atol=1e-12)
    np.testing.assert_allclose(literal.numpy(), np.cos(theta + MARGIN), atol=1e-9)
    assert (np.diff(continued.numpy()) < 0).all()
    assert (np.diff(literal.numpy()) > 0).all()


@pytest.mark.parametrize("margin", [0.0, 0.1, 0.5, 1.0, pi / 2])
def test_the_margin_is_monotone_and_never_raises_the_cosine(margin: float) -> None:
    cosine = torch.linspace(-1, 1, 20001)
    shifted = add_margin(cosine, margin)
    assert (shifted.diff() >= -1e-6).all()
    assert (shifted <= cosine + 1e-6).all()


@pytest.mark.parametrize("literal", [False, True])
@pytest.mark.parametrize("label", [0, 1])
def test_gradients_are_finite_and_have_the_right_sign_over_the_whole_range(literal: bool, label: int) -> None:
    cosine = torch.linspace(-1, 1, 2001, requires_grad=True)
    angular_bce(cosine, torch.full((2001,), label), MARGIN, literal=literal).sum().backward()
    assert cosine.grad.isfinite().all()
    assert cosine.grad[[0, -1]].ne(0).all()
    if not literal:  # a larger cosine must lower the loss of a bona fide picture and raise an attack's
        assert (cosine.grad * (1 if label else -1) < 0).all()


def test_the_literal_gradient_has_the_wrong_sign_near_minus_one() -> None:
    cosine = torch.tensor([-0.99], requires_grad=True)
    angular_bce(cosine, torch.tensor([1]), MARGIN, literal=True).sum().backward()
    assert cosine.grad.item() > 0


def test_gradient_agrees_with_double_precision_finite_differences() -> None:
    cosine = torch.linspace(-0.95, 0.95, 11, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda c: add_margin(c, MARGIN), (cosine,))


def test_loss_by_hand_margin_for_bona_fide_only() -> None:
    theta, scale = 1.2, 4.0
    losses = angular_bce(torch.full((2,), cos(theta)), torch.tensor([1, 0]), MARGIN, scale)
    # -log sigmoid(x) = softplus(-x), -log(1 - sigmoid(x)) = softplus(x)
    expected = [softplus(-scale * cos(theta + MARGIN)), softplus(scale * cos(theta))]
    np.testing.assert_allclose(losses.numpy(), expected, rtol=1e-6)


def test_each_sample_of_a_map_has_its_own_label() -> None:
    cosine = torch.zeros(2, 3, 3)
    losses = angular_bce(cosine, torch.tensor([0, 1]), MARGIN)
    np.testing.assert_allclose(losses[0].numpy(), np.full((3, 3), log(2)), rtol=1e-6)
    np.testing.assert_allclose(losses[1].numpy(), np.full((3, 3), softplus(sin(MARGIN))), rtol=1e-6)


def test_without_margin_it_is_bce_of_the_scaled_cosine() -> None:
    cosine = torch.linspace(-0.9, 0.9, 7)
    labels = torch.tensor([1, 0, 1, 0, 1, 0, 1])
    expected = torch.nn.functional.binary_cross_entropy(
        torch.sigmoid(3 * cosine), labels.float(), reduction="none"
    )
    torch.testing.assert_close(angular_bce(cosine, labels, 0.0, 3.0), expected)


@pytest.mark.parametrize(
    ("margin", "scale"), [(-0.1, 1.0), (2.0, 1.0), (0.5, 0.0), (0.5, -3.0), (float("nan"), 1)]
)
def test_rejects_margin_and_scale_out_of_range(margin: float, scale: float) -> None:
    with pytest.raises(InputError, match="must be"):
        check_angular(margin, scale)


def test_the_papers_settings_are_accepted() -> None:
    check_angular(0.5, 1.0)
