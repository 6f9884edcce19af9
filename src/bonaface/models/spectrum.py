"""The 2-D discrete Fourier transform as products of matrices, which every runtime of ONNX has."""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def dft(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the real and the imaginary part of the DFT of (B, S, S), zero frequency first: (B, S, S) float64 each.

    In double precision, which mixed precision leaves alone.
    """
    cosine, sine = (torch.from_numpy(wave).to(values.device) for wave in _waves(values.shape[-1]))
    wide = values.double()
    down_cosine, down_sine = cosine @ wide, sine @ wide
    return down_cosine @ cosine - down_sine @ sine, -(down_cosine @ sine + down_sine @ cosine)


def frequencies(size: int, device: torch.device) -> Tensor:
    """Return the distance of each coefficient of `dft` from frequency zero, in cycles per pixel: (S, S) float64."""
    one = np.fft.fftfreq(size)
    return torch.from_numpy(np.hypot(one[:, None], one[None, :])).to(device)


@lru_cache(maxsize=8)
def _waves(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return cosine and sine of 2 pi k n / size: (size, size) each; the angle is taken modulo one turn."""
    steps = np.arange(size)
    angle = 2 * np.pi * (steps[:, None] * steps[None, :] % size) / size
    return np.cos(angle), np.sin(angle)
