"""From crops to what the network reads."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import InputError


def normalise(crops: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """Crops (B, H, W, 3) uint8 RGB -> (B, 3, H, W) float32: scaled to [0, 1], less the mean, over the std.

    `mean` and `std` are the backbone's own, per channel, in units of [0, 1].

    Raises:
        InputError: the crops have another shape or type.
    """
    if crops.ndim != 4 or crops.shape[3] != 3 or crops.dtype != np.uint8:
        raise InputError(
            f"crops must be (B, H, W, 3) uint8, got {crops.shape} {crops.dtype}; cut them with bonaface.face.crop.cut"
        )
    scale = np.float32(1) / (np.float32(255) * np.asarray(std, np.float32))
    offset = np.asarray(mean, np.float32) / np.asarray(std, np.float32)
    values = crops.astype(np.float32) * scale - offset  # (B, H, W, 3)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))  # (B, 3, H, W)
