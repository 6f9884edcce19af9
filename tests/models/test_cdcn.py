"""Central difference convolution against its two-convolution form, the networks' shapes, and the loss by hand."""

from typing import Any

import pytest
import torch
from torch.nn import functional

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.losses.depth import contrastive_depth, depth_loss
from bonaface.models import Cdcn, create_model, describe
from bonaface.models.cdcn import CentralDifferenceConv, SpatialAttention


def built(name: str = "cdcn", size: int = 64, **options: Any) -> Cdcn:
    torch.manual_seed(0)
    model = create_model(name, size=size, **options)
    assert isinstance(model, Cdcn)
    return model


@pytest.mark.parametrize("theta", [0.0, 0.7, 1.0])
def test_one_convolution_is_the_two_of_the_paper(theta: float) -> None:
    torch.manual_seed(1)
    folded = CentralDifferenceConv(16, 24, theta)
    values = torch.randn(2, 16, 20, 20, requires_grad=True)
    whole = functional.conv2d(values, folded.weight, padding=1)
    middle = functional.conv2d(values, folded.weight.sum((2, 3))[:, :, None, None])
    expected = whole - theta * middle
    torch.testing.assert_close(folded(values), expected, rtol=0, atol=1e-5)
    wanted = torch.autograd.grad(expected.square().sum(), (values, folded.weight), retain_graph=True)
    given = torch.autograd.grad(folded(values).square().sum(), (values, folded.weight))
    for one, two in zip(given, wanted, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-3)


def test_a_plain_has_no_central_difference() -> None:
    """With theta = 1 only differences count: inside a plain there are none."""
    conv = CentralDifferenceConv(3, 4, 1.0)
    assert conv(torch.full((1, 3, 8, 8), 5.0))[:, :, 1:-1, 1:-1].abs().max() < 1e-5


def test_channels_are_the_papers() -> None:
    def widths(model: Any) -> list[tuple[int, ...]]:
        parts = [model.stem, *model.stages, model.fuse]
        return [
            tuple(layer.weight.shape[0] for layer in part if isinstance(layer, CentralDifferenceConv))
            for part in parts
        ]

    assert widths(built()) == [(64,), *[(128, 196, 128)] * 3, (128, 64)]
    plus: Any = built("cdcn-pp")
    assert widths(plus) == [(64,), (128, 204, 128), (153, 128, 179, 128), (128, 153, 128), (128,)]
    assert [layer.conv.kernel_size[0] for layer in plus.attention] == [7, 5, 3]
    kernels = 9 * (3 * 64 + 64 * 128 + 2 * (128 * 128) + 3 * 2 * 128 * 196 + 384 * 128 + 128 * 64 + 64)
    norms = 2 * (64 + 3 * (128 + 196 + 128) + 128 + 64)
    assert sum(p.numel() for p in built().parameters()) == kernels + norms


def test_the_map_of_the_papers_input_is_32_by_32() -> None:
    for name in ("cdcn", "cdcn-pp"):
        assert describe(name).presets[0].size == 256
        model = built(name, 256, width=0.05).eval()
        with torch.no_grad():
            assert model(torch.zeros(1, 3, 256, 256)).maps["map"].shape == (1, 32, 32)


def test_attention_weighs_positions_by_mean_and_largest() -> None:
    layer = SpatialAttention(3)
    with torch.no_grad():
        layer.conv.weight.zero_()
        layer.conv.weight[0, 0, 1, 1], layer.conv.weight[0, 1, 1, 1] = 1.0, 2.0
    values = torch.tensor([1.0, 3.0]).view(1, 2, 1, 1)
    torch.testing.assert_close(layer(values), values * torch.sigmoid(torch.tensor(2.0 + 2 * 3.0)))


def test_contrasts_by_hand() -> None:
    """One pixel of nine differs by 0.5 from the target: all eight contrasts do."""
    target = torch.zeros(1, 3, 3)
    depth = target.clone()
    depth[0, 1, 1] = 0.5
    assert contrastive_depth(depth, target).tolist() == [0.25]
    assert depth_loss(depth, target).tolist() == pytest.approx([0.25 / 9 + 0.25])
    depth = target.clone()
    depth[0, 0, 0] = 0.5
    assert contrastive_depth(depth, target).tolist() == pytest.approx([0.25 / 8])
    assert contrastive_depth(target + 0.3, target).tolist() == pytest.approx([0.0])


def test_contrasts_are_the_papers_kernels() -> None:
    kernels = torch.zeros(8, 1, 3, 3)
    for number, place in enumerate([0, 1, 2, 3, 5, 6, 7, 8]):
        kernels[number, 0].view(-1)[place] = 1
        kernels[number, 0, 1, 1] = -1
    rng = torch.Generator().manual_seed(0)
    depth, target = torch.rand(2, 3, 9, 9, generator=rng)
    given, wanted = (functional.conv2d(each[:, None], kernels) for each in (depth, target))
    expected = functional.mse_loss(given, wanted, reduction="none").mean((1, 2, 3))
    torch.testing.assert_close(contrastive_depth(depth, target), expected)


def test_an_attack_has_no_depth_and_a_mask_is_one_all_over_the_face() -> None:
    face = torch.zeros(1, 32, 32)
    face[0, 8:24, 8:24] = 0.5
    images, empty = torch.zeros(1, 3, 64, 64), torch.zeros(1, 8, 8)
    for depth, level in (("surface", 0.5), ("mask", 1.0)):
        model = built(width=0.05, depth=depth)
        output = model(images)
        output.logits["map"] = empty
        losses = {
            label: model.loss(output, {"label": torch.tensor([label]), "face_depth": face}, images)[
                "total"
            ].item()
            for label in (0, 1)
        }
        assert losses[0] == 0
        wanted = functional.interpolate(level * (face[:, None] > 0), size=(8, 8), mode="bilinear").squeeze(1)
        assert losses[1] == pytest.approx(depth_loss(empty, wanted).item())


def test_the_angular_network_has_cosines() -> None:
    model = built(width=0.05, pixel_loss="a-bce", scale=4.0).eval()
    with torch.no_grad():
        output = model(torch.randn(2, 3, 64, 64))
    cosines = output.logits["map"]
    assert cosines.abs().max() <= 1
    torch.testing.assert_close(output.maps["map"], torch.sigmoid(4 * cosines))
    presets = {
        preset.name: preset.options for name in ("cdcn", "cdcn-pp") for preset in describe(name).presets
    }
    assert presets["cdcn-a"] == presets["cdcn-pp-a"] == {"pixel_loss": "a-bce"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"theta": 1.5}, r"theta must be in \[0, 1\], got 1.5"),
        ({"width": 0.0}, "width must be above 0, got 0"),
        ({"size": 60}, "multiple of 8 and at least 32, got 60"),
        ({"margin": 2.0}, "margin must be in"),
    ],
)
def test_refuses_what_has_no_meaning(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        create_model("cdcn", **options)


@pytest.mark.parametrize("options", [{"pixel_loss": "nothing"}, {"depth": "nothing"}])
def test_unknown_choices_list_the_known(options: dict[str, Any]) -> None:
    with pytest.raises(UnknownNameError, match=f"{next(iter(options))} 'nothing'"):
        create_model("cdcn", **options)
