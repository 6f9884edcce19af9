"""The Lightning module: what the network reads, its batch statistics, and its evaluation on dev."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from bonaface.core.errors import BonafaceError
from bonaface.inference.preprocess import normalise
from bonaface.models import create_model
from bonaface.store.crop_store import CropStore
from bonaface.training.batches import Draw
from bonaface.training.data import PadData
from bonaface.training.module import PadModule
from bonaface.training.settings import RunSettings, choose_preset

TINY: dict[str, Any] = {"backbone": "random:test_efficientnet", "size": 64}


def module(store: Path, **changes: Any) -> PadModule:
    """A module in eval mode with what Lightning gives it: data, and its position in the first epoch."""
    settings = RunSettings(
        choose_preset("bi-fas-s", None, {**TINY, "batch": 4, **changes}), str(store), "split", micro_batch=4
    )
    torch.manual_seed(0)
    network: Any = create_model("bi-fas-s", spectrum_size=16, **TINY)
    made = PadModule(network, settings).eval()
    data = PadData(CropStore.open(store), settings)
    made.trainer = SimpleNamespace(world_size=1, current_epoch=0, datamodule=data)  # type: ignore[assignment]
    return made


def norms(network: Any) -> list[_BatchNorm]:
    return [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]


def test_training_and_inference_read_the_same_numbers(store: Path) -> None:
    made = module(store)
    crops = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    expected = normalise(crops, made.network.mean, made.network.std)
    images = made.images(torch.from_numpy(crops))
    np.testing.assert_allclose(images.numpy(), expected, atol=1e-6)
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_running_statistics_become_plain_means_over_the_first_training_batches(store: Path) -> None:
    made = module(store, bn_batches=2)
    settings = (made.network.backbone, made.network.fpn)
    seen: dict[_BatchNorm, list[torch.Tensor]] = {layer: [] for part in settings for layer in norms(part)}
    for layer in seen:
        layer.register_forward_pre_hook(lambda layer, inputs: seen[layer].append(inputs[0].double()))
    momenta = [layer.momentum for layer in seen]
    made.estimate_statistics()
    assert len(seen) == 40
    for layer, inputs in seen.items():
        assert len(inputs) == 2
        for values, expected in (
            (layer.running_mean, [x.mean((0, 2, 3)) for x in inputs]),
            (layer.running_var, [x.var((0, 2, 3)) for x in inputs]),
        ):
            torch.testing.assert_close(values.double(), torch.stack(expected).mean(0), rtol=1e-4, atol=1e-5)
    assert [layer.momentum for layer in seen] == momenta
    assert not any(layer.training for layer in seen)


def test_statistics_of_training_parts_are_not_re_estimated(store: Path) -> None:
    """Generators do not run outside training, so statistics that were reset would stay empty."""
    made = module(store, bn_batches=1)
    made.network.train()(torch.randn(4, 3, 64, 64))
    left = {name: value.clone() for name, value in made.network.generators.state_dict().items()}
    assert all(layer.running_mean.ne(0).any() for layer in norms(made.network.generators))
    made.eval().estimate_statistics()
    assert all(torch.equal(left[name], value) for name, value in made.network.generators.state_dict().items())


def test_no_statistics_batches_leave_running_statistics_alone(store: Path) -> None:
    made = module(store, bn_batches=0)
    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    made.estimate_statistics()
    assert all(torch.equal(before[name], value) for name, value in made.network.state_dict().items())


def test_frozen_backbone_keeps_weights_and_statistics(store: Path) -> None:
    made = module(store, bn_batches=1, backbone_rate=0)
    kept = {name: value.clone() for name, value in made.network.backbone.state_dict().items()}
    made.train()
    assert not any(part.training for part in made.network.backbone.modules())
    assert made.network.fpn.training
    (group,) = made.configure_optimizers().param_groups
    learning = {id(parameter) for parameter in group["params"]}
    assert learning == {id(p) for p in made.network.parameters() if p.requires_grad}
    assert not learning & {id(p) for p in made.network.backbone.parameters()}
    made.estimate_statistics()
    assert all(torch.equal(kept[name], value) for name, value in made.network.backbone.state_dict().items())
    assert any(layer.running_mean.ne(0).any() for layer in norms(made.network.fpn))


def test_adam_uses_the_presets_rate_and_backbone_rate(store: Path) -> None:
    made = module(store, lr=0.01, backbone_rate=0.1, weight_decay=1e-3)
    optimiser = made.configure_optimizers()
    assert type(optimiser) is torch.optim.Adam
    rest, backbone = optimiser.param_groups
    assert (rest["lr"], backbone["lr"]) == (0.01, pytest.approx(0.001))
    assert rest["weight_decay"] == backbone["weight_decay"] == 1e-3
    assert {id(p) for p in backbone["params"]} == {id(p) for p in made.network.backbone.parameters()}
    assert len(rest["params"]) + len(backbone["params"]) == len(list(made.network.parameters()))


def test_fixed_statistics_are_those_of_the_backbones_weights(store: Path) -> None:
    """Its layers stay in eval mode and learn their scale; the pyramid's, which came with no weights, learn theirs."""
    made = module(store, bn_batches=1, bn="fixed").train()
    backbone = norms(made.network.backbone)
    assert not any(layer.training for layer in backbone)
    assert all(layer.weight.requires_grad for layer in backbone)
    assert made.network.backbone.training
    assert all(layer.training for layer in norms(made.network.fpn))
    kept = [(layer.running_mean.clone(), layer.running_var.clone()) for layer in backbone]
    made.network(torch.randn(4, 3, 64, 64))
    made.eval().estimate_statistics()
    for layer, (mean, variance) in zip(backbone, kept, strict=True):
        assert torch.equal(layer.running_mean, mean)
        assert torch.equal(layer.running_var, variance)
    assert all(layer.running_mean.ne(0).any() for layer in norms(made.network.fpn))


def test_dev_evaluates_the_averaged_weights_with_their_own_statistics(store: Path) -> None:
    made = module(store, bn_batches=1, ema=0.5)
    average = made.eval_network
    assert average is not made.network
    assert module(store).eval_network.training is False
    with torch.no_grad():
        for parameter in average.parameters():
            parameter.mul_(1.1)
    left = [layer.running_mean.clone() for layer in norms(made.network)]
    made.estimate_statistics()
    assert all(torch.equal(a, b.running_mean) for a, b in zip(left, norms(made.network), strict=True))
    assert all(layer.running_mean.ne(0).any() for layer in norms(average.fpn))
    batch = made.trainer.datamodule.dev[  # type: ignore[attr-defined]
        [Draw(0, None), Draw(1, None)]
    ]
    with torch.no_grad():
        made.validation_step(batch, 0)
        expected = average(made.images(batch.crops)).scores["pyramid"]
        others = made.network(made.images(batch.crops)).scores["pyramid"]
    assert torch.equal(made._dev[0][2], expected)
    assert not torch.equal(expected, others)
    assert not {id(p) for p in average.parameters()} & {
        id(p) for group in made.configure_optimizers().param_groups for p in group["params"]
    }


def judged(made: PadModule, scores: list[float], monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What dev says of four clips of two frames each: 10 and 11 are bona fide, 20 and 21 attacks."""
    rows = torch.tensor([10, 10, 11, 11, 20, 20, 21, 21])
    values = torch.tensor(scores)
    made._dev = [(rows, (rows < 20).float(), values, torch.linspace(0, 0.7, 8))]
    logged: dict[str, Any] = {}
    monkeypatch.setattr(made, "log_dict", lambda values, **_: logged.update(values))
    made.on_validation_epoch_end()
    return logged


def test_dev_score_of_a_clip_is_the_mean_of_its_frames(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Means 0.9, 0.4 against 0.5, 0.1: one error on each side at any threshold between 0.4 and 0.5."""
    given = judged(module(store), [1.0, 0.8, 0.2, 0.6, 0.9, 0.1, 0.1, 0.1], monkeypatch)
    assert given["dev/acer"] == 0.5
    assert given["dev/threshold"] == pytest.approx(0.45)
    assert given["dev/loss"] == pytest.approx(0.35)


def test_reports_diverged_training(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BonafaceError, match=r"after epoch 1 .* diverged; .* learning rate below 0\.0001"):
        judged(module(store), [float("nan")] * 8, monkeypatch)
