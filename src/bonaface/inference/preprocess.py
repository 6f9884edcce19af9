"""Turn crops into the input of a network."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import InputError
from bonaface.face.crop import Views
from bonaface.inference.bundle import BundleCard
from bonaface.inference.runtime import IMAGES, SHARES, Runner


def run_on_views(
    runner: Runner, card: BundleCard, faces: Sequence[Views]
) -> Mapping[str, NDArray[np.float32]]:
    """Return the outputs of the network of `card` for `faces`, each with the crops `card.views`: see `Runner.run`."""
    return runner.run(**network_inputs(card, faces))


def network_inputs(card: BundleCard, faces: Sequence[Views]) -> dict[str, NDArray[np.float32]]:
    """Return by name what `Runner.run` takes for `faces`: ``images``, and ``shares`` where there are several views."""
    crops = np.stack([views.crops for views in faces])  # (B, V, H, W, 3)
    images = normalise(crops.reshape(-1, *crops.shape[2:]), card.mean, card.std)
    if len(card.views) == 1:
        return {IMAGES: images}
    shares = np.stack([views.shares for views in faces])
    return {IMAGES: images.reshape(*crops.shape[:2], *images.shape[1:]), SHARES: shares}


def normalise(crops: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """Return crops (B, H, W, 3) uint8 RGB as (B, 3, H, W) float32: scaled to [0, 1], less the mean, over the std.

    `mean` and `std` are the backbone's own, per channel, in units of [0, 1].

    Raises:
        InputError: the crops have another shape or type.
    """
    if crops.ndim != 4 or crops.shape[3] != 3 or crops.dtype != np.uint8:
        raise InputError(
            f"crops must be (B, H, W, 3) uint8, got {crops.shape} {crops.dtype}; cut them with bonaface.face.crop.cut"
        )
    spread = np.array(std, np.float32)
    scale = np.float32(1) / (np.float32(255) * spread)
    offset = np.array(mean, np.float32) / spread
    values = np.ascontiguousarray(crops.transpose(0, 3, 1, 2)).astype(np.float32)  # (B, 3, H, W)
    values *= scale[:, None, None]
    values -= offset[:, None, None]
    return values
