"""The seven statistics against NumPy and Pillow on the same crop, and the regression against scikit-learn's."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bonaface.core.errors import InputError
from bonaface.inference.preprocess import normalise
from bonaface.models import FeatureSet, GlobalStatistics, create_model
from bonaface.models.global_statistics import NAMES, median_of_9
from bonaface.testing.portrait import drawn_portrait


def statistics(crop: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The statistics in NumPy and Pillow, in double precision."""
    red, green, blue = (crop[..., channel] / 255 for channel in range(3))
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    high, low = crop.max(-1) / 255, crop.min(-1) / 255
    middle = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    whole = Image.fromarray((255 * grey + 1e-9).astype(np.uint8))
    smooth = np.asarray(whole.filter(ImageFilter.MedianFilter(3))) / 255
    dark, bright = np.percentile(grey, (5, 95))
    return np.array([
        grey.mean(),
        grey.std(),
        ((high - low) / np.maximum(high, 1 / 255)).mean(),
        np.log(np.var(around - 4 * middle) + 1e-8),
        np.log(np.abs(grey - smooth).mean() + 1e-4),
        np.log((red.mean() + 1e-3) / (blue.mean() + 1e-3)),
        (bright - dark) / (bright + dark + 1e-3),
    ])  # fmt: skip


def built(size: int = 64) -> GlobalStatistics:
    model = create_model("global-statistics", size=size).eval()
    assert isinstance(model, GlobalStatistics)
    return model


@pytest.fixture(scope="module")
def crops() -> NDArray[np.uint8]:
    """Faces, noise, one colour, black."""
    noise = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    faces = [drawn_portrait(64, seed=seed) for seed in range(3)]
    return np.stack([*faces, *noise, np.full((64, 64, 3), (20, 90, 200)), np.zeros((64, 64, 3))]).astype(
        np.uint8
    )


def test_the_statistics_are_those_of_numpy_and_pillow(crops: NDArray[np.uint8]) -> None:
    model = built()
    with torch.no_grad():
        given = model.features(torch.from_numpy(normalise(crops, model.mean, model.std))).numpy()
    assert given.shape == (7, len(NAMES))
    np.testing.assert_allclose(given, np.stack([statistics(crop) for crop in crops]), rtol=1e-4, atol=1e-5)


def test_statistics_of_one_colour_by_hand() -> None:
    model, crop = built(), np.full((1, 64, 64, 3), (255, 51, 51), np.uint8)
    with torch.no_grad():
        given = model.features(torch.from_numpy(normalise(crop, model.mean, model.std)))[0]
    grey = 0.299 + 0.2 * 0.701  # 0.4392; 111.996 of 255, and 111 is what its median is cut to
    expected = [grey, 0.0, 0.8, np.log(1e-8), np.log(0.996 / 255 + 1e-4), np.log(1.001 / 0.201), 0.0]
    np.testing.assert_allclose(given.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_median_of_nine_repeats_the_border() -> None:
    values = torch.tensor([[[9.0, 1.0, 1.0], [9.0, 5.0, 1.0], [2.0, 2.0, 3.0]]])
    assert median_of_9(values).tolist() == [[[9.0, 1.0, 1.0], [5.0, 2.0, 1.0], [2.0, 2.0, 3.0]]]


def test_the_regression_is_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    values, labels = rng.normal(3, 2, (60, 7)).astype(np.float32), (np.arange(60) % 3 == 0).astype(np.int64)
    values[:, 2] = 0.5  # never differs
    nothing = np.array([""] * 60)
    shown = FeatureSet(values, labels, nothing, nothing, np.zeros((60, 1), np.float32), np.arange(60))
    model = built()
    model.fit(shown, shown)
    reference = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", tol=1e-8))
    expected = reference.fit(values.astype(np.float64), labels).predict_proba(values)[:, 1]
    with torch.no_grad():
        np.testing.assert_allclose(model.predict(torch.from_numpy(values)).numpy(), expected, atol=1e-4)


def test_refuses_what_has_no_meaning() -> None:
    with pytest.raises(InputError, match="strength must be above 0, got 0"):
        create_model("global-statistics", strength=0.0)
    with pytest.raises(InputError, match="at least 3 pixels, got 2"):
        create_model("global-statistics", size=2)
    with pytest.raises(InputError, match="has no backbone"):
        create_model("global-statistics", backbone="densenet161")
