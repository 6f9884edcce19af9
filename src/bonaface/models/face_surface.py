"""A generic face's surface, laid under five landmarks: the depth that networks such as CDCN learn for bona fide.

Yu et al. (CVPR 2020) take the depth that PRNet estimates, whose weights need a hub. A generic surface at the place,
size and turn of the face says as much about flat and not flat: half an ellipsoid with a nose.
"""

import numpy as np
from numpy.typing import NDArray

from bonaface.face.align import TEMPLATE, similarity

SIDE = 32  # of the target's map; losses resize it to the network's

# In the template's square of side 1.
_CENTER, _RADII = (0.5, 0.59), (0.38, 0.47)  # of the face's outline
_NOSE, _NOSE_WIDTH, _NOSE_HEIGHT = (0.5, 0.62), (0.06, 0.11), 0.3


def face_surface(landmarks: NDArray[np.floating], size: int) -> NDArray[np.float32]:
    """Return the depth of a generic face under its landmarks: (32, 32) float32 in [0, 1], 0 beside the face.

    Args:
        landmarks: (5, 2) x and y in pixels of the crop: `bonaface.models.targets.Shown`.
        size: side of the crop in pixels.
    """
    matrix = similarity(np.asarray(landmarks, np.float64) / size, TEMPLATE)
    places = (np.arange(SIDE) + 0.5) / SIDE
    points = np.stack([*np.meshgrid(places, places), np.ones((SIDE, SIDE))])  # (3, 32, 32): x, y, 1
    x, y = np.tensordot(matrix, points, 1)
    inside = 1 - ((x - _CENTER[0]) / _RADII[0]) ** 2 - ((y - _CENTER[1]) / _RADII[1]) ** 2
    round_part = np.sqrt(np.maximum(inside, 0))
    away = ((x - _NOSE[0]) / _NOSE_WIDTH[0]) ** 2 + ((y - _NOSE[1]) / _NOSE_WIDTH[1]) ** 2
    nose = _NOSE_HEIGHT * np.exp(-away / 2)
    return np.where(inside > 0, (round_part + nose) / (1 + _NOSE_HEIGHT), 0).astype(np.float32)
