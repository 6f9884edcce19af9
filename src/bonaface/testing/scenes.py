"""Drawn people in pictures and clips of any shape, as files, and where their faces are."""

import io
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from bonaface.testing.clips import encode_clip
from bonaface.testing.portrait import drawn_portrait

Size = tuple[int, int]  # width, height in pixels, both even

_PORTRAIT = 256
# of a drawn portrait: where RetinaFace's box and the eyes lie, as shares of its side (mean of the first 50 seeds)
_BOX = (0.31, 0.22, 0.69, 0.74)
_EYES = (0.42, 0.44, 0.58, 0.44)


@cache
def scene(person: int, attack: bool, size: Size) -> NDArray[np.uint8]:
    """Draw a person, (H, W, 3) uint8 RGB, as high as the picture and in its middle; an attack is soft and pale."""
    width, height = size
    picture = Image.fromarray(drawn_portrait(_PORTRAIT, seed=person))
    if attack:
        soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(1.5)), np.float32)
        picture = Image.fromarray((0.6 * soft + (50, 60, 85)).clip(0, 255).astype(np.uint8))
    scaled = np.asarray(picture.resize((height, height), Image.Resampling.LANCZOS))
    aside = (width - height) // 2
    if aside < 0:
        return np.ascontiguousarray(scaled[:, -aside : height + aside])
    return np.pad(scaled, ((0, 0), (aside, aside), (0, 0)), mode="edge")


@cache
def picture_file(person: int, attack: bool, size: Size, suffix: str) -> bytes:
    """Return `scene` as a .jpg or .png file."""
    file = io.BytesIO()
    Image.fromarray(scene(person, attack, size)).save(file, "PNG" if suffix == ".png" else "JPEG", quality=95)
    return file.getvalue()


@cache
def clip_file(
    person: int,
    attack: bool,
    size: Size,
    suffix: str,
    frames: int,
    codec: str = "",
    turn: int = 0,
    rotation_marked: bool = True,
) -> bytes:
    """Return a video of `scene`, whose head moves a pixel a frame.

    Its frames must be turned by `turn` degrees counter-clockwise to be upright; the file says so if `rotation_marked`.
    """
    seen = [np.roll(scene(person, attack, size), i, axis=1) for i in range(frames)]
    if rotation_marked:
        return encode_clip(seen, suffix, codec=codec, rotation=turn)
    return encode_clip([np.rot90(picture, -turn // 90) for picture in seen], suffix, codec=codec)


def face_box(size: Size, frame: int = 0) -> tuple[int, int, int, int]:
    """Return about where the face's box (x0, y0, x1, y1) is in frame `frame` of a clip, in its upright pixels."""
    return _position(_BOX, size, frame)


def eye_positions(size: Size, frame: int = 0) -> tuple[int, int, int, int]:
    """Return about where the eyes are: x and y of the one at the left in the picture, then of the other."""
    return _position(_EYES, size, frame)


def _position(shares: tuple[float, float, float, float], size: Size, frame: int) -> tuple[int, int, int, int]:
    width, height = size
    left = (width - height) / 2 + frame
    x0, y0, x1, y1 = (share * height for share in shares)
    return round(left + x0), round(y0), round(left + x1), round(y1)
