"""How a picture must be turned so that the face in it stands upright, found by detecting it.

Some recordings lie on their side or upside down without a rotation tag (Replay-Mobile, MSU-MFSD). RetinaFace finds most
of those faces all the same, and its landmarks tell the turn: the eyes of an upright face are above its mouth.
"""

import math

import numpy as np
from numpy.typing import NDArray

from bonaface.face.detect import Box, Detector, Face

_LEANING = 45.0  # degrees that a head may lean aside and still stand


def stands(face: Face) -> bool:
    """Return whether the eyes are above the mouth, within 45 degrees."""
    (right_x, right_y), (left_x, left_y), _, *mouth = face.landmarks
    across = (right_x + left_x) / 2 - (mouth[0][0] + mouth[1][0]) / 2
    up = (mouth[0][1] + mouth[1][1]) / 2 - (right_y + left_y) / 2
    return abs(math.degrees(math.atan2(across, up))) <= _LEANING


def turned(picture: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """Return `picture` (H, W, 3) turned by `turn` degrees counter-clockwise: 0, 90, 180 or 270."""
    return picture if turn == 0 else np.ascontiguousarray(np.rot90(picture, turn // 90))


def find_turn(detector: Detector, picture: NDArray[np.uint8]) -> int | None:
    """Return the turn in degrees counter-clockwise (0, 90, 180, 270) that makes the largest face in `picture` stand.

    None if no face stands in any turn.

    It is 0 if the face stands as it is, else the turn in which it is found with the highest score.
    """
    faces = detector.detect(picture)
    if faces and stands(faces[0]):
        return 0
    return max(turned_faces(detector, picture).items(), key=lambda found: found[1][0].score, default=(None,))[
        0
    ]


def turned_faces(detector: Detector, picture: NDArray[np.uint8]) -> dict[int, list[Face]]:
    """Return the faces in `picture` for each turn of 90, 180 and 270 degrees counter-clockwise.

    Only turns in which the largest face stands; boxes are in the turned picture's pixels.
    """
    # Views of the picture: copies of a large one would take much memory.
    found = {turn: detector.detect(np.rot90(picture, turn // 90)) for turn in (90, 180, 270)}
    return {turn: faces for turn, faces in found.items() if faces and stands(faces[0])}


def turned_back(box: Box, turn: int, size: tuple[int, int]) -> Box:
    """Return `box` (x0, y0, x1, y1) of a turned picture in the pixels of the picture before it was turned.

    It was turned by `turn` degrees counter-clockwise and was `size`, (width, height), before.
    """
    x0, y0, x1, y1 = box
    width, height = size
    if turn == 90:
        return width - y1, x0, width - y0, x1
    if turn == 180:
        return width - x1, height - y1, width - x0, height - y0
    if turn == 270:
        return y0, height - x1, y1, height - x0
    return box
