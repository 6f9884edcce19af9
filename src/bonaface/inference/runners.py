"""The runtimes by name."""

from collections.abc import Callable

from bonaface.core.errors import UnknownNameError
from bonaface.inference.bundle import ONNX, Bundle
from bonaface.inference.openvino_runner import OpenVinoRunner
from bonaface.inference.runtime import OnnxRunner, Runner

RUNTIMES: dict[str, Callable[..., Runner]] = {"onnxruntime": OnnxRunner, "openvino": OpenVinoRunner}


def open_runner(bundle: Bundle, runtime: str | None = None, threads: int | None = None) -> Runner:
    """Return what runs the network of `bundle`.

    Args:
        bundle: the opened bundle.
        runtime: ``onnxruntime`` or ``openvino``, and a device after a colon: ``onnxruntime:cuda``. None takes
            onnxruntime on the CPU, or OpenVINO where the bundle holds a network for nothing else.
        threads: threads for one run; None means one for each core this process may use.

    Raises:
        UnknownNameError: there is no such runtime or device.
        BonafaceError: the runtime is not installed, or can't run this network.
    """
    if runtime is None:
        runtime = "onnxruntime" if bundle.holds(ONNX) or bundle.card.files is None else "openvino"
    name, _, device = runtime.partition(":")
    if name not in RUNTIMES:
        raise UnknownNameError("runtime", name, RUNTIMES)
    return RUNTIMES[name](bundle, threads, device=device or "cpu")
