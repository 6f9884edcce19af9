"""Export formats by name."""

from bonaface.core.errors import UnknownNameError
from bonaface.export import onnx_format, openvino_format
from bonaface.export.format import ExportFormat

_formats: dict[str, ExportFormat] = {"onnx": onnx_format.FORMAT, "openvino": openvino_format.FORMAT}


def register_format(name: str, about: ExportFormat) -> None:
    """Make an export format known by name."""
    _formats[name] = about


def format_names() -> tuple[str, ...]:
    """Return the names of all export formats, sorted."""
    return tuple(sorted(_formats))


def find_format(name: str) -> ExportFormat:
    """Return the format `name`.

    Raises:
        UnknownNameError: there is no such format.
    """
    if name not in _formats:
        raise UnknownNameError("export format", name, format_names())
    return _formats[name]
