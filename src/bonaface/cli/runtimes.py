"""The option that names the runtime of a network."""

from typing import TYPE_CHECKING, Annotated

import typer

from bonaface.core.errors import MissingExtraError, UnknownNameError

if TYPE_CHECKING:
    from bonaface.inference.bundle import Bundle
    from bonaface.inference.runtime import Runner

RuntimeOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[:DEVICE]",
        help="onnxruntime, openvino or torch, and the device that it runs on: onnxruntime:cuda (or tensorrt, coreml), "
        "torch:cuda:1. Default: onnxruntime on the CPU, or openvino, if the bundle was exported for it alone; torch "
        "takes a GPU if there is one.",
        show_default=False,
    ),
]


def open_runner(bundle: "Bundle", runtime: str | None = None, threads: int | None = None) -> "Runner":
    """Return what runs the network of `bundle`, as `bonaface.inference.runners.open_runner` does, or in torch.

    Raises:
        UnknownNameError: there is no such runtime or device.
        MissingExtraError: it is not installed.
        BonafaceError: it can't run this network.
    """
    from bonaface.inference import runners

    name, _, device = (runtime or "").partition(":")
    if runtime and name not in (*runners.RUNTIMES, "torch"):
        raise UnknownNameError("runtime", name, (*runners.RUNTIMES, "torch"))
    if name != "torch":
        return runners.open_runner(bundle, runtime, threads)
    try:
        from bonaface.export.torch_runner import TorchRunner
    except ModuleNotFoundError as error:
        raise MissingExtraError("the runtime torch", "train", str(error.name)) from error
    return TorchRunner(bundle, device or None)
