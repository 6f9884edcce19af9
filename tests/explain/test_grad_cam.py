from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from bonaface.core.errors import InputError
from bonaface.core.records import Presentation
from bonaface.explain.grad_cam import Explained, grad_cam, grad_cam_figure
from bonaface.explain.samples import Sample
from bonaface.models.base import Features, GradientModel
from bonaface.models.record import Output

WEIGHTS = (3.0, -5.0)


class Tiny(GradientModel):
    """A convolution to two channels A; the logit is the sum over them of w times the mean of A squared."""

    name = "tiny"
    score_names = ("mean",)

    def __init__(self) -> None:
        super().__init__("", 6, False)
        self.conv = torch.nn.Conv2d(3, 2, 3, bias=False)

    def forward_features(self, images: Tensor) -> Features:
        return {"level": self.conv(images)}  # (B, 2, 4, 4)

    def forward_head(self, features: Features) -> Output:
        logit = (features["level"].square().mean((2, 3)) * torch.tensor(WEIGHTS)).sum(1)
        return Output({"mean": torch.sigmoid(logit)}, {}, {})

    def loss(self, output: Output, targets: Any, images: Tensor) -> dict[str, Tensor]:
        raise NotImplementedError


def by_hand(network: Tiny, image: NDArray[np.float32], sign: int) -> NDArray[np.float64]:
    """Grad-CAM written out: the convolution as sums, and the derivative of the logit, 2 w A / 16, as worked out."""
    kernel = network.conv.weight.detach().numpy().astype(np.float64)
    channels = np.zeros((2, 4, 4))
    for k in range(2):
        for y in range(4):
            for x in range(4):
                channels[k, y, x] = (kernel[k] * image[:, y : y + 3, x : x + 3]).sum()
    alphas = [sign * np.mean(2 * w * channel / 16) for w, channel in zip(WEIGHTS, channels, strict=True)]
    return np.maximum(sum(alpha * channel for alpha, channel in zip(alphas, channels, strict=True)), 0)


@pytest.mark.parametrize("layer", ["level", "conv"])
@pytest.mark.parametrize("sign", [1, -1])
def test_is_the_formula_worked_out_by_hand(layer: str, sign: int) -> None:
    torch.manual_seed(0)
    network = Tiny().eval()
    images = torch.rand(3, 3, 6, 6)
    explained = Explained(network, ["level"], "mean")
    found = grad_cam(explained, explained.layer(layer), images, sign)
    expected = np.stack([by_hand(network, image.numpy(), sign) for image in images.detach()])
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert expected.max() > 0.001


def test_the_output_is_the_logit_of_the_score() -> None:
    network, images = Tiny().eval(), torch.rand(2, 3, 6, 6)
    score = network(images).scores["mean"].detach().numpy()
    logit = Explained(network, ["level"], "mean")(images).detach().numpy()
    assert logit == pytest.approx(np.log(score / (1 - score)), rel=1e-3, abs=1e-5)


def pictures(scores: dict[int, list[float]]) -> list[Sample]:
    """Samples by label with these scores, whose crops are noise."""
    rng, found = np.random.default_rng(0), []
    landmarks = np.array([[20, 20], [40, 20], [30, 30], [24, 44], [40, 44]], np.float32)
    for label, values in scores.items():
        for score in values:
            name = f"{label}-{score}"
            crop = rng.integers(0, 256, (64, 64, 3), np.uint8)
            row = Presentation(name, name, label, "" if label else "print-1")
            found.append(Sample(0, row, crop, landmarks, score))
    return found


def test_shows_the_errors_and_what_spoke_for_them(untrained: Callable[..., Any]) -> None:
    run = untrained("bi-fas")
    steps: list[tuple[int, int]] = []
    samples = pictures({1: [0.1, 0.2, 0.9], 0: [0.3, 0.8]})
    figure = grad_cam_figure(samples, run, None, lambda done, to_come: steps.append((done, to_come)))
    assert steps == [(0, 4), (2, 0), (1, 0), (1, 0)]
    assert figure.title == "Grad-CAM at P3 on the errors among 5 presentations (paper 2, fig. 8)"
    assert figure.arrays["sample_ids_rejected"].tolist() == ["1-0.1", "1-0.2"]
    assert figure.arrays["sample_ids_accepted"].tolist() == ["0-0.8"]
    assert figure.arrays["sample_ids_right"].tolist() == ["1-0.9"]
    assert figure.arrays["cam_rejected"].shape == (2, 2, 2)  # 64 px at stride 32
    # By autograd alone: the gradient of the attack's logit at P3.
    crop = torch.from_numpy(samples[0].crop.copy()).double() / 255
    image = ((crop - torch.tensor(run.network.mean)) / torch.tensor(run.network.std)).permute(2, 0, 1)
    levels = {n: v.detach() for n, v in run.network.forward_features(image[None].float()).items()}
    levels["P3"].requires_grad_()
    score = run.network.forward_head(levels).scores["pyramid"]
    (gradient,) = torch.autograd.grad(torch.log((1 - score) / score).sum(), levels["P3"])
    cam = (gradient.mean((2, 3), keepdim=True) * levels["P3"]).sum(1).relu()[0].detach()
    assert figure.arrays["cam_rejected"][0] == pytest.approx(cam.numpy(), rel=1e-3, abs=1e-6)
    assert "of 2 rejected" in figure.findings[0]


def test_any_module_is_a_layer_and_a_wrong_name_is_told(untrained: Callable[..., Any]) -> None:
    run, samples = untrained("deep-pix-bis"), pictures({1: [0.1]})
    figure = grad_cam_figure(samples, run, "backbone.network.blocks.1", lambda done, to_come: None)
    assert figure.arrays["cam_rejected"].shape == (1, 16, 16)  # stride 4
    with pytest.raises(
        InputError, match=r"unknown layer 'blocks'; the network's levels are stride16, and .* pixel"
    ):
        grad_cam_figure(samples, run, "blocks", lambda done, to_come: None)


def test_says_why_there_is_none(untrained: Callable[..., Any]) -> None:
    run = untrained("deep-pix-bis")

    def nothing(done: int, to_come: int) -> None: ...

    right = pictures({1: [0.9], 0: [0.1]})
    assert grad_cam_figure(right, run, None, nothing).startswith(
        "none of the 2 presentations was judged wrongly"
    )
    several = [replace(one, views={"tight": one.crop, "square-1.0": one.crop}) for one in right]
    assert "several crops" in grad_cam_figure(several, run, None, nothing)
    wrong = pictures({1: [0.1]})
    assert "no feature level over the picture" in grad_cam_figure(
        wrong, untrained("global-statistics", backbone=""), None, nothing
    )
    assert "has no map" in grad_cam_figure(wrong, untrained("patchnet"), "classifier", nothing)
