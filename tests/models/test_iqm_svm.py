"""Each quality measure against scikit-image, SciPy, torchmetrics or NumPy on the same pictures, or by hand."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage, stats
from skimage.measure import blur_effect
from skimage.metrics import (
    mean_squared_error,
    normalized_root_mse,
    peak_signal_noise_ratio,
    structural_similarity,
)
from torchmetrics.functional.image import visual_information_fidelity

from bonaface.core.errors import InputError
from bonaface.inference.preprocess import normalise
from bonaface.models import IqmSvm, create_model
from bonaface.models.pixels import grey_of, hsv_of
from bonaface.models.quality import (
    REFERENCE_NAMES,
    color_diversity,
    color_moments,
    crete_blur,
    edge_width,
    reference_measures,
    smoothed,
    specularity,
    ssim,
    vif,
)
from bonaface.testing.portrait import drawn_portrait

SIZE = 72


@pytest.fixture(scope="module")
def channels() -> torch.Tensor:
    """Two faces with a camera's noise, a blurred one, and noise: (4, 3, 72, 72) whole numbers."""
    rng = np.random.default_rng(0)
    faces = np.stack([drawn_portrait(SIZE, seed=seed) for seed in range(3)]).astype(float)
    faces[2] = ndimage.gaussian_filter(faces[2], (2, 2, 0))
    noisy = np.clip(faces + rng.normal(0, 5, faces.shape), 0, 255).round()
    crops = np.concatenate([noisy, rng.integers(0, 256, (1, SIZE, SIZE, 3))])
    return torch.from_numpy(crops.transpose(0, 3, 1, 2).copy()).float()


@pytest.fixture(scope="module")
def greys(channels: torch.Tensor) -> torch.Tensor:
    return grey_of(channels)


@pytest.fixture(scope="module")
def measures(channels: torch.Tensor, greys: torch.Tensor) -> dict[str, NDArray[np.float32]]:
    values = reference_measures(channels, greys).numpy()
    return dict(zip(REFERENCE_NAMES, values.T, strict=True))


def pairs(greys: torch.Tensor) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    return [(a, b) for a, b in zip(greys.double().numpy(), smoothed(greys).double().numpy(), strict=True)]


def test_smoothing_is_a_gaussian_of_sigma_one_half(greys: torch.Tensor) -> None:
    expected = ndimage.gaussian_filter(
        greys.double().numpy(), (0, 0.5, 0.5), radius=(0, 1, 1), mode="nearest"
    )
    assert np.abs(smoothed(greys).numpy() - expected).max() < 1.0  # eight bits for each weight
    flat = torch.full((1, 5, 5), 77.0)
    assert torch.equal(smoothed(flat), flat)


def test_differences_are_scikit_images(measures: dict[str, NDArray[np.float32]], greys: torch.Tensor) -> None:
    for number, (grey, copy) in enumerate(pairs(greys)):
        given = {name: values[number] for name, values in measures.items()}
        assert given["mse"] == pytest.approx(mean_squared_error(grey, copy), rel=1e-5)
        psnr = peak_signal_noise_ratio(grey, copy, data_range=grey.max())
        assert given["psnr"] == pytest.approx(psnr, rel=1e-5)
        nrmse = normalized_root_mse(grey, copy, normalization="euclidean")
        assert given["snr"] == pytest.approx(-20 * np.log10(nrmse), rel=1e-5)


def test_sums_are_numpys(measures: dict[str, NDArray[np.float32]], greys: torch.Tensor) -> None:
    for number, (grey, copy) in enumerate(pairs(greys)):
        given = {name: values[number] for name, values in measures.items()}
        away = np.abs(grey - copy)
        expected = {
            "structural content": (grey**2).sum() / (copy**2).sum(),
            "largest difference": away.max(),
            "normalised absolute error": away.sum() / grey.sum(),
            "mean of the ten largest differences": np.sort(away.ravel())[-10:].mean(),
            "normalised cross-correlation": (grey * copy).sum() / (grey**2).sum(),
        }
        for name, value in expected.items():
            assert given[name] == pytest.approx(value, rel=1e-5), name
        assert given["mean difference"] == pytest.approx((grey - copy).mean(), abs=1e-4)


def test_laplacian_and_gradient_are_scipys(
    measures: dict[str, NDArray[np.float32]], greys: torch.Tensor
) -> None:
    inner = (slice(1, -1), slice(1, -1))
    for number, (grey, copy) in enumerate(pairs(greys)):
        given = {name: values[number] for name, values in measures.items()}
        bent, bent_copy = (ndimage.laplace(each)[inner] for each in (grey, copy))
        assert given["laplacian mse"] == pytest.approx(
            ((bent - bent_copy) ** 2).sum() / (bent**2).sum(), rel=1e-4
        )
        first, second = (
            ndimage.sobel(each, 1)[inner] + 1j * ndimage.sobel(each, 0)[inner] for each in (grey, copy)
        )
        errors = (np.abs(first) - np.abs(second)) ** 2
        assert given["gradient magnitude error"] == pytest.approx(errors.mean(), rel=1e-4)
        phases = [np.where(np.abs(each) > 1e-3, np.angle(each), 0.0) for each in (first, second)]
        turned = np.abs(phases[0] - phases[1])
        turned = np.minimum(turned, 2 * np.pi - turned)
        assert given["gradient phase error"] == pytest.approx((turned**2).mean(), rel=1e-3)


def test_spectra_are_numpys(measures: dict[str, NDArray[np.float32]], greys: torch.Tensor) -> None:
    steps = np.fft.fftfreq(SIZE)
    low = np.hypot(steps[:, None], steps) < 0.15
    for number, (grey, copy) in enumerate(pairs(greys)):
        first, second = (np.abs(np.fft.fft2(each)) for each in (grey, copy))
        given = {name: values[number] for name, values in measures.items()}
        expected = ((first - second) ** 2).mean() / SIZE**2
        assert given["spectral magnitude error"] == pytest.approx(expected, rel=1e-4)
        index = (first[low].sum() - first[~low].sum()) / first.sum()
        assert given["high-low frequency index"] == pytest.approx(index, rel=1e-4)


def test_angles_between_colours_are_numpys(
    measures: dict[str, NDArray[np.float32]], channels: torch.Tensor
) -> None:
    for number, (colors, copies) in enumerate(
        zip(channels.double().numpy(), smoothed(channels).double().numpy(), strict=True)
    ):
        along = (colors * copies).sum(0) / (np.linalg.norm(colors, axis=0) * np.linalg.norm(copies, axis=0))
        angle = 2 / np.pi * np.arccos(np.clip(along, -1, 1))
        far = np.linalg.norm(colors - copies, axis=0) / (255 * 3**0.5)
        given = {name: values[number] for name, values in measures.items()}
        assert given["mean angle similarity"] == pytest.approx(1 - angle.mean(), rel=1e-5)
        both = (1 - (1 - angle) * (1 - far)).mean()
        assert given["mean angle magnitude similarity"] == pytest.approx(both, rel=1e-4)


def test_ssim_is_scikit_images(greys: torch.Tensor) -> None:
    given = ssim(greys, smoothed(greys)).numpy()
    for value, (grey, copy) in zip(given, pairs(greys), strict=True):
        _, full = structural_similarity(
            grey, copy, data_range=255, gaussian_weights=True, use_sample_covariance=False, full=True
        )
        assert value == pytest.approx(full[5:-5, 5:-5].mean(), rel=1e-4)


def test_vif_is_torchmetrics(greys: torch.Tensor) -> None:
    given = vif(greys, smoothed(greys)).numpy()
    for value, (grey, copy) in zip(given, pairs(greys), strict=True):
        first, second = (torch.from_numpy(each)[None, None] for each in (copy, grey))
        assert value == pytest.approx(float(visual_information_fidelity(first, second)), rel=1e-4)


def test_blur_is_scikit_images(greys: torch.Tensor) -> None:
    given = crete_blur(greys).numpy()
    expected = [blur_effect(grey, h_size=9) for grey in greys.double().numpy()]
    np.testing.assert_allclose(given, expected, rtol=1e-4)
    assert expected[2] > expected[0]  # the blurred one


def test_width_of_edges_by_hand() -> None:
    """Ramps of 1, 4 and 8 pixels between two plains: the width is the ramp's."""
    for width in (1, 4, 8):
        row = np.clip((np.arange(40) - 20) / width, 0, 1) * 200
        picture = torch.from_numpy(np.tile(row, (40, 1))).float()[None]
        assert edge_width(picture).item() == pytest.approx(width)
    assert edge_width(torch.full((1, 40, 40), 9.0)).item() == 0


def test_highlights_by_hand() -> None:
    """One pixel in a hundred is white on black: the limit is 0.01 + 0.5 * 0.0995, the rest of it is highlight."""
    channels = torch.zeros(1, 3, 10, 10)
    channels[..., 4, 4] = 255
    limit = 0.01 + 0.5 * (0.01 * 0.99) ** 0.5
    np.testing.assert_allclose(specularity(channels)[0].numpy(), [0.01, 1 - limit, 0.0], atol=1e-6)
    assert specularity(torch.full((1, 3, 10, 10), 80.0)).tolist() == [[0.0, 0.0, 0.0]]


def test_highlights_are_numpys(channels: torch.Tensor) -> None:
    for values, planes in zip(specularity(channels).numpy(), channels.double().numpy(), strict=True):
        least = np.minimum.reduce(planes) / 255
        light = np.maximum(least - (np.mean(least) + 0.5 * np.std(least)), 0)
        lit = light[light > 0]
        np.testing.assert_allclose(values, [lit.size / light.size, lit.mean(), lit.std()], rtol=1e-5)


def test_width_of_edges_is_that_of_runs_of_scipys_gradient(greys: torch.Tensor) -> None:
    """Each edge pixel by its row: how far it keeps rising or falling to the left and to the right."""
    given = edge_width(greys).numpy()
    for value, grey in zip(given, greys.double().numpy(), strict=True):
        across = ndimage.sobel(grey, 1)[1:-1, 1:-1]
        widths = []
        for y, x in np.argwhere(across**2 > 4 * np.mean(across**2)):
            rises = np.sign(np.diff(grey[y + 1])) == np.sign(across[y, x])
            left, right = rises[: x + 1][::-1], rises[x + 1 :]
            widths.append(sum(np.cumprod(side[:16]).sum() for side in (left, right)))
        assert len(widths) > 50
        assert value == pytest.approx(np.mean(widths), rel=1e-5)


def test_colour_moments_are_scipys(channels: torch.Tensor) -> None:
    given = color_moments(channels).numpy().reshape(-1, 3, 5)
    for number, planes in enumerate(hsv_of(channels).double().numpy()):
        for plane, values in zip(planes.reshape(3, -1), given[number], strict=True):
            expected = [plane.mean() / 255, plane.std() / 255, stats.skew(plane)]
            np.testing.assert_allclose(values[:3], expected, rtol=2e-3, atol=1e-4)
            np.testing.assert_allclose(
                values[3:], [(plane < 2.55).mean(), (plane > 252.45).mean()], atol=1e-6
            )


def test_diversity_counts_colours(channels: torch.Tensor) -> None:
    given = color_diversity(channels).numpy()
    for crop, values in zip(channels.numpy(), given, strict=True):
        levels = (crop // 8).astype(int).reshape(3, -1).T
        _, counts = np.unique(levels, axis=0, return_counts=True)
        expected = np.zeros(100)
        expected[: min(100, len(counts))] = np.sort(counts)[::-1][:100]
        np.testing.assert_allclose(values, np.append(expected, len(counts)) / SIZE**2, rtol=1e-5)


def test_one_colour_and_black_have_finite_values() -> None:
    model = create_model("iqm-svm", size=48).eval()
    assert isinstance(model, IqmSvm)
    crops = np.stack([np.full((48, 48, 3), level) for level in (0, 128, 255)]).astype(np.uint8)
    with torch.no_grad():
        values = model.features(torch.from_numpy(normalise(crops, model.mean, model.std)))
    assert values.shape == (3, 139)
    assert values.isfinite().all()


def test_refuses_pictures_without_four_scales() -> None:
    with pytest.raises(InputError, match="iqm-svm needs pictures of at least 41 px, got 40"):
        create_model("iqm-svm", size=40)
