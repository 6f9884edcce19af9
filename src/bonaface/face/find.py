"""The choice of the one face of a picture that is judged, or the reason why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass

from bonaface.core.errors import InputError
from bonaface.core.records import Response
from bonaface.face.detect import Face


@dataclass(frozen=True, slots=True)
class FacePolicy:
    """When a picture's largest face is judged.

    `min_side` is the fewest pixels that the longer side of its box may have. `similar` is the share of its
    area, in (0, 1], from which on a second face makes it unclear who presents; smaller faces are people or
    posters behind.

    Raises:
        InputError: a value is out of range.
    """

    min_side: float = 48.0
    similar: float = 0.6

    def __post_init__(self) -> None:
        if not self.min_side >= 1.0:
            raise InputError(f"the least side of a face must be at least one pixel, got {self.min_side}")
        if not 0.0 < self.similar <= 1.0:
            raise InputError(
                f"the share that makes a second face similar must be in (0, 1], got {self.similar}"
            )


def find_face(faces: Sequence[Face], policy: FacePolicy) -> Face | Response:
    """Return the largest of `faces`, or why none is judged: `NO_FACE`, `FACE_TOO_SMALL` or `SEVERAL_FACES`."""
    if not faces:
        return Response.NO_FACE
    largest, *others = sorted(faces, key=lambda face: face.area, reverse=True)
    x0, y0, x1, y1 = largest.box
    if max(x1 - x0, y1 - y0) < policy.min_side:
        return Response.FACE_TOO_SMALL
    if others and others[0].area >= policy.similar * largest.area:
        return Response.SEVERAL_FACES
    return largest
