"""The parts that combine: branches, targets of pixels, attention; and what is refused."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.losses.depth import depth_loss
from bonaface.models import create_model, presets
from bonaface.models.branches import SIZE, depth_target, grey_images, log_spectrum
from bonaface.models.face_surface import face_surface

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
        ("bi-fas-s", {"branch": "none"}, "unknown branch 'none'"),
        ("deep-pix-bis", {"pixel_target": "pulse"}, "unknown pixel_target 'pulse'"),
        ("a-deep-pix-bis", {"pixel_target": "depth"}, "unknown option of a-deep-pix-bis 'pixel_target'"),
        ("cdcn", {"attention": False}, "unknown option of cdcn 'attention'"),
    ],
)
def test_refuses_parts_that_make_no_sense(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        built(name, **options)


def test_refuses_settings_without_a_meaning() -> None:
    with pytest.raises(InputError, match="branch_weight must be 0 or more, got -1"):
        built("cdcn", branch_weight=-1.0)
    with pytest.raises(InputError, match="raw is about the spectrum"):
        built("bi-fas-s", branch="depth", raw=True)
