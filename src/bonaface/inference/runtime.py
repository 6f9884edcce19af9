"""Run a bundle's network by onnxruntime, and hold what any runtime gives to the bundle; `runners` chooses one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, Timer
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from bonaface.core.errors import InputError, ModelFileError, UnknownNameError
from bonaface.core.machine import usable_cores
from bonaface.inference.bundle import Bundle, BundleCard
from bonaface.inference.onnx_file import has_external_data, network_source

MAP_PREFIX = "map_"
IMAGES, SHARES = "images", "shares"
SECONDS = 60.0  # that a network may take for a picture

STOPPED = "was stopped after {:.3g} s for {} picture(s)"
FLOAT = "tensor(float)"
# Where onnxruntime can run a network, and the providers that do it there, the first that is built in.
DEVICES = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
    "coreml": ("CoreMLExecutionProvider", "CPUExecutionProvider"),
}

# A graph's inputs or outputs: shape and element type by name.
Ports = Mapping[str, tuple[list[Any], str]]

_ROUNDING = 1e-5  # by which a mean of values in [0, 1] may leave them


class Runner(Protocol):
    """Run a network on normalised images."""

    def run(
        self, images: NDArray[np.float32], shares: NDArray[np.float32] | None = None
    ) -> Mapping[str, NDArray[np.float32]]:
        """Return score outputs (B,) in [0, 1] and maps (B, h, w) in [0, 1] by name.

        A map's name has the prefix ``map_``, so that it never meets a score output's.

        Args:
            images: (B, 3, H, W) float32, or (B, V, 3, H, W) for a network that reads V crops of a face.
            shares: (B, V) float32 in [0, 1], the mirrored share of each of several crops.
        """
        ...


class OnnxRunner:
    """A bundle's ``model.onnx`` in onnxruntime.

    Args:
        bundle: the opened bundle.
        threads: threads for one run; None means one for each core this process may use.
        seconds: after how long for a picture the network is stopped.
        device: one of `DEVICES`; only the CPU is tested.

    Raises:
        UnknownNameError: there is no such device.
        InputError: this installation of onnxruntime lacks the device, or can't start it.
        ModelFileError: onnxruntime can't load the network, it needs further files, or it takes or gives something else
            than the bundle says.
    """

    def __init__(
        self, bundle: Bundle, threads: int | None = None, seconds: float = SECONDS, device: str = "cpu"
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or usable_cores()
        options.inter_op_num_threads = 1
        # Waiting threads sleep: spinning ones take the processor from other processes, and those of `--jobs` from each
        # other.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        providers = _providers(device)
        self._path, self._card, self._seconds = bundle.onnx, bundle.card, seconds
        self._names = output_names(bundle.card)
        if has_external_data(bundle.onnx):
            raise ModelFileError(
                f"{bundle.onnx}: expected a network in one file, but its weights lie in others; this is no bundle that "
                "Bonaface writes"
            )
        try:
            source = network_source(bundle.onnx)
            self._session: Any = onnxruntime.InferenceSession(source, options, providers=providers)
        # onnxruntime's own exception classes share no base narrower than Exception.
        except Exception as error:
            raise ModelFileError(
                f"{bundle.onnx}: onnxruntime can't load this network ({first_line(error)})"
            ) from error
        # A provider that can't start, for want of a driver, is passed over with a mere line on standard error.
        if providers[0] not in self._session.get_providers():
            raise InputError(f"onnxruntime can't start its device {device} here; take --runtime onnxruntime")
        inputs = self._session.get_inputs()
        check_inputs(bundle.onnx, {each.name: (each.shape, each.type) for each in inputs}, bundle.card)
        outputs = self._session.get_outputs()
        check_outputs(bundle.onnx, {each.name: (each.shape, each.type) for each in outputs}, bundle.card)
        self._takes_shares = SHARES in {each.name for each in inputs}

    def run(
        self, images: NDArray[np.float32], shares: NDArray[np.float32] | None = None
    ) -> Mapping[str, NDArray[np.float32]]:
        """See `Runner.run`.

        Raises:
            ModelFileError: the network fails, takes too long, or gives something else than scores and maps.
        """
        given = inputs_by_name(self._path, images, shares, self._takes_shares)
        options, late = onnxruntime.RunOptions(), Event()

        def stop() -> None:
            late.set()
            options.terminate = True  # takes effect between two nodes, also inside a loop

        limit = self._seconds * max(len(images), 1)
        timer = Timer(limit, stop)
        timer.daemon = True
        timer.start()
        try:
            values = self._session.run(self._names, given, options)
        except Exception as error:
            why = STOPPED.format(limit, len(images)) if late.is_set() else f"failed ({first_line(error)})"
            raise ModelFileError(f"{self._path}: the network {why}; take another bundle") from error
        finally:
            timer.cancel()
        return checked_outputs(self._path, self._card, values, len(images))


def first_line(error: Exception) -> str:
    """Return what a runtime says, without the call stack that may follow."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def output_names(card: BundleCard) -> list[str]:
    """Return the names of what a network gives, in the order of its bundle's description."""
    return [*card.outputs, *(f"{MAP_PREFIX}{name}" for name in card.maps)]


def checked_outputs(
    path: Path, card: BundleCard, values: list[Any], count: int
) -> dict[str, NDArray[np.float32]]:
    """Return by name what the network at `path` gave for `count` pictures, if these are scores and maps in [0, 1].

    Raises:
        ModelFileError: they are not.
    """
    named = {}
    for name, given in zip(output_names(card), values, strict=True):
        expected = 1 if name in card.outputs else 3
        array = np.asarray(given)
        if array.ndim != expected or len(array) != count or array.dtype != np.float32:
            raise ModelFileError(
                f"{path}: for {count} picture(s) the network's output {name} must be float32 with {expected} "
                f"dimension(s), the first of {count}, got {array.dtype} {array.shape}; take another bundle"
            )
        wrong = array[~((array >= -_ROUNDING) & (array <= 1 + _ROUNDING))]  # NaN is wrong too
        if wrong.size:
            raise ModelFileError(
                f"{path}: the network gave {name} = {wrong.flat[0]:g}, but scores and maps lie in [0, 1]; take "
                "another bundle"
            )
        named[name] = np.clip(array, 0.0, 1.0)
    return named


def _providers(device: str) -> list[str]:
    if device not in DEVICES:
        raise UnknownNameError("device of onnxruntime", device, DEVICES)
    offered = onnxruntime.get_available_providers()
    if DEVICES[device][0] not in offered:
        raise InputError(
            f"this onnxruntime was built without {DEVICES[device][0]}; install a build that has it (onnxruntime-gpu "
            "for cuda and tensorrt, in place of onnxruntime), or take --runtime onnxruntime. It has "
            f"{', '.join(offered)}"
        )
    return [provider for provider in DEVICES[device] if provider in offered]


def inputs_by_name(
    path: Path, images: NDArray[np.float32], shares: NDArray[np.float32] | None, takes_shares: bool
) -> dict[str, NDArray[np.float32]]:
    """Return what the network at `path` is given, by name.

    Raises:
        ModelFileError: it needs shares, and there are none.
    """
    if not takes_shares:
        return {IMAGES: images}
    if shares is None:
        raise ModelFileError(f"{path}: this network needs the mirrored share of each crop")
    return {IMAGES: images, SHARES: shares}


def check_inputs(path: Path, inputs: Ports, card: BundleCard) -> None:
    """Raise ModelFileError where the network at `path` takes something else than `card` says."""
    views = len(card.views)
    several = [views] if views > 1 else []
    wanted: dict[str, list[int | None]] = {IMAGES: [None, *several, 3, card.input_size, card.input_size]}
    if several and len(inputs) > 1:
        wanted[SHARES] = [None, views]
    found = {name: shape for name, (shape, _) in inputs.items()}
    kinds = [kind for _, kind in inputs.values()]
    fits = found.keys() == wanted.keys() and all(_fits(found[name], wanted[name]) for name in wanted)
    if fits and set(kinds) == {FLOAT}:
        return
    raise ModelFileError(
        f"{path}: by the bundle's description the network takes {_described(wanted)}, float32 with any number B of "
        f"pictures, but it takes {_described(found)} ({', '.join(kinds)}); take another bundle"
    )


def check_outputs(path: Path, outputs: Ports, card: BundleCard) -> None:
    """Raise ModelFileError where the network at `path` lacks an output of `card`, or gives it another form."""
    names = output_names(card)
    absent = sorted(set(names) - outputs.keys())
    if absent:
        raise ModelFileError(f"{path}: the network lacks the outputs {', '.join(absent)}")
    for name in names:
        wanted = 1 if name in card.outputs else 3
        shape, kind = outputs[name]
        if kind != FLOAT or len(shape) != wanted or isinstance(shape[0], int):
            raise ModelFileError(
                f"{path}: by the bundle's description the network's output {name} is float32 with {wanted} "
                f"dimension(s) and any number B of pictures, got {kind} {_described({name: shape})}; take another "
                "bundle"
            )


def _fits(shape: Sequence[Any], wanted: Sequence[int | None]) -> bool:
    """Return whether a graph's `shape` takes arrays of the `wanted` one: None is any size, as a name in the graph."""
    return len(shape) == len(wanted) and all(
        not isinstance(given, int) if size is None else given == size or not isinstance(given, int)
        for given, size in zip(shape, wanted, strict=True)
    )


def _described(shapes: Mapping[str, Sequence[Any]]) -> str:
    return " and ".join(
        f"{name} ({', '.join('B' if size is None else str(size) for size in shape)})"
        for name, shape in shapes.items()
    )
