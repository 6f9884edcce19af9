import io
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from bonaface.core.errors import BonafaceError
from bonaface.media.picture import PictureError, read_picture

RNG = np.random.default_rng(3)
NOISE = RNG.integers(0, 256, (24, 37, 3), dtype=np.uint8)
SMOOTH = np.asarray(Image.fromarray(NOISE[:2, :3]).resize((37, 24), Image.Resampling.BICUBIC))


def encoded(image: Image.Image | NDArray[Any], form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(file, form, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, colour: int, data: bytes | None, *chunks: Any) -> bytes:
    """Return a PNG written by hand, for the kinds that Pillow does not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(data)) if data is not None else b""
    return (
        b"\x89PNG\r\n\x1a\n" + header + b"".join(chunk(*each) for each in chunks) + body + chunk(b"IEND", b"")
    )


def upright_exif(orientation: int) -> Any:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


def grey_tiff(samples: bytes, width: int, rows: int, bits: int, photometric: int) -> bytes:
    """A little-endian TIFF of one channel in one strip, its directory before the samples."""
    numbers = {
        256: width, 257: rows, 258: bits, 259: 1, 262: photometric, 273: 0, 277: 1, 278: rows, 279: len(samples)
    }  # fmt: skip
    numbers[273] = 8 + 2 + 12 * len(numbers) + 4
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in numbers.items())
    return b"II*\0" + struct.pack("<IH", 8, len(numbers)) + tags + bytes(4) + samples


class TestPlain:
    @pytest.mark.parametrize("form", ["PNG", "BMP", "PPM", "TIFF", "WEBP", "JPEG2000"])
    def test_lossless_formats_give_the_pixels(self, form: str) -> None:
        options = {"WEBP": {"lossless": True}}.get(form, {})
        picture = read_picture(encoded(NOISE, form, **options))
        assert picture.dtype == np.uint8
        np.testing.assert_array_equal(picture, NOISE)

    @pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF"])
    def test_lossy_formats_give_the_picture(self, form: str) -> None:
        picture = read_picture(encoded(SMOOTH, form, quality=95))
        assert np.abs(picture.astype(int) - SMOOTH).mean() < 3

    @pytest.mark.parametrize("brand", [b"mif1", b"msf1"])
    def test_an_avif_is_known_by_all_of_its_brands(self, brand: bytes) -> None:
        data = encoded(SMOOTH, "AVIF", quality=95)
        assert b"avif" in data[16:40]
        renamed = data[:8] + brand + data[12:]
        np.testing.assert_array_equal(read_picture(renamed), read_picture(data))

    def test_a_file_and_its_bytes_are_the_same(self, tmp_path: Path) -> None:
        data = encoded(SMOOTH, "JPEG")
        path = tmp_path / "face.jpg"
        path.write_bytes(data)
        np.testing.assert_array_equal(read_picture(path), read_picture(data))

    def test_format_is_read_from_the_content_not_the_name(self, tmp_path: Path) -> None:
        path = tmp_path / "face.jpg"
        path.write_bytes(encoded(NOISE, "PNG"))
        np.testing.assert_array_equal(read_picture(path), NOISE)


class TestOrientation:
    # How an upright picture is stored under each orientation (EXIF 2.32, 4.6.4): 6 is a camera turned so that
    # the stored top row is the scene's right side.
    STORED = {  # noqa: RUF012
        1: lambda u: u,
        2: lambda u: u[:, ::-1],
        3: lambda u: u[::-1, ::-1],
        4: lambda u: u[::-1],
        5: lambda u: u.transpose(1, 0, 2),
        6: lambda u: np.rot90(u, 1),
        7: lambda u: u[::-1, ::-1].transpose(1, 0, 2),
        8: lambda u: np.rot90(u, -1),
    }

    @pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_every_exif_orientation_is_turned_upright(self, orientation: int, form: str) -> None:
        stored = np.ascontiguousarray(self.STORED[orientation](NOISE))
        options = {"lossless": True} if form == "WEBP" else {}
        data = encoded(stored, form, exif=upright_exif(orientation), **options)
        np.testing.assert_array_equal(read_picture(data), NOISE)

    @pytest.mark.parametrize("form", ["JPEG", "AVIF"])
    def test_exif_orientation_of_lossy_formats_is_turned_upright(self, form: str) -> None:
        stored = np.ascontiguousarray(np.rot90(SMOOTH, 1))
        picture = read_picture(encoded(stored, form, quality=95, exif=upright_exif(6)))
        assert picture.shape == SMOOTH.shape
        assert np.abs(picture.astype(int) - SMOOTH).mean() < 3

    @pytest.mark.parametrize("orientation", [0, 9, 77])
    def test_a_meaningless_orientation_is_ignored(self, orientation: int) -> None:
        np.testing.assert_array_equal(
            read_picture(encoded(NOISE, "PNG", exif=upright_exif(orientation))), NOISE
        )

    def test_damaged_exif_leaves_the_picture_readable(self) -> None:
        data = encoded(SMOOTH, "JPEG", exif=upright_exif(6))
        at = data.index(b"Exif\0\0") + 6
        data = data[: at + 8] + b"\xff" * 8 + data[at + 16 :]
        assert read_picture(data).shape[2] == 3

    def test_damaged_tags_of_a_tiff_make_no_warning(self) -> None:
        exif = upright_exif(6)
        exif[ExifTags.Base.Software] = "a camera's name"
        data = encoded(NOISE, "TIFF", exif=exif)
        at = data.index(struct.pack("<HHI", ExifTags.Base.Software, 2, 16)) + 8
        data = data[:at] + struct.pack("<I", 10**6) + data[at + 4 :]
        np.testing.assert_array_equal(read_picture(data), np.rot90(NOISE, -1))


class TestKinds:
    @pytest.mark.parametrize("bits", [8, 16])
    @pytest.mark.parametrize("rows", [3, 700])  # in one strip of pixels, and in several
    def test_a_tiffs_zero_may_be_white(self, bits: int, rows: int) -> None:
        """TIFF 6.0, section 8: PhotometricInterpretation 0 is white, 1 is black."""
        grey = np.tile(np.linspace(0, 255, 2048).astype(np.uint8), (rows, 1))
        samples = (grey.astype("<u2") * 257 if bits == 16 else grey).tobytes()
        for photometric, wanted in ((1, grey), (0, 255 - grey)):
            found = read_picture(grey_tiff(samples, 2048, rows, bits, photometric))
            np.testing.assert_array_equal(found, np.repeat(wanted[..., None], 3, axis=2))

    def test_reads_grey(self) -> None:
        grey = NOISE[:, :, 0]
        np.testing.assert_array_equal(read_picture(encoded(grey, "PNG")), np.stack([grey] * 3, axis=2))

    def test_reads_one_bit_pictures(self) -> None:
        bits = Image.fromarray(NOISE).convert("1")
        expected = np.where(np.asarray(bits), 255, 0)
        np.testing.assert_array_equal(read_picture(encoded(bits, "PNG"))[:, :, 1], expected)

    def test_reads_palette_pictures(self) -> None:
        palette = Image.fromarray(NOISE).quantize(16)
        np.testing.assert_array_equal(
            read_picture(encoded(palette, "PNG")), np.asarray(palette.convert("RGB"))
        )

    @pytest.mark.parametrize("form", ["PNG", "WEBP"])
    def test_alpha_is_laid_over_white(self, form: str) -> None:
        alpha = np.zeros(NOISE.shape[:2], dtype=np.uint8)
        alpha[5:15, 5:20], alpha[15:, 20:] = 255, 128
        rgba = np.concatenate([NOISE, alpha[:, :, np.newaxis]], axis=2)
        options = {"lossless": True, "exact": True} if form == "WEBP" else {}
        picture = read_picture(encoded(rgba, form, **options))
        share = alpha[:, :, np.newaxis] / 255
        np.testing.assert_allclose(picture, NOISE * share + 255 * (1 - share), atol=1)
        assert (picture[:5] == 255).all()

    def test_grey_with_alpha(self) -> None:
        pixels = np.array([[[10, 255], [10, 0], [10, 128]]], dtype=np.uint8)
        picture = read_picture(encoded(Image.fromarray(pixels, "LA"), "PNG"))
        np.testing.assert_allclose(picture[0, :, 0], [10, 255, 132], atol=1)

    def test_a_palettes_transparent_colour_is_white(self) -> None:
        palette = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), "P")
        palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
        picture = read_picture(encoded(palette, "PNG", transparency=1))
        assert picture.tolist() == [[[10, 20, 30], [255, 255, 255], [70, 80, 90]]]

    def test_a_palette_of_half_transparent_colours(self) -> None:
        palette = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), "P")
        palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
        picture = read_picture(encoded(palette, "PNG", transparency=bytes([255, 0, 128])))
        np.testing.assert_allclose(picture[0, :, 0], [10, 255, 162], atol=1)

    def test_a_key_colour_is_white(self) -> None:
        pixels = np.array([[[1, 2, 3], [9, 9, 9]]], dtype=np.uint8)
        picture = read_picture(encoded(pixels, "PNG", transparency=(1, 2, 3)))
        assert picture.tolist() == [[[255, 255, 255], [9, 9, 9]]]

    @pytest.mark.parametrize("form", ["PNG", "TIFF"])
    def test_16_bit_grey_is_scaled(self, form: str) -> None:
        samples = np.array([[0, 257, 128 * 257, 65535, 40000, 300]], dtype=np.uint16)
        picture = read_picture(encoded(samples, form))
        assert picture[0, :, 0].tolist() == [0, 1, 128, 255, 156, 1]
        assert (picture[:, :, 0] == picture[:, :, 2]).all()

    def test_12_bit_grey_is_scaled(self) -> None:
        """TIFF 6.0: samples lie without gaps, the first in the upper bits."""
        samples = np.linspace(0, 4095, 900 * 600).astype(np.uint32)
        first, second = samples[::2], samples[1::2]
        packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1).astype(np.uint8)
        picture = read_picture(grey_tiff(packed.tobytes(), 900, 600, 12, 1))
        np.testing.assert_allclose(picture[:, :, 1].ravel(), samples * 255 / 4095, atol=0.5001)

    @pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
    @pytest.mark.parametrize("strip", [4, 1_000_000])
    def test_a_grey_key_is_white_at_any_depth(
        self, bits: int, strip: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """PNG (third edition), 11.3.2.1: the key has the file's own samples, whatever their depth."""
        monkeypatch.setattr("bonaface.media.picture._STRIP", strip)
        samples = np.array([[0, 1, 1, 0], [1, 0, 1, 1], [0, 0, 0, 0]])
        if bits > 1:
            samples *= 2
        row = [
            int("".join(f"{value:0{bits}b}" for value in row).ljust(-(-4 * bits // 8) * 8, "0"), 2)
            for row in samples
        ]
        data = b"".join(b"\0" + value.to_bytes(-(-4 * bits // 8), "big") for value in row)
        plain = read_picture(png(4, 3, bits, 0, data))[:, :, 0]
        np.testing.assert_array_equal(plain, np.round(samples * 255 / (2**bits - 1)))
        for key in (0, 1, 2):
            picture = read_picture(png(4, 3, bits, 0, data, (b"tRNS", struct.pack(">H", key))))[:, :, 0]
            np.testing.assert_array_equal(picture, np.where(samples == key, 255, plain))

    def test_a_key_of_16_bit_colours_is_white(self) -> None:
        samples = np.array(
            [[(0x1001, 0x2002, 0x3003), (0x1101, 0x2002, 0x3003), (1, 2, 3), (0x10, 0x20, 0x30)]]
        )
        data = b"\0" + samples.astype(">u2").tobytes()
        for key in range(3):
            picture = read_picture(png(4, 1, 16, 2, data, (b"tRNS", samples[0, key].astype(">u2").tobytes())))
            plain = samples >> 8
            expected = np.where((plain == plain[0, key]).all(-1, keepdims=True), 255, plain)
            np.testing.assert_array_equal(picture, expected)

    def test_16_bit_rgb_is_scaled(self) -> None:
        samples = RNG.integers(0, 65536, (6, 8, 3), dtype=np.uint16)
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
        picture = read_picture(png(8, 6, 16, 2, rows))
        np.testing.assert_allclose(picture, samples / 257, atol=1)

    def test_16_bit_grey_with_alpha_is_scaled(self) -> None:
        rows = b"\0" + np.array([[40000, 65535], [40000, 0]], dtype=">u2").tobytes()
        picture = read_picture(png(2, 1, 16, 4, rows))
        np.testing.assert_allclose(picture[0, :, 0], [156, 255], atol=1)

    @pytest.mark.parametrize("data", [b"P2 3 1 65535 0 40000 65535", b"P2 3 1 1023 0 624 1023"])
    def test_a_pgm_of_more_than_8_bits_is_scaled(self, data: bytes) -> None:
        np.testing.assert_allclose(read_picture(data)[0, :, 0], [0, 156, 255], atol=1)

    @pytest.mark.parametrize("kind", ["F", "I", "LAB"])
    def test_rejects_modes_without_an_agreed_rgb(self, kind: str) -> None:
        image = Image.new(kind, (8, 8))
        with pytest.raises(PictureError, match=f"{kind!r}.*save the picture as 8-bit RGB"):
            read_picture(encoded(image, "TIFF"))


class TestCmyk:
    CYAN = Image.new("CMYK", (16, 16), (255, 0, 0, 0))

    @pytest.mark.parametrize("form", ["JPEG", "TIFF"])
    def test_cmyk_is_converted_to_rgb(self, form: str) -> None:
        # Pillow and Photoshop write CMYK JPEGs inverted, with an Adobe marker; TIFF is not inverted.
        data = encoded(self.CYAN, form)
        assert (b"Adobe" in data) == (form == "JPEG")
        np.testing.assert_allclose(read_picture(data)[8, 8], [0, 255, 255], atol=2)

    def test_an_embedded_profile_is_applied(self) -> None:
        data = encoded(self.CYAN, "TIFF", icc_profile=cmyk_profile())
        # The profile makes a single ink grey of lightness 50, which is 119 in sRGB (IEC 61966-2-1).
        np.testing.assert_allclose(read_picture(data)[8, 8], [119, 119, 119], atol=2)

    @pytest.mark.parametrize(
        "profile", [b"no profile at all", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()]
    )
    def test_a_profile_that_does_not_fit_is_left_out(self, profile: bytes) -> None:
        data = encoded(self.CYAN, "TIFF", icc_profile=profile)
        np.testing.assert_allclose(read_picture(data)[8, 8], [0, 255, 255], atol=2)

    def test_an_rgb_pictures_profile_is_left_alone(self) -> None:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        np.testing.assert_array_equal(read_picture(encoded(NOISE, "PNG", icc_profile=profile)), NOISE)


def cmyk_profile() -> bytes:
    """Return the smallest ICC profile for CMYK: no ink is white, all inks are black, else Lab (50, 0, 0)."""
    lightness = [255, *[128] * 14, 0]
    grid = b"".join(bytes([value, 128, 128]) for value in lightness)
    ramp = bytes(range(256))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + grid + ramp * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    table += bytes(-len(table) % 4)
    tags = struct.pack(">I", 2) + struct.pack(">4sII", b"A2B0", 156, len(table))
    tags += struct.pack(">4sII", b"wtpt", 156 + len(table), len(white))
    size = 128 + len(tags) + len(table) + len(white)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02100000, b"prtr", b"CMYK", b"Lab ")
    header += (
        struct.pack(">6H", 2024, 1, 1, 0, 0, 0)
        + b"acsp"
        + bytes(28)
        + struct.pack(">3i", 63190, 65536, 54061)
    )
    return header + bytes(128 - len(header)) + tags + table + white


def test_a_gamma_chunk_changes_nothing() -> None:
    rows = b"".join(b"\0" + row.tobytes() for row in NOISE)
    height, width = NOISE.shape[:2]
    data = png(width, height, 8, 2, rows, (b"gAMA", struct.pack(">I", 100_000)), (b"sRGB", b"\0"))
    np.testing.assert_array_equal(read_picture(data), NOISE)


def test_a_resolution_changes_nothing() -> None:
    for form in ("PNG", "TIFF", "BMP"):
        np.testing.assert_array_equal(read_picture(encoded(NOISE, form, dpi=(72, 300))), NOISE)
    assert read_picture(encoded(SMOOTH, "JPEG", dpi=(72, 300))).shape == SMOOTH.shape


def test_a_large_picture_is_converted_strip_by_strip_to_the_same_pixels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alpha = np.concatenate([NOISE, NOISE[:, :, :1]], axis=2)
    cases: list[tuple[Any, str]] = [
        (NOISE, "PNG"),
        (alpha, "PNG"),
        (NOISE[:, :, 0].astype(np.uint16) * 257, "PNG"),
    ]
    cases += [(Image.fromarray(NOISE).quantize(16), "PNG"), (Image.fromarray(NOISE).convert("CMYK"), "TIFF")]
    files = [encoded(picture, form, exif=upright_exif(6)) for picture, form in cases]
    whole = [read_picture(file) for file in files]
    monkeypatch.setattr("bonaface.media.picture._STRIP", 37 * 5)
    for file, picture in zip(files, whole, strict=True):
        np.testing.assert_array_equal(read_picture(file), picture)


class TestHeif:
    @pytest.fixture
    def data(self) -> bytes:
        pytest.importorskip("pillow_heif").register_heif_opener()
        return encoded(SMOOTH, "HEIF", quality=95, exif=upright_exif(6).tobytes())

    def test_heic_is_read_and_turned(self, data: bytes) -> None:
        picture = read_picture(data)
        assert picture.shape == (37, 24, 3)
        assert np.abs(picture.astype(int) - np.rot90(SMOOTH, -1)).mean() < 4

    def test_heic_without_the_extra_names_the_package(
        self, data: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pillow_heif", None)
        with pytest.raises(
            PictureError, match=r'a HEIC picture, which needs .* pip install "bonaface\[heif\]"'
        ):
            read_picture(data)

    def test_reports_a_damaged_heic(self, data: bytes) -> None:
        with pytest.raises(PictureError):
            read_picture(data[: len(data) // 2])


class TestAnimation:
    @pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
    def test_the_first_frame_is_read(self, form: str) -> None:
        first, second = Image.new("RGB", (16, 16), (200, 30, 30)), Image.new("RGB", (16, 16), (30, 30, 200))
        data = encoded(first, form, save_all=True, append_images=[second])
        np.testing.assert_allclose(read_picture(data)[8, 8], [200, 30, 30], atol=4)


@pytest.fixture
def switching_often() -> Iterator[None]:
    """Let Python's threads switch a thousand times as often, so that races show."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(interval)


class TestLimit:
    def test_the_limit_is_the_number_of_pixels(self) -> None:
        data = encoded(NOISE, "PNG")
        assert read_picture(data, max_pixels=24 * 37).shape == NOISE.shape
        with pytest.raises(
            PictureError, match=r"37 x 24 pixels are more than the limit of 887; scale it down$"
        ):
            read_picture(data, max_pixels=24 * 37 - 1)

    def test_the_header_is_enough_to_refuse(self) -> None:
        with pytest.raises(PictureError, match="20000 x 8000 pixels are more than the limit"):
            read_picture(png(20000, 8000, 8, 2, None))

    @pytest.mark.parametrize("form", ["JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF"])
    def test_nothing_is_decoded_before_the_limit_is_checked(
        self, form: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def decode(*arguments: Any, **options: Any) -> None:
            raise AssertionError("decoded")

        data = encoded(NOISE, form)
        monkeypatch.setattr(Image.Image, "load", decode)
        with pytest.raises(PictureError, match="more than the limit"):
            read_picture(data, max_pixels=100)

    @pytest.mark.parametrize("limit", [65_000_000, 10**12])
    def test_pillows_own_limit_is_one_sentence_and_no_warning(self, limit: int) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with pytest.raises(PictureError, match=r"refused before decoding: .*; scale it down$"):
                read_picture(png(30000, 30000, 8, 2, None), max_pixels=limit)
            with pytest.raises(PictureError, match="damaged or incomplete"):
                read_picture(png(8000, 8000, 8, 2, None))
        assert not caught

    def test_nothing_global_is_changed(self) -> None:
        before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
        read_picture(encoded(NOISE, "PNG"))
        with pytest.raises(PictureError):
            read_picture(b"nothing")
        assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before

    def test_many_threads_leave_the_warning_filters_as_they_were(self, switching_often: None) -> None:
        before = list(warnings.filters)
        data = encoded(NOISE, "TIFF", exif=upright_exif(6))
        threads = [threading.Thread(target=lambda: [read_picture(data) for _ in range(40)]) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert list(warnings.filters) == before


FORMS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF"]


class TestDamage:
    @pytest.mark.parametrize("form", FORMS)
    def test_reports_a_truncated_picture(self, form: str, tmp_path: Path) -> None:
        data = encoded(NOISE, form)
        path = tmp_path / f"half.{form.lower()}"
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(PictureError, match=r"half\.\w+: .*damaged"):
            read_picture(path)

    @pytest.mark.parametrize(
        ("name", "content"),
        [("text.png", b"I am no picture"), ("page.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n")],
    )
    def test_rejects_files_that_are_not_pictures(self, name: str, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(PictureError, match=rf"{name}: expected a picture \(JPEG, PNG"):
            read_picture(path)

    def test_an_empty_file_is_called_so(self, tmp_path: Path) -> None:
        (tmp_path / "empty.jpg").touch()
        with pytest.raises(
            PictureError, match=r"empty\.jpg: expected a picture, but the file is empty \(0 bytes\)"
        ):
            read_picture(tmp_path / "empty.jpg")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_reads_or_rejects_the_content_of_a_pipe(self, tmp_path: Path) -> None:
        for content, outcome in ((encoded(NOISE, "PNG"), nullcontext()), (b"", pytest.raises(PictureError))):
            pipe = tmp_path / "pipe"
            os.mkfifo(pipe)
            writer = threading.Thread(target=pipe.write_bytes, args=(content,), daemon=True)
            writer.start()
            with outcome:
                read_picture(pipe)
            writer.join()
            pipe.unlink()

    def test_a_format_outside_the_list_is_refused_though_pillow_reads_it(self) -> None:
        data = encoded(NOISE, "TGA")
        assert Image.open(io.BytesIO(data)).size == (37, 24)
        with pytest.raises(PictureError, match="expected a picture"):
            read_picture(data)

    def test_reports_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(PictureError, match=r"gone\.jpg: there is no such file"):
            read_picture(tmp_path / "gone.jpg")

    def test_rejects_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(PictureError, match="expected a picture or video file, got a folder"):
            read_picture(tmp_path)

    def test_rejects_an_impossible_file_name(self, tmp_path: Path) -> None:
        with pytest.raises(PictureError, match="cannot be opened"):
            read_picture(tmp_path / "a\0b.jpg")

    def test_picture_error_is_a_bonaface_error(self) -> None:
        assert issubclass(PictureError, BonafaceError)
        with pytest.raises(PictureError, match="the picture's bytes"):
            read_picture(b"")

    @given(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"]), st.data())
    @settings(max_examples=80, deadline=None)
    def test_any_changed_bytes_give_a_picture_or_a_picture_error(self, form: str, data: Any) -> None:
        content = bytearray(encoded(NOISE, form))
        for _ in range(data.draw(st.integers(1, 8))):
            at = data.draw(st.integers(0, len(content) - 1))
            content[at] = data.draw(st.integers(0, 255))
        try:
            picture = read_picture(bytes(content), max_pixels=100_000)
        except PictureError:
            return
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3


def test_importing_reads_no_format_and_no_detector() -> None:
    code = (
        "import sys, bonaface.media.picture;"
        "print('onnxruntime' in sys.modules, 'PIL.JpegImagePlugin' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
