"""A printed photograph: separation into inks, halftone screen or error diffusion, ink on paper.

Colour follows Neugebauer with Demichel's shares (the dots of the inks overlap at random) and the Yule-Nielsen
exponent for light that spreads in the paper; see Yule, *Principles of color reproduction*. A laser printer or a
press screens with turned lattices of dots (`halftone`), an ink-jet with error diffusion (Floyd & Steinberg
1976) at its own resolution.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonaface.simulate.camera import Wave
from bonaface.simulate.halftone import dot_waves, too_fine
from bonaface.simulate.light import Light, Picture, clouds, coloured, planes_of, srgb_decode
from bonaface.simulate.seeds import between, by_ratio, chance
from bonaface.simulate.warp import Map, sample

Floats = NDArray[np.floating[Any]]

# Reflectance of full cyan, magenta, yellow and black on white paper, linear sRGB. After the coated-paper
# characterisation FOGRA39, common ink-jet dyes on plain paper, and on photo paper, which holds a black of a density of
# 2.1 where others reach 1.4 to 1.6; the gamut that they span is what a print can show.
_INKS = {
    "press": np.array([[0.02, 0.34, 0.77], [0.76, 0.02, 0.20], [0.97, 0.82, 0.03], [0.035, 0.035, 0.04]]),
    "dye": np.array([[0.05, 0.45, 0.82], [0.80, 0.04, 0.30], [0.98, 0.87, 0.05], [0.025, 0.025, 0.03]]),
    "photo": np.array([[0.02, 0.42, 0.82], [0.80, 0.015, 0.27], [0.98, 0.87, 0.02], [0.008, 0.008, 0.008]]),
}
_ANGLES = (15.0, 75.0, 0.0, 45.0)
_GRID, _BITS = 17, 6
_SMOOTH = 20  # dots in a pixel from which their grain is under one part in a hundred


@dataclass(frozen=True)
class Printer:
    """A printer, its inks and the paper in it."""

    name: str
    inks: str = "dye"  # press, dye or photo
    screen: float = 0.0  # lines an inch of a dot screen; 0: error diffusion
    dots: float = 600.0  # dots an inch of error diffusion
    gain: float = 0.03  # dot gain at half coverage beyond what the driver's table takes into account
    grey: float = 0.6  # share of grey that is printed in black
    white: tuple[float, float, float] = (0.88, 0.88, 0.89)  # of the paper
    gloss: float = 0.3  # 0 matt to 1 photo paper
    fibre: float = 0.012  # unevenness of the paper
    banding: float = 0.008  # unevenness from one pass of the head to the next
    weak: tuple[float, float, float] = (
        1.0,
        1.0,
        1.0,
    )  # cyan, magenta, yellow: below 1 for a tank that is nearly empty
    density: float = 1.0  # of all inks: below 1 in draft mode, and on plain paper, which absorbs them


PRINTERS = (
    Printer("printer-1", "photo", 0.0, 600.0, 0.02, 0.5, (0.90, 0.90, 0.92), 0.85, 0.006, 0.006),
    Printer("printer-2", "press", 106.0, 600.0, 0.06, 0.8, (0.83, 0.84, 0.87), 0.15, 0.018, 0.004),
)


_ON_PHOTO_PAPER = 0.4  # share of the prints
_FULL = (1.0, 1.0, 1.0)
_DRY = ((0.7, 1.0, 1.0), (1.0, 0.7, 1.0), (1.0, 1.0, 0.7))


def draw_printer(rng: np.random.Generator) -> Printer:
    """Draw a printer of home, office or photo shop, sometimes with a tank that is nearly empty."""
    photo = chance(rng, _ON_PHOTO_PAPER)
    screened = chance(rng, 0.4) and not photo
    # Only a few kinds of separation, so that their tables are computed once.
    dry = int(rng.integers(3)) if chance(rng, 0.3) else -1
    base = between(rng, 0.76, 0.93)
    # Brighteners make office and photo paper blue: CIELAB b* down to -12 (ISO 2470-2 measures them), rarely yellow.
    tone = between(rng, -0.03, 0.10)
    fibre = (0.0005, 0.004) if photo else (0.002, 0.03)  # of recycled paper the most
    return Printer(
        "laser" if screened else "ink-jet",
        "photo" if photo else "press" if screened or chance(rng, 0.3) else "dye",
        between(rng, 80, 175) if screened else 0.0,
        by_ratio(rng, 1200 if photo else 500, 2400),
        between(rng, -0.05, 0.12),
        float(rng.choice([0.3, 0.6, 0.9])),
        (base - tone, base, base + tone),
        between(rng, 0.4, 1.0) if photo else between(rng, 0.0, 0.6),
        by_ratio(rng, *fibre),
        between(rng, 0.0, 0.012),
        _FULL if dry < 0 else _DRY[dry],
        between(rng, 0.8, 1.0) if chance(rng, 0.3) and not photo else 1.0,
    )


@dataclass(frozen=True)
class Print:
    """A sheet out of the printer: (3, H, W) reflectance, (4, H, W) ink coverage in codes, millimetres a pixel."""

    reflectance: Light
    coverage: NDArray[np.uint8]
    pitch: float
    printer: Printer

    def waves(self, where: Map, light: Light) -> tuple[Wave, ...]:
        """Return the dots of the printing screen as waves in the camera's picture.

        Args:
            where: (2, H, W) position on the sheet in its pixels, for every pixel of the camera's picture.
            light: (3, H, W) the light that comes from the sheet there.
        """
        if self.printer.screen == 0.0:
            return ()
        periods = where * np.float32(self.pitch * self.printer.screen / 25.4)
        waves: list[Wave] = []
        for ink, angle in enumerate(_ANGLES):
            if too_fine(periods, angle):
                continue
            taken = (1.0 - _INKS[self.printer.inks][ink]).astype(np.float32)
            share = sample(self.coverage[ink].astype(np.float32) / 255, where)
            effect = -coloured(1.0 / (1.0 - share * taken.mean()), taken) * light
            waves.extend(dot_waves(periods, share, effect, angle))
        return tuple(waves)


def print_picture(picture: Picture, printer: Printer, width_mm: float, rng: np.random.Generator) -> Print:
    """Print a picture (H, W, 3) uint8 `width_mm` wide. One pixel stays one pixel, so scale the picture first."""
    pitch = width_mm / picture.shape[1]
    coverage = _separated(picture, printer)
    dots = max(1, round((printer.dots * pitch / 25.4) ** 2))
    if printer.screen == 0.0 and dots < _SMOOTH:
        coverage = _diffused(coverage, dots)
    reflectance = _inked(coverage, printer)
    bands = _bands(picture.shape[0], pitch, printer, rng)
    paper = clouds(picture.shape[:2], max(0.8 / pitch, 1.5), rng, 1)
    paper *= np.float32(printer.fibre)
    paper += 1.0
    for plane, white in zip(reflectance, printer.white, strict=True):
        # A pass with more ink absorbs more light.
        plane *= 1.0 - bands * (1.0 - plane)
        plane *= paper * np.float32(white)
    return Print(reflectance, coverage, pitch, printer)


def _inked(coverage: NDArray[np.uint8], printer: Printer) -> Light:
    """Convert ink coverage (4, H, W) in codes to reflectance (3, H, W) on white: the product over inks of 1 - a (1 -
    R).
    """
    out = np.ones((3, *coverage.shape[1:]), np.float32)
    grown = np.float32(4 * printer.gain)
    for ink, codes in enumerate(coverage):
        area = codes * np.float32(1 / 255)
        area *= (1 + grown) - grown * area
        np.minimum(area, 1.0, out=area)
        for channel, left in enumerate(_INKS[printer.inks][ink]):
            through = area * np.float32(printer.density * (left - 1))
            through += 1.0
            out[channel] *= through
    return out


def _separated(picture: Picture, printer: Printer) -> NDArray[np.uint8]:
    """Convert sRGB codes (H, W, 3) to ink coverage (4, H, W) in codes, by the printer's table."""
    table = _separation(printer.inks, printer.grey, printer.weak)
    fine = (picture >> (8 - _BITS)).astype(np.uint32)
    inks = table[(fine[..., 0] << 2 * _BITS) | (fine[..., 1] << _BITS) | fine[..., 2]]
    return planes_of(inks.view(np.uint8).reshape(*inks.shape, 4))


@lru_cache(maxsize=64)  # three kinds of ink, three of grey, four of tank
def _separation(inks: str, grey: float, weak: tuple[float, float, float]) -> NDArray[np.uint32]:
    """Return the driver's table: for each colour of 3 x 6 bits, four codes of ink in one word."""
    table: Floats = _ink_amounts(inks, grey, weak).reshape(_GRID, _GRID, _GRID, 4)
    # The grid includes both ends, so that white stays bare paper.
    steps = np.linspace(0, _GRID - 1, 1 << _BITS)
    low = np.minimum(steps.astype(int), _GRID - 2)
    for axis in range(3):
        share = (steps - low).reshape([-1 if i == axis else 1 for i in range(4)])
        table = np.take(table, low, axis) * (1 - share) + np.take(table, low + 1, axis) * share
    codes = np.ascontiguousarray(np.rint(255 * table).astype(np.uint8))
    return codes.view(np.uint32).ravel()


def _ink_amounts(inks: str, grey: float, weak: tuple[float, float, float]) -> Floats:
    """Return the inks (17 ** 3, 4) whose print comes nearest to each colour of a grid, with black for a share of the
    grey.
    """
    axis = np.linspace(0, 1, _GRID)
    red, green, blue = np.meshgrid(axis, axis, axis, indexing="ij")
    wanted = srgb_decode(np.stack([red, green, blue], -1).reshape(-1, 3))
    # The darkest print is black: the whole scale is compressed into the gamut.
    colours = _INKS[inks]
    darkest = colours[3].mean()
    wanted = darkest + (1.0 - darkest) * wanted
    black = grey * np.clip(1.0 - wanted.max(1) ** 0.5, 0, 1)
    rest = wanted / (1.0 - black[:, None] * (1.0 - colours[3]))
    amounts = np.zeros((len(wanted), 3))
    for _ in range(12):
        for ink in range(3):
            others = np.prod([1 - amounts[:, [o]] * (1 - colours[o]) for o in range(3) if o != ink], axis=0)
            best = (1.0 - rest[:, ink] / np.maximum(others[:, ink], 1e-3)) / (1.0 - colours[ink, ink])
            amounts[:, ink] = np.clip(best, 0.0, 1.0)
    amounts *= weak
    result: Floats = np.c_[amounts, black]
    return result


def _diffused(coverage: NDArray[np.uint8], dots: int) -> NDArray[np.uint8]:
    """Return `coverage` after error diffusion: each pixel holds `dots` dots of ink, of which a whole number is set.

    Whole dots are set, and the remaining fraction is diffused by Floyd & Steinberg's algorithm.
    """
    levels = np.arange(256) * dots / 255
    full = np.floor(levels)
    fraction = np.rint((levels - full) * 255).astype(int).tolist()
    without, with_last = (
        np.rint(np.minimum(full + i, dots) * 255 / dots).astype(int).tolist() for i in (0, 1)
    )
    inks = []
    for plane in coverage:
        image = Image.fromarray(plane)
        last = image.point(fraction).convert("1")
        inks.append(np.asarray(Image.composite(image.point(with_last), image.point(without), last)))
    return np.stack(inks)


def _bands(height: int, pitch: float, printer: Printer, rng: np.random.Generator) -> Floats:
    """Return how much more ink each row got, (H, 1): passes of the head, each some millimetres high, differ a
    little.
    """
    passes = rng.normal(0.0, max(printer.banding, 1e-6), 512)
    at = np.arange(height) * pitch / 3.4 + 512 * rng.random()
    result: Floats = np.interp(at % 511, np.arange(512), passes).astype(np.float32)[:, None]
    return result
