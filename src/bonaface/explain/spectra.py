"""Measure Fourier spectra, and test what paper 2 says of them.

Roy et al., Bi-FPNFAS, Sensors 2021, 21, 2799: sec. 4.4 expects a higher standard deviation in the spectra of bona fide
presentations than of attacks, and sec. 5.4 finds "solid or almost solid" spectra drawn for attacks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@dataclass(frozen=True, slots=True)
class Comparison:
    """A quantity in two classes: its medians, and how often it is higher for bona fide than for an attack.

    `higher` is in [0, 1], ties counted half; 0.5 is no difference. `p` is that of the one-sided Mann-Whitney test that
    it is higher for bona fide. It takes presentations as independent; several of one person make it too small.
    """

    bona_fide: float
    attacks: float
    higher: float
    p: float

    def __str__(self) -> str:
        return (
            f"median {self.bona_fide:.4g} of bona fide presentations, {self.attacks:.4g} of attacks; higher for bona "
            f"fide in {100 * self.higher:.1f} % of all pairs (one-sided Mann-Whitney p = {self.p:.2g})"
        )


def log_spectrum(crop: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return log(1 + |F|) of the grey `crop` (H, W, 3), F its DFT frequency 0 in the middle (eq. 12 to 14): (H, W)."""
    grey = crop.astype(np.float64) @ _LUMA / 255
    spectrum: NDArray[np.float64] = np.log1p(np.abs(np.fft.fftshift(np.fft.fft2(grey))))
    return spectrum


def compare(values: ArrayLike, labels: ArrayLike) -> Comparison | None:
    """Return how `values` (N,) differ between the classes of `labels` (N,); None where one is missing."""
    from scipy.stats import mannwhitneyu

    numbers, truth = np.asarray(values, np.float64), np.asarray(labels)
    bona_fide, attacks = numbers[truth == 1], numbers[truth == 0]
    if not bona_fide.size or not attacks.size:
        return None
    test = mannwhitneyu(bona_fide, attacks, alternative="greater")
    share = float(test.statistic) / (bona_fide.size * attacks.size)
    return Comparison(float(np.median(bona_fide)), float(np.median(attacks)), share, float(test.pvalue))
