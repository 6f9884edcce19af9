"""A-DeepPixBiS: DeepPixBiS in angular space, with a margin for bona fide and attention over the pixel losses.

Paper: M. S. Hossain, L. Rupty, K. Roy, M. Hasan, S. Sengupta, N. Mohammed, "A-DeepPixBis: Attentional Angular
Margin for Face Anti-Spoofing", DICTA 2020, https://doi.org/10.1109/DICTA51227.2020.9363382.
Authors' code: https://github.com/gazeai/a-deeppixbis.

Weights: ImageNet weights of the backbone only; see bonaface.models.backbones for their sources and licences.

Differs from the paper: beyond theta = pi - m the margin takes ArcFace's monotone continuation (preset `literal`
evaluates eq. 13 as printed); the image head has an embedding of 512 values, as in the authors' code (`embedding=0`
leaves it out). Unlike that code, both weights really are normalised, the embedding is made from the map of cosines,
the pixel term is a mean over the batch, and no label is needed to predict.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from msgspec import Meta
from torch import Tensor, nn

from bonaface.core.errors import InputError
from bonaface.losses.angular import angular_bce, check_angular
from bonaface.models.base import Features, Targets
from bonaface.models.branches import BranchedModel
from bonaface.models.deep_pix_bis import ONE_LEVEL, check_pixel_weight, paper_preset, weigh
from bonaface.models.layers import Cosine, attention_weights, pixel_head, pooled
from bonaface.models.preset import transfer_preset
from bonaface.models.record import Output
from bonaface.models.registry import register


class ADeepPixBiS(BranchedModel):
    """DeepPixBiS with an angular margin for bona fide and learned attention over the pixel losses.

    Scores: `feature_map`, the pixels pooled: the mean of sigmoid(s cos(theta)) over the map by default; `binary`,
    sigmoid(s cos(theta)) of the image head. The margin is never applied to a score. With s = 1 a score lies in
    [0.269, 0.731].
    """

    name = "a-deep-pix-bis"
    strides = (16,)
    score_names = ("feature_map", "binary")
    map_names = ("map",)
    lacks: ClassVar[Mapping[str, str]] = {
        "pixel_loss": "its loss is A-BCE; deep-pix-bis is the network with BCE",
        "pixel_target": "an angle to bona fide is no depth; deep-pix-bis takes pixel_target=depth",
        "levels": ONE_LEVEL,
    }

    def __init__(
        self,
        backbone: str,
        size: int,
        pretrained: bool = True,
        *,
        pixel_weight: Annotated[
            float, Meta(description="lambda of eq. 15, in [0, 1]: the share of the pixel term.")
        ] = 0.7,
        embedding: Annotated[
            int, Meta(description="values of the image head's embedding; 0 takes the map's own values.")
        ] = 512,
        scale: Annotated[
            float,
            Meta(description="s, multiplies the cosine before the sigmoid (eq. 6; eq. 11 to 13 have 1)."),
        ] = 1.0,
        margin: Annotated[float, Meta(description="m of eq. 13 in radians, in training only.")] = 0.5,
        literal: Annotated[
            bool, Meta(description="evaluate eq. 13 as printed also where theta + m passes pi.")
        ] = False,
        attention: Annotated[
            bool,
            Meta(
                description="weigh the pixels' losses by learned attention (eq. 17); else they count the same (eq. 14)."
            ),
        ] = True,
        **options: Any,
    ) -> None:
        """Build the network.

        Args:
            backbone: name of a backbone with a level of stride 16.
            size: side of the input, a multiple of 16.
            pretrained: load the backbone's ImageNet weights.
        """
        check_pixel_weight(pixel_weight)
        check_angular(margin, scale)
        if embedding < 0:
            raise InputError(f"embedding must be 0 (none) or a number of values, got {embedding}")
        super().__init__(backbone, size, pretrained, **options)
        self.pixel_weight = pixel_weight
        self.scale, self.margin, self.literal = scale, margin, literal
        side = size // 16
        self.pixel = pixel_head(self.pooling, self.backbone.channels[0], Cosine)
        self.embed = nn.Linear(side * side, embedding) if embedding else nn.Identity()
        self.binary = Cosine(embedding or side * side)
        self.attention = nn.Parameter(torch.ones(side, side)) if attention else None
        self.add_branch({"stride16": self.backbone.channels[0]})

    def forward_features(self, images: Tensor) -> Features:
        """Return the backbone's level of stride 16: "stride16" (B, C, size/16, size/16)."""
        return {"stride16": self.backbone(images)[0]}

    def forward_head(self, features: Features) -> Output:
        """Return the cosines of the pixels and of the picture, and their sigmoids."""
        pixel_cosine = self.pixel(features["stride16"])  # (B, h, w)
        embedding = self.embed(pixel_cosine.flatten(1)).float()  # (B, 512)
        binary_cosine = self.binary(embedding)  # (B,)
        pixel_logits = self.scale * pixel_cosine
        pixels = torch.sigmoid(pixel_logits)
        output = Output(
            scores={
                "feature_map": pooled(self.pooling, pixels, pixel_logits),
                "binary": torch.sigmoid(self.scale * binary_cosine),
            },
            maps={"map": pixels},
            logits={"map": pixel_cosine, "binary": binary_cosine},
            embeddings={"embedding": embedding},
        )
        return self.drawn(output, features)

    def loss(self, output: Output, targets: Targets, images: Tensor) -> dict[str, Tensor]:
        """Return A-BCE over the attended map and over the picture (eq. 13, 15, 17): "total", "pixel", "binary"."""
        labels = targets["label"]
        pixels = self._angular_bce(output.logits["map"], labels)  # (B, h, w)
        terms = weigh(
            pixel=(pixels * self.attention_weights()).sum((1, 2)).mean(),
            binary=self._angular_bce(output.logits["binary"], labels).mean(),
            pixel_weight=self.pixel_weight,
        )
        return self.add_branch_loss(terms, output, targets, images)

    def attention_weights(self) -> Tensor:
        """Return softmax(A) over all positions (eq. 16): (size/16, size/16), sums to 1; all equal without attention."""
        if self.attention is None:
            side = self.input_size // 16
            return self.binary.weight.new_full((side, side), 1 / side**2)
        return attention_weights(self.attention)

    def learned_attention(self) -> dict[str, Tensor]:
        """Return `attention_weights`, if they are learned."""
        return {} if self.attention is None else {"map": self.attention_weights()}

    def _angular_bce(self, cosine: Tensor, labels: Tensor) -> Tensor:
        return angular_bce(cosine, labels, self.margin, self.scale, self.literal)


register(
    ADeepPixBiS,
    paper="Hossain et al., A-DeepPixBis: Attentional Angular Margin for Face Anti-Spoofing, DICTA 2020",
    link="https://doi.org/10.1109/DICTA51227.2020.9363382",
    presets=(
        paper_preset("a-deep-pix-bis", "paper"),
        paper_preset("a-deep-pix-bis", "scaled", scale=16.0),
        paper_preset("a-deep-pix-bis", "literal", bn_batches=0, literal=True),
        paper_preset("a-deep-pix-bis", "no-attention", attention=False),
        transfer_preset("a-deep-pix-bis", start="linear", options={"pooling": "mean-spread"}),
    ),
)
