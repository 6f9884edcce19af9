"""How a picture must be turned so that the face in it stands upright, found by detecting it.

Some recordings lie on their side or on their head and do not say so (Replay-Mobile, MSU-MFSD). RetinaFace finds
most of those faces all the same, and its landmarks tell: the eyes of a face that stands are above its mouth.
"""

import math

import numpy as np
from numpy.typing import NDArray

from bonaface.face.detect import Detector, Face

_LEANING = 45.0  # degrees that a head may lean aside and still stand


def stands(face: Face) -> bool:
    """Whether the eyes are above the mouth, within 45 degrees."""
    (right_x, right_y), (left_x, left_y), _, *mouth = face.landmarks
    across = (right_x + left_x) / 2 - (mouth[0][0] + mouth[1][0]) / 2
    up = (mouth[0][1] + mouth[1][1]) / 2 - (right_y + left_y) / 2
    return abs(math.degrees(math.atan2(across, up))) <= _LEANING


def turned(picture: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """`picture` (H, W, 3) turned by `turn` degrees counter-clockwise: 0, 90, 180 or 270."""
    return picture if turn == 0 else np.ascontiguousarray(np.rot90(picture, turn // 90))


def find_turn(detector: Detector, picture: NDArray[np.uint8]) -> int | None:
    """By how many degrees counter-clockwise (0, 90, 180, 270) `picture` must be turned for its largest face to
    stand; None if no face stands either way.

    Where it stands as it is, that is the answer; else the turn in which it is found with the highest score.
    """
    scores: dict[int, float] = {}
    for turn in (0, 90, 180, 270):
        faces = detector.detect(turned(picture, turn))
        if faces and stands(faces[0]):
            if turn == 0:
                return 0
            scores[turn] = faces[0].score
    return max(scores, key=scores.__getitem__, default=None)
