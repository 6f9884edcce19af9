"""Models and presets by name: the papers' settings, options, and what is said of wrong ones."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from msgspec.structs import fields

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.fields import descriptions, wrong_fields
from bonaface.models import create_model, default_preset, describe, model_names, presets
from bonaface.models.preset import Augment, Preset

TINY: dict[str, Any] = {"backbone": "random:test_efficientnet", "size": 64}


def test_the_four_models_are_known() -> None:
    assert {"deep-pix-bis", "a-deep-pix-bis", "bi-fas", "bi-fas-s"} <= set(model_names())


@pytest.mark.parametrize("name", model_names())
def test_each_preset_carries_its_names_and_builds_its_model(
    name: str, through_a_pipe: Callable[..., Any]
) -> None:
    for key, preset in presets(name).items():
        assert (preset.name, preset.model) == (key, name)
        tiny = TINY if preset.backbone else {"size": 64}
        model = create_model(name, **tiny, **preset.options)
        assert model.name == name
        with pytest.raises(AttributeError, match="immutable"):
            preset.lr = 1.0  # type: ignore[misc]
        assert through_a_pipe(preset) == preset  # it travels to the processes of a run
        assert not list(wrong_fields(preset))


def test_settings_of_paper_1_section_iv_e() -> None:
    for name in ("deep-pix-bis", "a-deep-pix-bis"):
        p = default_preset(name)
        assert (p.name, p.backbone, p.size, p.crop) == ("paper", "densenet161", 224, "tight")
        assert (p.lr, p.weight_decay, p.epochs, p.batch, p.flip) == (1e-3, 1e-5, 10, 64, 0.5)
        assert (p.balance, p.jitter, p.bn_batches) == ("undersample", (0.2, 0.2, 0.2, 0.02), 200)
    options = describe("a-deep-pix-bis").options
    own = {"pixel_weight": 0.7, "embedding": 512, "scale": 1.0, "margin": 0.5, "literal": False}
    assert options == {**own, "attention": True, "branch": "none", "branch_weight": 1.0, "pooling": "mean"}
    assert presets("a-deep-pix-bis")["scaled"].options["scale"] > 1
    assert presets("a-deep-pix-bis")["literal"].options == {"literal": True}


def test_settings_of_paper_2_section_5_1() -> None:
    for name in ("bi-fas", "bi-fas-s"):
        p = default_preset(name)
        assert (p.name, p.backbone, p.size, p.crop) == ("paper", "efficientnet_b0", 512, "square-1.0")
        assert (p.lr, p.weight_decay, p.epochs, p.batch, p.flip) == (1e-4, 1e-5, 2, 64, 0.5)
        assert (p.balance, p.bn_batches) == ("undersample", 200)
        assert describe(name).options["levels"] == (3, 4, 5)
    spectrum = {"spectrum_size": 80, "raw": False, "spectrum_weight": 1.0, "branch": "fourier"}
    assert describe("bi-fas-s").options == {**describe("bi-fas").options, **spectrum}


@pytest.mark.parametrize("name", ["deep-pix-bis", "a-deep-pix-bis", "bi-fas", "bi-fas-s"])
def test_literal_presets_leave_the_running_statistics_alone(name: str) -> None:
    assert presets(name)["literal"].bn_batches == 0


@pytest.mark.parametrize("name", model_names())
def test_description_has_summary_and_source(name: str) -> None:
    description = describe(name)
    assert description.summary.endswith(".")
    assert description.link.startswith("https://")
    assert description.paper
    assert description.scores
    assert description.presets[0] == default_preset(name)


@pytest.mark.parametrize("name", model_names())
def test_every_option_of_a_network_is_explained(name: str) -> None:
    description = describe(name)
    assert {option for option in description.options if not description.meanings.get(option)} == set()


def test_every_field_of_a_preset_is_explained() -> None:
    for kind in (Preset, Augment):
        assert set(descriptions(kind)) == {field.name for field in fields(kind)}


def test_an_unknown_model_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'bi-fas'.*deep-pix-bis"):
        create_model("bifas")


def test_an_unknown_option_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown option of bi-fas 'level'. Did you mean 'levels'"):
        create_model("bi-fas", level=(3,), **TINY)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("a-deep-pix-bis", "scale", "large"),
        ("a-deep-pix-bis", "scale", True),
        ("a-deep-pix-bis", "literal", 1),
        ("a-deep-pix-bis", "embedding", 1.5),
        ("bi-fas", "levels", 3),
        ("bi-fas", "pixel_loss", None),
    ],
)
def test_rejects_an_option_of_another_type(name: str, option: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{option}: expected .*, got {re.escape(repr(value))}"):
        create_model(name, **{option: value}, **TINY)


def test_accepts_integers_as_floats_and_lists_as_tuples() -> None:
    assert create_model("a-deep-pix-bis", scale=4, **TINY).scale == 4
    assert create_model("bi-fas", levels=[4, 3], **TINY).levels == (3, 4)


def test_pretrained_weights_are_the_default_and_can_be_left_out() -> None:
    def stem(**arguments: bool) -> Any:
        model = create_model("deep-pix-bis", backbone="efficientnet-lite0", size=64, **arguments)
        return model.backbone.network.conv_stem.weight

    assert torch.equal(stem(), stem())
    assert not torch.equal(stem(), stem(pretrained=False))


@pytest.mark.parametrize(("name", "size"), [("deep-pix-bis", 100), ("bi-fas", 48), ("bi-fas", 0)])
def test_rejects_a_size_that_the_strides_do_not_divide(name: str, size: int) -> None:
    with pytest.raises(InputError, match="size must be a multiple of"):
        create_model(name, backbone="random:test_efficientnet", size=size)
