"""Run a bundle's network by OpenVINO (``bonaface[openvino]``): its own files, or ``model.onnx``."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import InputError, MissingExtraError, ModelFileError
from bonaface.core.machine import usable_cores
from bonaface.inference.bundle import OPENVINO, Bundle
from bonaface.inference.onnx_file import has_external_data
from bonaface.inference.runtime import (
    FLOAT,
    SECONDS,
    SHARES,
    STOPPED,
    Ports,
    check_inputs,
    check_outputs,
    checked_outputs,
    first_line,
    inputs_by_name,
    output_names,
)

_ENDLESS = {"Loop", "TensorIterator"}


class OpenVinoRunner:
    """A bundle's network in OpenVINO, computed in single precision whatever the processor offers.

    Args:
        bundle: the opened bundle.
        threads: threads for one run; None means one for each core this process may use.
        seconds: after how long for a picture the network is stopped.
        device: OpenVINO's name of a device, in small letters; only the CPU is tested.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        InputError: it has no such device.
        ModelFileError: it can't load the network, which needs further files, or loops, or takes or gives something else
            than the bundle says.
    """

    def __init__(
        self, bundle: Bundle, threads: int | None = None, seconds: float = SECONDS, device: str = "cpu"
    ) -> None:
        core = _core()
        devices = [name.lower() for name in core.available_devices]
        if device not in devices:
            raise InputError(f"OpenVINO has no device {device!r} here; it has {', '.join(devices) or 'none'}")
        self._path = bundle.openvino if bundle.holds(OPENVINO) else bundle.onnx
        self._card, self._seconds = bundle.card, seconds
        # By itself it computes in bfloat16 where a processor can, which moves scores from machine to machine.
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if device == "cpu":
            settings["INFERENCE_NUM_THREADS"] = threads or usable_cores()
        try:
            network = _read(core, self._path)
            self._network = core.compile_model(network, device.upper(), settings)
        except RuntimeError as error:
            raise ModelFileError(
                f"{self._path}: OpenVINO can't load this network ({_said(error)})"
            ) from error
        inputs = _ports(network.inputs)
        check_inputs(self._path, inputs, bundle.card)
        check_outputs(self._path, _ports(network.outputs), bundle.card)
        self._takes_shares = SHARES in inputs
        self._one_at_a_time = threading.Lock()  # a request can't be used by two threads
        self._request: Any = None

    def run(
        self, images: NDArray[np.float32], shares: NDArray[np.float32] | None = None
    ) -> Mapping[str, NDArray[np.float32]]:
        """See `bonaface.inference.runtime.Runner.run`.

        Raises:
            ModelFileError: the network fails, takes too long, or gives something else than scores and maps.
        """
        given = inputs_by_name(self._path, images, shares, self._takes_shares)
        with self._one_at_a_time:
            values = self._run(given, len(images))
        return checked_outputs(self._path, self._card, values, len(images))

    def _run(self, given: Mapping[str, NDArray[np.float32]], count: int) -> list[NDArray[np.float32]]:
        self._request = self._request or self._network.create_infer_request()
        request, limit = self._request, self._seconds * max(count, 1)
        why = ""
        try:
            request.start_async(given)
            if not request.wait_for(round(limit * 1000)):
                why = STOPPED.format(limit, count)
                request.cancel()  # takes effect between two nodes
                request.wait()
        except RuntimeError as error:
            why = why or f"failed ({_said(error)})"
        if why:
            self._request = None
            raise ModelFileError(f"{self._path}: the network {why}; take another bundle")
        # Copied: the next run writes into the same memory.
        return [np.array(request.get_tensor(name).data) for name in output_names(self._card)]


def _core() -> Any:
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise MissingExtraError("the runtime openvino", "openvino", str(error.name)) from error
    return openvino.Core()


def _read(core: Any, path: Path) -> Any:
    """Return the network at `path`.

    Raises:
        ModelFileError: it lies in several files, or has loops: a network of Bonaface's has none, and OpenVINO can't be
            stopped inside one.
    """
    if path.suffix == ".onnx" and has_external_data(path):
        raise ModelFileError(f"{path}: expected a network in one file, but its weights lie in others")
    weights = [path.with_suffix(".bin")] if path.name == OPENVINO else []
    network = core.read_model(path, *weights)
    loops = sorted({node.get_type_name() for node in network.get_ops()} & _ENDLESS)
    if loops:
        raise ModelFileError(
            f"{path}: expected a network without loops, got {', '.join(loops)}; take another bundle"
        )
    return network


def _ports(ports: list[Any]) -> Ports:
    """Return shape and type by name, written as onnxruntime does: a size that is free is no number."""
    found = {}
    for port in ports:
        shape = [side.get_length() if side.is_static else str(side) for side in port.get_partial_shape()]
        kind = port.get_element_type().get_type_name()
        for name in port.get_names():
            found[name] = (shape, FLOAT if kind == "f32" else kind)
    return found


def _said(error: RuntimeError) -> str:
    """Return the cause in OpenVINO's message, which begins with places in its source."""
    lines = [
        line for line in str(error).splitlines() if line and not line.startswith(("Exception from", "Check"))
    ]
    return lines[0].strip() if lines else first_line(error)
