"""The spectrum's share against NumPy's FFT, and the threshold's place."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bonaface.core.errors import InputError
from bonaface.models import FeatureSet, Hfd, create_model
from bonaface.models.hfd import high_share
from bonaface.models.spectrum import dft


def built(size: int = 64) -> Hfd:
    model = create_model("hfd", size=size).eval()
    assert isinstance(model, Hfd)
    return model


def shown(values: NDArray[np.float32], labels: NDArray[np.int64]) -> FeatureSet:
    nothing = np.array([""] * len(labels))
    shares, pictures = np.zeros((len(labels), 1), np.float32), np.arange(len(labels))
    return FeatureSet(values, labels, nothing, nothing, shares, pictures)


@pytest.mark.parametrize("size", [8, 31, 64])
def test_the_transform_is_numpys(size: int) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, size, size)).astype(np.float32)
    real, imaginary = dft(torch.from_numpy(pictures))
    np.testing.assert_allclose(
        real.numpy() + 1j * imaginary.numpy(), np.fft.fft2(pictures.astype(float)), atol=1e-6
    )


@pytest.mark.parametrize("cutoff", [1 / 3, 0.6])
def test_the_share_is_numpys(cutoff: float) -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (3, 64, 64)).astype(np.float32)
    energy = np.abs(np.fft.fftshift(np.fft.fft2(pictures.astype(float)), (1, 2))) ** 2
    place = np.hypot(*np.mgrid[-32:32, -32:32])
    expected = energy[:, place > 32 * cutoff].sum(1) / energy[:, place > 0].sum(1)
    given = high_share(torch.from_numpy(pictures), cutoff)
    np.testing.assert_allclose(given.numpy(), expected, rtol=1e-6)


def test_shares_of_waves_by_hand() -> None:
    """A wave of 4 cycles in 64 pixels is low, one of 16 is high: equal ones share, half of the height has a quarter."""
    place = torch.arange(64.0)
    slow, fast = (torch.sin(2 * torch.pi * cycles * place / 64).repeat(64, 1) for cycles in (4, 16))
    shares = high_share(torch.stack([slow, fast, slow + fast, slow + fast / 2, 0 * slow]), 1 / 3)
    np.testing.assert_allclose(shares.numpy(), [0, 1, 0.5, 0.2, 0], atol=1e-6)


def test_sharp_faces_are_told_from_soft_ones_at_one_half() -> None:
    rng = torch.Generator().manual_seed(0)
    pictures = torch.nn.functional.interpolate(
        torch.randn(8, 3, 8, 8, generator=rng), size=64, mode="bilinear"
    )
    labels = np.array([1, 0] * 4)
    noise = torch.tensor(np.where(labels == 1, 0.3, 0.05), dtype=torch.float32)
    pictures = pictures / 3 + noise[:, None, None, None] * torch.randn(8, 3, 64, 64, generator=rng)
    model = built()
    with torch.no_grad():
        kept = shown(model.features(pictures).numpy(), labels)
        model.fit(kept, kept)
        scores = model(pictures).scores
    assert ((scores["hfd"] > 0.5).numpy() == (labels == 1)).all()
    np.testing.assert_allclose(torch.log(scores["share"]).numpy(), kept.features[:, 0], rtol=1e-5)


def test_the_score_counts_deviations_from_the_threshold() -> None:
    model = built()
    values = np.array([[-4.0], [-3.0], [-2.0], [-1.0]], np.float32)
    data = shown(values, np.array([0, 0, 1, 1]))
    model.fit(data, data)
    expected = 1 / (1 + np.exp(-(values[:, 0] + 2.5) / values.std()))
    with torch.no_grad():
        np.testing.assert_allclose(model.predict(torch.from_numpy(values)).numpy(), expected, rtol=1e-5)


def test_refuses_what_has_no_meaning() -> None:
    with pytest.raises(InputError, match="cutoff must be between 0 and 1, got 1"):
        create_model("hfd", cutoff=1.0)
    with pytest.raises(InputError, match="at least 8 px, got 4"):
        create_model("hfd", size=4)
