"""Run a bundle's network in torch, for GPUs: the same scores as onnxruntime's."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load

from bonaface.inference.bundle import Bundle
from bonaface.inference.runtime import checked_outputs
from bonaface.models.base import PadModel
from bonaface.models.registry import create_model


class TorchRunner:
    """A `bonaface.inference.runtime.Runner` over ``model.safetensors``.

    Args:
        bundle: the opened bundle.
        device: a torch device such as ``cuda:0``; None takes a GPU where there is one.
    """

    def __init__(self, bundle: Bundle, device: str | None = None) -> None:
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        network = load_network(bundle)
        self._path, self._card = bundle.weights, bundle.card
        self._module = network.inference_module().to(self._device)

    @torch.inference_mode()
    def run(
        self, images: NDArray[np.float32], shares: NDArray[np.float32] | None = None
    ) -> Mapping[str, NDArray[np.float32]]:
        """See `bonaface.inference.runtime.Runner.run`."""
        given = [torch.from_numpy(array).to(self._device) for array in (images, shares) if array is not None]
        values = [value.float().cpu().numpy() for value in self._module(*given)]
        return checked_outputs(self._path, self._card, values, len(images))


def load_network(bundle: Bundle) -> PadModel:
    """Return the bundle's network with its weights, in eval mode, on the CPU. Nothing is fetched from a hub.

    Raises:
        ModelFileError: the weights don't fit the network that the bundle describes.
    """
    card = bundle.card
    network = create_model(
        card.model, backbone=card.backbone, size=card.input_size, pretrained=False, **card.options
    )
    network.load_inference_state_dict(load(bundle.weights.read_bytes()))
    return network.eval()
