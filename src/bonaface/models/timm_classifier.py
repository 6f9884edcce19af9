"""A classifier of timm's with one logit: what a network for ImageNet becomes when it is fine-tuned as it is.

Source: R. Wightman, PyTorch Image Models, https://doi.org/10.5281/zenodo.4414861. The entry CPqD of the competition on
OULU-NPU (Boulkenafet et al., IJCB 2017) was Inception-v3 in this manner: ``timm:inception_v3``.

Weights: ImageNet weights of timm's hub, under the licence that the model's card there states;
``timm:efficientnet-lite0`` takes those that are installed.
"""

import torch
from torch import Tensor, nn

from bonaface.losses.pixel import pixel_bce
from bonaface.models.backbones import create_classifier
from bonaface.models.base import Features, GradientModel, Targets
from bonaface.models.preset import Preset
from bonaface.models.record import Output
from bonaface.models.registry import register


class TimmClassifier(GradientModel):
    """Any classifier of timm's with one logit in the place of its classes: timm:NAME, such as timm:inception_v3.

    Score: `binary`, sigmoid of the logit.
    """

    name = "timm"
    score_names = ("binary",)
    map_names = ()

    def __init__(self, backbone: str, size: int, pretrained: bool = True) -> None:
        """Build the network.

        Args:
            backbone: name of a classifier of timm's, ``random:NAME`` for random weights.
            size: side of the input.
            pretrained: load its ImageNet weights.
        """
        super().__init__("", size, pretrained)
        self.classifier = create_classifier(backbone, size, pretrained)
        self.mean, self.std = self.classifier.mean, self.classifier.std
        self.binary = nn.Linear(self.classifier.width, 1)

    @property
    def backbones(self) -> list[nn.Module]:
        """Return timm's network, whose weights were learned elsewhere."""
        return [self.classifier]

    def forward_features(self, images: Tensor) -> Features:
        """Return timm's last features as they are: "last", (B, C, h, w) of most networks, (B, N, C) of transformers."""
        return {"last": self.classifier(images)}

    def forward_head(self, features: Features) -> Output:
        """Return the score, from the features as timm pools them."""
        pooled = self.classifier.pool(features["last"])  # (B, C)
        logit = self.binary(pooled).squeeze(1).float()
        return Output(
            scores={"binary": torch.sigmoid(logit)},
            maps={},
            logits={"binary": logit},
            embeddings={"pooled": pooled},
        )

    def loss(self, output: Output, targets: Targets, images: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """Return the binary cross-entropy: "total", and the same as "bce"."""
        loss = pixel_bce(output.logits["binary"], targets["label"]).mean()
        return {"total": loss, "bce": loss}


register(
    TimmClassifier,
    paper="Wightman, PyTorch Image Models, 2019",
    link="https://doi.org/10.5281/zenodo.4414861",
    presets=(
        Preset(
            name="fine-tune",
            model="timm",
            backbone="efficientnet-lite0",
            size=224,
            crop="square-1.3",
            lr=1e-4,
            weight_decay=1e-5,
            epochs=5,
        ),
    ),
)
