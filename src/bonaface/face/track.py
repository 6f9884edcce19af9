"""The detector over the frames of one video, looking first where the face was in the frame before.

A person moves little from frame to frame. In a window around the last frame's box the detector finds the same face as
in the whole frame at a fraction of the cost. Unless it finds one face there, with a high score and clear of the
window's edge, the whole frame is searched. The window is scaled as the whole frame would be, and is aligned to the
network's grid, so that the face has the same anchors in both.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonaface.face.detect import Detector, Face

_ENLARGED = 2.5  # the window's side, in longer sides of the face's box
_SURE = 0.95  # the score from which the face in the window needs no second look
_GRID = 32  # pixels: the detector's coarsest stride
_WORTH = 0.5  # of the frame's area: a larger window saves too little


class Tracker:
    """Finds the faces in the frames of one video, given in order; each video has its own.

    A second face that comes into the picture is seen when the whole frame is looked at again, and not before.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._last: Face | None = None
        self._shape: tuple[int, ...] = ()

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        """Return the faces in the next frame, (H, W, 3) uint8 RGB, in its pixels, the largest box first."""
        faces = self._near(picture) or self._detector.detect(picture)
        self.follow(faces, picture)
        return faces

    def follow(self, faces: list[Face], picture: NDArray[np.uint8]) -> None:
        """Set `faces` as what was found in the last frame, `picture`."""
        self._last = faces[0] if len(faces) == 1 else None
        self._shape = picture.shape

    def _near(self, picture: NDArray[np.uint8]) -> list[Face]:
        """Return the face near the last one's position; empty if there are none or several, or it is not certain."""
        if self._last is None or picture.shape != self._shape:
            return []
        window = _window(self._last, picture.shape[1], picture.shape[0], self._detector.longer_side)
        if window.width * window.height > _WORTH * window.frame_width * window.frame_height:
            return []
        faces = self._detector.detect(window.cut(picture))
        if len(faces) != 1 or faces[0].score < _SURE or not window.holds(faces[0]):
            return []
        return [window.back(faces[0])]


@dataclass(frozen=True, slots=True)
class _Window:
    """A part of a frame: its corner and size, and the whole frame's size, in pixels of the scaled frame; and how many
    of the frame's own pixels one of those is, across and down."""

    x: int
    y: int
    width: int
    height: int
    frame_width: int
    frame_height: int
    across: float
    down: float

    def cut(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the window's part of the frame `picture`, scaled as the detector scales the whole."""
        if self.across == self.down == 1.0:
            return picture[self.y : self.y + self.height, self.x : self.x + self.width]
        edges = (
            self.x * self.across,
            self.y * self.down,
            (self.x + self.width) * self.across,
            (self.y + self.height) * self.down,
        )
        size = (self.width, self.height)
        scaled = Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR, box=edges, reducing_gap=2.0)
        return np.asarray(scaled)

    def holds(self, face: Face) -> bool:
        """Return whether the face's box is clear of those edges of the window behind which the frame goes on."""
        x0, y0, x1, y1 = face.box
        return (
            (x0 > 1 or self.x == 0)
            and (y0 > 1 or self.y == 0)
            and (x1 < self.width - 1 or self.x + self.width == self.frame_width)
            and (y1 < self.height - 1 or self.y + self.height == self.frame_height)
        )

    def back(self, face: Face) -> Face:
        """Return the face, found in the window, in the frame's pixels."""

        def to_picture(point: tuple[float, float]) -> tuple[float, float]:
            return (point[0] + self.x) * self.across, (point[1] + self.y) * self.down

        right_eye, left_eye, nose, right_corner, left_corner = map(to_picture, face.landmarks)
        box = (*to_picture(face.box[:2]), *to_picture(face.box[2:]))
        return Face(box, (right_eye, left_eye, nose, right_corner, left_corner), face.score)


def _window(face: Face, width: int, height: int, longer_side: int) -> _Window:
    """Return the window around `face` in a frame of `width` x `height` that the detector scales to `longer_side`."""
    ratio = min(1.0, longer_side / max(width, height))
    frame_width, frame_height = max(1, round(width * ratio)), max(1, round(height * ratio))
    across, down = width / frame_width, height / frame_height
    x0, y0, x1, y1 = face.box
    half = _ENLARGED / 2 * max((x1 - x0) / across, (y1 - y0) / down)
    left, right = _span((x0 + x1) / 2 / across, half, frame_width)
    top, bottom = _span((y0 + y1) / 2 / down, half, frame_height)
    return _Window(left, top, right - left, bottom - top, frame_width, frame_height, across, down)


def _span(middle: float, half: float, whole: int) -> tuple[int, int]:
    """Return the span from `middle` - `half` to `middle` + `half`, widened to the grid, within 0 and `whole`."""
    start = max(0, int((middle - half) // _GRID) * _GRID)
    end = min(whole, -int(-(middle + half) // _GRID) * _GRID)
    return start, max(end, start + 1)
