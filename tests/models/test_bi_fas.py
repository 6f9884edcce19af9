"""Bi-FAS and Bi-FAS-S: eq. 9 to 17 against numpy in double precision."""

from typing import Any

import numpy as np
import pytest
import torch

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.models import create_model
from bonaface.models.bi_fas import mean_probability_bce
from bonaface.models.branches import log_spectrum
from bonaface.models.record import Output

TINY: dict[str, Any] = {"backbone": "random:test_efficientnet", "size": 64}


def levels(seed: int = 0, spread: float = 2.0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(0, spread, (3, 8, s, s)) for s in (4, 2, 1)]


def z_of(pyramid: list[np.ndarray]) -> np.ndarray:
    """Eq. 9 and 10, the mean read as a mean."""
    return np.mean([(1 / (1 + np.exp(-level))).mean((1, 2, 3)) for level in pyramid], axis=0)


def test_bce_of_z_agrees_with_double_precision() -> None:
    pyramid, labels = levels(), np.array([1, 0, 1])
    z = z_of(pyramid)
    expected = -(labels * np.log(z) + (1 - labels) * np.log(1 - z))
    losses = mean_probability_bce([torch.tensor(x) for x in pyramid], torch.tensor(labels))
    np.testing.assert_allclose(losses.numpy(), expected, rtol=1e-6)


def test_gradient_of_bce_of_z_agrees_with_plain_autograd_in_double_precision() -> None:
    pyramid, labels = [torch.tensor(x, requires_grad=True) for x in levels()], torch.tensor([1.0, 0.0, 1.0])
    mean_probability_bce(pyramid, labels).sum().backward()
    given = [x.grad.clone() for x in pyramid]
    for x in pyramid:
        x.grad = None
    z = torch.stack([torch.sigmoid(x).mean((1, 2, 3)) for x in pyramid]).mean(0)
    torch.nn.functional.binary_cross_entropy(z, labels.double(), reduction="sum").backward()
    for x, gradient in zip(pyramid, given, strict=True):
        torch.testing.assert_close(gradient, x.grad, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("value", [-200.0, 200.0])
def test_bce_of_z_stays_finite_and_keeps_a_gradient_where_every_sigmoid_is_0_or_1(value: float) -> None:
    pyramid = [torch.full((2, 4, s, s), value, requires_grad=True) for s in (2, 1)]
    losses = mean_probability_bce(pyramid, torch.tensor([0, 1]))
    losses.sum().backward()
    wrong = 0 if value > 0 else 1
    np.testing.assert_allclose(losses.detach().numpy()[[wrong, 1 - wrong]], [200, 0], atol=1e-4)
    for level in pyramid:
        assert level.grad.isfinite().all()
        assert (level.grad[wrong] * value > 0).all()  # the wrong picture is pulled back


def test_scores_and_maps_are_means_of_sigmoids() -> None:
    model = create_model("bi-fas", **TINY).train()  # in eval mode a fresh network's levels are all near zero
    with torch.no_grad():
        output = model(torch.randn(3, 3, 64, 64))
    pyramid = [output.embeddings[name].double().numpy() for name in ("P3", "P4", "P5")]
    np.testing.assert_allclose(output.scores["pyramid"].numpy(), z_of(pyramid), rtol=1e-5)
    np.testing.assert_allclose(output.maps["P3"].numpy(), (1 / (1 + np.exp(-pyramid[0]))).mean(1), rtol=1e-5)


def test_each_level_weighs_the_same_whatever_its_size() -> None:
    """Eq. 10 is a mean over levels, not over all pixels."""
    pyramid = [torch.full((1, 4, 8, 8), 50.0), torch.full((1, 4, 1, 1), -50.0)]
    loss = mean_probability_bce(pyramid, torch.tensor([1]))
    assert loss.item() == pytest.approx(-np.log(0.5), rel=1e-6)


@pytest.mark.parametrize("chosen", [(1,), (1, 2), (3, 4), (5,), (1, 2, 3, 4, 5)])
def test_any_supervised_levels_leave_no_unused_parameters(chosen: tuple[Any, ...]) -> None:
    model = create_model("bi-fas-s", levels=chosen, spectrum_size=16, **TINY)
    pictures = torch.randn(2, 3, 64, 64)
    output = model(pictures)
    names = tuple(f"P{level}" for level in chosen)
    assert model.map_names == tuple(output.maps) == tuple(output.auxiliary) == names
    assert [output.maps[f"P{level}"].shape[-1] for level in chosen] == [
        max(1, 16 // 2**level) for level in chosen
    ]
    model.loss(output, {"label": torch.tensor([0, 1])}, pictures)["total"].backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("wrong", [(), (0,), (6,), (3, 3), (3.0,), (3, "P4"), (True,), ([3],)])
def test_rejects_unknown_levels(wrong: tuple[Any, ...]) -> None:
    with pytest.raises(
        InputError, match=r"levels(: expected a list, each of it a whole| must be distinct) number"
    ):
        create_model("bi-fas", levels=wrong, **TINY)


def test_everything_but_the_backbone_is_xavier_initialised() -> None:
    model = create_model("bi-fas-s", **TINY)
    seen = 0
    for part in (model.fpn, model.generators):
        for module in part.modules():
            if isinstance(module, torch.nn.Conv2d) and module.weight.numel() > 500:
                fan_in, fan_out = torch.nn.init._calculate_fan_in_and_fan_out(module.weight)
                bound = (6 / (fan_in + fan_out)) ** 0.5
                assert 0.98 * bound < module.weight.abs().max() <= bound
                seen += 1
    assert seen > 20


def test_a_bce_on_every_pyramid_pixel() -> None:
    model = create_model("bi-fas", pixel_loss="a-bce", scale=3.0, margin=0.4, **TINY)
    pictures, labels = torch.randn(2, 3, 64, 64), torch.tensor([1, 0])
    output = model.eval()(pictures)
    terms = model.loss(output, {"label": labels}, pictures)
    expected = []
    for name, cosine in output.logits.items():
        assert cosine.abs().max() <= 1
        assert cosine.shape[1] == 1
        torch.testing.assert_close(output.maps[name], torch.sigmoid(3 * cosine).squeeze(1))
        theta = np.arccos(cosine.detach().double().numpy())
        bona_fide, attack = (
            np.log1p(np.exp(-3 * np.cos(theta[0] + 0.4))),
            np.log1p(np.exp(3 * np.cos(theta[1]))),
        )
        expected.append((bona_fide.mean() + attack.mean()) / 2)
    assert set(terms) == {"total", "a-bce"}
    assert terms["total"].item() == pytest.approx(np.mean(expected), rel=1e-4)


@pytest.mark.parametrize("loss", ["bce", "a-bce"])
def test_levels_are_pooled_by_mean_and_spread(loss: str) -> None:
    """Each level by numpy; the score is the sigmoid of the mean over levels, and BCE is that of the score."""
    torch.manual_seed(0)
    scale: dict[str, Any] = {"scale": 3.0} if loss == "a-bce" else {}
    model: Any = create_model(
        "bi-fas", levels=(1, 2), pixel_loss=loss, pooling="mean-spread", **scale, **TINY
    )
    pictures, labels = torch.randn(3, 3, 64, 64), torch.tensor([1, 0, 1])
    with torch.no_grad():
        output = model.train()(pictures)
    means = []
    for name, level in output.embeddings.items():
        x = level.double().numpy()
        away = (x - x.mean((2, 3), keepdims=True)) ** 2
        both = np.concatenate([x, away / x.std((2, 3), keepdims=True)], 1)
        head = (model.cosines if loss == "a-bce" else model.linears)[name][1]
        weight = head.weight.detach().double().numpy().reshape(-1)
        pixels = np.einsum("bchw,c->bhw", both, weight)
        if loss == "a-bce":
            pixels *= 3 / np.linalg.norm(weight) / np.linalg.norm(both, axis=1)
        np.testing.assert_allclose(output.maps[name].numpy(), 1 / (1 + np.exp(-pixels)), atol=1e-5)
        means.append(pixels.mean((1, 2)))
    z = 1 / (1 + np.exp(-np.mean(means, axis=0)))
    np.testing.assert_allclose(output.scores["pyramid"].numpy(), z, rtol=1e-5)
    terms = model.loss(output, {"label": labels}, pictures)
    if loss == "bce":
        expected = -np.log(np.where(labels.numpy() == 1, z, 1 - z)).mean()
        assert terms["bce"].item() == pytest.approx(expected, rel=1e-5)
    assert set(terms) == {"total", loss}


def test_depth_is_the_target_of_each_levels_map() -> None:
    """Maps that are 0.25 off a face's even depth of 0.5, and 0.1 off that of an attack: squares, and no contrasts."""
    model = create_model("bi-fas", levels=(1, 2), pixel_target="depth", **TINY)
    maps = {
        name: torch.stack([torch.full((s, s), 0.25), torch.full((s, s), 0.1)])
        for name, s in (("P1", 8), ("P2", 4))
    }
    targets = {"label": torch.tensor([1, 0]), "face_depth": torch.full((2, 32, 32), 0.5)}
    terms = model.loss(Output({}, maps, {}), targets, torch.zeros(2, 3, 64, 64))
    assert set(terms) == {"total", "depth"}
    assert terms["total"].item() == pytest.approx((0.25**2 + 0.1**2) / 2)
    maps["P2"] = maps["P2"] + 0.2
    assert model.loss(Output({}, maps, {}), targets, torch.zeros(2, 3, 64, 64))[
        "depth"
    ].item() == pytest.approx((0.25**2 + 0.1**2 + 0.05**2 + 0.3**2) / 4)


def test_an_unknown_pixel_loss_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match="a-bce, bce"):
        create_model("bi-fas", pixel_loss="abce", **TINY)


def test_spectrum_agrees_with_numpy() -> None:
    grey = np.random.default_rng(0).uniform(0, 1, (2, 32, 48))
    full = np.log(np.abs(np.fft.fftshift(np.fft.fft2(grey), axes=(-2, -1))) + 1)
    expected = full.reshape(2, 8, 4, 8, 6).mean((2, 4))
    raw = log_spectrum(torch.tensor(grey), 8, raw=True)
    np.testing.assert_allclose(raw.numpy(), expected, rtol=1e-4)
    scaled = log_spectrum(torch.tensor(grey), 8)
    np.testing.assert_allclose(scaled.numpy(), expected / np.log(1 + 32 * 48), rtol=1e-4)


def test_the_spectrum_of_a_constant_picture_is_one_point_in_the_centre_with_the_largest_value() -> None:
    spectrum = log_spectrum(torch.ones(1, 16, 16), 16)
    assert spectrum[0, 8, 8].item() == pytest.approx(1)
    assert spectrum.sum().item() == pytest.approx(1, abs=1e-4)


def test_the_target_is_the_luma_of_the_picture_before_normalisation() -> None:
    model: Any = create_model("bi-fas-s", spectrum_size=64, **TINY)
    picture = np.random.default_rng(0).uniform(0, 1, (3, 64, 64))
    mean, std = np.array(model.mean), np.array(model.std)
    normalised = (picture - mean[:, None, None]) / std[:, None, None]
    luma = 0.299 * picture[0] + 0.587 * picture[1] + 0.114 * picture[2]
    expected = log_spectrum(torch.tensor(luma)[None], 64)
    target = model.spectrum_target(torch.tensor(normalised, dtype=torch.float32)[None])
    torch.testing.assert_close(target, expected, rtol=1e-3, atol=1e-4)
    assert 0 <= target.min() <= target.max() <= 1


def test_the_spectrum_term_is_the_mean_squared_error_over_levels_pictures_and_pixels() -> None:
    model: Any = create_model("bi-fas-s", spectrum_size=16, spectrum_weight=0.5, **TINY)
    pictures = torch.randn(2, 3, 64, 64)
    target = model.spectrum_target(pictures)
    logits = {name: torch.zeros(2, 64, 1, 1) for name in model.map_names}
    drawn = {name: target + offset for name, offset in zip(model.map_names, (0.1, 0.2, 0.3), strict=True)}
    terms = model.loss(Output({}, {}, logits, auxiliary=drawn), {"label": torch.tensor([0, 1])}, pictures)
    assert terms["spectrum"].item() == pytest.approx((0.01 + 0.04 + 0.09) / 3, rel=1e-4)
    assert terms["bce"].item() == pytest.approx(np.log(2), rel=1e-6)
    assert terms["total"].item() == pytest.approx(np.log(2) + 0.5 * terms["spectrum"].item(), rel=1e-6)


def test_generators_draw_spectra_of_80_pixels_in_training_and_nothing_in_evaluation() -> None:
    model: Any = create_model("bi-fas-s", **TINY)
    pictures, labels = torch.randn(2, 3, 64, 64), torch.tensor([0, 1])
    output = model(pictures)
    assert tuple(output.auxiliary) == ("P3", "P4", "P5")
    assert all(s.shape == (2, 80, 80) for s in output.auxiliary.values())
    assert all(s.min() >= 0 for s in output.auxiliary.values())
    evaluated = model.eval()(pictures)
    assert evaluated.auxiliary == {}
    assert set(model.loss(evaluated, {"label": labels}, pictures)) == {"total", "bce"}
    assert set(model.spectra(evaluated.embeddings)) == {"P3", "P4", "P5"}  # fig. 9 asks for them by name


def test_inference_model_reports_missing_generators() -> None:
    model: Any = create_model("bi-fas-s", **TINY).drop_training_parts()
    with pytest.raises(InputError, match="has no generators"):
        model.spectra({})


@pytest.mark.parametrize("option", [{"spectrum_size": 0}, {"spectrum_weight": -1.0}])
def test_rejects_invalid_spectrum_settings(option: dict[Any, Any]) -> None:
    with pytest.raises(InputError, match="must be"):
        create_model("bi-fas-s", **option, **TINY)


def test_channels_of_the_backbone_are_dropped_in_training_alone() -> None:
    """Half of the channels are missing and the others are twice as large; none is when the picture is judged."""
    torch.manual_seed(0)
    model: Any = create_model("bi-fas", drop=0.5, **TINY)
    levels: list[torch.Tensor] = []
    model.fpn.register_forward_pre_hook(lambda _, given: levels.extend(given[0]))
    pictures = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        model.train()(pictures)
        dropped = [level.abs().amax((2, 3)) == 0 for level in levels]
        assert 0.3 < torch.cat(dropped, 1).float().mean() < 0.7
        model.train().backbone.eval()
        levels.clear()
        model(pictures)
        whole = model.backbone(pictures)
        for level, full in zip(levels, whole, strict=True):
            kept = level.abs().amax((2, 3)) > 0
            torch.testing.assert_close(level[kept], 2 * full[kept])
        levels.clear()
        model.eval()(pictures)
        torch.testing.assert_close(levels, whole)


def test_the_pyramid_has_as_many_cells_as_asked_for() -> None:
    for cells in (1, 3):
        model: Any = create_model("bi-fas", cells=cells, **TINY)
        assert len(model.fpn.cells) == cells


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"drop": 1.0}, "drop must be a share"),
        ({"drop": -0.1}, "drop must be a share"),
        ({"cells": 0}, "at least 1"),
    ],
)
def test_rejects_a_share_that_leaves_nothing_and_a_pyramid_without_cells(
    option: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        create_model("bi-fas", **option, **TINY)
