"""DeepPixBiS: deep pixel-wise binary supervision.

Paper: A. George, S. Marcel, "Deep Pixel-wise Binary Supervision for Face Presentation Attack Detection", ICB 2019,
https://arxiv.org/abs/1907.04047; presets as Hossain et al. (A-DeepPixBiS, DICTA 2020) train what they compare.

Weights: ImageNet weights of the backbone only; see bonaface.models.backbones for their sources and licences.

Differs from the paper: the weight of the pixel term is 0.7, as A-DeepPixBiS has it (the authors' released training
used 0.5); any backbone with a level of stride 16 can take DenseNet-161's place.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from msgspec import Meta
from torch import Tensor, nn

from bonaface.core.errors import InputError
from bonaface.losses.depth import check_depth_map, depth_loss
from bonaface.losses.pixel import pixel_bce
from bonaface.models.base import Features, Targets
from bonaface.models.branches import BranchedModel, check_pixel_target, depth_target
from bonaface.models.layers import mean_loss, pixel_head, pooled
from bonaface.models.preset import Preset, transfer_preset
from bonaface.models.record import Output
from bonaface.models.registry import register

WITH_ANGLES = "its pixels learn the label by BCE, or a depth; a-deep-pix-bis is the network with A-BCE"
ONE_LEVEL = "its pixels are of one level, that of stride 16; bi-fas has several"


class DeepPixBiS(BranchedModel):
    """Pixel-wise binary supervision on one feature level of stride 16.

    Scores: `feature_map`, the pixels pooled: the mean of the map by default; `binary`, the linear layer over the map.
    """

    name = "deep-pix-bis"
    strides = (16,)
    score_names = ("feature_map", "binary")
    map_names = ("map",)
    lacks: ClassVar[Mapping[str, str]] = {
        "pixel_loss": WITH_ANGLES,
        "margin": WITH_ANGLES,
        "scale": WITH_ANGLES,
        "levels": ONE_LEVEL,
    }

    def __init__(
        self,
        backbone: str,
        size: int,
        pretrained: bool = True,
        *,
        pixel_weight: Annotated[
            float,
            Meta(description="lambda of eq. 15 (A-DeepPixBiS), in [0, 1]: the share of the pixel term."),
        ] = 0.7,
        pixel_target: Annotated[
            str,
            Meta(
                description='of each pixel: "binary", the picture\'s label by BCE; "depth", that of a face by squared '
                "errors of the depth and its contrasts (CDCN's loss)."
            ),
        ] = "binary",
        **options: Any,
    ) -> None:
        """Build the network.

        Args:
            backbone: name of a backbone with a level of stride 16.
            size: side of the input, a multiple of 16.
            pretrained: load the backbone's ImageNet weights.
        """
        check_pixel_weight(pixel_weight)
        check_pixel_target(pixel_target)
        depth = "pixel_target=depth" if pixel_target == "depth" else ""
        super().__init__(backbone, size, pretrained, depth, **options)
        if depth:
            check_depth_map(f"the map of {size} px", size // 16)
        self.pixel_weight, self.pixel_target = pixel_weight, pixel_target
        self.pixel = pixel_head(self.pooling, self.backbone.channels[0], lambda width: nn.Conv2d(width, 1, 1))
        self.binary = nn.Linear((size // 16) ** 2, 1)
        self.add_attention(size // 16)
        self.add_branch({"stride16": self.backbone.channels[0]})

    def forward_features(self, images: Tensor) -> Features:
        """Return the backbone's level of stride 16: "stride16" (B, C, size/16, size/16)."""
        return {"stride16": self.backbone(images)[0]}

    def forward_head(self, features: Features) -> Output:
        """Return the map S (eq. 14) and g (eq. 15)."""
        pixel_logits = self.pixel(features["stride16"]).squeeze(1).float()  # (B, h, w)
        pixels = torch.sigmoid(pixel_logits)
        binary_logits = self.binary(pixels.flatten(1)).squeeze(1).float()  # (B,)
        output = Output(
            scores={
                "feature_map": pooled(self.pooling, pixels, pixel_logits),
                "binary": torch.sigmoid(binary_logits),
            },
            maps={"map": pixels},
            logits={"map": pixel_logits, "binary": binary_logits},
        )
        return self.drawn(output, features)

    def loss(self, output: Output, targets: Targets, images: Tensor) -> dict[str, Tensor]:
        """Return lambda * BCE(map) + (1 - lambda) * BCE(g) (A-DeepPixBiS, eq. 14, 15): "total", "pixel", "binary"."""
        labels = targets["label"]
        if self.pixel_target == "depth":
            pixels = output.maps["map"]
            pixel = depth_loss(pixels, depth_target(targets, pixels.shape[-1])).mean()
        else:
            pixel = mean_loss(pixel_bce(output.logits["map"], labels), self.pixel_attention)
        binary = pixel_bce(output.logits["binary"], labels)
        terms = weigh(pixel, binary.mean(), self.pixel_weight)
        return self.add_branch_loss(terms, output, targets, images)


def weigh(pixel: Tensor, binary: Tensor, pixel_weight: float) -> dict[str, Tensor]:
    """Return the weighted total of eq. 15 of A-DeepPixBiS beside its two terms."""
    return {"total": pixel_weight * pixel + (1 - pixel_weight) * binary, "pixel": pixel, "binary": binary}


def check_pixel_weight(value: float) -> None:
    """Refuse a lambda of eq. 15 that is no share.

    Raises:
        InputError: it is outside [0, 1].
    """
    if not 0 <= value <= 1:
        raise InputError(f"pixel_weight must be in [0, 1], got {value}; the paper's is 0.7")


def paper_preset(model: str, name: str, bn_batches: int = 200, **options: Any) -> Preset:
    """Return the settings of A-DeepPixBiS, sec. IV-E: Adam, lr 1e-3, decay 1e-5, 10 epochs, batch 64, tight crops.

    DeepPixBiS takes the same settings, so that the two compare.
    """
    return Preset(
        name=name,
        model=model,
        backbone="densenet161",
        size=224,
        crop="tight",
        lr=1e-3,
        weight_decay=1e-5,
        epochs=10,
        options=options,
        bn_batches=bn_batches,
    )


register(
    DeepPixBiS,
    paper="George & Marcel, Deep Pixel-wise Binary Supervision, ICB 2019",
    link="https://arxiv.org/abs/1907.04047",
    presets=(
        paper_preset("deep-pix-bis", "paper"),
        paper_preset("deep-pix-bis", "literal", bn_batches=0),
        paper_preset("deep-pix-bis", "depth", pixel_target="depth"),
        transfer_preset("deep-pix-bis", start="linear", options={"pooling": "mean-spread"}),
    ),
)
