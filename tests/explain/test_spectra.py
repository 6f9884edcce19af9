import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from bonaface.explain.spectra import compare, log_spectrum
from bonaface.models.branches import log_spectrum as of_the_loss


def test_the_spectrum_is_the_sum_of_eq_12_worked_out_term_by_term() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    grey = crop @ np.array([0.299, 0.587, 0.114]) / 255
    i, j = np.mgrid[:6, :8]
    found = log_spectrum(crop)
    for x in range(6):
        for y in range(8):
            term = grey * np.exp(-2j * np.pi * (x * i / 6 + y * j / 8))
            # Frequency 0 is moved to the middle.
            assert found[(x + 3) % 6, (y + 4) % 8] == pytest.approx(np.log1p(abs(term.sum())))


def test_it_is_the_spectrum_that_the_network_learns_from() -> None:
    crop = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    grey = torch.from_numpy(crop @ np.array([0.299, 0.587, 0.114]) / 255).float()
    expected = of_the_loss(grey[None], 32, raw=True)[0].numpy()
    assert log_spectrum(crop) == pytest.approx(expected, abs=1e-4)


def test_compares_by_the_share_of_pairs() -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat([1, 0], [30, 50])
    values = np.round(rng.normal(labels * 0.5, 1), 1)  # with ties
    found = compare(values, labels)
    assert found.higher == pytest.approx(roc_auc_score(labels, values))
    assert (found.bona_fide, found.attacks) == (np.median(values[:30]), np.median(values[30:]))
    assert compare([3, 4, 1, 2], [1, 1, 0, 0]).p == pytest.approx(
        1 / 6
    )  # one of the six ways to choose two of four
    assert compare([1, 2], [1, 1]) is None
