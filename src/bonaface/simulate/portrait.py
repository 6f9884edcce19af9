"""A person as the chain takes them: a picture in linear light, where the eyes are, and how the face stands out."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bonaface.simulate.light import Light, Plane, resize
from bonaface.simulate.warp import Points


@dataclass(frozen=True)
class Portrait:
    """A person, ready to be put before a camera.

    light: (H, W, 3) linear. alpha: (H, W) in [0, 1], the person's coverage, or None where the picture has a
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
        """The distance between the pupils, pixels."""
        return float(np.hypot(*(self.landmarks[1] - self.landmarks[0])))

    @cached_property
    def halved(self) -> "Portrait":
        """The portrait at half the size, averaged."""
        size = (self.light.shape[1] // 2, self.light.shape[0] // 2)

        def small(image: NDArray[np.float32]) -> NDArray[np.float32]:
            return resize(image, size, box=True)

        alpha = None if self.alpha is None else small(self.alpha)
        marks = (self.landmarks + 0.5) / 2 - 0.5
        return Portrait(small(self.light), alpha, marks, small(self.relief) / 2, self.name)


def face_relief(x: Plane, y: Plane) -> Plane:
    """The height of a face at (x, y) measured from between the eyes in distances between the pupils.

    An ellipsoid for the head with the nose, the sockets, the brow, the cheeks, the lips and the chin on it; the
    measures are of the mean adult face (Farkas, *Anthropometry of the head and face*, 1994).
    """
    head = np.sqrt(np.clip(1.0 - (x / 1.32) ** 2 - ((y - 0.25) / 1.95) ** 2, 0.0, 1.0)) * 1.05
    ridge = np.clip((y + 0.10) / 0.85, 0.0, 1.0) * (1.0 - np.clip((y - 0.72) / 0.22, 0.0, 1.0))
    height = head + 0.36 * ridge * np.exp(-((x / (0.13 + 0.10 * np.clip(y, 0, 1))) ** 2))
    for cx, cy, wide, tall, rise in _BUMPS:
        for side in (-1.0, 1.0) if cx else (1.0,):
            height = height + rise * np.exp(-(((x - side * cx) / wide) ** 2) - ((y - cy) / tall) ** 2)
    return height.astype(np.float32)


# centre (mirrored where x is not 0), half-widths, height
_BUMPS = (
    (0.48, 0.02, 0.26, 0.16, -0.09),
    (0.45, -0.28, 0.40, 0.14, 0.05),
    (0.62, 0.55, 0.35, 0.35, 0.06),
    (0.0, 1.20, 0.34, 0.13, 0.07),
    (0.0, 1.40, 0.30, 0.07, -0.03),
    (0.0, 1.70, 0.32, 0.22, 0.08),
)
