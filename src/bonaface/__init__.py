"""Bonaface: face presentation attack detection that says what it measured.

import bonaface

checker = bonaface.load()            # the model that ships; load("runs/mine") takes another
print(checker("selfie.jpg"))
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bonaface.inference.checker import Checker as Checker
    from bonaface.inference.checker import load as load
    from bonaface.inference.verdict import Verdict as Verdict

__version__ = "0.2.0.dev0"
__all__ = ["Checker", "Verdict", "__version__", "load"]

_FROM = {"Checker": "checker", "load": "checker", "Verdict": "verdict"}


def __getattr__(name: str) -> Any:
    # Importing onnxruntime takes longer than `bonaface --help` may: what needs it is loaded when it is asked for.
    if name in _FROM:
        from importlib import import_module

        return getattr(import_module(f"bonaface.inference.{_FROM[name]}"), name)
    raise AttributeError(f"module 'bonaface' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
