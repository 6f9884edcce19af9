"""Backends that run a bundle's network. onnxruntime is the light one; torch's is `bonaface.export.torch_runner`."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from bonaface.core.errors import ModelFileError
from bonaface.core.machine import usable_cores
from bonaface.inference.bundle import Bundle

MAP_PREFIX = "map_"


class Runner(Protocol):
    """Runs a network on normalised images."""

    def run(self, images: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        """Images (B, 3, H, W) float32 -> score outputs (B,) in [0, 1] and maps (B, h, w) in [0, 1], by name.

        A map's name has the prefix ``map_``, so that it never meets a score output's.
        """
        ...


class OnnxRunner:
    """A bundle's ``model.onnx`` in onnxruntime on the CPU.

    Args:
        bundle: the opened bundle.
        threads: threads for one run; None means one for each core this process may use.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or usable_cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._names: list[str] = [*bundle.card.outputs, *(f"{MAP_PREFIX}{name}" for name in bundle.card.maps)]
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(bundle.onnx), options, providers=["CPUExecutionProvider"]
            )
        # onnxruntime's own exception classes share no base narrower than Exception.
        except Exception as error:
            raise ModelFileError(f"{bundle.onnx}: onnxruntime can't load this network ({error})") from error
        absent = set(self._names) - {output.name for output in self._session.get_outputs()}
        if absent:
            raise ModelFileError(f"{bundle.onnx}: the network lacks the outputs {', '.join(sorted(absent))}")

    def run(self, images: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        """See `Runner.run`."""
        return dict(zip(self._names, self._session.run(self._names, {"images": images}), strict=True))
