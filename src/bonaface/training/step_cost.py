"""Measure what a step in training costs: parameters, multiplications and milliseconds a picture."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from bonaface.core.records import Presentation
from bonaface.datasets.table import PresentationTable
from bonaface.export.cost import StepCost, in_turns
from bonaface.face.align import TEMPLATE
from bonaface.models.base import GradientModel
from bonaface.models.preset import Preset
from bonaface.models.registry import create_model
from bonaface.models.targets import Shown, target_builders
from bonaface.training.batches import target_column

PICTURES = 4


def measure_steps(presets: Mapping[str, Preset], rounds: int = 11) -> dict[str, StepCost]:
    """Time a step of each network in turn, so that ratios hold on a machine that others use too.

    A step is what training does with a micro-batch of 4 after the crops are cut: targets, forward, loss, backward. The
    weights are random; the optimiser's own work is left out.

    Args:
        presets: by name, of models that learn by gradient steps.
        rounds: in which each takes its turn.
    """
    torch.manual_seed(0)
    steps = {name: _step(preset) for name, preset in presets.items()}
    counted = {name: _multiplications(step) for name, (_, step) in steps.items()}
    times = in_turns({name: step for name, (_, step) in steps.items()}, rounds)
    return {
        name: StepCost(
            sum(weights.numel() for weights in network.parameters()),
            counted[name],
            tuple(1000 * each / PICTURES for each in times[name]),
        )
        for name, (network, _) in steps.items()
    }


def _step(preset: Preset) -> tuple[GradientModel, Callable[[], None]]:
    network = create_model(
        preset.model, backbone=preset.backbone, size=preset.size, pretrained=False, **preset.options
    )
    assert isinstance(network, GradientModel), f"{preset.model} learns by no steps"
    network.to(memory_format=torch.channels_last).train()
    size = preset.size
    images = torch.randn(PICTURES, 3, size, size).to(memory_format=torch.channels_last)
    shares = torch.zeros(PICTURES, 1)
    shown = [_shown(number, size) for number in range(PICTURES)]
    builders = target_builders(
        network.targets, PresentationTable("drawn", tuple(one.presentation for one in shown))
    )

    def step() -> None:
        targets = {name: target_column([build(one) for one in shown]) for name, build in builders.items()}
        network.zero_grad()
        network.loss(network(images, shares), targets, images)["total"].backward()  # type: ignore[no-untyped-call]

    return network, step


def _multiplications(step: Callable[[], None]) -> int:
    counter = FlopCounterMode(display=False)
    with counter:
        step()
    return counter.get_total_flops() // (2 * PICTURES)


def _shown(number: int, size: int) -> Shown:
    """Return a crop of nothing but noise, of a face that fills it; every second one is bona fide."""
    label = number % 2
    species = "" if label else "print"
    crop = np.random.default_rng(number).integers(0, 256, (size, size, 3), np.uint8)
    presentation = Presentation(str(number), f"{number}.png", label, species, device=str(number))
    return Shown(presentation, label, species, crop, (TEMPLATE * size).astype(np.float32))
