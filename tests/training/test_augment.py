from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from bonaface.core.errors import InputError
from bonaface.face.crop import ContextCrop, CropSpec, cut
from bonaface.face.detect import Detector
from bonaface.simulate.light import srgb_decode, to_light
from bonaface.testing.portrait import drawn_portrait
from bonaface.training import augment
from bonaface.training.augment import (
    CHANGES,
    as_attack,
    expose_anew,
    flip_and_jitter,
    flip_landmarks,
    taken_again,
    transfer_color,
)


def augmented(*args: Any, **settings: Any) -> NDArray[np.uint8]:
    """The picture alone."""
    return flip_and_jitter(*args, **settings)[0]


REFERENCES = {
    augment.change_brightness: reference.adjust_brightness,
    augment.change_contrast: reference.adjust_contrast,
    augment.change_saturation: reference.adjust_saturation,
    augment.turn_hue: reference.adjust_hue,
}
FACTORS = dict.fromkeys(CHANGES[:3], (0.0, 0.8, 1.0, 1.17, 2.5)) | {
    augment.turn_hue: (-0.5, -0.02, 0.0, 0.013, 0.25)
}
NONE = {"flip": 0.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}


@pytest.fixture(scope="module")
def crop() -> np.ndarray:
    """Smooth colours, a dark and a bright corner, greys and noise: every part of the colour space."""
    y, x = np.mgrid[0:1:40j, 0:1:48j]
    smooth = np.stack([x, y, (1 - x) * (1 - y)], axis=-1) * 255
    noise = np.random.default_rng(0).uniform(-40, 40, smooth.shape)
    picture = (smooth + noise).clip(0, 255).astype(np.uint8)
    picture[:8] = picture[:8, :, :1]
    return picture


@pytest.mark.parametrize(
    ("change", "factor"), [(change, factor) for change, factors in FACTORS.items() for factor in factors]
)
def test_changes_match_torchvision(
    crop: NDArray[np.uint8], change: Callable[..., Any], factor: float
) -> None:
    image = Image.fromarray(crop)
    ours = np.asarray(change(image, factor)).astype(int)
    # its tensor code shares no arithmetic with ours; grey is rounded differently, and the factor multiplies that
    tensor = torch.from_numpy(crop).permute(2, 0, 1)
    theirs = REFERENCES[change](tensor, factor).permute(1, 2, 0).numpy()
    assert np.abs(ours - theirs).max() <= (2 if factor > 1.5 else 1)
    if change is not augment.turn_hue:  # where Pillow's hue has too few steps
        np.testing.assert_array_equal(ours, np.asarray(REFERENCES[change](image, factor)))


def test_flip_alone(crop: NDArray[np.uint8]) -> None:
    flipped = augmented(crop, np.random.default_rng(0), **NONE | {"flip": 1.0})
    np.testing.assert_array_equal(flipped, crop[:, ::-1])
    np.testing.assert_array_equal(augmented(crop, np.random.default_rng(0), **NONE), crop)


def test_flip_has_its_probability(crop: NDArray[np.uint8]) -> None:
    small = crop[:1, :2]
    rng = np.random.default_rng(1)
    flips = [
        np.array_equal(augmented(small, rng, **NONE | {"flip": 0.3}), small[:, ::-1]) for _ in range(1000)
    ]
    assert 250 <= sum(flips) <= 350


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("strength", [0.2, 0.5])
def test_factors_are_uniform_in_torchvisions_range(
    monkeypatch: pytest.MonkeyPatch, crop: NDArray[np.uint8], part: int, strength: float
) -> None:
    factors: list[float] = []

    def watch(image: Image.Image, factor: Any) -> Image.Image:
        factors.append(factor)
        return image

    monkeypatch.setattr(
        augment, "CHANGES", tuple(watch if i == part else change for i, change in enumerate(CHANGES))
    )
    rng = np.random.default_rng(2)
    name = ("brightness", "contrast", "saturation", "hue")[part]
    for _ in range(500):
        augmented(crop[:1, :1], rng, **NONE | {name: strength})
    centre = 0.0 if name == "hue" else 1.0
    assert len(factors) == 500
    low, middle, high = np.quantile(factors, [0, 0.5, 1])
    assert centre - strength <= low < centre - 0.95 * strength
    assert centre + 0.95 * strength < high <= centre + strength
    assert abs(middle - centre) < 0.2 * strength


def test_strength_above_one_never_inverts_a_picture(
    monkeypatch: pytest.MonkeyPatch, crop: NDArray[np.uint8]
) -> None:
    factors: list[float] = []
    monkeypatch.setattr(augment, "CHANGES", [lambda image, factor: factors.append(factor) or image] * 4)
    for seed in range(50):
        augmented(crop[:1, :1], np.random.default_rng(seed), **NONE | {"brightness": 3.0})
    assert min(factors) >= 0.0
    assert 3.0 < max(factors) <= 4.0


def test_the_order_is_random(monkeypatch: pytest.MonkeyPatch, crop: NDArray[np.uint8]) -> None:
    order: list[int] = []

    def watch(part: int) -> Callable[..., Any]:
        return lambda image, factor: order.append(part) or image

    monkeypatch.setattr(augment, "CHANGES", tuple(watch(part) for part in range(4)))
    rng = np.random.default_rng(3)
    for _ in range(200):
        augmented(crop[:1, :1], rng)
    orders = {tuple(order[i : i + 4]) for i in range(0, len(order), 4)}
    assert len(orders) == 24


@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_the_same_seed_gives_the_same_crop_and_leaves_the_input(seed: int, height: int, width: int) -> None:
    crop = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    crop.flags.writeable = False
    before = crop.copy()
    one = augmented(crop, np.random.default_rng(seed))
    two = augmented(crop, np.random.default_rng(seed))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(crop, before)
    assert one.shape == crop.shape
    assert one.dtype == np.uint8
    assert one.flags.writeable
    assert one.flags.c_contiguous
    assert not np.shares_memory(one, crop)


def test_number_of_random_draws_is_independent_of_the_strengths(crop: NDArray[np.uint8]) -> None:
    one, two = np.random.default_rng(5), np.random.default_rng(5)
    augmented(crop, one, **NONE)
    augmented(crop, two)
    assert one.random() == two.random()


def test_rejects_wrong_input(crop: NDArray[np.uint8]) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match=r"crop must be \(H, W, 3\) uint8 RGB, got \(48, 3\) uint8"):
        augmented(crop[0], rng)
    with pytest.raises(InputError, match="float64"):
        augmented(crop / 255, rng)
    for wrong in ({"flip": 1.5}, {"brightness": -0.1}, {"hue": 0.6}):
        with pytest.raises(InputError, match=r"flip must be in \[0, 1\]"):
            augmented(crop, rng, **wrong)


def square_of(side: int, apart: float = 0.17) -> ContextCrop:
    """A drawn person's square, the face box in its middle half, the eyes `apart` in sides."""
    x, y, left = side / 2, 0.45 * side, apart * side / 2
    mouth = 0.6 * side
    return ContextCrop(
        image=drawn_portrait(side, seed=3),
        box=(0.32 * side, 0.25 * side, 0.68 * side, 0.75 * side),
        landmarks=((x - left, y), (x + left, y), (x, 0.52 * side), (x - left, mouth), (x + left, mouth)),
        valid=(0.0, 0.1 * side, side, side),
        factor=1.0,
        picture=(-side, 0.1 * side, 2 * side, 2 * side),
    )


@pytest.mark.parametrize("side", [48, 200, 512])
def test_simulated_attack_changes_only_the_pixels(side: int) -> None:
    square = square_of(side)
    attack, again, other = (as_attack(square, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert attack.image.shape == square.image.shape
    assert (attack.box, attack.landmarks) == (square.box, square.landmarks)
    assert (attack.valid, attack.factor, attack.picture) == (square.valid, square.factor, square.picture)
    assert np.array_equal(attack.image, again.image)
    assert not np.array_equal(attack.image, other.image)


def test_a_worse_camera_changes_only_the_pixels() -> None:
    square = square_of(300)
    one, again, other = (taken_again(square, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert replace(one, image=square.image) == square
    assert one.image.shape == square.image.shape
    assert one.image.dtype == np.uint8
    assert np.array_equal(one.image, again.image)
    assert not np.array_equal(one.image, other.image)


def faults(
    monkeypatch: pytest.MonkeyPatch, unsharp: float = 0.0, coarse: float = 0.0, dark: float = 0.0
) -> None:
    for name, share in {"_UNSHARP": unsharp, "_COARSE": coarse, "_DARK": dark}.items():
        monkeypatch.setattr(augment, name, share)


def noise_square(side: int) -> ContextCrop:
    image = np.random.default_rng(0).integers(0, 256, (side, side, 1)).astype(np.uint8).repeat(3, 2)
    return replace(square_of(side), image=image)


@pytest.mark.parametrize("side", [300, 900])
def test_out_of_focus_by_as_much_of_the_face_whatever_its_size(
    side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a Gaussian of sigma leaves white noise 1 / (2 sigma sqrt(pi)) of its spread
    faults(monkeypatch, unsharp=1.0)
    monkeypatch.setattr(augment, "_SIGMA", (3.0, 3.0))
    square = noise_square(side)
    after = taken_again(square, np.random.default_rng(0)).image[20:-20, 20:-20, 0]
    sigma = 3.0 * (square.box[2] - square.box[0]) / 224
    assert after.std() / square.image.std() == pytest.approx(1 / (2 * sigma * np.pi**0.5), rel=0.15)


def test_with_fewer_pixels_fine_detail_is_lost_unless_the_face_has_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faults(monkeypatch, coarse=1.0)
    monkeypatch.setattr(augment, "_FEWER", (2.0, 2.0))
    large, small = (noise_square(side) for side in (1200, 200))  # faces of 432 and 72 pixels
    spread = [taken_again(s, np.random.default_rng(0)).image.std() / s.image.std() for s in (large, small)]
    assert spread[0] < 0.4
    assert spread[1] > 0.9


def test_in_the_dark_a_picture_is_darker_by_what_is_not_amplified_and_has_shot_noise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faults(monkeypatch, dark=1.0)
    monkeypatch.setattr(augment, "_LESS", (2.0, 2.0))
    monkeypatch.setattr(augment, "_ELECTRONS", (1000.0, 1000.0))
    monkeypatch.setattr(augment, "compressed", lambda picture, _: picture)  # JPEG takes noise away
    square = replace(square_of(300), image=np.full((300, 300, 3), 188, np.uint8))
    drawn = np.random.default_rng(5)
    drawn.random(3)  # which faults
    drawn.uniform(size=4)  # sigma, fewer, stops, electrons
    back = drawn.uniform(0.3, 1.0)
    light = srgb_decode(taken_again(square, np.random.default_rng(5)).image[:, :, 1] / 255.0)
    before = float(srgb_decode(np.array([188 / 255.0]))[0])
    gain = 2.0 ** (2 * back)
    assert light.mean() == pytest.approx(before / 4 * gain, rel=0.03)
    assert light.std() == pytest.approx((before / 4 / 1000) ** 0.5 * gain, rel=0.05)


def test_large_context_crop_is_reduced_and_gives_the_same_crop() -> None:
    square = square_of(800)
    attack = as_attack(square, np.random.default_rng(1))
    assert attack.image.shape == (512, 512, 3)
    assert attack.factor == 512 / 800
    for name in ("box", "valid", "picture"):
        assert getattr(attack, name) == pytest.approx(np.array(getattr(square, name)) * 0.64)
    reduced = ContextCrop(
        np.array(Image.fromarray(square.image).resize((512, 512), Image.Resampling.BILINEAR)),
        attack.box, attack.landmarks, attack.valid, attack.factor, attack.picture,
    )  # fmt: skip
    spec = CropSpec("square", 1.3)
    difference = cut(reduced, spec, 96).astype(float) - cut(square, spec, 96)
    assert np.abs(difference).mean() < 2


def test_face_of_a_simulated_attack_stays_where_it_was(faces_root: Path) -> None:
    picture = np.asarray(Image.open(faces_root / "bonafide" / "person-1" / "0.png").convert("RGB"))
    detector = Detector(threads=1)
    (face,) = detector.detect(picture)
    square = ContextCrop(
        picture, face.box, face.landmarks, (0.0, 0.0, 256.0, 256.0), 1.0, (0.0, 0.0, 256.0, 256.0)
    )
    near = 0
    for seed in range(8):
        found = detector.detect(as_attack(square, np.random.default_rng(seed)).image)
        near += bool(found) and np.abs(np.subtract(found[0].landmarks, face.landmarks)).max() < 12
    assert near >= 7


def test_simulated_profile_face_has_the_size_of_a_frontal_one() -> None:
    for apart in (0.0, 0.01):
        attack = as_attack(square_of(200, apart), np.random.default_rng(4))
        front = as_attack(square_of(200, 0.33 * 0.5), np.random.default_rng(4))
        assert np.array_equal(attack.image, front.image)


@given(st.integers(0, 2**32 - 1))
def test_color_transfer_gives_mean_and_spread_of_the_other_picture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    crop = rng.integers(90, 150, (24, 20, 3), dtype=np.uint8)
    low, high = sorted(rng.choice(np.arange(60, 190), 2, replace=False).tolist())
    other = rng.integers(low, high, (16, 16, 3), dtype=np.uint8)
    changed = transfer_color(crop, other)
    np.testing.assert_allclose(changed.mean((0, 1)), other.mean((0, 1)), atol=1.0)
    np.testing.assert_allclose(changed.std((0, 1)), other.std((0, 1)), atol=1.0)
    assert (transfer_color(crop, crop) == crop).all()


class Stops(np.random.Generator):
    """A random stream of which every draw is `value`."""

    def __init__(self, value: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.value = value

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        assert (low, high, size) == (-1.5, 2.0, None)
        return self.value


@pytest.mark.parametrize("stops", [-1.5, 0.0, 1.0])
def test_exposed_anew_the_mean_light_is_a_middle_grey_times_the_stops(stops: float) -> None:
    crop = np.random.default_rng(0).integers(90, 150, (32, 32, 3), dtype=np.uint8)
    light = to_light(expose_anew(crop, Stops(stops)))
    assert light.mean() == pytest.approx(0.2 * 2**stops, rel=0.02)
    # twice the light of a pixel is twice its light after it
    np.testing.assert_allclose(light / to_light(crop), light.mean() / to_light(crop).mean(), rtol=0.12)


def test_exposed_too_long_whites_clip_and_their_order_is_lost() -> None:
    grey = np.repeat(np.linspace(100, 250, 64).astype(np.uint8)[None, :, None], 3, 2)  # (1, 64, 3)
    bright = expose_anew(grey, Stops(2.0))
    assert (bright[0, -20:] == 255).all()
    assert (np.diff(bright[0, :, 0].astype(int)) >= 0).all()


def test_a_part_decides_how_all_of_a_picture_is_exposed_and_black_stays_black() -> None:
    face, room = np.full((4, 4, 3), 120, np.uint8), np.full((4, 4, 3), 40, np.uint8)
    both = expose_anew(np.concatenate([face, room]), Stops(0.0), part=face)
    assert to_light(both)[:, :4].mean() == pytest.approx(0.2, rel=0.02)
    gain = 0.2 / to_light(face).mean()
    assert to_light(both)[:, 4:].mean() == pytest.approx(gain * to_light(room).mean(), rel=0.05)
    assert (expose_anew(np.zeros((4, 4, 3), np.uint8), Stops(2.0)) == 0).all()
    # the gain of a nearly black picture is limited to 8, three stops
    dark = np.full((4, 4, 3), 10, np.uint8)
    assert to_light(expose_anew(dark, Stops(2.0))).mean() == pytest.approx(
        8 * to_light(dark).mean(), rel=0.05
    )


def test_color_transfer_to_a_part_changes_the_rest_with_it() -> None:
    """A part of mean 50 and spread 10 gets mean 120 and spread 20: 2 x + 20, and so does the rest."""
    part = np.array([[40, 60], [60, 40]], np.uint8)[..., None].repeat(3, 2)
    other = np.array([[100, 140], [140, 100]], np.uint8)[..., None].repeat(3, 2)
    crop = np.full((2, 4, 3), 70, np.uint8)
    crop[:, :2] = part
    expected = np.array([[100, 140, 160, 160], [140, 100, 160, 160]], np.uint8)[..., None].repeat(3, 2)
    np.testing.assert_array_equal(transfer_color(crop, other, part), expected)


def test_color_transfer_clips_and_keeps_flat_pictures_flat() -> None:
    flat = np.full((8, 8, 3), 100, np.uint8)
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[::2] = 255
    assert (transfer_color(flat, stripes) == 128).all()
    assert set(np.unique(transfer_color(stripes, flat))) == {100}
    slope = np.tile(np.arange(8, dtype=np.uint8)[:, None, None] * 4, (1, 8, 3))
    slope[0] = 255
    assert transfer_color(slope, stripes).max() == 255


def test_color_transfer_keeps_texture() -> None:
    """Position and sign of a pattern stay those of the crop, whatever the other picture is."""
    rng = np.random.default_rng(0)
    crop, other = (rng.integers(60, 200, (32, 32, 3), dtype=np.uint8) for _ in range(2))
    changed = transfer_color(crop, other)
    for channel in range(3):
        assert np.corrcoef(crop[..., channel].ravel(), changed[..., channel].ravel())[0, 1] > 0.999


def test_flipped_landmarks_stand_on_the_same_pixels_of_the_flipped_picture() -> None:
    points = np.array([[10, 20], [30, 21], [19, 30], [12, 40], [28, 41]], np.float32)
    picture = np.zeros((50, 48, 3), np.uint8)
    picture[20, 10], picture[30, 19], picture[41, 28] = 1, 2, 3
    flipped, was = flip_and_jitter(picture, np.random.default_rng(0), **NONE | {"flip": 1.0})
    assert was
    eye_left, eye_right, nose, mouth_left, mouth_right = flip_landmarks(points, 48)
    for (x, y), value in ((eye_right, 1), (nose, 2), (mouth_left, 3)):
        assert flipped[int(y), int(x) - 1, 0] == value  # the pixel's right edge has become its left one
    assert eye_left[0] < eye_right[0]
    assert mouth_left[0] < mouth_right[0]
    np.testing.assert_array_equal(flip_landmarks(flip_landmarks(points, 48), 48), points)
