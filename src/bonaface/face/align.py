"""Where the five landmarks of a face lie in a face that is upright and centred, and how to get there."""

from math import ceil, hypot

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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


def align(
    image: NDArray[np.uint8], landmarks: NDArray[np.floating], scale: float, size: int
) -> NDArray[np.uint8]:
    """Return the crop in which the landmarks lie nearest to the template: (`size`, `size`, 3) uint8.

    Args:
        image: (H, W, 3) uint8; beyond its border lies its mirror image.
        landmarks: (5, 2) x and y in pixels of `image`.
        scale: side of the crop over that of the template.
    """
    matrix = similarity(template(scale), landmarks)  # from the crop's unit square to the image
    reduction = hypot(*matrix[:, 0]) / size
    picture = Image.fromarray(image)
    if reduction > 1:  # an antialiased resize first, because a transform does not filter
        wanted = (max(1, round(picture.width / reduction)), max(1, round(picture.height / reduction)))
        matrix = matrix * (np.array(wanted) / picture.size)[:, None]
        picture = picture.resize(wanted, Image.Resampling.BILINEAR)
    corners = matrix @ np.array([[0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]])
    over = [-corners.min(), *(corners.max(1) - picture.size)]
    border = ceil(max(0.0, *over)) + 1
    wide = np.pad(np.asarray(picture), ((border, border), (border, border), (0, 0)), "symmetric")
    matrix = np.hstack([matrix[:, :2] / size, matrix[:, 2:] + border])
    turned = Image.fromarray(wide).transform(
        (size, size), Image.Transform.AFFINE, matrix.ravel().tolist(), Image.Resampling.BILINEAR
    )
    return np.array(turned)


def to_crop(landmarks: NDArray[np.floating], scale: float, size: int) -> NDArray[np.float32]:
    """Return the landmarks in pixels of the crop that `align` cuts: (5, 2) float32."""
    matrix = similarity(template(scale), landmarks)
    unit = (landmarks - matrix[:, 2]) @ np.linalg.pinv(matrix[:, :2]).T
    return (unit * size).astype(np.float32)


def template(scale: float) -> NDArray[np.float64]:
    """Return the template in a square that is enlarged by `scale` around its centre, and of side 1 again: (5, 2)."""
    enlarged: NDArray[np.float64] = (TEMPLATE - 0.5) / scale + 0.5
    return enlarged
