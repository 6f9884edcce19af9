import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bonaface.core.errors import InputError
from bonaface.face.crop import (
    ContextCrop,
    CropSpec,
    context_crop,
    cut,
    cut_views,
    face_crop,
    face_views,
    padded_share,
)
from bonaface.face.detect import Face

RNG = np.random.default_rng(5)
NOISE = RNG.integers(0, 256, (200, 300, 3), dtype=np.uint8)


def face(x0: float, y0: float, x1: float, y1: float) -> Face:
    a, b, c, d, e = ((x0 + (x1 - x0) * part, y0 + (y1 - y0) * part) for part in (0.2, 0.35, 0.5, 0.65, 0.8))
    return Face((x0, y0, x1, y1), (a, b, c, d, e), 0.99)


class TestCropSpec:
    @given(st.floats(min_value=0.0, max_value=4.0, exclude_min=True))
    def test_crop_spec_round_trips_through_text(self, scale: float) -> None:
        spec = CropSpec("square", scale)
        assert CropSpec.parse(str(spec)) == spec

    @pytest.mark.parametrize(
        ("text", "spec"),
        [
            ("tight", CropSpec("tight")),
            ("square-1.3", CropSpec("square", 1.3)),
            ("square-2", CropSpec("square", 2.0)),
            ("box-2.7", CropSpec("box", 2.7)),
        ],
    )
    def test_parse(self, text: str, spec: CropSpec) -> None:
        assert CropSpec.parse(text) == spec

    def test_str(self) -> None:
        specs = [CropSpec("tight"), CropSpec("square", 1), CropSpec("square", 1.3), CropSpec("box", 4)]
        assert [str(spec) for spec in specs] == ["tight", "square-1.0", "square-1.3", "box-4.0"]

    @pytest.mark.parametrize(
        "text",
        ["", "square", "square-", "square-x", "square-nan", "tight-1.3", "Tight", "round-1.0", "square--1"],
    )
    def test_another_text_is_refused_with_what_was_expected(self, text: str) -> None:
        with pytest.raises(InputError, match=r"must be|scale"):
            CropSpec.parse(text)

    @pytest.mark.parametrize("scale", [0.0, -1.0, 4.0001, float("inf"), float("nan")])
    def test_a_scale_out_of_range_is_refused(self, scale: float) -> None:
        with pytest.raises(InputError, match="above 0 and at most 4"):
            CropSpec("square", scale)

    def test_tight_takes_no_scale(self) -> None:
        with pytest.raises(InputError, match="takes no scale"):
            CropSpec("tight", 1.3)


def ramp(axis: int) -> np.ndarray:
    """Return a picture whose value is the pixel's x (axis 1) or y (axis 0)."""
    values = np.indices((240, 240))[axis].astype(np.uint8)
    return np.repeat(values[:, :, np.newaxis], 3, axis=2)


class TestFaceSquare:
    def test_context_crop_inside_the_picture_keeps_its_pixels(self) -> None:
        square = context_crop(NOISE, face(140, 70, 170, 110))
        np.testing.assert_array_equal(square.image, NOISE[50:130, 115:195])
        assert square.box == (25, 20, 55, 60)
        assert square.valid == (0, 0, 80, 80)
        assert (square.factor, square.padded) == (1.0, 0.0)

    def test_landmarks_move_with_the_square(self) -> None:
        found = face(140, 70, 170, 110)
        square = context_crop(NOISE, found)
        for (x, y), (u, v) in zip(found.landmarks, square.landmarks, strict=True):
            assert (u + 115, v + 50) == pytest.approx((x, y))

    @pytest.mark.parametrize(
        "box", [(-10, 5, 40, 60), (250, 150, 320, 230), (0, 0, 300, 200), (100, -30, 150, 20)]
    )
    def test_context_crop_mirrors_the_border(self, box: tuple[int, int, int, int]) -> None:
        square = context_crop(NOISE, face(*box))
        pad = 700
        padded = np.pad(NOISE, ((pad, pad), (pad, pad), (0, 0)), mode="symmetric")
        left = round(square.box[0] - box[0])
        top = round(square.box[1] - box[1])
        side = square.image.shape[0]
        np.testing.assert_array_equal(
            square.image, padded[pad - top : pad - top + side, pad - left : pad - left + side]
        )

    def test_an_overhang_larger_than_the_picture_is_mirrored_again_and_again(self) -> None:
        tiny = NOISE[:5, :7]
        square = context_crop(tiny, face(1, 1, 6, 31))
        assert square.image.shape == (60, 60, 3)
        left, top = round(square.box[0] - 1), round(square.box[1] - 1)
        padded = np.pad(tiny, ((60, 60), (60, 60), (0, 0)), mode="symmetric")
        np.testing.assert_array_equal(square.image, padded[60 - top : 120 - top, 60 - left : 120 - left])

    @pytest.mark.parametrize(
        ("box", "valid"),
        [((-25, -25, 25, 25), (50, 50, 100, 100)), ((275, 175, 325, 225), (0, 0, 50, 50))],
    )
    def test_the_mirrored_share_is_counted(
        self, box: tuple[int, int, int, int], valid: tuple[int, int, int, int]
    ) -> None:
        # side 100 around a corner of the picture: three quarters of the square lie outside
        square = context_crop(NOISE, face(*box))
        assert square.valid == valid
        assert square.padded == pytest.approx(0.75)

    @pytest.mark.parametrize("longest", [30, 50, 61, 97])
    @pytest.mark.parametrize("axis", [0, 1])
    def test_a_side_over_the_limit_is_reduced_without_shifting(self, axis: int, longest: int) -> None:
        # A resize keeps a linear ramp linear, so each pixel says from which coordinate it comes, but for the
        # rounding of its two steps.
        square = context_crop(ramp(axis), face(80, 70, 160, 170), longest=longest)
        assert square.image.shape == (longest, longest, 3)
        # A side that is a whole number of blocks of pixels: 201 for three at a time.
        assert square.factor == longest / (201 if longest == 50 else 200)
        values = square.image[:, :, 0] if axis == 0 else square.image[:, :, 0].T
        expected = 20 + (np.arange(longest) + 0.5) / square.factor - 0.5
        np.testing.assert_allclose(
            values[2:-2], np.repeat(expected[:, np.newaxis], longest, axis=1)[2:-2], atol=1.2
        )
        assert square.box == pytest.approx(np.array([60, 50, 140, 150]) * square.factor)

    @pytest.mark.parametrize("side", [150, 260, 450])
    def test_the_reduction_is_antialiased(self, side: int) -> None:
        checks = np.where(np.indices((1000, 1000)).sum(axis=0) % 2, 255, 0).astype(np.uint8)
        picture = np.repeat(checks[:, :, np.newaxis], 3, axis=2)
        square = context_crop(picture, face(500 - side, 500 - side, 500 + side, 500 + side), longest=100)
        inner = square.image[2:-2, 2:-2].astype(float)
        assert inner.mean() == pytest.approx(127.5, abs=1)
        assert np.abs(inner - 127.5).max() < 12

    def test_all_but_the_image_is_plain_numbers(self) -> None:
        square = context_crop(NOISE, face(-10.25, 20.5, 60.125, 90.75), longest=100)
        numbers = {
            "box": square.box,
            "landmarks": square.landmarks,
            "valid": square.valid,
            "factor": square.factor,
        }
        back = json.loads(json.dumps(numbers))
        assert tuple(back["box"]) == square.box
        assert all(
            type(value) is float for value in (*square.box, *square.valid, square.factor, square.padded)
        )
        assert square.image.flags.c_contiguous

    @pytest.mark.parametrize(
        "box",
        [
            (10, 10, 10, 20),
            (20, 10, 10, 20),
            (float("nan"), 0, 10, 10),
            (0, 0, float("inf"), 10),
            (-50, 10, -1, 60),
            (10, 200, 60, 260),
        ],
    )
    def test_a_box_without_area_in_the_picture_is_refused(self, box: tuple[Any, ...]) -> None:
        with pytest.raises(InputError, match="300 x 200 picture"):
            context_crop(NOISE, face(*box))


class TestCut:
    def test_on_whole_pixels_at_native_size_nothing_is_resampled(self) -> None:
        square = context_crop(NOISE, face(140, 60, 160, 100))
        np.testing.assert_array_equal(cut(square, CropSpec("square", 1.0), 40), NOISE[60:100, 130:170])
        np.testing.assert_array_equal(cut(square, CropSpec("square", 2.0), 80), NOISE[40:120, 110:190])

    @pytest.mark.parametrize("size", [16, 57, 150])
    @pytest.mark.parametrize("axis", [0, 1])
    @pytest.mark.parametrize("text", ["tight", "square-1.0", "square-1.3"])
    def test_the_crop_falls_between_pixels_where_it_must(self, text: str, axis: int, size: int) -> None:
        # A resize keeps a linear ramp linear, so each output pixel says from which coordinate it comes.
        box = (90.3, 80.6, 130.8, 141.9)
        spec = CropSpec.parse(text)
        low, high = box[1 - axis], box[3 - axis]
        if spec.kind == "square":
            middle, half = (low + high) / 2, spec.scale * (141.9 - 80.6) / 2
            low, high = middle - half, middle + half
        crop = cut(context_crop(ramp(axis), face(*box)), spec, size)
        values = crop[:, :, 0] if axis == 0 else crop[:, :, 0].T
        expected = low + (np.arange(size) + 0.5) * (high - low) / size - 0.5
        inner = slice(size // 8 + 1, -size // 8 - 1)
        np.testing.assert_allclose(
            values[inner], np.repeat(expected[:, np.newaxis], size, axis=1)[inner], atol=0.51
        )

    def test_a_reduction_is_antialiased(self) -> None:
        checks = np.where(np.indices((240, 240)).sum(axis=0) % 2, 255, 0).astype(np.uint8)
        picture = np.repeat(checks[:, :, np.newaxis], 3, axis=2)
        crop = cut(context_crop(picture, face(70.3, 60.2, 160.9, 170.1)), CropSpec("square", 1.3), 32)
        assert np.abs(crop.astype(float) - 127.5).max() < 12

    @given(
        st.floats(-60, 280), st.floats(-60, 180), st.floats(1, 400), st.floats(1, 400), st.integers(20, 200)
    )
    @settings(max_examples=60, deadline=None)
    def test_every_crop_fits_into_the_kept_square(
        self, x: float, y: float, width: float, height: float, longest: int
    ) -> None:
        if x + width <= 0.01 or y + height <= 0.01:
            return
        square = context_crop(NOISE, face(x, y, x + width, y + height), longest=longest)
        assert max(square.image.shape[:2]) <= longest
        for text in ("tight", "square-1.0", "square-1.3", "square-2.0"):
            spec = CropSpec.parse(text)
            assert cut(square, spec, 24).shape == (24, 24, 3)
            assert -1e-9 <= padded_share(square, spec) <= 1.0

    def test_the_stored_square_gives_the_same_crop(self) -> None:
        square = context_crop(NOISE, face(-10.2, 20.7, 60.9, 90.1), longest=100)
        file = io.BytesIO()
        Image.fromarray(square.image).save(file, "PNG")
        stored = ContextCrop(
            np.asarray(Image.open(file)),
            square.box,
            square.landmarks,
            square.valid,
            square.factor,
            square.picture,
        )
        for text in ("tight", "square-1.3"):
            spec = CropSpec.parse(text)
            np.testing.assert_array_equal(cut(stored, spec, 64), cut(square, spec, 64))

    @pytest.mark.parametrize("scale", [1.0, 1.2])
    def test_a_crop_that_the_square_does_not_hold_is_refused(self, scale: float) -> None:
        square = context_crop(NOISE, face(140, 60, 160, 100), scale=scale)
        with pytest.raises(InputError, match=r"square-1\.3 reaches over"):
            cut(square, CropSpec("square", 1.3), 32)

    def test_a_crop_can_be_written_to(self) -> None:
        assert cut(context_crop(NOISE, face(140, 60, 160, 100)), CropSpec("tight"), 32).flags.writeable


class TestFaceCrop:
    """For any face and crop, not a bit differs from the crop of the whole square."""

    PICTURE = RNG.integers(0, 256, (700, 1100, 3), dtype=np.uint8)

    @pytest.mark.parametrize(
        "box",
        [
            (300.5, 100.25, 800.75, 500.0),  # 1000 px: kept as it is
            (200.3, 100.6, 800.8, 901.9),  # 1603 px: reduced, over the lower edge
            (-200.5, 100.0, 1200.7, 800.2),  # 2802 px: two by two pixels averaged first, over three edges
            (-300.0, -600.0, 1620.0, 700.0),  # 3840 px: three by three, larger than the picture
        ],
    )
    def test_kept_reduced_and_averaged_squares(self, box: tuple[float, float, float, float]) -> None:
        found = face(*box)
        square = context_crop(self.PICTURE, found)
        for text in ("tight", "square-0.7", "square-1.0", "square-1.3", "square-2.0"):
            for size in (64, 224, 512):
                spec = CropSpec.parse(text)
                np.testing.assert_array_equal(
                    face_crop(self.PICTURE, found, spec, size), cut(square, spec, size), f"{text} {size}"
                )

    @given(
        st.floats(-900, 1050),
        st.floats(-900, 650),
        st.floats(1, 1800),
        st.floats(1, 1800),
        st.floats(0.05, 2.0),
        st.integers(16, 520),
    )
    @settings(max_examples=15, deadline=None)
    def test_face_crop_equals_cut_for_any_face(
        self, x: float, y: float, width: float, height: float, scale: float, size: int
    ) -> None:
        if x + width <= 0.01 or y + height <= 0.01:
            return
        found = face(x, y, x + width, y + height)
        square = context_crop(self.PICTURE, found)
        for spec in (CropSpec("tight"), CropSpec("square", scale)):
            np.testing.assert_array_equal(face_crop(self.PICTURE, found, spec, size), cut(square, spec, size))

    def test_a_box_outside_the_picture_is_refused(self) -> None:
        with pytest.raises(InputError, match="300 x 200 picture"):
            face_crop(NOISE, face(-50, 10, -1, 60), CropSpec("tight"), 32)


class TestBoxCrop:
    """The box enlarged, inside the picture, without a mirrored pixel."""

    def test_box_crop_inside_the_picture_is_the_enlarged_box(self) -> None:
        found = face(100, 80, 140, 120)
        expected = NOISE[60:140, 80:160]
        np.testing.assert_array_equal(face_crop(NOISE, found, CropSpec("box", 2.0), 80), expected)
        np.testing.assert_array_equal(cut(context_crop(NOISE, found), CropSpec("box", 2.0), 80), expected)

    @pytest.mark.parametrize(
        ("box", "scale", "crop"),
        [
            ((0, 0, 40, 60), 2.0, (0, 0, 80, 120)),  # shifted right and down
            ((280, 170, 300, 200), 2.0, (260, 140, 300, 200)),  # shifted left and up
            ((-10, 50, 30, 90), 2.5, (0, 20, 100, 120)),  # a box that leaves the picture itself
            ((50, 20, 250, 180), 4.0, (25, 0, 275, 200)),  # as large as the height allows: 1.25 times
            ((0, 90, 300, 120), 2.0, (0, 90, 300, 120)),  # as wide as the picture
        ],
    )
    def test_box_crop_is_shifted_inside_and_no_larger_than_the_picture(
        self, box: Any, scale: Any, crop: Any
    ) -> None:
        expected = np.array(Image.fromarray(NOISE).resize((64, 64), Image.Resampling.BILINEAR, box=crop))
        found, spec = face(*box), CropSpec("box", scale)
        np.testing.assert_array_equal(face_crop(NOISE, found, spec, 64), expected)
        views = face_views(NOISE, found, [spec, CropSpec("tight")], 64)
        np.testing.assert_array_equal(views.crops[0], expected)
        assert views.shares[0] == 0.0

    def test_rejects_a_context_smaller_than_the_box_crop(self) -> None:
        square = context_crop(NOISE, face(0, 0, 40, 60))
        with pytest.raises(InputError, match=r"box-2\.0 reaches over .* prepare --context S"):
            cut(square, CropSpec("box", 2.0), 64)
        wide = context_crop(NOISE, face(0, 0, 40, 60), 4.0)
        np.testing.assert_array_equal(
            cut(wide, CropSpec("box", 2.0), 64),
            face_crop(NOISE, face(0, 0, 40, 60), CropSpec("box", 2.0), 64),
        )

    @given(
        st.floats(-50, 290), st.floats(-50, 190), st.floats(1, 400), st.floats(1, 400), st.floats(0.1, 4.0),
        st.sampled_from([1.0, 2.0, 3.3, 4.0]),
    )  # fmt: skip
    @settings(max_examples=60, deadline=None)
    def test_a_context_crop_that_holds_the_box_crop_gives_the_same_pixels(
        self, x: Any, y: Any, width: Any, height: Any, scale: Any, context: Any
    ) -> None:
        if x + width <= 0.01 or y + height <= 0.01:
            return
        found, spec = face(x, y, x + width, y + height), CropSpec("box", scale)
        direct = face_crop(NOISE, found, spec, 24, context)
        assert direct.shape == (24, 24, 3)
        try:
            kept = cut(context_crop(NOISE, found, context), spec, 24)
        except InputError:
            return
        np.testing.assert_array_equal(direct, kept)


class TestViews:
    def test_views_are_the_single_crops_with_their_mirrored_shares(self) -> None:
        found = face(-10, 80, 30, 120)
        specs = [CropSpec.parse(text) for text in ("tight", "square-1.5", "square-3.0", "box-1.5")]
        square = context_crop(NOISE, found, 3.0)
        views = cut_views(square, specs, 32)
        assert (views.crops.shape, views.crops.dtype) == ((4, 32, 32, 3), np.uint8)
        assert views.shares.dtype == np.float32
        # 40 px wide, 10 of them outside; 60 and 20; 120 and 50; shifted inside
        np.testing.assert_allclose(views.shares, [10 / 40, 20 / 60, 50 / 120, 0.0])
        for crop, spec in zip(views.crops, specs, strict=True):
            np.testing.assert_array_equal(crop, cut(square, spec, 32))
        again = face_views(NOISE, found, specs, 32, 3.0)
        np.testing.assert_array_equal(again.crops, views.crops)
        np.testing.assert_array_equal(again.shares, views.shares)


class TestPaddedShare:
    def test_each_view_has_its_own_mirrored_share(self) -> None:
        # The box 40 x 40 reaches 10 pixels over the left edge.
        square = context_crop(NOISE, face(-10, 80, 30, 120))
        assert padded_share(square, CropSpec("tight")) == pytest.approx(10 / 40)
        assert padded_share(square, CropSpec("square", 1.5)) == pytest.approx(20 / 60)
        assert padded_share(square, CropSpec("square", 0.5)) == 0.0
        assert square.padded == padded_share(square, CropSpec("square", 2.0)) == pytest.approx(30 / 80)

    def test_a_reduced_square_keeps_its_shares(self) -> None:
        found = face(-10, 80, 30, 120)
        whole, reduced = context_crop(NOISE, found), context_crop(NOISE, found, longest=37)
        for text in ("tight", "square-1.3", "square-2.0"):
            spec = CropSpec.parse(text)
            assert padded_share(reduced, spec) == pytest.approx(padded_share(whole, spec))
