"""A phone's or a web camera: from light before the lens to the picture in the file.

The order is that of the device: lens, shutter, colour filter array and sensor, demosaicing, noise reduction, colour,
sharpening, what a phone's software adds (levelled light, smoothed skin), tone, JPEG. Sources by stage: optical
transfer functions, Goodman, *Introduction to Fourier optics*, ch. 6; noise, EMVA standard 1288 (shot noise of the
electrons, Gaussian read noise, whole digital numbers); demosaicing, Malvar, He & Cutler (ICASSP 2004) or bilinear;
levelled light and smoothed skin, Durand & Dorsey (SIGGRAPH 2002) with the guided filter of He, Sun & Tang (PAMI 35,
2013); the rest as in Karaimer & Brown, *A software platform for manipulating the camera imaging pipeline* (ECCV 2016).

Periodic fine structure (a screen's stripes, a print's dots) does not come as pixels but as waves of known
frequency. The lens and the pixel's aperture weaken them by their transfer function, and then they are read
where the sensor's sites are, and nowhere else: what lies above half the sampling frequency folds back there.
This aliasing is the moiré.
"""

import io
from dataclasses import dataclass, replace
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonaface.simulate.demosaic import Demosaiced, demosaic, mosaic
from bonaface.simulate.light import (
    LUMA,
    Light,
    Picture,
    Plane,
    blur,
    developed,
    look_up_positions,
    luma,
    resize,
    size_of,
    srgb_encode,
)
from bonaface.simulate.seeds import between, by_ratio, chance

_CROSSTALK = np.array([[0.72, 0.22, 0.06], [0.12, 0.74, 0.14], [0.05, 0.25, 0.70]])
_DIGITAL_NUMBERS = 1023.0
_MARGIN = 16
# Pixels; a lens of 3.7 mm at f/2.4 before a sensor 3.6 mm wide, sharp at 0.4 m, has 1.0.
_FIXED = (0.3, 1.3)
_BLURRED = 2.5
_COARSE = 1.0  # pixels of defocus or shake from which their shape shows


@dataclass(frozen=True)
class Wave:
    """A periodic part of the light: `envelope` * weights[c] * cos(2 pi (cycles + shifts[c])) in channel c.

    cycles: (H, W) phase in periods, without bound. envelope: (3, H, W), light.
    """

    cycles: Plane
    envelope: Light
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    shifts: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def frequency(self) -> tuple[float, float]:
        """Return the mean frequency (across, down) in cycles per pixel."""
        height, width = self.cycles.shape
        across = float((self.cycles[:, -1] - self.cycles[:, 0]).mean()) / (width - 1)
        down = float((self.cycles[-1] - self.cycles[0]).mean()) / (height - 1)
        return across, down


@dataclass(frozen=True)
class View:
    """The light that arrives at the lens: smooth (3, H, W) at the picture's size, and waves finer than its pixels."""

    light: Light
    waves: tuple[Wave, ...] = ()

    def at(self, size: tuple[int, int]) -> "View":
        """Return the view at `size` = (width, height)."""
        waves = [
            replace(w, cycles=resize(w.cycles, size), envelope=resize(w.envelope, size)) for w in self.waves
        ]
        return View(resize(self.light, size), tuple(waves))


@dataclass(frozen=True)
class Camera:
    """A camera's fixed properties. Lengths are in pixels of a picture 512 wide and grow with the picture."""

    name: str
    resolution: float = 1.0  # its own pixels for one of the picture's, at most 1
    lens: float = 0.45  # standard deviation of the lens's blur, green; red and blue are a little worse
    fill: float = (
        0.95  # share of the pixel's pitch that sees light; far below 1 where a film skips rows and columns
    )
    fringe: float = 0.3  # shift of red against blue in the corner
    vignette: float = 0.25  # share of the light lost in the corner
    full_well: float = 6000.0  # electrons at white, base gain, in one picture pixel
    read: float = 4.0  # electrons
    simple: bool = False  # bilinear demosaicing
    denoise: float = 1.0  # noise reduction, in standard deviations of the noise
    sharpen: float = 0.5
    contrast: float = 0.25  # of the S-shaped tone curve
    saturation: float = 1.1
    white: float = 0.8  # share of the light's colour that white balance takes out
    haze: float = 0.0  # light scattered over the whole picture by a dirty lens, as a share of the mean
    quality: int = 92  # of JPEG
    fixed: float = 0.0  # of a lens that can't focus: defocus, pixels, at half the distance it is sharp at
    levelled: float = 0.0  # share of the coarse differences of light, in stops, that the software takes out
    smoothed: float = 0.0  # share of the fine detail without edges that the software takes out
    metering: float = 0.75  # share of the face, against the whole picture, in the metered light


@dataclass(frozen=True)
class Shot:
    """The properties of a single picture of a camera."""

    defocus: float = 0.0  # radius of the disc of confusion, pixels
    motion: tuple[float, float] = (0.0, 0.0)  # the picture's path while the shutter is open, pixels
    exposure: float = 0.0  # error of automatic exposure, stops
    gain: float = 1.0  # analogue gain: the dimmer the scene, the higher


# Six cameras of different makes and years, from a good flagship to a poor front camera; no maker's figures.
PHONES = (
    Camera("phone-1", lens=0.42, full_well=9000, denoise=1.3, sharpen=0.45, contrast=0.30, saturation=1.05, quality=95),
    Camera(
        "phone-2", lens=0.33, fill=0.45, full_well=5000, denoise=0.8, sharpen=0.80, saturation=0.95, white=0.7,
        quality=90,
    ),
    Camera(
        "phone-3", lens=0.60, full_well=3500, read=6, denoise=1.8, sharpen=0.55, contrast=0.15, saturation=0.85,
        fringe=0.5, quality=88,
    ),
    Camera("phone-4", denoise=2.2, sharpen=0.30, contrast=0.28, saturation=0.98, vignette=0.35, white=0.9),
    Camera(
        "phone-5", lens=0.75, full_well=2500, read=8, simple=True, denoise=0.6, sharpen=1.00, contrast=0.35,
        saturation=1.12, fringe=0.7, vignette=0.4, quality=82,
    ),
    Camera(
        "phone-6", resolution=0.75, lens=0.65, full_well=4000, read=6, denoise=1.2, sharpen=0.70, contrast=0.10,
        saturation=0.90, haze=0.03, white=0.6, quality=85,
    ),
)  # fmt: skip


def draw_camera(rng: np.random.Generator, software: bool = False) -> Camera:
    """Draw a common camera: mostly a phone, one in four a web camera, one in eight a photographer's.

    The range is wide, as a detector may take pictures of unknown cameras for attacks. With `software` some level the
    light and smooth skin.
    """
    kind = str(rng.choice(["phone", "web camera", "still camera"], p=[0.64, 0.24, 0.12]))
    web, still = kind == "web camera", kind == "still camera"
    skips = not still and chance(rng, 0.25)
    lens = (0.22, 0.4) if skips else (0.5, 1.0) if web else (0.3, 0.5) if still else (0.38, 0.8)
    return Camera(
        kind,
        resolution=between(rng, 0.45, 1.0) if web or (not still and chance(rng, 0.15)) else 1.0,
        lens=between(rng, *lens),
        fill=between(rng, 0.3, 0.6) if skips else between(rng, 0.85, 1.0),
        fringe=between(rng, 0.0, 0.9),
        vignette=between(rng, 0.05, 0.5),
        full_well=by_ratio(rng, 900 if web else 2000, 40000 if still else 12000),
        read=between(rng, 2.0, 10.0),
        simple=not still and chance(rng, 0.35),
        denoise=between(rng, 0.0, 2.5),
        sharpen=between(rng, 0.0, 1.4),
        contrast=between(rng, -0.1, 0.45),
        saturation=between(rng, 0.8 if still else 0.55, 1.3 if still else 1.2),
        white=between(rng, 0.45, 1.0),
        haze=between(rng, 0.0, 0.18) if not still and chance(rng, 0.35) else 0.0,
        quality=int(between(rng, 45, 98)),
        metering=between(rng, 0.1, 0.9),
        fixed=between(rng, *_FIXED) if chance(rng, 0.8 if web else 0.0 if still else 0.7) else 0.0,
        levelled=between(rng, 0.1, 0.5) if software and chance(rng, 0.2 if web else 0.4) else 0.0,
        smoothed=between(rng, 0.2, 0.9) if software and chance(rng, 0.2 if web else 0.3) else 0.0,
    )


def in_focus(shot: Shot, camera: Camera, nearness: float, width: int) -> Shot:
    """Return `shot` of a thing at 1 / `nearness` of the camera's focus distance, in a picture `width` pixels wide.

    A lens that can't focus, as most front and web cameras have, draws a point there as a disc whose radius grows with
    |nearness - 1| (thin lens; Goodman, sec. 6.4). An attacker does not show a face that cannot be recognised, so the
    radius is at most 2.5 pixels of a picture 512 wide. It is added to the shot's own error as the root of the sum of
    squares.
    """
    own = width * camera.resolution / 512  # the camera's pixels for one pixel of a picture 512 wide
    radius = own * min(camera.fixed * abs(nearness - 1.0), _BLURRED)
    return replace(shot, defocus=float(np.hypot(shot.defocus, radius)))


def draw_shot(rng: np.random.Generator, dimness: float = 0.0, missed: float = 0.0) -> Shot:
    """Draw the blur, shake, gain and exposure of one picture.

    `dimness`, from 0 (daylight) to 1 (a dark room), adds gain and shake. A share `missed` of the pictures is exposed
    for something else than the face, such as a window or a dark wall.
    """
    defocus = between(rng, 0.8, 2.6) if chance(rng, 0.2) else between(rng, 0.0, 0.9)
    shake = (
        between(rng, 1.0, 3.0 + 4.0 * dimness)
        if chance(rng, 0.15 + 0.25 * dimness)
        else between(rng, 0.0, 0.8)
    )
    turn = between(rng, 0.0, 2 * np.pi)
    motion = (shake * float(np.cos(turn)), shake * float(np.sin(turn)))
    gain = 1.0 + 7.0 * dimness * between(rng, 0.5, 1.0)
    exposure = between(rng, -2.4, 1.7) if chance(rng, missed) else float(rng.normal(0.0, 0.35))
    return Shot(defocus, motion, exposure, gain)


def photograph(view: View, camera: Camera, shot: Shot, rng: np.random.Generator) -> Picture:
    """Return the picture (H, W, 3) uint8 that `camera` makes of `view`, JPEG-coded and decoded."""
    return compressed(develop(view, camera, shot, rng), camera.quality)


def develop(view: View, camera: Camera, shot: Shot, rng: np.random.Generator) -> Picture:
    """Return the picture before JPEG coding: a frame of a video before its own coder."""
    width, height = size_of(view.light)
    own = (_even(width * camera.resolution), _even(height * camera.resolution))
    if own != (width, height):
        view = view.at(own)
    scale = view.light.shape[2] / 512
    seen = through_lens(view, camera, shot, scale)
    raw, deviation = expose(seen, camera, shot, rng)
    colour = _processed(demosaic(raw, camera.simple), camera, deviation, scale)
    if camera.levelled or camera.smoothed:
        colour = retouched(colour, camera.levelled, camera.smoothed)
    picture = developed(colour, _tone_table(round(camera.contrast, 3)))
    if picture.shape[:2] != (height, width):
        picture = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))
    return picture


def _even(length: float) -> int:
    """Return `length` rounded to an even number of sensor rows or columns, as colour filters come in pairs."""
    return max(4, 2 * round(length / 2))


def transfer(
    fx: NDArray[np.floating[Any]], fy: NDArray[np.floating[Any]], sigma: float, shot: Shot
) -> NDArray[np.floating[Any]]:
    """Return the optical transfer function of lens blur, defocus and shake at frequencies in cycles per pixel."""
    square = fx * fx + fy * fy
    response = np.exp(np.float32(-2 * np.pi**2 * sigma**2) * square)
    if shot.defocus > 0.3:
        response *= _disc(np.sqrt(square) * np.float32(2 * np.pi * shot.defocus))
    if abs(shot.motion[0]) + abs(shot.motion[1]) > 0.3:
        response *= np.sinc(fx * np.float32(shot.motion[0]) + fy * np.float32(shot.motion[1]))
    return response


def _disc(x: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return 2 J1(x) / x, the transfer function of a disc, read from a table."""
    table = _disc_table()
    result: NDArray[np.floating[Any]] = np.interp(x, np.linspace(0.0, 64.0, len(table)), table).astype(
        np.float32
    )
    return result


@cache
def _disc_table() -> NDArray[np.floating[Any]]:
    t = (np.arange(256) + 0.5) / 256
    weight = 4 / np.pi * np.sqrt(1 - t**2) / 256
    table: NDArray[np.floating[Any]] = np.cos(np.linspace(0.0, 64.0, 2048)[:, None] * t) @ weight
    result: NDArray[np.floating[Any]] = table / table[0]
    return result


def through_lens(view: View, camera: Camera, shot: Shot, scale: float) -> Light:
    """Return the light on the sensor (3, H, W): blurred, with fringes and vignette, and waves at their sampled
    values.
    """
    light = np.empty_like(view.light)
    for plane, seen, sigma in zip(light, view.light, _sigmas(camera, scale), strict=True):
        plane[...] = _blurred(seen, sigma, shot)
    for wave in view.waves:
        _add_wave(light, wave, _sigmas(camera, scale), shot, camera.fill)
    height, width = light.shape[1:]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    shift = camera.fringe * scale / 2 / float(np.sqrt(2))
    if shift > 0.05:
        for channel, way in ((0, shift), (2, -shift)):
            _magnify(light[channel], x * np.float32(way), y * np.float32(way))
    light *= 1.0 - np.float32(camera.vignette / 2) * (x * x + y * y)
    if camera.haze > 0.0:
        light += np.float32(camera.haze) * light.mean((1, 2), keepdims=True)
    return light


def _sigmas(camera: Camera, scale: float) -> tuple[float, float, float]:
    lens = camera.lens * max(scale, 0.5)
    return 1.15 * lens, lens, 1.25 * lens


def _blurred(plane: Plane, sigma: float, shot: Shot) -> Plane:
    if shot.defocus < _COARSE and float(np.hypot(*shot.motion)) < _COARSE:
        # For discs and paths under a pixel a Gaussian of the same variance does, without a Fourier transform.
        path = float(np.hypot(*shot.motion))
        return blur(plane, float(np.sqrt(sigma**2 + shot.defocus**2 / 4 + path**2 / 24)))
    padded = np.pad(plane, _MARGIN, mode="reflect")
    fy = np.fft.fftfreq(padded.shape[0]).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(padded.shape[1]).astype(np.float32)[None, :]
    spectrum = np.fft.rfft2(padded)
    spectrum *= transfer(fx, fy, sigma, shot)
    seen = np.fft.irfft2(spectrum, s=padded.shape)[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    return np.maximum(seen, 0.0)


def _add_wave(light: Light, wave: Wave, sigmas: tuple[float, float, float], shot: Shot, fill: float) -> None:
    fx, fy = (np.array([f], np.float32) for f in wave.frequency())
    aperture = np.sinc(fx * fill) * np.sinc(fy * fill)
    for channel, sigma in enumerate(sigmas):
        strength = float((transfer(fx, fy, sigma, shot) * aperture)[0]) * wave.weights[channel]
        if abs(strength) < 0.002:
            continue
        phase = wave.cycles + np.float32(wave.shifts[channel])
        phase -= np.rint(phase)
        swing = np.cos(np.float32(2 * np.pi) * phase)
        light[channel] += np.float32(strength) * swing * wave.envelope[channel]


def _magnify(plane: Plane, dx: Plane, dy: Plane) -> None:
    # First order is enough: the shifts are fractions of a pixel, and the lens blurs more than that.
    plane[:, 1:-1] += (plane[:, 2:] - plane[:, :-2]) * (dx[:, 1:-1] / 2)
    plane[1:-1] += (plane[2:] - plane[:-2]) * (dy[1:-1] / 2)
    np.maximum(plane, 0.0, out=plane)


def expose(light: Light, camera: Camera, shot: Shot, rng: np.random.Generator) -> tuple[Plane, float]:
    """Return the raw mosaic (H, W) in [0, 1] of white, RGGB, and the noise's standard deviation in mid-grey.

    Exposure is automatic: where the face is, light is brought to a middle grey, then missed by `shot.exposure`.
    """
    height, width = light.shape[1:]
    # Phones meter on the face, which is a little above the middle, web cameras on the whole picture.
    face = light[1, height // 4 : height * 2 // 3 : 3, width * 3 // 10 : width * 7 // 10 : 3]
    whole = light[1, ::8, ::8]
    around = np.sqrt((np.minimum(whole, 3.0 * face.mean()) ** 2).mean())
    level = float(camera.metering * face.mean() + (1.0 - camera.metering) * around)
    factor = 0.20 * 2.0**shot.exposure / max(level, 1e-4)
    raw = mosaic(light, _CROSSTALK * factor)
    well = camera.full_well / shot.gain
    variance = np.maximum(raw, 0.0) / np.float32(well)
    variance += np.float32((camera.read / well) ** 2)
    raw += np.sqrt(variance, out=variance) * _normal(raw.shape, rng)
    raw *= np.float32(_DIGITAL_NUMBERS)
    np.clip(np.rint(raw, out=raw), 0.0, _DIGITAL_NUMBERS, out=raw)
    raw /= np.float32(_DIGITAL_NUMBERS)
    return raw, float(np.sqrt(0.2 / well + (camera.read / well) ** 2))


def _normal(shape: tuple[int, ...], rng: np.random.Generator) -> Plane:
    """Return Gaussian noise of 65,536 distinct values, which takes a quarter of the time of the generator's own."""
    return np.take(_quantiles(), rng.integers(0, 1 << 16, shape, np.uint16))


@cache
def _quantiles() -> NDArray[np.floating[Any]]:
    normal = NormalDist()
    return np.array([normal.inv_cdf((i + 0.5) / (1 << 16)) for i in range(1 << 16)], np.float32)


def _processed(sites: Demosaiced, camera: Camera, deviation: float, scale: float) -> Light:
    """Return linear sRGB (3, H, W) after noise reduction, sharpening, white balance and colour matrix.

    As phones do it: brightness at full size, where detail under the noise is cored away and the rest is lifted, and
    colour at half size, where it is smooth.
    """
    sigma = 0.35 + 0.35 * min(camera.denoise, 1.5)
    red, blue = blur(sites.red, sigma), blur(sites.blue, sigma)
    size = size_of(sites.green)
    detail = _detailed(sites.green, camera.denoise * deviation, camera.sharpen, scale)
    out = np.empty((3, size[1], size[0]), np.float32)
    for plane, row in zip(out, _colour_matrix(sites, camera).astype(np.float32), strict=True):
        plane[...] = resize(red * row[0] + blue * row[2], size)
        plane += detail * row.sum()
    return out


def _detailed(grey: Plane, threshold: float, sharpen: float, scale: float) -> Plane:
    """Return brightness (H, W) with its detail cored below `threshold` and made (1 + `sharpen`) times as strong."""
    smooth = blur(grey, 0.9 * max(scale, 0.7))
    fine = grey - smooth
    fine -= np.clip(fine, -threshold, threshold) * np.float32(0.85)
    fine *= np.float32(1.0 + sharpen)
    fine += smooth
    return fine


def retouched(light: Light, levelled: float, smoothed: float) -> Light:
    """Return linear light (3, H, W) after a phone's software has brought dark and bright parts nearer and smoothed it.

    Both split the logarithm of the brightness by an edge-preserving filter, as Durand & Dorsey do (SIGGRAPH 2002): of
    its coarse layer the share `levelled` of the distance to its mean is taken out, and of its finest layer, what the
    filter smooths though there is no edge, the share `smoothed`.
    """
    grey = np.log2(np.maximum(luma(light), 1e-3))
    side = min(grey.shape)
    change = np.zeros_like(grey)
    if levelled:
        small = (max(grey.shape[1] // 4, 8), max(grey.shape[0] // 4, 8))
        coarse = _guided(resize(grey, small), side / 64, 0.5)
        change -= np.float32(levelled) * resize(coarse - coarse.mean(), size_of(grey))
    if smoothed:
        change -= np.float32(smoothed) * (grey - _guided(grey, side / 128, 0.08))
    return light * np.exp2(change)


def _guided(plane: Plane, sigma: float, edge: float) -> Plane:
    """Return `plane` (H, W) smoothed where it varies by less than `edge`, by a guided filter with itself as guide.

    Source: He, Sun & Tang, PAMI 35, 2013, eq. 5 and 6 with Gaussian windows of `sigma` pixels.
    """
    mean = blur(plane, sigma)
    variance = np.maximum(blur(plane * plane, sigma) - mean * mean, 0.0)
    slope = variance / (variance + np.float32(edge * edge))
    return blur(slope, sigma) * plane + blur(mean - slope * mean, sigma)


def _colour_matrix(sites: Demosaiced, camera: Camera) -> NDArray[np.floating[Any]]:
    """Return the matrix (3, 3) of colours and of white balance by shades of grey (Finlayson & Trezzi, CIC 2004)."""
    green = sites.green[::8, ::8]
    some = np.stack([green + sites.red[::4, ::4], green, green + sites.blue[::4, ::4]])
    norm = (np.clip(some, 0.0, 0.98).astype(np.float64) ** 6).mean((1, 2)) ** (1 / 6)
    gains = (norm[1] / np.maximum(norm, 1e-4)) ** camera.white
    saturate = camera.saturation * np.eye(3) + (1 - camera.saturation) * np.tile(
        LUMA.astype(np.float64), (3, 1)
    )
    matrix: NDArray[np.floating[Any]] = saturate @ np.linalg.inv(_CROSSTALK) @ np.diag(gains / gains[1])
    return matrix


@cache
def _tone_table(contrast: float) -> NDArray[np.uint8]:
    code = srgb_encode(look_up_positions())
    # An S curve through (0.5, 0.5); the sine leaves black and white unchanged.
    bent = code - contrast * 0.5 * np.sin(2 * np.pi * code) / np.pi
    result: NDArray[np.uint8] = np.rint(255 * np.clip(bent, 0, 1)).astype(np.uint8)
    return result


def compressed(picture: Picture, quality: int) -> Picture:
    """Return the picture after JPEG with 4:2:0 chroma at `quality`."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(buffer))
