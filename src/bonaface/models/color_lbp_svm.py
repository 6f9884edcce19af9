"""Colour LBP-SVM: histograms of local binary patterns in HSV and YCbCr, and a support vector machine.

Paper: Z. Boulkenafet, J. Komulainen, A. Hadid, "Face Spoofing Detection Using Colour Texture Analysis", IEEE TIFS 2016,
https://doi.org/10.1109/TIFS.2016.2555286. Colour texture is the core of the entries GRADIANT and MassyHNU of the
competition on OULU-NPU (Boulkenafet et al., IJCB 2017); the entries themselves are known by their figures only.

Weights: none.

Differs from the paper: LBP alone, where the paper also joins it with LPQ and other descriptors; an RBF kernel; every
value is standardised. Hue, saturation and chroma are rounded to whole numbers, as 8-bit pictures have them.
"""

import torch
from torch import Tensor

from bonaface.models.lbp_svm import one_hot_patterns
from bonaface.models.pixels import hsv_of, ycbcr_of
from bonaface.models.preset import Preset
from bonaface.models.registry import register
from bonaface.models.svm import SvmModel


class ColorLbpSvm(SvmModel):
    """Histograms of uniform local binary patterns of hue, saturation, value, luma and both chromas, and an SVM.

    Score: `svm`, the sigmoid of the decision value.
    """

    name = "color-lbp-svm"
    width = 6 * 59
    least_size = 16

    def describe_channels(self, channels: Tensor) -> Tensor:
        """Return the histograms (B, 354) of LBP u2 (8, 1) of each of H, S, V, Y, Cb, Cr of the whole face."""
        planes = torch.cat([hsv_of(channels), ycbcr_of(channels)], 1)  # (B, 6, H, W)
        patterns = one_hot_patterns(planes.flatten(0, 1), 8, 1.0)  # (6 B, 59, H - 2, W - 2)
        return patterns.mean((2, 3)).reshape(-1, self.width)


register(
    ColorLbpSvm,
    paper="Boulkenafet et al., Face Spoofing Detection Using Colour Texture Analysis, IEEE TIFS 2016",
    link="https://doi.org/10.1109/TIFS.2016.2555286",
    presets=(Preset("paper", "color-lbp-svm", "", size=64, crop="square-1.3", balance="none"),),
)
