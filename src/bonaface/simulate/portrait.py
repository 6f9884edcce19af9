"""A person as input of the simulation: light, landmarks and relief of the face."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import InputError
from bonaface.core.paths import walk
from bonaface.core.records import Response
from bonaface.face.detect import Detector
from bonaface.face.find import FacePolicy, find_face
from bonaface.media.picture import read_picture
from bonaface.simulate.light import Light, Picture, Plane, Way, resize, size_of, to_light
from bonaface.simulate.warp import Points

_EYES = 110.0  # pixels between the pupils, enough for every picture made here
_LEAN = 30.0  # degrees
_LONG = 1.5  # from the eyes to the mouth, in distances between the eyes: about 1.0 from in front


@dataclass(frozen=True)
class Portrait:
    """A person, ready to be put before a camera.

    light: (3, H, W) linear. alpha: (H, W) in [0, 1], the person's coverage, or None where the picture has a
    background of its own. landmarks: (5, 2) pixels in RetinaFace's order. relief: (H, W) height of the surface
    towards the camera, in pixels.
    """

    light: Light
    alpha: Plane | None
    landmarks: Points
    relief: Plane
    name: str = ""

    @property
    def eyes(self) -> float:
        """Return the distance between the pupils in pixels."""
        return float(np.hypot(*(self.landmarks[1] - self.landmarks[0])))

    @cached_property
    def halved(self) -> "Portrait":
        """Return the portrait at half the size, averaged."""
        width, height = size_of(self.light)
        size = (width // 2, height // 2)

        def small(image: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
            return resize(image, size, Way.BOX)

        alpha = None if self.alpha is None else small(self.alpha)
        marks = (self.landmarks + 0.5) / 2 - 0.5
        return Portrait(small(self.light), alpha, marks, small(self.relief) / 2, self.name)


def face_relief(x: Plane, y: Plane) -> Plane:
    """Return the height of a face at (x, y), measured from between the eyes in distances between the pupils.

    A dome for the head with the nose, the sockets, the brow, the cheeks, the lips and the chin on it; the
    measures are of the mean adult face (Farkas, *Anthropometry of the head and face*, 1994).
    """
    # Flat at its rim, as the outline of a head in a photograph is not known, and a steep rim would show beside it.
    head = np.clip(1.0 - (x / 1.40) ** 2 - ((y - 0.25) / 2.05) ** 2, 0.0, 1.0) ** 1.25 * 1.2
    ridge = np.clip((y + 0.10) / 0.85, 0.0, 1.0) * (1.0 - np.clip((y - 0.72) / 0.22, 0.0, 1.0))
    height = head + 0.36 * ridge * np.exp(-((x / (0.13 + 0.10 * np.clip(y, 0, 1))) ** 2))
    for cx, cy, wide, tall, rise in _BUMPS:
        for side in (-1.0, 1.0) if cx else (1.0,):
            height = height + rise * np.exp(-(((x - side * cx) / wide) ** 2) - ((y - cy) / tall) ** 2)
    result: Plane = height.astype(np.float32)
    return result


# centre (mirrored where x is not 0), half-widths, height
_BUMPS = (
    (0.48, 0.02, 0.26, 0.16, -0.09),
    (0.45, -0.28, 0.40, 0.14, 0.05),
    (0.62, 0.55, 0.35, 0.35, 0.06),
    (0.0, 1.20, 0.34, 0.13, 0.07),
    (0.0, 1.40, 0.30, 0.07, -0.03),
    (0.0, 1.70, 0.32, 0.22, 0.08),
)


def portrait_of(picture: Picture, landmarks: Points, name: str = "") -> Portrait:
    """Return a photograph of a person as a portrait: its light, and a mean face's relief laid over the face.

    Args:
        picture: (H, W, 3) uint8.
        landmarks: (5, 2) of the face in it, RetinaFace's order.
    """
    light, marks = to_light(picture), np.asarray(landmarks, np.float64)
    whole = Portrait(light, None, marks, np.zeros(light.shape[1:], np.float32), name)
    while whole.eyes > 1.5 * _EYES:
        whole = whole.halved
    width, height = size_of(whole.light)
    middle, gap = whole.landmarks[:2].mean(0), whole.landmarks[1] - whole.landmarks[0]
    x = (np.arange(width, dtype=np.float32)[None, :] - np.float32(middle[0])) / np.float32(whole.eyes)
    y = (np.arange(height, dtype=np.float32)[:, None] - np.float32(middle[1])) / np.float32(whole.eyes)
    cos, sin = (gap / whole.eyes).astype(np.float32)
    relief = face_relief(x * cos + y * sin, y * cos - x * sin) * np.float32(whole.eyes)
    return Portrait(whole.light, None, whole.landmarks, relief, name)


def read_portrait(path: Path, detector: Detector) -> Portrait:
    """Read the picture at `path` as a portrait.

    Raises:
        PictureError: it cannot be read. InputError: it does not show exactly one face, large enough, upright and
            from in front.
    """
    picture = read_picture(path)
    face = find_face(detector.detect(picture), FacePolicy())
    if isinstance(face, Response):
        raise InputError(f"{path}: a portrait shows one face, found: {face}")
    marks = np.array(face.landmarks)
    lean = float(np.degrees(np.arctan2(*(marks[1] - marks[0])[::-1])))
    if abs(lean) > _LEAN:
        raise InputError(
            f"{path}: the face leans by {lean:.0f} degrees; a portrait's may lean by {_LEAN:.0f}"
        )
    eyes, mouth = marks[:2].mean(0), marks[3:].mean(0)
    if np.hypot(*(mouth - eyes)) > _LONG * np.hypot(*(marks[1] - marks[0])):
        raise InputError(f"{path}: the face is seen from the side; a portrait shows it from in front")
    return portrait_of(picture, marks, path.stem)


def list_portraits(folder: Path) -> list[Path]:
    """Return the picture files below `folder`, in the order of their paths; each is one person.

    Raises:
        InputError: there is none.
        OSError: a folder can't be read: others would then be drawn from fewer people.
    """
    suffixes = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
    paths = (Path(directory, name) for directory, _, names in walk(folder) for name in names)
    found = sorted(path for path in paths if path.suffix.lower() in suffixes)
    if not found:
        raise InputError(f"{folder}: expected a folder with pictures of faces, found none")
    return found
