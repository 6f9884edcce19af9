"""Export formats by name: what a finished bundle is turned into for other programs."""

import shutil
from collections.abc import Callable
from pathlib import Path

from bonaface.core.errors import UnknownNameError
from bonaface.core.files import whole_file
from bonaface.inference.bundle import Bundle

ExportFormat = Callable[[Bundle, Path], None]

_formats: dict[str, ExportFormat] = {}


def register_format(name: str, write: ExportFormat) -> None:
    """Make an export format known by name: ``write(bundle, path)`` writes the bundle's network to `path`."""
    _formats[name] = write


def format_names() -> tuple[str, ...]:
    """Return the names of all export formats, sorted."""
    return tuple(sorted(_formats))


def export_bundle(bundle: Bundle, name: str, path: Path) -> None:
    """Write the network of `bundle` to `path` in the format `name`.

    Raises:
        UnknownNameError: there is no such format.
    """
    if name not in _formats:
        raise UnknownNameError("export format", name, format_names())
    _formats[name](bundle, path)


def _copy_onnx(bundle: Bundle, path: Path) -> None:
    """Copy the bundle's own ONNX file, whole or not at all."""
    with whole_file(path) as part:
        shutil.copyfile(bundle.onnx, part)


register_format("onnx", _copy_onnx)
