"""What every loss on pixels or pictures promises. A new loss gets one line in `CASES`."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from bonaface.losses.angular import angular_bce
from bonaface.losses.pixel import pixel_bce
from bonaface.models.bi_fas import mean_probability_bce


@dataclass(frozen=True)
class Case:
    """A loss of values (8, 3, 2, 2) within [-limit, limit] and labels (8,): one value a picture, or more."""

    name: str
    loss: Callable[[Tensor, Tensor], Tensor]
    limit: float


CASES = [
    Case("pixel-bce", pixel_bce, limit=200.0),
    Case("a-bce", angular_bce, limit=1.0),
    Case("a-bce-scaled", lambda cosine, labels: angular_bce(cosine, labels, scale=16.0), limit=1.0),
    Case("bce-of-mean", lambda logits, labels: mean_probability_bce([logits], labels), limit=200.0),
]
LABELS = torch.tensor([1, 0, 0, 1, 1, 0, 1, 0])


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def values(case: Case) -> Tensor:
    spread = torch.rand(8, 3, 2, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return spread * min(case.limit, 4.0)


def test_one_finite_value_at_least_for_each_picture_never_negative(
    case: "Case", values: torch.Tensor
) -> None:
    losses = case.loss(values, LABELS)
    assert losses.dtype == torch.float32
    assert losses.shape in {values.shape, values.shape[:1]}
    assert losses.isfinite().all()
    assert losses.min() >= 0


def test_whole_and_real_labels_are_the_same(case: "Case", values: torch.Tensor) -> None:
    assert torch.equal(case.loss(values, LABELS), case.loss(values, LABELS.float()))


def test_a_picture_does_not_change_the_loss_of_another(case: "Case", values: torch.Tensor) -> None:
    alone = torch.cat([case.loss(values[i : i + 1], LABELS[i : i + 1]) for i in range(8)])
    torch.testing.assert_close(case.loss(values, LABELS), alone)


def test_the_gradient_pulls_bona_fide_up_and_attacks_down(case: "Case", values: torch.Tensor) -> None:
    values.requires_grad_()
    case.loss(values, LABELS).sum().backward()
    assert (values.grad[LABELS == 1] < 0).all()
    assert (values.grad[LABELS == 0] > 0).all()


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_loss_and_gradient_stay_finite_at_the_ends_and_wrong_pictures_keep_a_gradient(
    case: "Case", sign: float
) -> None:
    values = torch.full((8, 3, 2, 2), sign * case.limit, requires_grad=True)
    losses = case.loss(values, LABELS)
    losses.sum().backward()
    assert losses.detach().isfinite().all()
    assert values.grad.isfinite().all()
    assert values.grad[sign * (LABELS * 2 - 1) < 0].ne(0).all()
