"""A classifier of timm's with one logit, against timm's own classifier; its name brings its backbone."""

from typing import Any

import pytest
import timm
import torch

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.models import TimmClassifier, create_model, default_preset, describe
from bonaface.training.settings import RunSettings, choose_preset

TINY = "random:test_efficientnet"


def test_it_is_timms_own_classifier_with_one_class() -> None:
    torch.manual_seed(0)
    model = create_model("timm", backbone=TINY, size=64).eval()
    assert isinstance(model, TimmClassifier)
    whole = timm.create_model("test_efficientnet", num_classes=1).eval()
    state = dict(model.classifier.network.state_dict())
    whole.load_state_dict(
        {**state, "classifier.weight": model.binary.weight, "classifier.bias": model.binary.bias}
    )
    pictures = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = torch.sigmoid(whole(pictures)[:, 0])
        torch.testing.assert_close(model(pictures).scores["binary"], expected)


def test_a_transformer_and_inception_are_taken_too() -> None:
    for name, size in (("timm:random:test_vit", 160), ("timm:random:inception_v3", 96)):
        model = create_model(name, size=size).eval()
        with torch.no_grad():
            assert model(torch.randn(2, 3, size, size)).scores["binary"].shape == (2,)


def test_the_name_brings_the_backbone() -> None:
    preset = default_preset("timm:inception_v3")
    assert (preset.model, preset.backbone) == ("timm:inception_v3", "inception_v3")
    assert describe("timm:inception_v3").name == "timm:inception_v3"
    chosen = choose_preset("timm:random:test_efficientnet", None, {"size": 64})
    assert chosen.backbone == TINY
    assert RunSettings.from_dict(RunSettings(chosen, "store", "split").as_dict()).preset == chosen
    assert default_preset("bi-fas:efficientnet-lite0").backbone == "efficientnet-lite0"


def test_installed_weights_are_loaded_whole() -> None:
    model: Any = create_model("timm:efficientnet-lite0", size=64)
    other: Any = create_model("bi-fas", backbone="efficientnet-lite0", size=64)
    assert torch.equal(model.classifier.network.conv_stem.weight, other.backbone.network.conv_stem.weight)
    assert (model.mean, model.std) == ((0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize("name", ["timm:", "cdcn:resnet18", "nothing:resnet18"])
def test_refuses_what_is_no_model(name: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown model"):
        create_model(name)


def test_refuses_unknown_names_and_sizes() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown backbone 'resnet1888'.*resnet18"):
        create_model("timm:resnet1888", pretrained=False)
    with pytest.raises(InputError, match="test_vit cannot take pictures of 50 px"):
        create_model("timm:random:test_vit", size=50)
