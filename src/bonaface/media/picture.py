"""A picture file, or its bytes, as the RGB array that every later step works on.

docs/media.md describes the conversion of orientation, transparency, colour spaces and all that is not 8-bit RGB.
"""

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageFile

from bonaface.media.info import evenly_spaced
from bonaface.media.source import MediaError, name_of, settled

# The formats that cameras, phones, browsers and the data sets write. Pillow knows forty more, some of which
# start other programs (EPS) or were not made for untrusted files; the common ones come first, as they
# are tried in order.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "PPM", "TIFF", "JPEG2000", "AVIF")
_ANIMATED = ("AVIF", "GIF", "PNG", "WEBP")  # a TIFF's pages and an MPO's pictures are not frames of one scene
MAX_PIXELS = 65_000_000  # a camera of 64 megapixels; 7 bytes for each are needed while it is read

# OpenJPEG needs 4 bytes a sample, and a picture's memory is limited to half a gigabyte.
_MAX_PIXELS_OF = {"JPEG2000": 25_000_000}
_HEAD = 256  # bytes, in which the brands of a HEIF or AVIF picture stand
_STRIP = 1_000_000  # pixels that are converted at once

# Pillow's readers raise any of these on damaged bytes (fuzzing found half of them), and one picture
# must not end a run over ten thousand.
_BROKEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

_BITS, _PHOTOMETRIC = 258, 262  # the tags BitsPerSample and PhotometricInterpretation of TIFF 6.0
_GREY_STEP = {"L;2": 85, "L;4": 17}  # by which Pillow multiplies the samples of a PNG of 2 or 4 bits
_REFUSED = ("I", "F", "LAB", "HSV")
_WARNINGS = threading.Lock()


class PictureError(MediaError):
    """A picture that cannot be read: missing, damaged, too large, or of a kind that has no RGB."""


def read_picture(source: Path | bytes, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read `source`, a file's path or its bytes, as upright RGB: (H, W, 3) uint8, read-only.

    Of an animation it is the first frame. A picture of more than `max_pixels` pixels is refused by its header, before
    a pixel is decoded.

    Raises:
        PictureError: there is no such file, it is not a picture, damaged, too large, or of a kind that is
            refused.
    """
    name = name_of(source, "picture")
    with _opened(source, name) as file:
        image = _header(file, name, max_pixels)
        return _array(image, name)


def picture_array(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """Return the pixels of a Pillow image, upright, as `read_picture` does: (H, W, 3) uint8 RGB, read-only.

    Raises:
        PictureError: its file is damaged, or its pixels are of a kind that is refused.
    """
    return _array(image, name)


def is_animated(source: Path | bytes) -> bool:
    """Return whether `source` is a picture that moves: a GIF, WebP, PNG or AVIF file of several frames."""
    name = name_of(source, "picture")
    try:
        with _opened(source, name) as file, _quiet():
            image = Image.open(file, formats=_ANIMATED)
            return bool(getattr(image, "is_animated", False))
    except (MediaError, Image.DecompressionBombError, *_BROKEN):
        return False  # reading the file reports what is wrong


def count_frames(source: Path | bytes) -> int:
    """Return how many frames an animation has.

    Raises:
        PictureError: it cannot be read.
    """
    name = name_of(source, "picture")
    with _opened(source, name) as file:
        return _frame_count(_header(file, name, MAX_PIXELS), name)


def read_animation(
    source: Path | bytes, n: int, max_pixels: int = MAX_PIXELS
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield `n` evenly spaced frames of an animation, as `bonaface.media.video.read_frames` does for a video.

    Raises:
        PictureError: as `read_picture`, after the readable frames.
    """
    name = name_of(source, "picture")
    with _opened(source, name) as file:
        image: Any = _header(file, name, max_pixels)
        for number in evenly_spaced(_frame_count(image, name), n):
            try:
                image.seek(number + _stills(image))
            except (EOFError, *_BROKEN) as error:
                raise _damaged(image, name, error) from error
            yield number, _array(image, name)


@contextmanager
def _opened(source: Path | bytes, name: str) -> Iterator[IO[bytes]]:
    try:
        source = settled(source)
        file = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    except MediaError as error:
        raise PictureError(str(error)) from error
    except (OSError, ValueError) as error:
        raise PictureError(f"{name}: cannot be opened ({error})") from error
    with file:
        yield file


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress Pillow's warnings (large picture, corrupt EXIF), which repeat what our own errors say.

    Python keeps its warning filters for the whole process, hence the lock.
    """
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _header(file: IO[bytes], name: str, max_pixels: int) -> Image.Image:
    """Open the picture without decoding it."""
    head = file.read(_HEAD)
    file.seek(0)
    formats = _formats(head, name)
    try:
        with _quiet():
            image = Image.open(file, formats=formats)
    except Image.DecompressionBombError as error:
        raise PictureError(f"{name}: refused before decoding: {error}; scale it down") from error
    except _BROKEN as error:
        if not head:
            raise PictureError(
                f"{name}: expected a picture, but the file is empty (0 bytes); copy it again"
            ) from error
        known = ", ".join(formats)
        raise PictureError(
            f"{name}: expected a picture ({known}), got something else or a damaged file"
        ) from error
    width, height = image.size
    limit = min(max_pixels, _MAX_PIXELS_OF.get(image.format or "", max_pixels))
    if width * height > limit:
        raise PictureError(
            f"{name}: {width} x {height} pixels are more than the limit of {limit:,}; scale it down"
        )
    return image


def _formats(head: bytes, name: str) -> tuple[str, ...]:
    """Return the formats to try for a file that begins with `head`: Pillow's, or HEIF, which an extra reads.

    Raises:
        PictureError: it is HEIF, and the extra is missing.
    """
    if head[4:8] != b"ftyp" or not head[8:12].startswith((b"he", b"m")):
        return FORMATS
    # The first brand may be one of the container alone, "mif1" or "msf1"; then those that follow say what is in it.
    whole = int.from_bytes(head[:4])
    if {head[at : at + 4] for at in range(16, min(whole, len(head)) - 3, 4)} & {b"avif", b"avis"}:
        return FORMATS
    try:
        import pillow_heif
    except ImportError as error:
        raise PictureError(
            f"{name}: a HEIC picture, which needs the package 'pillow-heif'; install it with: pip install "
            '"bonaface[heif]", or save the picture as JPEG or PNG'
        ) from error
    pillow_heif.register_heif_opener()
    return ("HEIF", "AVIF")


def _frame_count(image: Any, name: str) -> int:
    try:
        frames: int = image.n_frames - _stills(image)
    except (EOFError, *_BROKEN) as error:
        raise _damaged(image, name, error) from error
    return frames


def _stills(image: Any) -> int:
    """Return how many pictures Pillow counts before an animation: a PNG may have one for those who know none."""
    return int(bool(getattr(image, "default_image", False)))


def _damaged(image: Image.Image, name: str, error: Exception) -> PictureError:
    return PictureError(
        f"{name}: a {image.format or 'Pillow'} picture that is damaged or incomplete ({error})"
    )


def _array(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """Decode the picture: (H, W, 3) upright RGB, read-only, a strip at a time to save memory."""
    try:
        key = _scaled_key(image)  # while Pillow still knows how the file's samples lie
        # Pillow parses TIFF's tags, and warns of them, as it loads; other formats need no lock to decode.
        with _quiet() if image.format == "TIFF" else nullcontext():
            image.load()
        orientation = _orientation(image)
        width, height = image.size
        pixels = np.empty((height, width, 3), np.uint8)
        rows = max(1, _STRIP // width)
        white = _white(image)
        for top in range(0, height, rows):
            whole = rows >= height and key is None
            part = image if whole else image.crop((0, top, width, min(top + rows, height)))
            part.format = image.format
            if key is not None:
                part.info["transparency"] = key
            pixels[top : top + rows] = np.asarray(_rgb(part, name, white))
        if image.mode.startswith("I;16") and _white_is_zero(image):
            pixels = 255 - pixels
    except _BROKEN as error:
        raise _damaged(image, name, error) from error
    upright = np.ascontiguousarray(_upright(pixels, orientation))
    upright.flags.writeable = False
    return upright


def _scaled_key(image: Image.Image) -> int | tuple[int, ...] | None:
    """Return a PNG's transparent colour in the samples that Pillow makes of the file's; None where it is that already.

    Of 16 bits a colour Pillow keeps the upper 8, and so does the key.
    """
    key, tiles = image.info.get("transparency"), image.tile if isinstance(image, ImageFile.ImageFile) else ()
    if image.format != "PNG" or key is None or not tiles:
        return None
    samples = tiles[0].args
    if samples in _GREY_STEP:
        return int(key) * _GREY_STEP[samples]
    return tuple(part >> 8 for part in key) if samples == "RGB;16B" else None


def _white(image: Image.Image) -> int:
    """Return the largest sample of a picture of more than 8 bits: Pillow leaves those of a TIFF of 12 bits unscaled."""
    tags: Any = getattr(image, "tag_v2", {})
    return 4095 if tags.get(_BITS) == (12,) else 65535


def _white_is_zero(image: Image.Image) -> bool:
    """Return whether a TIFF's 0 is white; of samples of 8 bits and fewer Pillow turns that round by itself."""
    tags: Any = getattr(image, "tag_v2", {})
    return bool(tags.get(_PHOTOMETRIC) == 0)


def _orientation(image: Image.Image) -> int:
    """Return the loaded picture's EXIF orientation; a TIFF has none left, as Pillow turns it while loading."""
    with _quiet():
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    return orientation if isinstance(orientation, int) else 1


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return `pixels` (H, W, 3) turned as EXIF 2.32, 4.6.4 asks; an unknown number counts as 1, upright."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    down = -1 if orientation in (3, 4, 7, 8) else 1
    across = -1 if orientation in (2, 3, 6, 7) else 1
    return pixels[::down, ::across]


def _rgb(image: Image.Image, name: str, white: int) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        # A PGM of more than 8 bits comes as "I", scaled to 65535 by Pillow.
        samples = np.asarray(image).astype(np.uint32)
        grey = ((samples * 255 + white // 2) // white).astype(np.uint8)
        if (key := image.info.get("transparency")) is not None:
            grey[samples == key] = 255
        return Image.fromarray(grey).convert("RGB")
    if image.mode in _REFUSED:
        raise PictureError(
            f"{name}: pixels of the kind {image.mode!r} (32-bit, floating point or Lab) have no agreed RGB; "
            "save the picture as 8-bit RGB"
        )
    if image.mode == "CMYK":
        return _from_cmyk(image)
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_cmyk(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            # A damaged profile is ignored: the plain formula below still gives the right picture, in
            # duller colours.
            return image.convert("RGB")
        if converted is not None:
            return converted
    return image.convert("RGB")
