"""A figure, as every function that makes one returns it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from bonaface.drawing.vector import Drawing


@dataclass(frozen=True, eq=False)
class Figure:
    """A drawing with its arrays; `findings` are sentences on what was measured, `captions` name the samples."""

    name: str
    title: str
    drawing: Drawing
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    captions: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
