"""Material for tests and trials: drawn faces and stand-ins of the licensed sets."""

from bonaface.testing.layouts import make_layout

__all__ = ["make_layout"]
