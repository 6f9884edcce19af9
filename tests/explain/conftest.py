"""Runs that nobody trained: networks with random weights, and drawn faces in a store."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bonaface.explain.run import TrainedRun
from bonaface.inference.bundle import OperatingPoint, ThresholdSource, UnitThresholds
from bonaface.models.registry import create_model
from bonaface.testing.networks import card
from bonaface.training.settings import RunSettings, choose_preset


@pytest.fixture
def untrained(store: Path) -> Callable[..., TrainedRun]:
    """A function that gives a run of a model whose weights are random, with the threshold 0.5."""

    def make(model: str, backbone: str = "random:efficientnet-lite0", **options: Any) -> TrainedRun:
        changes = {"size": 64, **({"backbone": backbone, "batch": 4} if backbone else {})}
        settings = RunSettings(choose_preset(model, None, changes), str(store), "split", micro_batch=4)
        torch.manual_seed(3)
        network = create_model(model, backbone=backbone, size=64, pretrained=False, **options)
        names = network.score_names
        source = ThresholdSource("folder", "split", "", 4, 4, 2)
        own = card(
            settings.views,
            model=model,
            outputs=names,
            maps=tuple(network.map_names),
            input_size=64,
            operating_points={
                "eer": OperatingPoint({name: UnitThresholds(0.5, 0.5) for name in names}, source)
            },
        )
        return TrainedRun(Path("run"), settings, network.eval(), own)

    return make
