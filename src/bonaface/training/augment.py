"""Flip and jitter training crops with torchvision's meaning and without torch; simulate attacks from them.

Neither paper gives a strength for its colour jitter. The order of the four changes is random and each factor
is uniform, as in torchvision's `ColorJitter`. Torchvision's own takes 1.6 to 1.7 times as long on PIL pictures and
over 3 times as long on tensors (benchmarks/augment_speed.py).
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from bonaface.core.errors import InputError
from bonaface.face.crop import RESAMPLING, ContextCrop
from bonaface.face.detect import Box, Point
from bonaface.simulate.camera import compressed
from bonaface.simulate.light import srgb_codes, srgb_decode
from bonaface.simulate.pictures import simulate_attack_crop

# Of a picture that is exposed anew: the light that its face is brought to, as automatic exposure does, how far that is
# then missed, in stops, and the largest gain, since a dark picture has little but noise.
_GREY, _STOPS, _MOST_GAIN = 0.2, (-1.5, 2.0), 8.0
# Of a picture that a worse camera takes again: the probability of each fault, and how strong it is. Lengths are in
# pixels of a face whose box is 224 wide. Noise is in electrons at white.
_UNSHARP, _SIGMA = 0.6, (0.3, 3.2)
_COARSE, _FEWER = 0.35, (1.0, 3.0)
_DARK, _LESS, _ELECTRONS = 0.4, (0.0, 3.0), (300.0, 6000.0)
_FACE = 224
# Largest side, in pixels, at which an attack is simulated: the time grows with the area.
_SIMULATED = 512
# Distance between the eyes over the height of the box, by RetinaFace: of a frontal face, and the least of a face that
# counts as frontal. Of a face seen from the side the distance does not tell the size.
_EYES, _FRONTAL = 0.33, 0.2


def as_attack(square: ContextCrop, rng: np.random.Generator) -> ContextCrop:
    """Turn the crop of a bona fide presentation into a simulated attack's: printed or shown, and photographed again.

    The face stays where it is. A square of more than 512 pixels is reduced to that first, so that a picture costs at
    most about 150 ms. Species are drawn by `simulate.pictures.SPECIES`, masks left out; everything else from `rng`.
    """
    small = _reduced(square, _SIMULATED)
    points = np.array(small.landmarks)
    tall = small.box[3] - small.box[1]
    if np.hypot(*(points[1] - points[0])) < _FRONTAL * tall:
        points[:2] = points[:2].mean(0) + np.array([[-0.5, 0.0], [0.5, 0.0]]) * _EYES * tall
    return replace(small, image=simulate_attack_crop(small.image, points, rng))


def taken_again(square: ContextCrop, rng: np.random.Generator) -> ContextCrop:
    """Return the crop as a worse camera takes it again: out of focus, with fewer pixels or in the dark; then as JPEG.

    Each of the three has its own probability, and they may come together. In the dark the picture has up to three stops
    less light, shot noise, and some of its brightness back by amplification. A network that is shown both classes in
    this way learns that a soft or noisy picture is no attack. The face stays where it is.
    """
    image, face = Image.fromarray(square.image), square.box[2] - square.box[0]
    unsharp, coarse, dark = rng.random(3) < (_UNSHARP, _COARSE, _DARK)
    sigma, fewer = rng.uniform(*_SIGMA), rng.uniform(*_FEWER)
    stops, electrons, back = rng.uniform(*_LESS), rng.uniform(*_ELECTRONS), rng.uniform(0.3, 1.0)
    if unsharp:
        image = image.filter(ImageFilter.GaussianBlur(sigma * face / _FACE))
    share = _FACE / (fewer * face)
    if coarse and share < 1:
        size = (max(round(image.width * share), 1), max(round(image.height * share), 1))
        image = image.resize(size, Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC)
    if dark:
        light = srgb_decode(np.arange(256) / 255)[np.asarray(image)] * (electrons * 2.0**-stops)
        light = rng.poisson(light) / electrons * 2.0 ** (stops * back)
        image = Image.fromarray(srgb_codes(light))
    return replace(square, image=compressed(np.asarray(image), int(rng.integers(40, 96))))


def _reduced(square: ContextCrop, longest: int) -> ContextCrop:
    side = square.image.shape[0]
    if side <= longest:
        return square
    factor = longest / side

    def moved(point: Point) -> Point:
        return point[0] * factor, point[1] * factor

    def scaled(box: Box) -> Box:
        return *moved(box[:2]), *moved(box[2:])

    right_eye, left_eye, nose, right_mouth, left_mouth = map(moved, square.landmarks)
    return ContextCrop(
        image=np.array(Image.fromarray(square.image).resize((longest, longest), RESAMPLING)),
        box=scaled(square.box),
        landmarks=(right_eye, left_eye, nose, right_mouth, left_mouth),
        valid=scaled(square.valid),
        factor=square.factor * factor,
        picture=scaled(square.picture),
    )


def flip_and_jitter(
    crop: NDArray[np.uint8],
    rng: np.random.Generator,
    flip: float = 0.5,
    brightness: float = 0.2,
    contrast: float = 0.2,
    saturation: float = 0.2,
    hue: float = 0.02,
) -> tuple[NDArray[np.uint8], bool]:
    """Return `crop`, (H, W, 3) uint8 RGB, flipped left to right with probability `flip` and jittered in colour; and
    whether it was flipped.

    Brightness, contrast and saturation are multiplied by factors from [max(0, 1 - s), 1 + s], hue is turned
    by a share of the colour circle from [-hue, hue]; a strength of 0 leaves its part out. `rng` gives as
    many numbers whatever the strengths are.

    Raises:
        InputError: `crop` is no such array, or a strength is out of range.
    """
    if crop.ndim != 3 or crop.shape[2] != 3 or crop.dtype != np.uint8:
        raise InputError(f"crop must be (H, W, 3) uint8 RGB, got {crop.shape} {crop.dtype}")
    if not (0 <= flip <= 1 and min(brightness, contrast, saturation) >= 0 and 0 <= hue <= 0.5):
        raise InputError(
            "flip must be in [0, 1], brightness, contrast and saturation at least 0 and hue in [0, 0.5], got "
            f"{flip}, {brightness}, {contrast}, {saturation}, {hue}"
        )
    flipped = rng.random() < flip
    draws = rng.uniform(-1.0, 1.0, size=4)
    image = Image.fromarray(crop)
    for part in rng.permutation(4):
        strength = (brightness, contrast, saturation, hue)[part]
        if strength:
            centre = 0.0 if part == _HUE else 1.0
            low = -strength if part == _HUE else max(0.0, 1.0 - strength)
            share = (draws[part] + 1.0) / 2.0
            image = CHANGES[part](image, low + share * (centre + strength - low))
    changed = np.array(image)
    return (np.ascontiguousarray(changed[:, ::-1]) if flipped else changed), bool(flipped)


def flip_landmarks(points: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Return five landmarks (5, 2) as they lie in the flipped picture of `width` pixels: left and right exchanged."""
    flipped = points[[1, 0, 2, 4, 3]]
    flipped[:, 0] = width - flipped[:, 0]
    return flipped


def transfer_color(
    crop: NDArray[np.uint8], other: NDArray[np.uint8], part: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Give `crop` the mean and the spread of each channel of `other`; both (H, W, 3) uint8 RGB of any size.

    Where `part` of `crop` is given, (h, w, 3), it is that part which gets them, and the rest is changed with it.

    Colour transfer after Reinhard, Ashikhmin, Gooch & Shirley (IEEE CG&A 21, 2001), in RGB. Between pictures of both
    classes, exposure, contrast and cast of colour then say nothing about the class, and texture and shape remain.
    """
    own, wanted = (_moments(picture) for picture in (crop if part is None else part, other))
    gain = wanted[1] / np.maximum(own[1], 1.0)  # a channel without spread gets none
    moved = crop * gain + (wanted[0] - own[0] * gain)
    changed: NDArray[np.uint8] = np.clip(np.rint(moved), 0, 255).astype(np.uint8)
    return changed


def expose_anew(
    crop: NDArray[np.uint8], rng: np.random.Generator, part: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Return `crop`, (H, W, 3) uint8 RGB, as if it had been exposed in another way; what is too bright clips to white.

    In linear light the mean of `part` of it, (h, w, 3), by default of all of it, is brought to a middle grey of 0.2
    times 2^s, s being uniform in [-1.5, 2] stops, but by no more than a gain of 8. Shown pictures of both classes in
    this way, a network learns of brightness and of clipped whites nothing about the class.
    """
    light = srgb_decode(np.arange(256) / 255)
    gain = (
        _GREY * 2.0 ** rng.uniform(*_STOPS) / max(float(light[crop if part is None else part].mean()), 1e-6)
    )
    return srgb_codes(light * min(gain, _MOST_GAIN))[crop]


def _moments(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.stack([picture.mean((0, 1)), picture.std((0, 1))]).astype(np.float32)


def change_brightness(image: Image.Image, factor: float) -> Image.Image:
    """Blend with black: 0 is black, 1 leaves `image` (RGB) as it is."""
    return ImageEnhance.Brightness(image).enhance(factor)


def change_contrast(image: Image.Image, factor: float) -> Image.Image:
    """Blend with the mean grey: 0 is grey all over, 1 leaves `image` (RGB) as it is."""
    return ImageEnhance.Contrast(image).enhance(factor)


def change_saturation(image: Image.Image, factor: float) -> Image.Image:
    """Blend with the grey picture: 0 is grey, 1 leaves `image` (RGB) as it is."""
    return ImageEnhance.Color(image).enhance(factor)


def turn_hue(image: Image.Image, share: float) -> Image.Image:
    """Turn the hue of `image` (RGB) by `share` of the colour circle, in [-0.5, 0.5].

    In floating point: Pillow's HSV has 256 steps of hue and takes longer.
    """
    red, green, blue = (np.asarray(band, dtype=np.float32) for band in image.split())  # (H, W) each
    low = np.minimum(np.minimum(red, green), blue)
    high = np.maximum(np.maximum(red, green), blue)
    chroma = high - low
    hue = np.where(
        high == red,
        green - blue,
        np.where(high == green, blue - red + 2 * chroma, red - green + 4 * chroma),
    )
    hue /= np.maximum(chroma, 1)  # grey has no hue, so any number is right
    hue += np.float32(6 * share)  # in sixths of the circle
    hue -= 6 * np.floor(hue / 6)
    shares = np.abs(hue - 3) - 1, 2 - np.abs(hue - 2), 2 - np.abs(hue - 4)  # of red, green and blue
    low += 0.5  # rounds
    bands = [(low + chroma * np.clip(each, 0, 1)).astype(np.uint8) for each in shares]
    return Image.merge("RGB", [Image.fromarray(band) for band in bands])


CHANGES: tuple[Callable[[Image.Image, float], Image.Image], ...] = (
    change_brightness,
    change_contrast,
    change_saturation,
    turn_hue,
)
_HUE = CHANGES.index(turn_hue)
