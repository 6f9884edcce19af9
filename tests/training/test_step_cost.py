import pytest

from bonaface.models.preset import Preset
from bonaface.training.settings import choose_preset
from bonaface.training.step_cost import measure_steps

SMALL = {"backbone": "random:efficientnet-lite0", "size": 64}


def preset(model: str, name: str | None = None, **changes: object) -> Preset:
    return choose_preset(model, name, {**SMALL, **changes})


def test_a_branch_costs_parameters_and_multiplications_in_training() -> None:
    found = measure_steps(
        {
            "plain": preset("bi-fas"),
            "fourier": preset("bi-fas-s"),
            "depth": preset("bi-fas-s", "bi-fas-s-depth"),
        },
        rounds=1,
    )
    plain, fourier, depth = (found[name] for name in ("plain", "fourier", "depth"))
    # A generator: 3 x 3 from 64 to 32 channels, 32 to 32, 32 to 1, each with batch normalisation; three of them.
    generator = 9 * (64 * 32 + 32 * 32 + 32 * 1) + 2 * (32 + 32 + 1)
    assert fourier.parameters - plain.parameters == 3 * generator
    assert depth.parameters == fourier.parameters
    assert depth.multiplications == fourier.multiplications
    # Forwards at the level's own size and at 80 x 80; backwards twice as much: to the weights and to what came in.
    sides = (2, 1, 1)  # of levels with strides 32, 64, 128
    forward = sum(9 * (64 * 32 * side**2 + (32 * 32 + 32) * 80**2) for side in sides)
    assert fourier.multiplications - plain.multiplications == 3 * forward
    assert all(each.milliseconds > 0 for each in found.values())


@pytest.mark.parametrize("model", ["patchnet", "cdcn"])
def test_every_target_of_a_loss_is_built(model: str) -> None:
    changes = {"size": 64, **({"backbone": "random:resnet18"} if model == "patchnet" else {"width": 0.25})}
    (found,) = measure_steps({model: choose_preset(model, None, changes)}, rounds=1).values()
    assert found.multiplications > 0
