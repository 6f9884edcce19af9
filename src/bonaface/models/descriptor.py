"""Models that decide over numbers that describe a crop, which are computed in the network's own graph."""

from abc import abstractmethod

import torch
from torch import Tensor

from bonaface.models.base import Features, SolverModel
from bonaface.models.pixels import channels_of
from bonaface.models.record import Output


class DescriptorModel(SolverModel):
    """A decision over a few numbers of one crop; a subclass computes the numbers and weighs them.

    Score: the first of `score_names`, the sigmoid of the logit.
    """

    map_names = ()

    @abstractmethod
    def describe_channels(self, channels: Tensor) -> Tensor:
        """Return the numbers (B, F) of pictures (B, 3, H, W), whole numbers in [0, 255]."""

    @abstractmethod
    def logit(self, values: Tensor) -> Tensor:
        """Return the decision (B,) over the numbers (B, F): above 0 for bona fide."""

    def features(self, images: Tensor) -> Tensor:
        """Return the numbers (B, F) of normalised images (B, 3, H, W)."""
        return self.describe_channels(channels_of(images, self.mean, self.std)).float()

    def forward_features(self, images: Tensor) -> Features:
        """Return the numbers as "features" (B, F, 1, 1)."""
        return {"features": self.features(images)[:, :, None, None]}

    def forward_head(self, features: Features) -> Output:
        """Return the score."""
        values = features["features"].flatten(1)
        logit, name = self.logit(values), self.score_names[0]
        return Output(
            scores={name: torch.sigmoid(logit)},
            maps={},
            logits={name: logit},
            embeddings={"features": values},
        )

    def predict(self, features: Tensor, shares: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Return the score (B,) of kept numbers (B, F)."""
        return torch.sigmoid(self.logit(features))
