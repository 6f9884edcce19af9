"""Local binary patterns against scikit-image's, colours against colorsys, the machine against scikit-learn's."""

import colorsys
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.feature import local_binary_pattern
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from bonaface.core.errors import InputError, ModelFileError
from bonaface.inference.preprocess import normalise
from bonaface.models import FeatureSet, create_model
from bonaface.models.lbp_svm import uniform_patterns
from bonaface.models.pixels import channels_of, grey_of, hsv_of, ycbcr_of
from bonaface.models.svm import SvmModel
from bonaface.testing.portrait import drawn_portrait


@pytest.fixture(scope="module")
def crops() -> NDArray[np.uint8]:
    """Two faces with a camera's noise, and noise alone: (3, 64, 64, 3)."""
    rng = np.random.default_rng(0)
    faces = np.stack([drawn_portrait(64, seed=seed) for seed in range(2)]).astype(float)
    noisy = np.clip(faces + rng.normal(0, 6, faces.shape), 0, 255).round()
    return np.concatenate([noisy, rng.integers(0, 256, (1, 64, 64, 3))]).astype(np.uint8)


def built(name: str, **options: Any) -> SvmModel:
    model = create_model(name, **options).eval()
    assert isinstance(model, SvmModel)
    return model


def described(model: SvmModel, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.no_grad():
        return model.features(torch.from_numpy(normalise(crops, model.mean, model.std))).numpy()


def planes(crops: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(crops.transpose(0, 3, 1, 2).copy()).float()


def in_regions(patterns: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The histograms of 3 x 3 regions of 30 pixels, 16 apart: 14 pixels overlap, as in the paper."""
    return [
        np.bincount(patterns[y : y + 30, x : x + 30].astype(int).ravel(), minlength=59) / 900
        for y in (0, 16, 32)
        for x in (0, 16, 32)
    ]


@pytest.mark.parametrize(("points", "radius"), [(8, 1), (8, 2), (16, 2)])
def test_patterns_are_scikit_images(crops: NDArray[np.uint8], points: int, radius: int) -> None:
    for crop in crops:
        grey = np.asarray(Image.fromarray(crop).convert("L"))
        expected = local_binary_pattern(grey, points, radius, "nri_uniform")[radius:-radius, radius:-radius]
        given = uniform_patterns(torch.from_numpy(grey.astype(np.float32))[None], points, float(radius))[0]
        np.testing.assert_array_equal(given.numpy(), expected)
        assert len(np.unique(expected)) > 50


def test_neighbours_that_equal_the_pixel_are_as_bright_between_pixels_too() -> None:
    """What (1 - x) c + x c gives in floating point is not always c."""
    for level in range(0, 256, 5):
        flat = torch.full((1, 8, 8), float(level))
        for points, radius in ((8, 1.0), (8, 2.0), (16, 2.0)):
            assert (uniform_patterns(flat, points, radius) == points * (points - 1) + 1).all()


def test_a_pattern_by_hand() -> None:
    #        9 9 1      Right 1, up right 1, up 9, up left 9, left 9, down left 0, down 0, down right 0; it has 5.
    #        9 5 1      On the circle: right 0; up right between 1, 1, 9 and 5; up 1; ...
    #        0 0 0
    values = torch.tensor([[[9.0, 9.0, 1.0], [9.0, 5.0, 1.0], [0.0, 0.0, 0.0]]])
    # Up right: half a pixel's diagonal: 0.7071 of the way to each side. 0.5 * 1 + 0.2071 * (1 + 9) + 0.0858 * 5 = 3.0
    # Down left likewise 0.5 * 0 + 0.2071 * (0 + 9) + 0.0858 * 5 = 2.3: darker. So ones at up, up left, left: 2, 3, 4.
    assert uniform_patterns(values, 8, 1.0).tolist() == [[[1 + 2 * 8 + (8 - 2)]]]


def test_833_values_in_the_papers_order(crops: NDArray[np.uint8]) -> None:
    given = described(built("lbp-svm"), crops)
    assert given.shape == (3, 833)
    for crop, values in zip(crops, given, strict=True):
        grey = np.asarray(Image.fromarray(crop).convert("L"))
        parts = in_regions(local_binary_pattern(grey, 8, 1, "nri_uniform")[1:-1, 1:-1])
        for points, bins in ((8, 59), (16, 243)):
            whole = local_binary_pattern(grey, points, 2, "nri_uniform")[2:-2, 2:-2]
            parts.append(np.bincount(whole.astype(int).ravel(), minlength=bins) / 3600)
        np.testing.assert_allclose(values, np.concatenate(parts), atol=1e-6)


def test_colour_histograms_of_six_planes(crops: NDArray[np.uint8]) -> None:
    given = described(built("color-lbp-svm"), crops)
    assert given.shape == (3, 354)
    each = torch.cat([hsv_of(planes(crops)), ycbcr_of(planes(crops))], 1).numpy()
    for crop, values in zip(each, given, strict=True):
        parts = [
            np.bincount(
                local_binary_pattern(plane.astype(np.uint8), 8, 1, "nri_uniform")[1:-1, 1:-1]
                .astype(int)
                .ravel(),
                minlength=59,
            )
            / 3844
            for plane in crop
        ]
        np.testing.assert_allclose(values, np.concatenate(parts), atol=1e-6)


def every_colour() -> NDArray[np.uint8]:
    levels = np.array([0, 1, 2, 17, 51, 85, 128, 170, 200, 254, 255])
    return np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 1, 3).astype(np.uint8)


def test_grey_is_pillows() -> None:
    colours = every_colour()
    expected = np.asarray(Image.fromarray(colours[0]).convert("L"))
    np.testing.assert_array_equal(grey_of(planes(colours))[0].numpy(), expected)


def test_hue_and_saturation_are_those_of_colorsys_rounded() -> None:
    colours = every_colour()
    given = hsv_of(planes(colours))[0, :, :, 0].T.numpy()
    for (red, green, blue), values in zip(colours[0, :, 0].tolist(), given, strict=True):
        expected = np.array(colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)) * 255
        assert np.abs(values - expected).max() <= 0.5 + 1e-9
        assert (values == values.round()).all()


def test_chroma_is_jpegs() -> None:
    colours = every_colour()
    given = ycbcr_of(planes(colours))[0, :, :, 0].T.numpy()
    red, green, blue = colours[0, :, 0].astype(float).T
    cb = 128 - 0.168736 * red - 0.331264 * green + 0.5 * blue
    cr = 128 + 0.5 * red - 0.418688 * green - 0.081312 * blue
    assert np.abs(given[:, 1] - np.clip(cb, 0, 255)).max() < 0.51
    assert np.abs(given[:, 2] - np.clip(cr, 0, 255)).max() < 0.51
    assert given.min() >= 0
    assert given.max() <= 255
    grey = np.asarray(Image.fromarray(colours[0]).convert("YCbCr")).reshape(-1, 3)
    assert np.abs(given - grey).max() <= 1


def test_whole_numbers_come_back_from_normalised_images() -> None:
    values = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    for mean, std in (((0.5,) * 3, (0.5,) * 3), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))):
        found = channels_of(torch.from_numpy(normalise(values, mean, std)), mean, std)
        np.testing.assert_array_equal(found.numpy(), planes(values).numpy())


def shown(values: NDArray[np.float32], labels: NDArray[np.int64]) -> FeatureSet:
    nothing = np.array([""] * len(labels))
    shares, pictures = np.zeros((len(labels), 1), np.float32), np.arange(len(labels))
    return FeatureSet(values, labels, nothing, nothing, shares, pictures)


@pytest.fixture(scope="module")
def data() -> FeatureSet:
    rng = np.random.default_rng(3)
    values, labels = rng.normal(5, 3, (90, 354)).astype(np.float32), (np.arange(90) % 3 == 0).astype(np.int64)
    values[labels == 1, :20] += 3
    values[:, 7] = 2.0  # never differs
    return shown(values, labels)


@pytest.mark.parametrize(("cost", "gamma"), [(1.0, 0.0), (10.0, 0.02)])
def test_the_machine_is_scikit_learns(data: FeatureSet, cost: float, gamma: float) -> None:
    model = built("color-lbp-svm", cost=cost, gamma=gamma)
    model.fit(data, data)
    scaler = StandardScaler().fit(data.features.astype(np.float64))
    reference = SVC(C=cost, gamma=gamma or 1 / 354, class_weight="balanced")
    reference.fit(scaler.transform(data.features), data.labels)
    other = np.random.default_rng(4).normal(5, 3, (20, 354)).astype(np.float32)
    other[:, 7] = 2.0
    for values in (data.features, other):
        expected = reference.decision_function(scaler.transform(values))
        with torch.no_grad():
            np.testing.assert_allclose(model.svm(torch.from_numpy(values)).numpy(), expected, atol=1e-5)
            score = model.predict(torch.from_numpy(values)).numpy()
        np.testing.assert_allclose(score, 1 / (1 + np.exp(-expected)), atol=1e-5)


def test_weights_bring_their_own_number_of_support_vectors(data: FeatureSet) -> None:
    model = built("color-lbp-svm")
    model.fit(data, data)
    assert len(model.svm.support) > 2
    fresh = built("color-lbp-svm")
    fresh.load_inference_state_dict(model.inference_state_dict())
    assert torch.equal(fresh.svm.support, model.svm.support)
    with pytest.raises(ModelFileError, match=r"do not fit lbp-svm .*svm\."):
        built("lbp-svm").load_inference_state_dict(model.inference_state_dict())


def test_refuses_what_has_no_meaning() -> None:
    with pytest.raises(InputError, match="cost must be above 0, got 0"):
        create_model("lbp-svm", cost=0.0)
    with pytest.raises(InputError, match="gamma must be above 0, or 0 for one over"):
        create_model("lbp-svm", gamma=-1.0)
    with pytest.raises(InputError, match="lbp-svm needs pictures of at least 16 px, got 8"):
        create_model("lbp-svm", size=8)
