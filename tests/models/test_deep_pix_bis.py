"""DeepPixBiS: its loss by hand, its shapes, its bounds."""

from typing import Any

import numpy as np
import pytest
import torch

from bonaface.core.errors import InputError
from bonaface.models import create_model
from bonaface.models.record import Output

TINY: dict[str, Any] = {"backbone": "random:test_resnet", "size": 32}


def bce(p: float, y: int) -> float:
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)))


def test_loss_by_hand() -> None:
    """Two pictures, maps of 2 x 2: lambda * mean over pixels and pictures + (1 - lambda) * BCE(g) (eq. 14, 15)."""
    model = create_model("deep-pix-bis", pixel_weight=0.6, **TINY)
    pixels = np.array([[[0.9, 0.8], [0.7, 0.6]], [[0.1, 0.2], [0.3, 0.4]]])
    g = np.array([0.75, 0.25])
    logits = {"map": torch.tensor(np.log(pixels / (1 - pixels))), "binary": torch.tensor(np.log(g / (1 - g)))}
    terms = model.loss(Output({}, {}, logits), {"label": torch.tensor([1, 0])}, torch.zeros(2, 3, 32, 32))
    pixel = np.mean([bce(p, y) for rows, y in zip(pixels, (1, 0), strict=True) for p in rows.flatten()])
    binary = np.mean([bce(0.75, 1), bce(0.25, 0)])
    assert terms["pixel"].item() == pytest.approx(pixel, rel=1e-6)
    assert terms["binary"].item() == pytest.approx(binary, rel=1e-6)
    assert terms["total"].item() == pytest.approx(0.6 * pixel + 0.4 * binary, rel=1e-6)


def test_the_linear_layer_reads_the_sigmoid_map_and_the_default_score_is_its_mean() -> None:
    model: Any = create_model("deep-pix-bis", **TINY).eval()
    with torch.no_grad():
        output = model(torch.randn(2, 3, 32, 32))
        g = torch.sigmoid(output.maps["map"].flatten(1) @ model.binary.weight[0] + model.binary.bias)
    torch.testing.assert_close(output.scores["binary"], g)
    torch.testing.assert_close(output.scores["feature_map"], output.maps["map"].mean((1, 2)))
    torch.testing.assert_close(output.maps["map"], torch.sigmoid(output.logits["map"]))


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
@pytest.mark.parametrize("name", ["deep-pix-bis", "a-deep-pix-bis"])
def test_rejects_a_pixel_weight_outside_0_to_1(name: str, weight: float) -> None:
    with pytest.raises(
        InputError, match=r"pixel_weight must be in \[0, 1\]|pixel_weight: expected a number, got nan"
    ):
        create_model(name, pixel_weight=weight, **TINY)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deep-pix-bis", "a-deep-pix-bis"])
def test_the_papers_network_gives_a_14_x_14_map(name: Any) -> None:
    model = create_model(name, pretrained=False).eval()
    with torch.no_grad():
        output = model(torch.randn(1, 3, 224, 224))
    assert model.backbone.name == "densenet161"
    assert output.maps["map"].shape == (1, 14, 14)
