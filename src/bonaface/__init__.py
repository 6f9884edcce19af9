"""Bonaface: face presentation attack detection that says what it measured."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bonaface.inference.checker import Checker as Checker

__version__ = "0.1.0"
__all__ = ["Checker", "__version__"]


def __getattr__(name: str) -> Any:
    # Importing onnxruntime takes longer than `bonaface --help` may: the checker is loaded when it is asked for.
    if name == "Checker":
        from bonaface.inference.checker import Checker

        return Checker
    raise AttributeError(f"module 'bonaface' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
