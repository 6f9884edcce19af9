"""The part of a model that is enough to predict: what it holds, and what it refuses."""

from typing import Any

import pytest
import torch

from bonaface.core.errors import InputError, ModelFileError
from bonaface.models import create_model

TINY: dict[str, Any] = {"backbone": "random:test_efficientnet", "size": 64}


def test_rejects_images_of_another_shape() -> None:
    model = create_model("deep-pix-bis", **TINY)
    for shape in [(2, 3, 96, 96), (3, 64, 64), (2, 1, 64, 64), (2, 64, 64, 3)]:
        with pytest.raises(InputError, match=r"built for images \(B, 3, 64, 64\), got"):
            model(torch.zeros(shape))


def test_inference_weights_are_contiguous_detached_copies_without_generators() -> None:
    model = create_model("bi-fas-s", **TINY).to(memory_format=torch.channels_last)
    state = model.inference_state_dict()
    assert set(model.state_dict()) - set(state) == {
        k for k in model.state_dict() if k.startswith("generators.")
    }
    assert all(v.is_contiguous() and not v.requires_grad and v.device.type == "cpu" for v in state.values())


def test_the_attention_of_a_deep_pix_bis_is_kept() -> None:
    assert "attention" in create_model("a-deep-pix-bis", **TINY).inference_state_dict()


def test_rejects_weights_of_another_size_or_model() -> None:
    model = create_model("deep-pix-bis", **TINY)
    larger = create_model("deep-pix-bis", backbone="random:test_efficientnet", size=96)
    with pytest.raises(ModelFileError, match=r"1 tensors are .* 'binary.weight'"):
        model.load_inference_state_dict(larger.inference_state_dict())
    with pytest.raises(ModelFileError, match="do not fit deep-pix-bis over test_efficientnet at 64 px"):
        model.load_inference_state_dict(create_model("bi-fas", **TINY).inference_state_dict())
    with pytest.raises(ModelFileError, match="missing"):
        model.load_inference_state_dict({})


def test_inference_module_is_a_copy() -> None:
    model = create_model("bi-fas-s", **TINY).train()
    module = model.inference_module()
    assert not module.training
    assert not any("generators" in name for name in module.state_dict())
    assert model.training
    assert model.generators is not None
    scores, *maps = module(torch.randn(2, 3, 64, 64))
    assert module.output_names == ("pyramid", "P3", "P4", "P5")
    assert scores.shape == (2,)
    assert [tuple(m.shape) for m in maps] == [(2, 2, 2), (2, 1, 1), (2, 1, 1)]
