"""Branches that redraw something of the picture from a network's features, in training only.

"fourier" redraws the picture's log spectrum (Roy et al., Bi-FPNFAS, sec. 4.4), "depth" the depth of a face, which an
attack has not (that paper's future work). `bi-fas-s` is Bi-FAS with the first; the other pixel-wise networks take
either by their option `branch`.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import log
from typing import Annotated

import numpy as np
import torch
from msgspec import Meta
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.models.base import Features, GradientModel, Targets
from bonaface.models.layers import Cosine, WithSpread, attention_weights, check_pooling, xavier
from bonaface.models.record import Output

BRANCHES = ("fourier", "depth")
PIXEL_TARGETS = ("binary", "depth")
SIZE = 80  # pixels of a redrawn picture (Bi-FPNFAS, fig. 9)

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_CHANNELS = 32


class Generator(nn.Module):
    """Draw one picture without negative values from one feature level (Bi-FPNFAS, eq. 15)."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.coarse = _conv_bn_relu(channels, _CHANNELS)
        self.fine = _conv_bn_relu(_CHANNELS, _CHANNELS)
        self.last = _conv_bn_relu(_CHANNELS, 1)

    def forward(self, level: Tensor) -> Tensor:
        """Return what is drawn of a level (B, C, h, w): (B, size, size)."""
        coarse = self.coarse(level)
        wide = functional.interpolate(
            coarse, size=(self.size, self.size), mode="bilinear", align_corners=False
        )
        drawn: Tensor = self.last(self.fine(wide))
        return drawn.squeeze(1).float()


def _conv_bn_relu(in_channels: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
    )


def log_spectrum(grey: Tensor, size: int, raw: bool = False) -> Tensor:
    """Return the centred log magnitude of the 2-D DFT (Bi-FPNFAS, eq. 12 to 14), area-resized.

    Args:
        grey: (B, H, W) in [0, 1].
        size: side of the result.
        raw: keep eq. 14 as printed; else the spectrum is divided by log(1 + H * W), the most it can be.

    Returns:
        (B, size, size) float32; in [0, 1] unless `raw`.
    """
    centred = torch.fft.fftshift(torch.fft.fft2(grey.float()), dim=(-2, -1))
    spectrum = torch.log1p(centred.abs())
    if not raw:
        spectrum = spectrum / log(1 + grey.shape[-2] * grey.shape[-1])
    return functional.interpolate(spectrum[:, None], size=(size, size), mode="area").squeeze(1)


def grey_images(images: Tensor, model: GradientModel) -> Tensor:
    """Return the `model`'s normalised images (B, 3, H, W) as grey in [0, 1]: (B, H, W)."""
    mean, std, luma = (images.new_tensor(v).view(3, 1, 1).float() for v in (model.mean, model.std, _LUMA))
    return ((images.float() * std + mean) * luma).sum(1)


def depth_target(targets: Targets, size: int) -> Tensor:
    """Return the depth of each picture's face, zeros for an attack: (B, size, size) in [0, 1]."""
    depth = targets["face_depth"].float() * targets["label"].float().view(-1, 1, 1)
    resized = functional.interpolate(depth[:, None], size=(size, size), mode="bilinear", align_corners=False)
    return resized.squeeze(1)


def check_branch(name: str, known: tuple[str, ...]) -> None:
    """Refuse a branch that there is not.

    Raises:
        UnknownNameError: `name` is none of `known`.
    """
    if name not in known:
        raise UnknownNameError("branch", name, known)


def check_pixel_target(name: str) -> None:
    """Refuse what pixels can't learn.

    Raises:
        UnknownNameError: `name` is none of PIXEL_TARGETS.
    """
    if name not in PIXEL_TARGETS:
        raise UnknownNameError("pixel_target", name, PIXEL_TARGETS)


class BranchedModel(GradientModel):
    """A pixel-wise network that may have a branch and attention, and chooses how its pixels are pooled.

    A subclass makes its pixels by `layers.pixel_head`, its score by `layers.pooled`, weighs their losses by
    `layers.mean_loss`, and calls `add_attention`, `add_branch`, `drawn` and `add_branch_loss`.
    """

    targets = ("label", "face_depth")
    pixel: nn.Module

    def __init__(
        self,
        backbone: str,
        size: int,
        pretrained: bool = True,
        depth: str = "",
        *,
        branch: Annotated[
            str,
            Meta(
                description='a branch in training only: "none"; "fourier" redraws the picture\'s spectrum, "depth" the '
                "depth of a face."
            ),
        ] = "none",
        branch_weight: Annotated[
            float, Meta(description="weight of the branch's squared errors beside the rest of the loss.")
        ] = 1.0,
        pooling: Annotated[
            str,
            Meta(
                description='score of the pixels: "mean" of their probabilities; "mean-spread", the sigmoid of their '
                "mean logit, where each pixel is made of the channels and of (x - mean)^2 / spread of each, so that "
                "the mean weighs mean and spread over positions."
            ),
        ] = "mean",
        attention: Annotated[
            bool,
            Meta(
                description="weigh the pixels' losses by learned attention (A-DeepPixBiS, eq. 17); else they count "
                "the same (eq. 14)."
            ),
        ] = False,
    ) -> None:
        """Build the base; see the subclass.

        Args:
            backbone: as the subclass says, like size and pretrained.
            depth: the setting by which the pixels learn a depth; "" where they learn the picture's label.
        """
        check_pooling(pooling, depth)
        if attention and depth:
            raise InputError(
                f"attention weighs the losses of single pixels, and with {depth} a pixel is compared with its "
                "neighbours too; take attention=false, or let the pixels learn the label"
            )
        check_branch(branch, ("none", *BRANCHES))
        if not branch_weight >= 0:
            raise InputError(f"branch_weight must be 0 or more, got {branch_weight}")
        if branch == "none" and branch_weight != 1:
            raise InputError(
                "branch_weight would change nothing without a branch; take branch=fourier or depth, or leave it out"
            )
        super().__init__(backbone, size, pretrained)
        self.branch, self.branch_weight, self.pooling = branch, branch_weight, pooling
        self._pixels_learn_depth = bool(depth)
        self.generators: nn.ModuleDict | None = None
        self.wants_attention = attention
        self.pixel_attention: nn.Parameter | None = None

    @property
    def learns_depth(self) -> bool:
        """Return whether pixels or branch learn a depth."""
        return self._pixels_learn_depth or self.branch == "depth"

    def add_attention(self, side: int) -> None:
        """Build the attention over a map of `side` x `side` positions, if it is wanted."""
        if self.wants_attention:
            self.pixel_attention = nn.Parameter(torch.ones(side, side))

    def learned_attention(self) -> dict[str, Tensor]:
        """Return softmax(A) over the map (eq. 16 of A-DeepPixBiS), if it is learned."""
        if self.pixel_attention is None:
            return {}
        return {self.map_names[0]: attention_weights(self.pixel_attention)}

    def statistics(self, images: Tensor) -> Tensor:
        """Return mean and spread over positions of each channel that the pixels are made of: (B, 2C) float32."""
        (level,) = self.forward_features(images).values()
        both: Tensor = WithSpread()(level)
        return both.mean((2, 3))

    def start_pixels(self, weight: NDArray[np.float64], bias: float) -> None:
        """Set the pixels so that their mean logit is ``statistics @ weight + bias``; a cosine takes only the direction.

        It is for pixels that are pooled by mean and spread: only those are linear in both.

        Args:
            weight: (2C,), of `statistics`.
            bias: of the logit.
        """
        layer: Cosine | nn.Conv2d = self.pixel[1]  # type: ignore[index]
        with torch.no_grad():
            layer.weight.copy_(torch.as_tensor(weight).view_as(layer.weight))
            if isinstance(layer, nn.Conv2d):
                layer.bias.fill_(bias)  # type: ignore[union-attr]

    def add_branch(self, channels: Mapping[str, int]) -> None:
        """Build the generators over the features of these names and widths, if a branch is wanted."""
        if self.branch != "none":
            self.generators = nn.ModuleDict(
                {name: Generator(width, SIZE) for name, width in channels.items()}
            ).apply(xavier)
            self.training_parts = ("generators",)

    def drawn(self, output: Output, features: Features) -> Output:
        """Return `output` with what the branch draws of `features`, in training mode."""
        if not self.training or self.generators is None:
            return output
        return replace(
            output, auxiliary={name: draw(features[name]) for name, draw in self.generators.items()}
        )

    def add_branch_loss(
        self, terms: dict[str, Tensor], output: Output, targets: Targets, images: Tensor
    ) -> dict[str, Tensor]:
        """Return the loss's terms with that of the branch, where it has drawn: "branch", within "total"."""
        if not output.auxiliary:
            return terms
        if self.branch == "depth":
            wanted = depth_target(targets, SIZE)
        else:
            wanted = log_spectrum(grey_images(images, self), SIZE)
        errors = [functional.mse_loss(picture, wanted) for picture in output.auxiliary.values()]
        branch = torch.stack(errors).mean()
        return {**terms, "branch": branch, "total": terms["total"] + self.branch_weight * branch}
