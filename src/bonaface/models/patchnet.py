"""PatchNet: fine-grained recognition of patches at the picture's own resolution.

Paper: C.-Y. Wang, Y.-D. Lu, S.-T. Yang, S.-H. Lai, "PatchNet: A Simple Face Anti-Spoofing Framework via Fine-Grained
Patch Recognition", CVPR 2022, https://arxiv.org/abs/2203.14325.

Weights: ImageNet weights of the backbone only; see bonaface.models.backbones for their sources and licences.

Differs from the paper: the classes (capture device, and species for an attack) are numbers in a fixed table, which
devices and species beyond its size share, so that a network does not depend on the set's size; the two patches of a
picture in training lie at the same place in every picture of a micro-batch; the face is not aligned. With the crop
`native` no pixel is resized; it shows `size` pixels around the middle of the face.
"""

from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor, nn
from torch.nn import functional

from bonaface.core.errors import InputError
from bonaface.models.backbones import create_classifier
from bonaface.models.base import Features, GradientModel, Targets
from bonaface.models.layers import unit
from bonaface.models.preset import Preset
from bonaface.models.record import Output
from bonaface.models.registry import register

_DEVICES, _SPECIES = 8, 8
_SIDE = 3  # patches in a row when a picture is scored


class PatchNet(GradientModel):
    """A classifier of patches by device and species, with a wider margin for bona fide; patches are averaged.

    Score: `patches`, the mean over 3 x 3 patches of the probability of the bona fide classes.
    """

    name = "patchnet"
    score_names = ("patches",)
    map_names = ("map",)
    targets = ("label", "species", "domain")

    def __init__(
        self,
        backbone: str,
        size: int,
        pretrained: bool = True,
        *,
        patch: Annotated[
            int, Meta(description="side of a patch in pixels, at most the input's; 0: half of the input's.")
        ] = 0,
        scale: Annotated[float, Meta(description="s, multiplies the cosines before the softmax.")] = 30.0,
        bona_fide_margin: Annotated[
            float, Meta(description="taken off the cosine of the true class of a bona fide patch.")
        ] = 0.4,
        attack_margin: Annotated[float, Meta(description="the same of an attack's patch.")] = 0.1,
        similarity_weight: Annotated[
            float, Meta(description="weight of the distance between two patches of a picture.")
        ] = 1.0,
    ) -> None:
        """Build the network.

        Args:
            backbone: name of a classifier of timm's, as for `timm`.
            size: side of the input, at least `patch`.
            pretrained: load the backbone's ImageNet weights.
        """
        if not 0 <= patch <= size:
            raise InputError(
                f"patch must be at most the input's {size} px, or 0 for half of them, got {patch}"
            )
        patch = patch or size // 2
        if not scale > 0:
            raise InputError(f"scale must be above 0, got {scale}; the paper's is 30")
        if min(bona_fide_margin, attack_margin, similarity_weight) < 0:
            raise InputError("bona_fide_margin, attack_margin and similarity_weight must be 0 or more")
        super().__init__("", size, pretrained)
        self.patch, self.scale, self.similarity_weight = patch, scale, similarity_weight
        self.margins = (attack_margin, bona_fide_margin)
        self.classifier = create_classifier(backbone, patch, pretrained)
        self.mean, self.std = self.classifier.mean, self.classifier.std
        self.classes = nn.Parameter(torch.empty(_DEVICES * (1 + _SPECIES), self.classifier.width))
        nn.init.xavier_uniform_(self.classes)

    @property
    def backbones(self) -> list[nn.Module]:
        """Return timm's network, whose weights were learned elsewhere."""
        return [self.classifier]

    def forward_features(self, images: Tensor) -> Features:
        """Return timm's last features of the patches: "last", those of a picture's N patches one after another.

        In training N is 2, at random places; else 9, in three rows.
        """
        room = self.input_size - self.patch
        if self.training:
            places = [(int(y), int(x)) for y, x in torch.randint(room + 1, (2, 2)).tolist()]
        else:
            steps = [round(room * k / (_SIDE - 1)) for k in range(_SIDE)]
            places = [(y, x) for y in steps for x in steps]
        patches = [images[:, :, y : y + self.patch, x : x + self.patch] for y, x in places]
        return {"last": self.classifier(torch.stack(patches, 1).flatten(0, 1))}

    def forward_head(self, features: Features) -> Output:
        """Return the probability of each patch's bona fide classes, and their mean."""
        count = 2 if self.training else _SIDE * _SIDE
        pooled = self.classifier.pool(features["last"]).float()  # (B * N, C)
        directions = unit(pooled, dim=1)
        cosines = _products(directions, unit(self.classes.float(), dim=1))  # (B * N, K)
        chances = torch.softmax(self.scale * cosines, 1)[:, :_DEVICES].sum(1).reshape(-1, count)  # (B, N)
        side = (2, 1) if self.training else (_SIDE, _SIDE)
        chances = chances.clamp(0, 1)
        return Output(
            scores={"patches": chances.mean(1)},
            maps={"map": chances.reshape(-1, *side)},
            logits={"patches": cosines.reshape(-1, count, cosines.shape[1])},
            embeddings={"patches": directions.reshape(-1, count, directions.shape[1])},
        )

    def loss(self, output: Output, targets: Targets, images: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """Return "total", of the patches' margin softmax, "class", and their likeness, "similarity" (sec. 3.3)."""
        labels = targets["label"].long()
        device, species = targets["domain"].long() % _DEVICES, (targets["species"].long() - 1) % _SPECIES
        truth = torch.where(labels == 1, device, _DEVICES * (1 + species) + device)  # (B,)
        cosines = output.logits["patches"]  # (B, N, K)
        margin = torch.tensor(self.margins, device=labels.device)[labels]
        own = functional.one_hot(truth, cosines.shape[2]) * margin[:, None]
        logits = self.scale * (cosines - own[:, None])
        count = cosines.shape[1]
        fine = functional.cross_entropy(logits.flatten(0, 1), truth.repeat_interleave(count))
        directions = output.embeddings["patches"]
        likeness = (directions[:, 0] - directions[:, -1]).square().sum(1).mean()
        total = fine + self.similarity_weight * likeness
        return {"total": total, "class": fine, "similarity": likeness}


def _products(directions: Tensor, classes: Tensor) -> Tensor:
    """Return the cosines (B, K), in double precision on the way, which mixed precision leaves alone."""
    return (directions.double() @ classes.double().T).float().clamp(-1, 1)


register(
    PatchNet,
    paper="Wang et al., PatchNet: A Simple Face Anti-Spoofing Framework via Fine-Grained Patch Recognition, CVPR 2022",
    link="https://arxiv.org/abs/2203.14325",
    presets=(
        Preset(
            name="paper",
            model="patchnet",
            backbone="resnet18",
            size=320,
            crop="native",
            lr=2e-3,
            weight_decay=5e-4,
            epochs=20,
            optimizer="sgd",
            schedule="step",
            step_epochs=9,
        ),
    ),
)
