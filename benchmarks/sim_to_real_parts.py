"""Run `bonaface simulate` without a part of the chain, for benchmarks/sim_to_real.py.

    python benchmarks/sim_to_real_parts.py PART simulate OUT --layout folder ...

It works in this process alone: nothing is patched in another. PART is one of `PARTS`.
"""

import sys
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np

from bonaface.cli.main import app
from bonaface.simulate import pictures, sets, studio
from bonaface.simulate.camera import Camera, Shot, View, photograph
from bonaface.simulate.display import Display, draw_display
from bonaface.simulate.flat import Hold
from bonaface.simulate.light import Picture
from bonaface.simulate.printer import Printer, draw_printer
from bonaface.simulate.props import Grip, draw_grip
from bonaface.simulate.scene import Lighting, lighting

Random = np.random.Generator
_PERFECT = Camera(
    "perfect", lens=0.3, fringe=0.0, vignette=0.0, full_well=1e7, read=0.0, denoise=0.0, sharpen=0.0, saturation=1.0,
    white=1.0, quality=98,
)  # fmt: skip


def _perfect_camera(*_: Any) -> Camera:
    return _PERFECT


def _one_light(_: Random) -> Lighting:
    return lighting(5500.0, 0.0, 30.0, 0.6, 0.9, 0.1)


def _good_printer(rng: Random) -> Printer:
    """Return a printer with fine dots, no dot gain and matt white paper: only the inks' colours are left."""
    fine = replace(draw_printer(rng), screen=0.0, dots=720.0, gain=0.0, gloss=0.0, fibre=0.0, banding=0.0)
    return replace(fine, white=(0.93, 0.93, 0.93), weak=(1.0, 1.0, 1.0))


def _good_display(rng: Random, kind: str, *_: Any) -> Display:
    """Return a display without reflections, banding or shift with the angle, and with the room's white."""
    return replace(
        draw_display(rng, kind), white=(1.0, 1.0, 1.0), shift=0.0, vivid=1.0, pulse=0.0, mirror=0.0
    )


def _still(*_: Random, **__: bool) -> Hold:
    return Hold()


def _filling(rng: Random, eyes_mm: tuple[float, float], hands: float = 0.5) -> Grip:
    """Return a grip without hands, people behind or white margin; the photograph is not cropped."""
    return Grip(draw_grip(rng, eyes_mm, hands).eyes_mm)


def _without_waves(view: View, camera: Camera, shot: Shot, rng: Random) -> Picture:
    return photograph(View(view.light), camera, shot, rng)


def _only(*kinds: str) -> dict[str, float]:
    shares = {name: share for name, share in pictures.SPECIES.items() if name.startswith(kinds)}
    return {name: share / sum(shares.values()) for name, share in shares.items()}


# part: what takes its place, by module and name
PARTS: dict[str, tuple[Any, str, Any]] = {
    "camera": (pictures, "draw_camera", _perfect_camera),
    "shot": (pictures, "in_focus", lambda *_: Shot()),
    "focus": (pictures, "in_focus", lambda shot, *_: shot),
    "light": (pictures, "draw_lighting", _one_light),
    "printer": (pictures, "draw_printer", _good_printer),
    "display": (pictures, "draw_display", _good_display),
    "dots": (studio, "photograph", _without_waves),
    "hold": (pictures, "draw_hold", _still),
    "edges": (pictures, "draw_grip", _filling),
    "masks": (sets, "SPECIES", _only("print-held", "display")),
    "screens": (sets, "SPECIES", _only("print")),
}


if __name__ == "__main__":
    part, *arguments = sys.argv[1:]
    with patch.object(*PARTS[part]):
        app([*arguments, "--workers", "1"])
