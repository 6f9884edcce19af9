"""Where the five landmarks of a face lie in a face that is upright and centred, and how to get there."""

import numpy as np
from numpy.typing import NDArray

# In a square of side 1: insightface's template of 112 pixels, which ArcFace (Deng et al., CVPR 2019) aligns to. The eye
# on the picture's left, the one on its right, nose, the left and the right corner of the mouth.
TEMPLATE = (
    np.array([
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ])
    / 112
)  # fmt: skip

_LEAST_SCALE = 1e-6


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the turn, scale and shift that bring `source` nearest to `target` in least squares: (2, 3).

    Umeyama's (PAMI 1991) for two dimensions without reflection; in complex numbers it is one quotient.

    Args:
        source: (N, 2) x and y.
        target: (N, 2), where they are to lie.
    """
    from_center, to_center = source.mean(0), target.mean(0)
    before = (source - from_center) @ (1, 1j)
    after = (target - to_center) @ (1, 1j)
    turn = np.vdot(before, after) / max(np.vdot(before, before).real, _LEAST_SCALE)
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.hstack([matrix, (to_center - matrix @ from_center)[:, None]])
