"""IQM-SVM: image quality measures, and a support vector machine.

Papers: J. Galbally, S. Marcel, J. Fierrez, "Image Quality Assessment for Fake Biometric Detection", IEEE TIP 2014,
https://doi.org/10.1109/TIP.2013.2292332; D. Wen, H. Han, A. K. Jain, "Face Spoof Detection With Image Distortion
Analysis", IEEE TIFS 2015, https://doi.org/10.1109/TIFS.2015.2400395. The row IQM-SVM of the papers' tables joins both.

Weights: none.

Differs from the papers: 18 of the 25 measures of Galbally et al., those that need no model of natural pictures and no
corners; highlights as Shen & Zheng (2013) find them; every value is standardised.
"""

import torch
from torch import Tensor

from bonaface.models.pixels import grey_of
from bonaface.models.preset import Preset
from bonaface.models.quality import (
    DISTORTION,
    LEAST_SIZE,
    REFERENCE_NAMES,
    distortion_features,
    reference_measures,
)
from bonaface.models.registry import register
from bonaface.models.svm import SvmModel


class IqmSvm(SvmModel):
    """Image quality measures against a smoothed copy, and of specularity, blur and colours (139 values), and an SVM.

    Score: `svm`, the sigmoid of the decision value.
    """

    name = "iqm-svm"
    width = len(REFERENCE_NAMES) + DISTORTION
    least_size = LEAST_SIZE

    def describe_channels(self, channels: Tensor) -> Tensor:
        """Return 18 measures against a smoothed copy and 121 features of distortion: (B, 139)."""
        grey = grey_of(channels)
        return torch.cat([reference_measures(channels, grey), distortion_features(channels, grey)], 1)


register(
    IqmSvm,
    paper="Galbally et al., IEEE TIP 2014; Wen et al., Face Spoof Detection With Image Distortion Analysis, TIFS 2015",
    link="https://doi.org/10.1109/TIFS.2015.2400395",
    presets=(Preset("paper", "iqm-svm", "", size=128, crop="square-1.3", balance="none"),),
)
