"""PNG files written quickly: preparing a data set must not wait for them.

Pillow tries every filter on every row and then deflates, which takes a third of the time that the face
detector does. One filter for all rows and igzip (ISA-L) take a fifth of that for the same size, and any
program reads the result.
"""

import struct
import zlib

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UP = 2  # the filter of PNG's section 9.2: each byte less the one above it
_LEVEL = 1


def write_png(image: NDArray[np.uint8]) -> bytes:
    """`image`, (H, W, 3) uint8 RGB, as the bytes of a PNG file, without loss."""
    height, width, _ = image.shape
    rows = image.reshape(height, 3 * width)
    filtered = np.empty((height, 1 + 3 * width), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    eight_bit_rgb = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = isal_zlib.compress(filtered, _LEVEL)
    return _SIGNATURE + _chunk(b"IHDR", eight_bit_rgb) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
