"""What is fuzzed: each target takes any bytes and raises nothing but what our readers promise.

python tests/fuzz/fuzz.py picture -max_total_time=20      # or video, bundle; `make fuzz` runs all of them
"""

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonaface.core.errors import ModelFileError
from bonaface.inference.bundle import CARD, DEFAULT_MODEL, read_card
from bonaface.inference.onnx_file import has_external_data
from bonaface.media.frames import open_media, probe_media
from bonaface.media.kinds import Kind, sniff
from bonaface.media.picture import PictureError, count_frames, is_animated, read_animation, read_picture
from bonaface.media.source import MediaError
from bonaface.media.video import VideoError, probe, read_frames
from bonaface.testing.clips import encode_clip

_PIXELS = 250_000  # a larger picture would be slow, not wrong


def picture(data: bytes) -> None:
    """Read a picture or an animation."""
    try:
        pixels = read_picture(data, _PIXELS)
    except PictureError:
        pass
    else:
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
        assert pixels.dtype == np.uint8
    if not is_animated(data):
        return
    try:
        if count_frames(data) < 1000:
            for _, frame in read_animation(data, 3, _PIXELS):
                assert frame.dtype == np.uint8
    except PictureError:
        pass


def video(data: bytes) -> None:
    """Read a video, whatever its bytes say that they are."""
    try:
        info = probe(data)
        assert info.frames >= 1
        for number, frame in read_frames(data, 3):
            assert 0 <= number < info.frames
            assert frame.shape[2] == 3
    except VideoError:
        pass
    if sniff(data) is Kind.VIDEO:
        return
    try:
        assert probe_media(data).frames >= 1
        list(open_media(data, 2).frames)
    except MediaError:
        pass


def bundle(data: bytes) -> None:
    """Read a bundle's description, and what an ONNX file says of further files; the first byte says which."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CARD
        path.write_bytes(data[1:])
        try:
            if data[:1] == b"o":
                assert has_external_data(path) in (True, False)
            else:
                card = read_card(path)
                assert card.threshold(card.default_output, "video") >= 0
        except ModelFileError:
            pass


TARGETS: dict[str, Callable[[bytes], None]] = {"picture": picture, "video": video, "bundle": bundle}


def seeds(target: str) -> list[bytes]:
    """Return small inputs that a target reads well, from which a fuzzer sets out."""
    noise = np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8)
    if target == "picture":
        return _pictures(noise)
    if target == "video":
        frames = [np.roll(noise.repeat(2, 0).repeat(2, 1), 3 * n, axis=1) for n in range(3)]
        return [encode_clip(frames, suffix) for suffix in (".mp4", ".avi", ".mkv", ".webm")]
    graph = (DEFAULT_MODEL / "model.onnx").read_bytes()
    card = (DEFAULT_MODEL / CARD).read_bytes()
    # A graph with a tensor that lies elsewhere, and a field without a meaning that has the word looked for.
    elsewhere = b"\x3a\x04\x2a\x02\x6a\x00\x9a\x06\x08location"
    return [b"j" + card, b"j{}", b"o" + graph[:4000], b"o" + elsewhere, b"o" + elsewhere[6:] + graph[:400]]


def _pictures(noise: NDArray[np.uint8]) -> list[bytes]:
    """Return a picture of every format, some in several kinds of pixels, and two animations."""
    image = Image.fromarray(noise)
    made: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (image, form, {}) for form in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "PPM", "TIFF", "JPEG2000", "AVIF")
    ]
    made += [
        (image.convert("CMYK"), "JPEG", {}),
        (image.convert("RGBA"), "PNG", {}),
        (image.convert("L"), "TIFF", {}),
    ]
    made += [(image, "JPEG", {"progressive": True}), (image, "TIFF", {"compression": "tiff_lzw"})]
    more = [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    made += [(image, form, {"save_all": True, "append_images": more}) for form in ("GIF", "WEBP")]
    return [_encoded(each, form, options) for each, form, options in made]


def _encoded(image: Image.Image, form: str, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()
