"""What an export format is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A format that networks are exported to.

    `write(network, folder, half)` writes the ONNX file `network` into `folder`, as the files that a bundle for
    `runtime` has. It has 8-bit operations in it already where int8 was asked for; with `half` large weights are
    rounded to float16. `load` and `run` are the lines of Python, for a person to copy, that load such files and give
    ``score`` for ``inputs`` without Bonaface.
    """

    write: Callable[[Path, Path, bool], None]
    runtime: str
    load: str
    run: str
