"""A-BCE: binary cross-entropy with an additive angular margin (A-DeepPixBiS, sec. IV-B)."""

from math import cos, pi, sin

import torch
from torch import Tensor

from bonaface.core.errors import InputError
from bonaface.losses.pixel import pixel_bce, spread

# In float32, 1 - cosine^2 near 0 is a multiple of about 1.2e-7, so this bound changes nothing but |cosine| = 1.
_LEAST_SQUARED_SINE = 1e-7
MARGIN, SCALE = 0.5, 1.0  # m and s of the paper


def add_margin(cosine: Tensor, margin: float, literal: bool = False) -> Tensor:
    """Return cos(theta + margin) for cos(theta), with finite gradients everywhere in [-1, 1].

    Computed as cos(theta)cos(m) - sin(theta)sin(m). Beyond theta = pi - m the printed function (eq. 13) turns
    back up and its gradient takes the wrong sign; there ArcFace's monotone continuation cos(theta) - m sin(m) is
    taken (the code of Deng et al., CVPR 2019), unless `literal` asks for eq. 13 as printed.

    Args:
        cosine: cos(theta), any shape, every value in [-1, 1].
        margin: m in radians, in [0, pi/2].
    """
    squared_sine = ((1 - cosine) * (1 + cosine)).clamp_min(_LEAST_SQUARED_SINE)
    shifted = cosine * cos(margin) - squared_sine.sqrt() * sin(margin)
    if literal:
        return shifted
    return torch.where(cosine > cos(pi - margin), shifted, cosine - margin * sin(margin))


def angular_bce(
    cosine: Tensor, labels: Tensor, margin: float = 0.5, scale: float = 1.0, literal: bool = False
) -> Tensor:
    """Return A-BCE (A-DeepPixBiS, eq. 13), one value for each cosine; nothing is reduced.

    The margin is added to the angle of bona fide samples only; attacks keep cos(theta). `scale` multiplies the
    cosine before the sigmoid (eq. 6's s; eq. 13 as printed has s = 1).

    Args:
        cosine: (B, ...), every value in [-1, 1].
        labels: (B,) of {0, 1}, float or integer; 1 is bona fide.
        margin: m in radians.
        literal: evaluate cos(theta + m) as printed, also beyond theta = pi - m.

    Returns:
        (B, ...) float32, each value >= 0.
    """
    cosine = cosine.float()
    bona_fide = spread(labels, cosine) > 0.5
    return pixel_bce(scale * torch.where(bona_fide, add_margin(cosine, margin, literal), cosine), labels)


def check_no_angles(pixel_loss: str, margin: float, scale: float, literal: bool = False) -> None:
    """Refuse settings of A-BCE where the pixels have another loss.

    Raises:
        InputError: one is not the default, which would change nothing.
    """
    given = {"margin": (margin, MARGIN), "scale": (scale, SCALE), "literal": (literal, False)}
    idle = [name for name, (value, default) in given.items() if value != default]
    if idle:
        raise InputError(
            f"{' and '.join(idle)} of A-BCE would change nothing with pixel_loss={pixel_loss}; take "
            f"pixel_loss=a-bce or leave out {' and '.join(idle)}"
        )


def check_angular(margin: float, scale: float) -> None:
    """Refuse settings with which A-BCE has no meaning.

    Raises:
        InputError: the margin is outside [0, pi/2] or the scale is not positive.
    """
    if not 0 <= margin <= pi / 2:
        raise InputError(f"margin must be in [0, pi/2] radians, got {margin}; the paper's is 0.5")
    if not scale > 0:
        raise InputError(f"scale must be above 0, got {scale}; the paper's eq. 13 has 1")
