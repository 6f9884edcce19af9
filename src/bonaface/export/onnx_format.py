"""The export format ``onnx``: one file for onnxruntime."""

import shutil
from pathlib import Path

from bonaface.core.files import whole_file
from bonaface.export.format import ExportFormat
from bonaface.export.half import halve_weights
from bonaface.inference.bundle import ONNX


def write(network: Path, folder: Path, half: bool) -> None:
    """Write ``model.onnx``; with `half`, of half the size, computed in single precision as before."""
    if half:
        halve_weights(network, folder / ONNX)
        return
    with whole_file(folder / ONNX) as part:
        shutil.copyfile(network, part)


FORMAT = ExportFormat(
    write,
    "onnxruntime",
    load=f'import onnxruntime\n\nnetwork = onnxruntime.InferenceSession("{ONNX}")',
    run="network.run([OUTPUT], inputs)[0][0]",
)
