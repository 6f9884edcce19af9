"""The parts that combine: branches, targets of pixels, pooling, attention; and what is refused."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.losses.angular import angular_bce
from bonaface.losses.depth import depth_loss
from bonaface.losses.pixel import pixel_bce
from bonaface.models import create_model, describe, model_names, presets
from bonaface.models.a_deep_pix_bis import ADeepPixBiS
from bonaface.models.bi_fas import BiFas, BiFasS
from bonaface.models.branches import SIZE, depth_target, grey_images, log_spectrum
from bonaface.models.cdcn import Cdcn, CdcnPlusPlus
from bonaface.models.deep_pix_bis import DeepPixBiS
from bonaface.models.face_surface import face_surface
from bonaface.training.settings import choose_preset, parse_changes

TINY = "random:test_efficientnet"
NETWORKS: dict[str, dict[str, Any]] = {
    "deep-pix-bis": {"backbone": TINY},
    "a-deep-pix-bis": {"backbone": TINY},
    "cdcn": {"width": 0.05},
    "cdcn-pp": {"width": 0.05},
}
LABELS = torch.tensor([1, 0, 1, 0])


def built(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return create_model(name, size=64, **{**NETWORKS.get(name, {"backbone": TINY}), **options}).train()


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1


@pytest.fixture(scope="module")
def targets() -> dict[str, torch.Tensor]:
    landmarks = 64 * np.array([[0.36, 0.42], [0.64, 0.42], [0.5, 0.58], [0.39, 0.74], [0.61, 0.74]])
    depth = torch.from_numpy(face_surface(landmarks, 64))
    return {"label": LABELS, "face_depth": depth.expand(4, -1, -1)}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("branch", ["fourier", "depth"])
def test_every_pixel_wise_network_takes_a_branch(
    name: str, branch: str, pictures: torch.Tensor, targets: dict[str, torch.Tensor]
) -> None:
    model, plain = built(name, branch=branch, branch_weight=0.5), built(name)
    output = model(pictures)
    terms = model.loss(output, targets, pictures)
    (drawn,) = output.auxiliary.values()
    spectrum = log_spectrum(grey_images(pictures, model), SIZE)
    wanted = spectrum if branch == "fourier" else depth_target(targets, SIZE)
    assert terms["branch"].item() == pytest.approx(functional.mse_loss(drawn, wanted).item())
    rest = plain.loss(plain(pictures), targets, pictures)
    assert terms["total"].item() == pytest.approx(
        rest["total"].item() + 0.5 * terms["branch"].item(), rel=1e-4
    )
    terms["total"].backward()
    assert [key for key, value in model.named_parameters() if value.grad is None] == []
    inference = model.inference_state_dict()
    assert inference.keys() == plain.inference_state_dict().keys()
    assert model.eval()(pictures).auxiliary == {}
    fresh = built(name, branch=branch)
    fresh.load_inference_state_dict(inference)
    assert fresh.generators is None


def test_the_depth_of_an_attack_is_none(targets: dict[str, torch.Tensor]) -> None:
    wanted = depth_target(targets, 40)
    assert wanted.shape == (4, 40, 40)
    assert (wanted[LABELS == 0] == 0).all()
    assert wanted[LABELS == 1].amax((1, 2)).tolist() == pytest.approx(
        [targets["face_depth"].max().item()] * 2, rel=0.05
    )


def test_bi_fas_s_draws_depth_in_place_of_the_spectrum(
    pictures: torch.Tensor, targets: dict[str, torch.Tensor]
) -> None:
    model = built("bi-fas-s", **presets("bi-fas-s")["bi-fas-s-depth"].options, spectrum_size=20)
    output = model(pictures)
    terms = model.loss(output, targets, pictures)
    errors = [functional.mse_loss(each, depth_target(targets, 20)) for each in output.auxiliary.values()]
    assert len(errors) == 3
    assert terms["branch"].item() == pytest.approx(sum(errors).item() / 3)
    assert terms["total"].item() == pytest.approx(terms["bce"].item() + terms["branch"].item())


def test_deep_pix_bis_takes_depth_as_the_target_of_its_pixels(
    pictures: torch.Tensor, targets: dict[str, torch.Tensor]
) -> None:
    model = built("deep-pix-bis", pixel_target="depth")
    output = model(pictures)
    terms = model.loss(output, targets, pictures)
    expected = depth_loss(output.maps["map"], depth_target(targets, 4)).mean()
    assert terms["pixel"].item() == pytest.approx(expected.item())


@pytest.mark.parametrize(
    ("name", "options", "term"),
    [
        ("deep-pix-bis", {}, "pixel"),
        ("cdcn", {"pixel_loss": "bce"}, "bce"),
        ("cdcn-pp", {"pixel_loss": "a-bce"}, "a-bce"),
        ("bi-fas", {"pixel_loss": "a-bce", "levels": (1, 2)}, "a-bce"),
        ("bi-fas-s", {"pixel_loss": "a-bce", "levels": (2, 1)}, "a-bce"),
    ],
)
def test_attention_weighs_the_losses_of_the_pixels(
    name: str,
    options: dict[str, Any],
    term: str,
    pictures: torch.Tensor,
    targets: dict[str, torch.Tensor],
) -> None:
    """Eq. 16 and 17 over each map by numpy; with the weights that it starts with it is eq. 14."""
    model, plain = built(name, attention=True, **options), built(name, **options)
    losses = [each.loss(each(pictures), targets, pictures)[term].item() for each in (model, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert plain.learned_attention() == {}
    learned = [each for key, each in model.named_parameters() if "pixel_attention" in key]
    torch.manual_seed(1)
    for values in learned:
        values.data = torch.randn_like(values)
    output = model(pictures)
    expected = []
    for values, logits in zip(learned, output.logits.values(), strict=False):
        flat = logits.reshape(4, *values.shape)
        each = pixel_bce(flat, LABELS) if "a-bce" not in term else angular_bce(flat, LABELS)
        weights = np.exp(stored(values)) / np.exp(stored(values)).sum()
        expected.append((stored(each) * weights).sum((1, 2)).mean())
    terms = model.loss(output, targets, pictures)
    assert terms[term].item() == pytest.approx(np.mean(expected), rel=1e-5)
    assert abs(terms[term].item() - losses[0]) > 1e-6
    weights = model.learned_attention()
    assert list(weights) == list(model.map_names)
    assert [each.sum().item() for each in weights.values()] == pytest.approx([1.0] * len(weights))


def stored(logits: torch.Tensor) -> NDArray[np.float64]:
    return logits.detach().double().numpy()


def sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-values))


@pytest.mark.parametrize(
    ("name", "options", "scale"),
    [
        ("deep-pix-bis", {}, 1.0),
        ("a-deep-pix-bis", {"scale": 3.0}, 3.0),
        ("cdcn", {"pixel_loss": "bce"}, 1.0),
        ("cdcn-pp", {"pixel_loss": "a-bce", "scale": 3.0}, 3.0),
    ],
)
def test_pixels_are_pooled_by_mean_and_spread(
    name: str,
    options: dict[str, Any],
    scale: float,
    pictures: torch.Tensor,
    targets: dict[str, torch.Tensor],
) -> None:
    """The pixels and their score from the features by numpy in double precision."""
    model = built(name, pooling="mean-spread", **options)
    (level,) = model.forward_features(pictures).values()
    x = stored(level)
    mean, deviation = x.mean((2, 3), keepdims=True), np.maximum(x.std((2, 3), keepdims=True), 1e-6)
    both = np.concatenate([x, (x - mean) ** 2 / deviation], 1)
    weight = stored(model.pixel[1].weight).reshape(-1)
    assert len(weight) == both.shape[1] == 2 * level.shape[1]
    pixels = np.einsum("bchw,c->bhw", both, weight)
    if "scale" in options:
        pixels *= scale / np.linalg.norm(weight) / np.maximum(np.linalg.norm(both, axis=1), 1e-6)
    else:
        pixels += model.pixel[1].bias.item()
    output = model.forward_head({**dict.fromkeys(model.forward_features(pictures), level)})
    np.testing.assert_allclose(stored(output.maps["map"]), sigmoid(pixels), atol=1e-5)
    given = stored(output.scores["feature_map"])
    np.testing.assert_allclose(given, sigmoid(pixels.mean((1, 2))), atol=1e-5)
    assert np.abs(given - sigmoid(pixels).mean((1, 2))).max() > 1e-5  # not the mean of the map
    model.loss(output, targets, pictures)["total"].backward()
    assert [key for key, value in model.named_parameters() if value.grad is None and "pixel" in key] == []


@pytest.mark.parametrize("name", [*NETWORKS, "bi-fas", "bi-fas-s"])
def test_pooling_by_the_mean_is_the_network_of_the_paper(name: str) -> None:
    plain, named = built(name), built(name, pooling="mean")
    assert plain.state_dict().keys() == named.state_dict().keys()
    assert not any("linears" in key or "pixel.1" in key for key in plain.state_dict())


def test_without_attention_all_pixels_count_the_same(
    pictures: torch.Tensor, targets: dict[str, torch.Tensor]
) -> None:
    """Eq. 14 is eq. 17 with equal weights, which is where attention starts."""
    attended, plain = built("a-deep-pix-bis"), built("a-deep-pix-bis", attention=False)
    assert not any("attention" in name for name in plain.state_dict())
    assert plain.attention_weights().sum().item() == pytest.approx(1)
    one, two = (model.loss(model(pictures), targets, pictures) for model in (attended, plain))
    assert one["total"].item() == pytest.approx(two["total"].item())
    with torch.no_grad():
        attended.attention[0, 0] = 3.0
    assert attended.loss(attended(pictures), targets, pictures)["pixel"].item() != pytest.approx(
        two["pixel"].item(), rel=1e-6
    )


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("deep-pix-bis", {"branch": "pulse"}, "unknown branch 'pulse'"),
        ("deep-pix-bis", {"pixel_target": "pulse"}, "unknown pixel_target 'pulse'"),
        ("bi-fas", {"pixel_target": "pulse"}, "unknown pixel_target 'pulse'"),
        ("bi-fas-s", {"branch": "pulse"}, "unknown branch 'pulse'"),
    ],
)
def test_unknown_parts_list_the_known(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        built(name, **options)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("deep-pix-bis", "pixel_loss=a-bce", "or a depth; a-deep-pix-bis is the network with A-BCE"),
        ("deep-pix-bis", "margin=0.2", "a-deep-pix-bis is the network with A-BCE"),
        ("deep-pix-bis", "levels=[3]", "its pixels are of one level, that of stride 16"),
        ("a-deep-pix-bis", "pixel_loss=bce", "its loss is A-BCE; deep-pix-bis is the network with BCE"),
        ("a-deep-pix-bis", "pixel_target=depth", "an angle to bona fide is no depth"),
        ("a-deep-pix-bis", "levels=[3]", "its pixels are of one level"),
        ("bi-fas", "branch=fourier", "bi-fas has no branch: bi-fas-s is the network with a branch"),
        ("bi-fas-s", "branch_weight=2", "spectrum_weight is the weight of its branch"),
        ("cdcn-pp", "pixel_target=depth", "cdcn-pp has no pixel_target: pixel_loss=depth learns a depth"),
        ("cdcn", "levels=[3]", "its three levels are joined to one map"),
        (
            "linear-probe",
            "pooling=mean",
            "no pooling, which is a setting of a-deep-pix-bis, bi-fas, bi-fas-s",
        ),
        ("timm:resnet18", "attention=true", r"no attention, which .*; bonaface models timm lists its own"),
    ],
)
def test_a_part_that_makes_no_sense_is_refused_with_the_reason(name: str, change: str, message: str) -> None:
    changes = parse_changes([change])
    with pytest.raises(InputError, match=message):
        choose_preset(name, None, changes)
    with pytest.raises(InputError, match=message):
        create_model(name, **changes)


def test_no_network_lacks_what_it_has() -> None:
    every = {option for name in model_names() for option in describe(name).options}
    for model in (DeepPixBiS, ADeepPixBiS, BiFas, BiFasS, Cdcn, CdcnPlusPlus):
        assert model.lacks.keys() & describe(model.name).options.keys() == set(), model.name
        assert model.lacks.keys() <= every, model.name


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("bi-fas", {"margin": 0.2}, "margin of A-BCE would change nothing with pixel_loss=bce; take"),
        ("bi-fas-s", {"scale": 4.0, "literal": True}, "scale and literal of A-BCE would change nothing"),
        ("cdcn", {"margin": 0.2}, "would change nothing with pixel_loss=depth; take pixel_loss=a-bce"),
        (
            "cdcn",
            {"pixel_loss": "a-bce", "depth": "mask"},
            "with pixel_loss=a-bce the pixels learn the label",
        ),
        ("deep-pix-bis", {"branch_weight": 2.0}, "branch_weight would change nothing without a branch"),
        ("bi-fas-s", {"branch": "none"}, "take branch=fourier or depth, or bi-fas, which has none"),
    ],
)
def test_refuses_what_would_change_nothing(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        built(name, **options)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("deep-pix-bis", {"pixel_target": "depth"}),
        ("bi-fas", {"pixel_target": "depth"}),
        ("bi-fas-s", {"pixel_target": "depth"}),
        ("cdcn", {}),  # its pixels learn depth by default
        ("cdcn-pp", {"pixel_loss": "depth"}),
    ],
)
def test_refuses_to_pool_depths_by_their_spread(name: str, setting: dict[str, Any]) -> None:
    with pytest.raises(
        InputError, match=r"with pixel_(target|loss)=depth a pixel is a depth; take pooling=mean"
    ):
        built(name, pooling="mean-spread", **setting)


@pytest.mark.parametrize("name", [*NETWORKS, "bi-fas", "bi-fas-s"])
def test_refuses_a_pooling_that_there_is_not(name: str) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown pooling 'spread'.*mean-spread"):
        built(name, pooling="spread")


def test_refuses_depth_of_maps_that_are_too_small_for_its_contrasts() -> None:
    with pytest.raises(InputError, match="the map of 32 px has 2 x 2 positions"):
        create_model("deep-pix-bis", backbone=TINY, size=32, pixel_target="depth")
    with pytest.raises(InputError, match=r"P3 of 64 px has 2 x 2 positions.* finer levels"):
        built("bi-fas", pixel_target="depth")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("deep-pix-bis", {"pixel_target": "depth"}, "a pixel is compared with its neighbours too"),
        ("cdcn", {}, "a pixel is compared with its neighbours too; take attention=false"),
        ("bi-fas", {}, "without pixel_loss=a-bce a map has one loss"),
        ("bi-fas-s", {"pixel_target": "depth", "levels": (1,)}, "without pixel_loss=a-bce a map has one"),
    ],
)
def test_refuses_attention_where_pixels_have_no_losses_of_their_own(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        built(name, attention=True, **options)


def test_refuses_settings_without_a_meaning() -> None:
    with pytest.raises(InputError, match="an angle to bona fide, which is no depth"):
        built("bi-fas", pixel_target="depth", pixel_loss="a-bce")
    with pytest.raises(InputError, match="branch_weight must be 0 or more, got -1"):
        built("cdcn", branch_weight=-1.0)
    with pytest.raises(InputError, match="raw is about the spectrum"):
        built("bi-fas-s", branch="depth", raw=True)


def test_pixels_start_from_a_linear_classifier_of_mean_and_spread(pictures: torch.Tensor) -> None:
    """The mean logit is the classifier's; of a cosine, the direction is."""
    weight = np.linspace(-1, 1, 2 * built("deep-pix-bis").backbone.channels[0])
    model = built("deep-pix-bis", pooling="mean-spread").eval()
    model.start_pixels(weight, 0.25)
    with torch.no_grad():
        level = model.forward_features(pictures)["stride16"].double().numpy()
        logits = model(pictures).logits["map"].mean((1, 2))
        statistics = model.statistics(pictures)
    expected = np.concatenate([level.mean((2, 3)), level.std((2, 3))], 1)
    np.testing.assert_allclose(statistics, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(logits, expected @ weight + 0.25, rtol=1e-4, atol=1e-5)
    angular = built("a-deep-pix-bis", pooling="mean-spread")
    angular.start_pixels(weight, 0.25)
    np.testing.assert_allclose(angular.pixel[1].weight.detach()[0], weight, rtol=1e-6)
