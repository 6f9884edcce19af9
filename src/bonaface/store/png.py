"""Fast reading and writing of PNG files, on which preparing a data set and training would otherwise wait.

Pillow tries every filter on every row and then deflates, which takes a third of the time that the face
detector does. One filter for all rows and igzip (ISA-L) take a fifth of that for the same size, and any
program reads the result.
"""

import io
import struct
import zlib

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray
from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UP = 2  # the filter of PNG's section 9.2: each byte less the one above it
_LEVEL = 1
_ONES = np.ones(64, np.float32)
_DATA = 41  # where the pixels begin: after the signature, IHDR, and the length and name of IDAT


def write_png(image: NDArray[np.uint8]) -> bytes:
    """Return `image`, (H, W, 3) uint8 RGB, as the bytes of a PNG file, without loss."""
    height, width, _ = image.shape
    rows = image.reshape(height, 3 * width)
    filtered = np.empty((height, 1 + 3 * width), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    eight_bit_rgb = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = isal_zlib.compress(filtered, _LEVEL)
    _clear_wide_registers()
    return _SIGNATURE + _chunk(b"IHDR", eight_bit_rgb) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def read_png(data: bytes, longest: int) -> NDArray[np.uint8]:
    """Return the picture in the bytes of a file, (H, W, 3) uint8 RGB; `write_png`'s files take half of Pillow's time.

    Raises:
        OSError: the bytes are not a picture, or are damaged, or a side has more than `longest` pixels.
    """
    if not data.startswith(_SIGNATURE) or data[_DATA - 4 : _DATA] != b"IDAT":
        return _by_pillow(data, longest)
    width, height = struct.unpack_from(">II", data, 16)
    _check_size(width, height, longest)
    (length,) = struct.unpack_from(">I", data, _DATA - 8)
    size = height * (1 + 3 * width)
    unpacker = isal_zlib.decompressobj()
    try:
        # one byte more than fits detects a small file that unpacks to gigabytes
        pixels = unpacker.decompress(memoryview(data)[_DATA : _DATA + length], size + 1)
    # isal's stub calls the class an instance
    except isal_zlib.IsalError:  # type: ignore[misc]  # the pixels go on in another chunk, or are damaged
        return _by_pillow(data, longest)
    if len(pixels) != size or not unpacker.eof:
        return _by_pillow(data, longest)
    rows = np.frombuffer(pixels, np.uint8).reshape(height, 1 + 3 * width)
    if (rows[:, 0] != _UP).any():
        return _by_pillow(data, longest)
    image = np.empty((height, 3 * width), np.uint8)
    above = np.zeros(3 * width, np.uint8)
    for row, here in zip(rows[:, 1:], image, strict=True):  # numpy's accumulate takes three times as long
        above = np.add(above, row, out=here)
    return image.reshape(height, width, 3)


def _clear_wide_registers() -> None:
    """Clear the upper halves of the vector registers, which igzip leaves in use, by adding floats with NumPy.

    While they are in use, every SSE instruction of this thread waits for them: decoding H.264 takes half as long again.
    """
    np.add(_ONES, _ONES)


def _check_size(width: int, height: int, longest: int) -> None:
    if not (0 < width <= longest and 0 < height <= longest):
        raise OSError(f"expected a picture of at most {longest} pixels a side, got {width} x {height}")


def _by_pillow(data: bytes, longest: int) -> NDArray[np.uint8]:
    try:
        picture = Image.open(io.BytesIO(data))
        _check_size(*picture.size, longest)
        return np.asarray(picture.convert("RGB"))
    except (
        ValueError,
        SyntaxError,
        struct.error,
        Image.DecompressionBombError,
    ) as error:  # as Pillow raises it
        raise OSError(f"no picture, or a damaged one: {error}") from error


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
