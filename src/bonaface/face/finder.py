"""The faces in the frames of one presentation, upright: the same for a crop store and for `check`.

A network is trained on upright faces. A recording that lies on its side or upside down is turned until the face is
upright. The first frame in which a face is upright after some turn decides for the whole presentation, as nobody turns
the camera during a recording.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonaface.face.detect import Box, Detector, Face, Landmarks, Point
from bonaface.face.track import Tracker
from bonaface.face.upright import stands, turned, turned_back, turned_faces


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in a frame: the frame turned upright, (H, W, 3) uint8 RGB, and its faces, the largest first.

    `turn` is by how many degrees counter-clockwise it was turned (0, 90, 180, 270).
    """

    picture: NDArray[np.uint8]
    faces: list[Face]
    turn: int

    def box_before(self, face: Face) -> Box:
        """Return the face's box in the frame as it was before it was turned."""
        return turned_back(face.box, self.turn, self._size_before)

    def landmarks_before(self, face: Face) -> Landmarks:
        """Return the face's landmarks in the frame as it was before it was turned."""

        def before(point: Point) -> Point:
            return turned_back((*point, *point), self.turn, self._size_before)[:2]

        right_eye, left_eye, nose, right_mouth, left_mouth = map(before, face.landmarks)
        return right_eye, left_eye, nose, right_mouth, left_mouth

    @property
    def _size_before(self) -> tuple[int, int]:
        height, width = self.picture.shape[:2]
        return (width, height) if self.turn in (0, 180) else (height, width)


class FaceFinder:
    """Finds the faces in the frames of one presentation, given in order; each presentation has its own.

    `turn` is None as long as no frame had a face that stands.
    """

    def __init__(self, detector: Detector) -> None:
        self.turn: int | None = None
        self._detector = detector
        self._tracker = Tracker(detector)

    def find(self, picture: NDArray[np.uint8]) -> Found:
        """Find the faces in the next frame, (H, W, 3) uint8 RGB."""
        upright = turned(picture, self.turn or 0)
        faces = self._tracker.detect(upright)
        if self.turn is None:
            if faces and stands(faces[0]):
                self.turn = 0
            elif ways := turned_faces(self._detector, picture):
                self.turn = max(ways, key=lambda turn: ways[turn][0].score)
                upright, faces = turned(picture, self.turn), ways[self.turn]
                self._tracker.follow(faces, upright)
        return Found(upright, faces, self.turn or 0)
