"""A photograph on a screen: the panel's tones and sub-pixels, its backlight, its glass, the device around it.

Tone: a power law over a black level (IEC 61966-2-1 for the target). Sub-pixels: stripes red, green, blue, or
the diamond PenTile of AMOLED panels, with half as many red and blue as green (Brown Elliott et al., SID 2005).
Over some photographs lie the controls of the program that shows them. Viewing angle: the gamma shift of TN and VA
panels. Banding: a backlight dimmed by pulses, read by a rolling shutter row by row. Glass reflects a twenty-fifth of
what it faces (Fresnel, n = 1.5).
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bonaface.simulate.camera import Wave
from bonaface.simulate.halftone import Line, aperture_lines, lattice_waves
from bonaface.simulate.light import Light, Picture, Way, blur, luma, planes_of, resize
from bonaface.simulate.seeds import between, by_ratio, chance
from bonaface.simulate.warp import Map

Floats = NDArray[np.floating[Any]]
_CONTROLLED = 0.25  # share of the drawn displays whose picture lies under a program's controls


@dataclass(frozen=True)
class Controls:
    """What a player or a gallery draws over the picture: white, on a darkened ground.

    Attributes:
        button: radius of the play button in the middle, of the picture's shorter side; 0: none.
        bar: height of the strip with the line of time, of the picture's height; 0: none.
        played: share of the line that is coloured.
        title: height of the strip above, with words that are too small to read; 0: none.
        colour: of the line's played part, sRGB.
    """

    button: float = 0.0
    bar: float = 0.0
    played: float = 0.5
    title: float = 0.0
    colour: tuple[int, int, int] = (255, 255, 255)


@dataclass(frozen=True)
class Display:
    """A screen and its device. Light of 1.0 is that of a white sheet in the room."""

    name: str
    kind: str = "monitor"  # monitor, tablet, phone
    layout: str = "stripe"  # stripe or pentile
    dots: float = 96.0  # pixels per inch
    white: tuple[float, float, float] = (0.97, 1.0, 1.04)
    brightness: float = 1.2
    black: float = 0.003
    gamma: float = 2.2
    shift: float = 0.0  # gain of gamma from the top to the bottom of the view: TN panels
    vivid: float = 1.0  # saturation, above 1 for a wide gamut without colour management
    pulse: float = 0.0  # depth of the backlight's pulses that the shutter catches
    mirror: float = 0.04  # share that the surface reflects as a mirror; less for a matt one
    bezel: float = 0.02  # reflectance of the frame
    border: float = 0.06  # width of the frame, of the screen's width
    controls: Controls | None = None


DISPLAYS = (
    Display(
        "display-1", "monitor", dots=92.0, white=(0.95, 1.0, 1.07), brightness=1.1, black=0.004, shift=0.06, pulse=0.06,
        mirror=0.008, bezel=0.03, border=0.035,
    ),
    Display(
        "display-2", "tablet", dots=227.0, white=(1.0, 1.0, 1.0), brightness=1.6, black=0.0015, vivid=1.05,
        mirror=0.045, border=0.07,
    ),
)  # fmt: skip


def draw_display(rng: np.random.Generator, kind: str, software: bool = False) -> Display:
    """Draw a device of a `kind`, monitor, tablet or phone; with `software` some show a program's controls."""
    dots = {"monitor": (78, 115), "tablet": (130, 270), "phone": (260, 460)}[kind]
    pentile = kind == "phone" and chance(rng, 0.5)
    tint = between(rng, -0.08, 0.08)
    return Display(
        kind, kind, "pentile" if pentile else "stripe", between(rng, *dots), (1 - tint, 1.0, 1 + tint),
        by_ratio(rng, 0.8, 3.0), 0.0003 if pentile else between(rng, 0.001, 0.012),
        between(rng, 1.9, 2.5), between(rng, 0.0, 0.25) if kind == "monitor" and chance(rng, 0.4) else 0.0,
        between(rng, 0.9, 1.35), between(rng, 0.03, 0.16) if chance(rng, 0.3) else 0.0,
        between(rng, 0.002, 0.015) if kind == "monitor" else between(rng, 0.03, 0.06),
        between(rng, 0.01, 0.05) if chance(rng, 0.8) else between(rng, 0.2, 0.7), between(rng, 0.015, 0.10),
        draw_controls(rng) if software and chance(rng, _CONTROLLED) else None,
    )  # fmt: skip


def draw_controls(rng: np.random.Generator) -> Controls:
    """Draw a program's controls: at least one of button, line of time and title."""
    button, bar = chance(rng, 0.45), chance(rng, 0.7)
    title = chance(rng, 0.5) or not (button or bar)
    colours = ((255, 255, 255), (230, 33, 23), (10, 132, 255))
    return Controls(
        between(rng, 0.05, 0.13) if button else 0.0,
        between(rng, 0.05, 0.12) if bar else 0.0,
        between(rng, 0.0, 1.0),
        between(rng, 0.04, 0.09) if title else 0.0,
        colours[int(rng.integers(len(colours)))],
    )


def with_controls(picture: Picture, controls: Controls) -> Picture:
    """Return `picture` (H, W, 3) uint8 under a program's controls."""
    height, width = picture.shape[:2]
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image, "RGBA")
    shade, white = (0, 0, 0, 110), (255, 255, 255, 225)
    if controls.title:
        tall = controls.title * height
        draw.rectangle((0, 0, width, tall), fill=shade)
        for left, right in ((0.04, 0.07), (0.12, 0.30), (0.32, 0.45)):
            draw.rectangle((left * width, 0.38 * tall, right * width, 0.62 * tall), fill=white)
    if controls.bar:
        tall = controls.bar * height
        top, middle, thick = height - tall, height - 0.5 * tall, max(0.035 * tall, 0.5)
        left, right = 0.06 * width, 0.94 * width
        played = left + controls.played * (right - left)
        draw.rectangle((0, top, width, height), fill=shade)
        draw.rectangle((left, middle - thick, right, middle + thick), fill=(255, 255, 255, 110))
        draw.rectangle((left, middle - thick, played, middle + thick), fill=(*controls.colour, 255))
        _disc_at(draw, played, middle, 0.12 * tall, (*controls.colour, 255))
    if controls.button:
        radius, x, y = controls.button * min(width, height), width / 2, height / 2
        _disc_at(draw, x, y, radius, shade)
        corners = ((-0.35, -0.5), (-0.35, 0.5), (0.55, 0.0))
        draw.polygon([(x + across * radius, y + down * radius) for across, down in corners], fill=white)
    return np.asarray(image)


def _disc_at(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, fill: tuple[int, ...]) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def _plane_lines() -> tuple[tuple[float, float], ...]:
    return ((1, 0), (0, 1), (1, 1), (1, -1), (2, 0), (3, 0), (0, 2))


@cache
def spectrum(layout: str) -> tuple[Line, ...]:
    """Return the spectral lines of a panel's sub-pixels, relative to the mean light of each colour."""
    if layout == "stripe":
        size = ((0.26, 0.85),) * 3
        offsets = ((1 / 6, 0.5), (0.5, 0.5), (5 / 6, 0.5))
        return aperture_lines(size, offsets, (_plane_lines(),) * 3)
    # Red and blue sit on every other site of a chequered board, whose lines lie at half frequencies.
    half = ((0.5, 0.5), (0.5, -0.5), (1, 0), (0, 1), (1, 1), (1, -1))
    size = ((0.5, 0.5), (0.42, 0.42), (0.55, 0.55))
    offsets = ((0.0, 0.0), (0.5, 0.5), (1.0, 0.0))
    return aperture_lines(size, offsets, (half, ((1, 0), (0, 1), (1, 1), (1, -1)), half))


@dataclass(frozen=True)
class Screen:
    """A picture shown: (3, H, W) light as seen from in front, and how many panel pixels one of its pixels has."""

    light: Light
    ratio: float
    display: Display

    def waves(self, where: Map, light: Light) -> tuple[Wave, ...]:
        """Return the sub-pixels as waves in the camera's picture.

        Args:
            where: (2, H, W) position on the screen in its picture's pixels.
            light: (3, H, W) the screen's light there.
        """
        return lattice_waves((where + 0.5) * np.float32(self.ratio), light, spectrum(self.display.layout))


def show_picture(picture: Picture, display: Display, width_mm: float) -> Screen:
    """Show a picture (H, W, 3) uint8 `width_mm` wide on the panel, under the controls that it has."""
    if display.controls:
        picture = with_controls(picture, display.controls)
    height, width = picture.shape[:2]
    wide = max(8, round(width_mm / 25.4 * display.dots))
    if wide < width:
        # The panel is coarser than the picture, so its pixels limit what is seen.
        size = (wide, max(8, round(height * wide / width)))
        picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
    light = np.take(_tone_table(display.gamma, display.black), planes_of(picture))
    if abs(display.vivid - 1.0) > 0.01:
        grey = luma(light)
        light = np.maximum(grey + np.float32(display.vivid) * (light - grey), 0.0)
    for plane, white in zip(light, display.white, strict=True):
        plane *= np.float32(white * display.brightness)
    return Screen(light, wide / picture.shape[1], display)


def _tone_table(gamma: float, black: float) -> Floats:
    return (black + (1 - black) * (np.arange(256) / 255) ** gamma).astype(np.float32)


def viewed(light: Light, display: Display, rng: np.random.Generator) -> Light:
    """Return the screen's light (3, H, W) in the camera's picture after viewing angle and rolling shutter."""
    rows = np.linspace(-0.5, 0.5, light.shape[1], dtype=np.float32)[:, None]
    if display.shift > 0.0:
        # Seen from below a TN panel's dark tones rise and its contrast falls.
        lift = np.float32(display.shift) * (rows + between(rng, -0.3, 0.5))
        light = np.maximum(light + lift * np.sqrt(np.maximum(light, 0)) * (1 - np.minimum(light, 1)), 0.0)
    if display.pulse > 0.0:
        periods = between(rng, 1.5, 9.0)
        beat = np.cos(2 * np.pi * (rows * periods + rng.random()))
        light = light * (1.0 + np.float32(display.pulse) * np.clip(1.5 * beat, -1, 1))
    return light


def reflection(size: tuple[int, int], display: Display, room: Light, rng: np.random.Generator) -> Light:
    """Return what the glass mirrors (3, H, W): the room behind the camera, sometimes a lamp or window, and grease."""
    # The reflection is out of focus, as the camera focuses on the screen: a quarter of the size is enough.
    small = (max(size[0] // 4, 2), max(size[1] // 4, 2))
    light = blur(resize(np.ascontiguousarray(room[:, :, ::-1]), small, Way.BOX), 1.0) * np.float32(
        display.mirror
    )
    if chance(rng, 0.35):
        y = np.arange(small[1], dtype=np.float32)[:, None] / np.float32(small[1]) - np.float32(rng.random())
        x = np.arange(small[0], dtype=np.float32)[None, :] / np.float32(small[0]) - np.float32(rng.random())
        wide, tall = between(rng, 0.03, 0.2), between(rng, 0.02, 0.25)
        soft = between(rng, 2.0, 8.0)
        lamp = np.exp(-(np.abs(x / wide) ** soft) - np.abs(y / tall) ** soft)
        light += lamp * np.float32(display.mirror * between(rng, 3.0, 25.0))
    return resize(light, size)
