"""CDCN and CDCN++: central difference convolutions that learn a face's depth, and none for an attack.

Paper: Z. Yu, C. Zhao, Z. Wang, Y. Qin, Z. Su, X. Li, F. Zhou, G. Zhao, "Searching Central Difference Convolutional
Networks for Face Anti-Spoofing", CVPR 2020, https://arxiv.org/abs/2003.04092. Authors' code:
https://github.com/ZitongYu/CDCN.

Weights: none; it learns from random ones, as in the paper.

Differs from the paper: the depth of a bona fide face is that of a generic surface under its landmarks
(`bonaface.models.face_surface`), not PRNet's estimate; a central difference convolution is one convolution whose kernel
is folded; an epoch shows every frame, so there are as many times fewer of them. `pixel_loss="a-bce"` (presets `cdcn-a`,
`cdcn-pp-a`) is the future work of A-DeepPixBiS: its angular margin on every pixel. With `pooling="mean-spread"` the
last convolution is a plain one of 1 x 1, so that the mean of the pixels is linear in means and spreads.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from msgspec import Meta
from torch import Tensor, nn
from torch.nn import functional

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.losses.angular import MARGIN, SCALE, angular_bce, check_angular, check_no_angles
from bonaface.losses.depth import depth_loss
from bonaface.losses.pixel import pixel_bce
from bonaface.models.base import Features, Targets
from bonaface.models.branches import BranchedModel
from bonaface.models.layers import Cosine, mean_loss, pixel_head, pooled
from bonaface.models.preset import Preset
from bonaface.models.record import Output
from bonaface.models.registry import register

PIXEL_LOSSES = ("depth", "bce", "a-bce")
DEPTHS = ("surface", "mask")
_STRIDE = 8


class CentralDifferenceConv(nn.Module):
    """A 3 x 3 convolution less `theta` times what its kernel, summed up, gives of the middle pixel (sec. 3.1, eq. 3).

    conv3x3(x) - theta * conv1x1(x) with the kernel summed over space is one convolution whose middle weight is less
    by theta times that sum: a tenth less work, and no second result to keep.
    """

    def __init__(self, in_channels: int, channels: int, theta: float) -> None:
        super().__init__()
        self.theta = theta
        self.weight = nn.Parameter(torch.empty(channels, in_channels, 3, 3))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)  # as torch's own convolution

    def forward(self, values: Tensor) -> Tensor:
        """Return (B, channels, H, W) of (B, in_channels, H, W)."""
        middle = self.weight.sum((2, 3), keepdim=True)
        return functional.conv2d(
            values, self.weight - self.theta * functional.pad(middle, (1, 1, 1, 1)), padding=1
        )


class SpatialAttention(nn.Module):
    """A weight in [0, 1] for each position, from the mean and the largest of its channels (CDCN++, sec. 3.3)."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        """Return `values` (B, C, H, W) times their weights."""
        seen = torch.cat([values.mean(1, keepdim=True), values.amax(1, keepdim=True)], 1)
        return values * torch.sigmoid(self.conv(seen))


class Cdcn(BranchedModel):
    """Central difference convolutions that predict a depth map: a face's for bona fide, none for an attack.

    Score: `feature_map`, the pixels pooled: the mean of the map by default.
    """

    name = "cdcn"
    score_names = ("feature_map",)
    map_names = ("map",)
    lacks: ClassVar[Mapping[str, str]] = {
        "pixel_target": "pixel_loss=depth learns a depth, pixel_loss=bce and a-bce the label",
        "levels": "its three levels are joined to one map; bi-fas has several",
    }
    blocks: tuple[tuple[int, ...], ...] = ((128, 196, 128),) * 3
    head: tuple[int, ...] = (128, 64)
    attention_kernels: tuple[int, ...] = ()

    def __init__(
        self,
        backbone: str,
        size: int,
        pretrained: bool = True,
        *,
        pixel_loss: Annotated[
            str,
            Meta(
                description='"depth": squared errors of the depth and its contrasts; "bce" or "a-bce" '
                "(A-DeepPixBiS's A-BCE) on each pixel."
            ),
        ] = "depth",
        depth: Annotated[
            str,
            Meta(
                description='target of "depth": "surface" of a generic face, or "mask", 1 all over the face.'
            ),
        ] = "surface",
        theta: Annotated[
            float, Meta(description="share, in [0, 1], of the central difference in a convolution.")
        ] = 0.7,
        width: Annotated[float, Meta(description="channels as a share of the paper's, above 0.")] = 1.0,
        scale: Annotated[
            float, Meta(description="s of A-BCE, multiplies the cosine before the sigmoid.")
        ] = SCALE,
        margin: Annotated[float, Meta(description="m of A-BCE in radians, in training only.")] = MARGIN,
        **options: Any,
    ) -> None:
        """Build the network.

        Args:
            backbone: must be empty.
            size: side of the input, a multiple of 8, at least 32.
            pretrained: has no meaning here.
        """
        if pixel_loss not in PIXEL_LOSSES:
            raise UnknownNameError("pixel_loss", pixel_loss, PIXEL_LOSSES)
        if depth not in DEPTHS:
            raise UnknownNameError("depth", depth, DEPTHS)
        if not 0 <= theta <= 1:
            raise InputError(f"theta must be in [0, 1], got {theta}; the paper's is 0.7")
        if not width > 0:
            raise InputError(f"width must be above 0, got {width}; 1 is the paper's network")
        if size < 32 or size % _STRIDE:
            raise InputError(f"size must be a multiple of {_STRIDE} and at least 32, got {size}")
        check_angular(margin, scale)
        if pixel_loss != "a-bce":
            check_no_angles(pixel_loss, margin, scale)
        if pixel_loss != "depth" and depth != DEPTHS[0]:
            raise InputError(
                f"depth={depth} is a target of pixel_loss=depth, and with pixel_loss={pixel_loss} the pixels learn the "
                "label; take pixel_loss=depth or leave out depth"
            )
        depth_setting = "pixel_loss=depth" if pixel_loss == "depth" else ""
        super().__init__(backbone, size, pretrained, depth_setting, **options)
        self.pixel_loss, self.depth = pixel_loss, depth
        self.scale, self.margin = scale, margin

        def channels(wanted: int) -> int:
            return max(1, round(wanted * width))

        def block(inside: int, widths: Sequence[int]) -> tuple[list[nn.Module], int]:
            layers: list[nn.Module] = []
            for wanted in map(channels, widths):
                layers += [CentralDifferenceConv(inside, wanted, theta), nn.BatchNorm2d(wanted), nn.ReLU()]
                inside = wanted
            return layers, inside

        layers, inside = block(3, (64,))
        self.stem = nn.Sequential(*layers)
        self.stages, joined = nn.ModuleList(), 0
        for widths in self.blocks:
            layers, inside = block(inside, widths)
            self.stages.append(nn.Sequential(*layers, nn.MaxPool2d(3, stride=2, padding=1)))
            joined += inside
        self.attention = nn.ModuleList(map(SpatialAttention, self.attention_kernels))
        layers, inside = block(joined, self.head)
        self.fuse = nn.Sequential(*layers)

        def last(width: int) -> nn.Module:
            if pixel_loss == "a-bce":
                return Cosine(width)
            plain = self.pooling == "mean-spread"
            return nn.Conv2d(width, 1, 1) if plain else CentralDifferenceConv(width, 1, theta)

        self.pixel = pixel_head(self.pooling, inside, last)
        self.add_attention(size // _STRIDE)
        self.add_branch({"stride8": inside})

    def forward_features(self, images: Tensor) -> Features:
        """Return the features of which each pixel of the map is made: "stride8" (B, 64 or 128, size/8, size/8)."""
        values, side = self.stem(images), self.input_size // _STRIDE
        levels = []
        for number, stage in enumerate(self.stages):
            values = stage(values)
            level = self.attention[number](values) if self.attention else values
            levels.append(functional.interpolate(level, size=(side, side), mode="bilinear"))
        return {"stride8": self.fuse(torch.cat(levels, 1))}

    def forward_head(self, features: Features) -> Output:
        """Return the map and its pixels, pooled."""
        values = self.pixel(features["stride8"])  # (B, h, w) cosines, else (B, 1, h, w)
        depth, angular = (self.pixel_loss == name for name in ("depth", "a-bce"))
        if not angular:
            values = values.squeeze(1).float()
        if depth:
            values = functional.relu(values)
        logits = self.scale * values if angular else values
        pixels = values.clamp_max(1) if depth else torch.sigmoid(logits)  # (B, h, w)
        score = pooled(self.pooling, pixels, logits)
        return self.drawn(Output({"feature_map": score}, {"map": pixels}, {"map": values}), features)

    def loss(self, output: Output, targets: Targets, images: Tensor) -> dict[str, Tensor]:
        """Return the loss of the pixels: "total", and the same under the name of `pixel_loss`."""
        labels, values = targets["label"], output.logits["map"]
        if self.pixel_loss == "depth":
            face = targets["face_depth"]
            face = (face > 0).float() if self.depth == "mask" else face
            loss = depth_loss(values, face * labels.view(-1, 1, 1)).mean()
        elif self.pixel_loss == "bce":
            loss = mean_loss(pixel_bce(values, labels), self.pixel_attention)
        else:
            loss = mean_loss(angular_bce(values, labels, self.margin, self.scale), self.pixel_attention)
        return self.add_branch_loss({"total": loss, self.pixel_loss: loss}, output, targets, images)


class CdcnPlusPlus(Cdcn):
    """CDCN with blocks that a search found, and attention over positions.

    Score: `feature_map`, the mean of the map.
    """

    name = "cdcn-pp"
    blocks = ((128, 204, 128), (153, 128, 179, 128), (128, 153, 128))
    head = (128,)
    attention_kernels = (7, 5, 3)


def _preset(model: str, name: str, **options: Any) -> Preset:
    """Return the settings of sec. 4.2: Adam, lr 1e-4, decay 5e-5, batch 56, the rate halved every 500 of 1,300 epochs.

    There an epoch shows one frame of each video. Here it shows all of them, of which a store keeps 20.
    """
    return Preset(
        name=name,
        model=model,
        backbone="",
        size=256,
        crop="square-1.3",
        lr=1e-4,
        weight_decay=5e-5,
        epochs=65,
        batch=56,
        schedule="step",
        step_epochs=25,
        step_factor=0.5,
        options=options,
    )


for _model, _angular in ((Cdcn, "cdcn-a"), (CdcnPlusPlus, "cdcn-pp-a")):
    register(
        _model,
        paper="Yu et al., Searching Central Difference Convolutional Networks for Face Anti-Spoofing, CVPR 2020",
        link="https://arxiv.org/abs/2003.04092",
        presets=(
            _preset(_model.name, "paper"),
            _preset(_model.name, "mask", depth="mask"),
            _preset(_model.name, _angular, pixel_loss="a-bce"),
        ),
    )
