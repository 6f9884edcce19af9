"""A picture file, or its bytes, as the RGB array that every later step works on.

What becomes of the kinds of picture that are not plain 8-bit RGB:

- EXIF orientation is applied, whatever the format.
- Transparency (alpha, palette or colour key) is laid over white, as a viewer shows it: the colours under
  transparent pixels are leftovers of the editor and say nothing.
- 16-bit samples are scaled to 8 bits (65535 becomes 255), never clipped.
- CMYK is converted with its embedded ICC profile, or by the plain formula where it has none. RGB profiles
  are left alone: data sets and video frames carry none, so networks learn from the numbers as stored.
- Of an animation the first frame is read.
- 32-bit and floating-point samples and CIE Lab have no agreed way to 8-bit RGB and are refused.
"""

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from bonaface.core.errors import BonafaceError

# The formats that cameras, phones, browsers and the data sets write. Pillow knows forty more, some of which
# start other programs (EPS) or were never meant for strangers' files; the common ones come first, as they
# are tried in order.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "PPM", "TIFF", "JPEG2000", "AVIF")

# Pillow's readers raise whatever damaged bytes lead them into (fuzzing met half of these), and one picture
# must not end a run over ten thousand.
_BROKEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_REFUSED = ("I", "F", "LAB", "HSV")
_WARNINGS = threading.Lock()


class PictureError(BonafaceError):
    """A picture that cannot be read: missing, damaged, too large, or of a kind that has no RGB."""


def read_picture(source: Path | bytes, max_pixels: int = 100_000_000) -> NDArray[np.uint8]:
    """Read `source`, a file's path or its bytes, as upright RGB: (H, W, 3) uint8, read-only.

    A picture of more than `max_pixels` pixels is refused by its header, before a pixel is decoded. Pillow's
    own limit, `PIL.Image.MAX_IMAGE_PIXELS`, refuses pictures over twice its value whatever `max_pixels` is.

    Raises:
        PictureError: there is no such file, it is no picture, damaged, too large, or of a kind that is
            refused.
    """
    name = "the picture's bytes" if isinstance(source, bytes) else str(source)
    with _opened(source, name) as file:
        image = _header(file, name, max_pixels)
        try:
            # Pillow parses TIFF's tags, and warns of them, as it loads; other formats need no lock to decode.
            with _quiet() if image.format == "TIFF" else nullcontext():
                image.load()
            upright = _turned(image)
            return np.asarray(_rgb(upright, name))
        except _BROKEN as error:
            raise PictureError(
                f"{name}: a {image.format} picture that is damaged or incomplete ({error})"
            ) from error


@contextmanager
def _opened(source: Path | bytes, name: str) -> Iterator[IO[bytes]]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    try:
        file = source.open("rb")
    except FileNotFoundError as error:
        raise PictureError(f"{name}: there is no such file") from error
    except IsADirectoryError as error:
        raise PictureError(f"{name}: expected a picture file, got a folder") from error
    except (OSError, ValueError) as error:
        raise PictureError(f"{name}: cannot be opened ({error})") from error
    with file:
        yield file


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back Pillow's warnings (large picture, corrupt EXIF): they tell the user nothing that we do not
    say.

    Python keeps its warning filters for the whole process, hence the lock.
    """
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _header(file: IO[bytes], name: str, max_pixels: int) -> Image.Image:
    """Open the picture without decoding it."""
    try:
        with _quiet():
            image = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise PictureError(f"{name}: refused before decoding: {error}; scale it down") from error
    except _BROKEN as error:
        if file.seekable() and not file.seek(0, io.SEEK_END):
            raise PictureError(
                f"{name}: expected a picture, but the file is empty (0 bytes); copy it again"
            ) from error
        known = ", ".join(FORMATS)
        raise PictureError(
            f"{name}: expected a picture ({known}), got something else or a damaged file"
        ) from error
    width, height = image.size
    if width * height > max_pixels:
        raise PictureError(
            f"{name}: {width} x {height} pixels are more than the limit of {max_pixels:,}; scale it down"
        )
    return image


def _turned(image: Image.Image) -> Image.Image:
    """The loaded picture upright. Pillow turns TIFF as it loads: no orientation is left then."""
    with _quiet():
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        # A PGM of more than 8 bits comes as "I", scaled to 65535 by Pillow.
        samples = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((samples + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode in _REFUSED:
        raise PictureError(
            f"{name}: pixels of the kind {image.mode!r} (32-bit, floating point or Lab) have no agreed RGB; "
            "save the picture as 8-bit RGB"
        )
    if image.mode == "CMYK":
        return _from_cmyk(image)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_cmyk(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            # A damaged profile is no profile: the plain formula below still gives the right picture, in
            # duller colours.
            return image.convert("RGB")
        if converted is not None:
            return converted
    return image.convert("RGB")
