"""Hair for synthetic persons: strands between the hairline and the outline of the head that the model draws.

A linear model of faces blurs hair, whose strands lie elsewhere on every head. So the model gives only the
outline and the colour, and the strands are computed: seen from the front they run like the meridians of a globe
whose poles are the parting, which is how combed hair lies (Ward et al., *A survey on hair modeling*, TVCG 13,
2007), bent by smooth noise for waves and curls. All of it lies in the mean shape's frame, at any scale.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.simulate.light import Plane, blur, clouds, coloured, resize, smooth_step
from bonaface.simulate.persons import FRAME
from bonaface.simulate.seeds import between
from bonaface.simulate.warp import sample

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class HairStyle:
    """How a head wears its hair. Lengths are in distances between the pupils."""

    parting: float  # where the meridians meet, -1 (this person's right) to 1
    curl: float  # how far strands swing, 0 (straight) to 1
    strand: float  # length along which a strand keeps its tone
    rough: float  # how far strands stand out of the outline
    fringe: float  # how far hair falls over the forehead, 0 for none
    length: float  # how far below the chin loose hair falls; below 0: it ends above
    volume: float  # how far the outline is pushed out
    cover: float  # 1 for hair, down to 0 for a shaven head
    contrast: float  # how much strands differ in tone


_Range = tuple[float, float]

# Of each style the share of heads, and a low and a high value for every field of HairStyle in its order.
_STYLES: dict[str, tuple[float, tuple[_Range, ...]]] = {
    "back": (0.28, ((-0.5, 0.5), (0.02, 0.15), (1.2, 2.5), (0.01, 0.05), (0.0, 0.0), (-1, -1), (-0.05, 0.1), (1, 1),
                    (0.2, 0.4))),
    "short": (0.27, ((-0.8, 0.8), (0.1, 0.4), (0.1, 0.3), (0.04, 0.12), (0.0, 0.22), (-2, -2), (-0.1, 0.05), (1, 1),
                     (0.25, 0.5))),
    "loose": (0.23, ((-0.5, 0.5), (0.05, 0.5), (0.8, 2.0), (0.03, 0.1), (0.0, 0.12), (0.2, 2.2), (0.1, 0.3), (1, 1),
                     (0.2, 0.4))),
    "fringe": (0.10, ((-0.4, 0.4), (0.05, 0.3), (0.6, 1.5), (0.03, 0.08), (0.3, 0.55), (-2, 1.5), (0.0, 0.2), (1, 1),
                      (0.2, 0.4))),
    "curly": (0.08, ((-0.3, 0.3), (0.7, 1.0), (0.1, 0.25), (0.08, 0.2), (0.0, 0.25), (-2, 0.8), (0.1, 0.45), (1, 1),
                     (0.35, 0.6))),
    "shaven": (0.04, ((0.0, 0.0), (0.3, 0.5), (0.02, 0.05), (0.0, 0.01), (0.0, 0.0), (-2, -2), (-0.5, -0.4),
                      (0.25, 0.7), (0.1, 0.2))),
}  # fmt: skip


def draw_style(rng: np.random.Generator) -> HairStyle:
    """Draw a style of hair, in the shares given above."""
    shares = np.array([share for share, _ in _STYLES.values()])
    name = list(_STYLES)[int(rng.choice(len(shares), p=shares / shares.sum()))]
    return HairStyle(*(between(rng, low, high) for low, high in _STYLES[name][1]))


@dataclass(frozen=True)
class HairLayer:
    """Hair in the mean shape's frame at some scale: (H, W) coverages and (3, H, W) linear colour."""

    front: Plane  # coverage of hair over the skin
    behind: Plane  # coverage of hair behind it
    colour: Floats


def comb(
    outline: Plane, face: Plane, neck: Plane, colour: Floats, style: HairStyle, rng: np.random.Generator
) -> HairLayer:
    """Return hair over a head.

    Args:
        outline: (H, W) signed distance to the outline of head and hair, frame pixels, positive inside.
        face: (H, W) in [0, 1], where the face is, to the hairline.
        neck: (H, W) in [0, 1], where the neck is.
        colour: (3,) linear colour of the hair.
    """
    scale = outline.shape[1] / FRAME.width
    eyes, chin = FRAME.eyes * scale, (FRAME.eye_row + 1.83 * FRAME.eyes) * scale
    rows = np.arange(outline.shape[0], dtype=np.float32)[:, None]
    across, along = _meridians(outline, style, scale, rng)
    strands = _strands(across, along, style, eyes, rng)
    inside = outline * np.float32(scale) + (style.volume * 0.35 + style.rough * 0.6 * strands) * eyes
    end = chin + style.length * eyes
    falls = smooth_step(end + 0.25 * eyes, end - 0.25 * eyes, rows + strands * 0.12 * eyes)
    # Short hair shows the ears and the sides of the neck.
    if style.length < -0.5:
        falls = falls * smooth_step(0.6 * eyes, 0.1 * eyes, rows - FRAME.eye_row * scale)
    behind = smooth_step(-1.5 * scale, 1.5 * scale, inside) * falls * _within(outline.shape, scale)
    behind *= np.float32(style.cover)
    tone = _tone(strands, across, rows, outline * np.float32(scale), eyes, style, rng)
    return HairLayer(
        front=behind * _hairline(face, style, strands, eyes, rows) * (1.0 - neck),
        behind=behind,
        colour=coloured(tone.astype(np.float32), colour),
    )


def _within(shape: tuple[int, ...], scale: float) -> Plane:
    """Return 1 inside the frame, falling to 0 at its top and sides, where hair must have ended."""
    x = np.abs(np.arange(shape[1], dtype=np.float32) - shape[1] / 2)[None, :]
    y = np.arange(shape[0], dtype=np.float32)[:, None]
    beside = smooth_step(shape[1] / 2 - 4 * scale, shape[1] / 2 - 30 * scale, x)
    return beside * smooth_step(20 * scale, 50 * scale, y)


def _meridians(
    outline: Plane, style: HairStyle, scale: float, rng: np.random.Generator
) -> tuple[Plane, Plane]:
    """Return the coordinates of combed hair: across the strands (H, W) and along them, both in pixels."""
    height, width = outline.shape
    x = np.arange(width, dtype=np.float32)[None, :] - np.float32(width / 2)
    y = np.arange(height, dtype=np.float32)[:, None]
    inside = outline > -2
    half = inside.sum(1, keepdims=True).astype(np.float32) / 2
    half = blur(np.maximum(half, 8.0 * scale), 10 * scale)
    crown = np.float32(style.parting) * half * np.float32(0.45)
    side = np.where(x > crown, half - crown, half + crown)
    eyes = np.float32(FRAME.eyes * scale)
    across = (x - crown) / np.maximum(side, 1.0) * (2.2 * eyes)
    along = y + 0.4 * np.abs(x - crown)
    swing = np.float32(style.curl * eyes)
    wave = clouds((height, width), 0.9 * float(eyes), rng, 3)
    across = across + swing * 0.22 * wave
    if style.curl > 0.5:
        across = across + swing * 0.16 * clouds((height, width), 0.22 * float(eyes), rng, 2)
        along = along + swing * 0.5 * clouds((height, width), 0.22 * float(eyes), rng, 2)
    return across.astype(np.float32), along.astype(np.float32)


def _strands(across: Plane, along: Plane, style: HairStyle, eyes: float, rng: np.random.Generator) -> Plane:
    """Return noise (H, W) of about unit spread that is fine across the strands and long along them."""
    total = np.zeros_like(across)
    for wide, weight in ((0.012, 0.5), (0.035, 0.6), (0.11, 0.6)):
        grain = rng.standard_normal((256, 512), np.float32)
        column = np.mod(across / np.float32(wide * eyes) + 256.0, 510.0)
        row = np.mod(along / np.float32(max(style.strand * eyes * 0.5, 2.0)) + wide * 999.0, 254.0)
        total += np.float32(weight) * sample(grain, np.stack([column, row]))
    return total


def _hairline(face: Plane, style: HairStyle, strands: Plane, eyes: float, rows: Plane) -> Plane:
    """Return 1 where hair grows or falls, 0 on the bare face, with strands across the line."""
    # Hair thins out towards the brow: the line is where a wide ramp and the strands' own noise meet.
    ramp = blur(face, 0.10 * eyes)
    bare = ramp - 0.22 * strands * np.clip(4.0 * ramp * (1.0 - ramp), 0.0, 1.0)
    if style.fringe > 0.0:
        brow = (FRAME.eye_row - 0.40 * FRAME.eyes) * eyes / FRAME.eyes
        top = (FRAME.eye_row - 1.20 * FRAME.eyes) * eyes / FRAME.eyes
        end = top + (brow - top) * min(style.fringe / 0.5, 1.1)
        bare = bare * smooth_step(end - 0.12 * eyes, end + 0.12 * eyes, rows + 0.10 * eyes * strands)
    return 1.0 - smooth_step(0.30, 0.75, bare)


def _tone(
    strands: Plane,
    across: Plane,
    rows: Plane,
    depth: Plane,
    eyes: float,
    style: HairStyle,
    rng: np.random.Generator,
) -> Plane:
    """Return the strands' brightness (H, W) around 1: their own tone, the sheen, and the dark between and below."""
    tone = 1.0 + style.contrast * 0.55 * strands
    # Kajiya & Kay (SIGGRAPH 1989): hair shines where it is across the half-way vector, a band over the brow.
    band = (FRAME.eye_row - between(rng, 1.2, 1.6) * FRAME.eyes) * eyes / FRAME.eyes
    wobble = 0.12 * eyes * np.sin(across / (0.35 * eyes)) + 0.10 * eyes * strands
    sheen = np.exp(-(((rows + wobble - band) / (0.28 * eyes)) ** 2))
    tone = tone + between(rng, 0.2, 1.0) * (1.0 - style.curl) * sheen * (
        0.6 + 0.4 * np.clip(strands, -1, 1.5)
    )
    below = smooth_step(
        (FRAME.eye_row + 0.2 * FRAME.eyes) * eyes / FRAME.eyes,
        (FRAME.eye_row + 1.2 * FRAME.eyes) * eyes / FRAME.eyes,
        rows,
    )
    inner = smooth_step(0.0, 0.45 * eyes, depth)
    result: Plane = np.clip(tone * (1.0 - 0.55 * below * inner), 0.15, 3.0)
    return result


def upsample(outline: Plane, scale: float) -> Plane:
    """Return the model's coarse outline (68, 52) in the frame at `scale`."""
    return resize(outline, (round(FRAME.width * scale), round(FRAME.height * scale)))
