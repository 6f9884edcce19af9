"""The export format ``openvino``: OpenVINO's own files (``bonaface[openvino]``)."""

from pathlib import Path

from bonaface.core.errors import MissingExtraError
from bonaface.export.format import ExportFormat
from bonaface.inference.bundle import OPENVINO


def write(network: Path, folder: Path, half: bool) -> None:
    """Write ``model.xml`` and ``model.bin``, with `half` of half the size.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise MissingExtraError("the format openvino", "openvino", str(error.name)) from error
    # Read by the core, for openvino.convert_model reports to its makers that it was called.
    openvino.save_model(openvino.Core().read_model(network), folder / OPENVINO, compress_to_fp16=half)


FORMAT = ExportFormat(
    write,
    "openvino",
    # Single precision, as the parity was measured in.
    load=(
        'import openvino\n\nprecision = {"INFERENCE_PRECISION_HINT": "f32"}\n'
        f'network = openvino.Core().compile_model("{OPENVINO}", "CPU", precision)'
    ),
    run="network(inputs)[OUTPUT][0]",
)
