"""Learning rates by hand and by torch's own schedulers, the average by hand."""

from math import cos, pi

import numpy as np
import pytest
import torch

from bonaface.models import DeepPixBiS, create_model
from bonaface.models.preset import Preset
from bonaface.training.optimisation import WeightAverage, create_optimizer, has_constant_rate, rate_factor


def small() -> DeepPixBiS:
    made = create_model("deep-pix-bis", backbone="random:test_efficientnet", size=64)
    assert isinstance(made, DeepPixBiS)
    return made


def preset(**changes: object) -> Preset:
    given = {"lr": 0.1, "weight_decay": 1e-3, "epochs": 4, "batch": 8, **changes}
    return Preset("p", "deep-pix-bis", "random:test_efficientnet", 64, "tight", **given)  # type: ignore[arg-type]


def rates(steps_per_epoch: int = 5, **changes: object) -> list[float]:
    chosen = preset(**changes)
    return [rate_factor(chosen, step, steps_per_epoch) for step in range(steps_per_epoch * chosen.epochs)]


def of_torch(schedule: type, steps: int, **settings: object) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    made = schedule(optimizer, **settings)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        made.step()
    return found


def test_cosine_schedule_matches_torch() -> None:
    expected = of_torch(torch.optim.lr_scheduler.CosineAnnealingLR, 20, T_max=20)
    np.testing.assert_allclose(rates(schedule="cosine"), expected, atol=1e-12)


def test_step_schedule_matches_torch() -> None:
    expected = of_torch(torch.optim.lr_scheduler.StepLR, 20, step_size=10, gamma=0.2)
    np.testing.assert_allclose(rates(schedule="step", step_epochs=2, step_factor=0.2), expected, atol=1e-12)


def test_warm_up_is_linear_and_precedes_the_cosine() -> None:
    found = rates(schedule="cosine", warmup=0.2)
    assert found[:4] == [0.25, 0.5, 0.75, 1.0]
    expected = [(1 + cos(pi * step / 16)) / 2 for step in range(16)]
    np.testing.assert_allclose(found[4:], expected, atol=1e-12)
    assert rates(warmup=0.1)[:3] == [0.5, 1.0, 1.0]
    assert 0 < found[-1] < 0.02


def test_constant_rate_has_no_schedule() -> None:
    assert has_constant_rate(preset())
    assert set(rates()) == {1.0}
    for changes in ({"schedule": "cosine"}, {"schedule": "step"}, {"warmup": 0.1}):
        assert not has_constant_rate(preset(**changes))


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)]
)
def test_optimisers_get_rate_decay_and_backbone_rate(name: str, kind: type) -> None:
    network = small()
    optimizer = create_optimizer(network, preset(optimizer=name, backbone_rate=0.5, momentum=0.8))
    assert type(optimizer) is kind
    rest, backbone = optimizer.param_groups
    assert (rest["lr"], backbone["lr"]) == (0.1, 0.05)
    assert rest["weight_decay"] == backbone["weight_decay"] == 1e-3
    assert rest.get("momentum", 0.8) == 0.8
    assert len(backbone["params"]) == len(list(network.backbone.parameters()))


def test_weight_average_warms_up_and_then_decays_at_its_rate() -> None:
    network = small()
    average = WeightAverage(network, 0.2)
    by_hand = first = network.pixel.weight.detach().clone()
    for step in range(3):
        with torch.no_grad():
            network.pixel.weight.add_(1.0)
        average.update(network, step)
        decay = (0.1, 2 / 11, 0.2)[step]
        by_hand = decay * by_hand + (1 - decay) * (first + step + 1)
    torch.testing.assert_close(average.network.pixel.weight, by_hand)
    assert not average.network.pixel.weight.requires_grad


def test_weight_average_has_the_buffers_of_the_last_step() -> None:
    network = small()
    average = WeightAverage(network, 0.9)
    network.train()(torch.randn(4, 3, 64, 64))
    average.update(network, 0)
    pairs = zip(average.network.buffers(), network.buffers(), strict=True)
    assert all(torch.equal(kept, buffer) and kept is not buffer for kept, buffer in pairs)
