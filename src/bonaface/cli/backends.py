"""The runtime of a network: onnxruntime, or torch where it is asked for."""

from pathlib import Path
from typing import TYPE_CHECKING

from bonaface.core.errors import MissingExtraError, UnknownNameError

if TYPE_CHECKING:
    from bonaface.inference.runtime import Runner


def torch_runner(model: Path, backend: str) -> "Runner | None":
    """Return the torch runner of a bundle, or None for onnxruntime, which needs nothing more than the bundle.

    Raises:
        UnknownNameError: `backend` is neither ``onnx`` nor ``torch``.
        MissingExtraError: torch is asked for and not installed.
    """
    if backend == "onnx":
        return None
    if backend != "torch":
        raise UnknownNameError("backend", backend, ("onnx", "torch"))
    from bonaface.inference.bundle import Bundle

    try:
        from bonaface.export.torch_runner import TorchRunner
    except ModuleNotFoundError as error:
        raise MissingExtraError("the torch backend", "train", str(error.name)) from error
    return TorchRunner(Bundle.open(model))
