"""Turn the loader's crops into the images that a network reads, on the network's own device."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalise(nn.Module):
    """Turn crops (..., H, W, 3) uint8 RGB into images (..., 3, H, W) float32: (value / 255 - mean) / std.

    The images of a batch (B, H, W, 3) are in channels-last order.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        deviation = torch.tensor(std)
        self.register_buffer("scale", (1 / (255 * deviation)).view(3, 1, 1), persistent=False)
        self.register_buffer("offset", (torch.tensor(mean) / deviation).view(3, 1, 1), persistent=False)

    scale: Tensor
    offset: Tensor

    def forward(self, crops: Tensor) -> Tensor:
        """Return the normalised images."""
        # The permuted view of (B, H, W, 3) is the channels-last layout already: no copy is made.
        return crops.movedim(-1, -3).float() * self.scale - self.offset
