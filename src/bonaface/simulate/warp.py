"""Geometric transforms: homographies, thin-plate splines, and reading a picture at moved positions.

Points are (N, 2) as (x, y) in pixels, a pixel's centre at whole numbers. A *map* is (2, H, W): for every output pixel
x and y in the source.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.simulate.light import Plane, resize

Points = NDArray[np.floating[Any]]
Map = Points
Matrix = Points


def homography(source: Points, target: Points) -> NDArray[np.floating[Any]]:
    """Return the 3 x 3 matrix that takes four source points (4, 2) to four target points (Hartley & Zisserman, 4.1)."""
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, v])
    system = np.array(rows)
    solved = np.linalg.solve(system[:, :8], system[:, 8])
    return np.append(solved, 1.0).reshape(3, 3)


def project(matrix: NDArray[np.floating[Any]], points: Points) -> Points:
    """Return points (N, 2) mapped by a homography."""
    raised = np.c_[points, np.ones(len(points))] @ matrix.T
    result: Points = raised[:, :2] / raised[:, 2:]
    return result


def projective_map(matrix: NDArray[np.floating[Any]], size: tuple[int, int]) -> Map:
    """Return the map of size (width, height) that reads the source at `matrix` applied to each output pixel."""
    width, height = size
    x = np.arange(width, dtype=np.float32)[None, :]
    y = np.arange(height, dtype=np.float32)[:, None]
    m = matrix.astype(np.float32)
    where = np.empty((2, height, width), np.float32)
    where[0] = m[0, 0] * x + (m[0, 1] * y + m[0, 2])
    where[1] = m[1, 0] * x + (m[1, 1] * y + m[1, 2])
    if m[2, 0] or m[2, 1]:
        where /= m[2, 0] * x + (m[2, 1] * y + m[2, 2])
    return where


def similarity(source: Points, target: Points) -> NDArray[np.floating[Any]]:
    """Return the 3 x 3 matrix of the least-squares similarity from source to target points (Umeyama 1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    power = float((a * a).sum())
    cos, sin = float((a * b).sum()) / power, float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / power
    matrix = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    matrix[:2, 2] = target.mean(0) - matrix[:2, :2] @ source.mean(0)
    return matrix


def sample(image: NDArray[np.floating[Any]], where: Map) -> NDArray[np.floating[Any]]:
    """Return `image` (H, W) or (C, H, W) read bilinearly at `where` (2, h, w), with the border repeated."""
    height, width = image.shape[-2:]
    x, y = np.clip(where[0], 0.0, width - 1.001), np.clip(where[1], 0.0, height - 1.001)
    column, row = x.astype(np.int32), y.astype(np.int32)
    x -= column.astype(np.float32)
    y -= row.astype(np.float32)
    first = np.multiply(row, width, dtype=np.intp)
    first += column
    planes = image if image.ndim == 3 else image[None]
    read = np.empty((len(planes), *x.shape), image.dtype)
    lower, right = np.empty(x.shape, image.dtype), np.empty(x.shape, image.dtype)
    for plane, out in zip(planes, read, strict=True):
        # Three arrays are reused for all planes, as new memory costs more than the arithmetic. "clip" saves a check of
        # each position, which is clipped already.
        flat = plane.ravel()
        np.take(flat, first, mode="clip", out=out)
        np.take(flat[1:], first, mode="clip", out=right)
        _towards(out, right, x)
        np.take(flat[width:], first, mode="clip", out=lower)
        np.take(flat[width + 1 :], first, mode="clip", out=right)
        _towards(lower, right, x)
        _towards(out, lower, y)
    return read if image.ndim == 3 else read[0]


def _towards(a: Plane, b: Plane, share: Plane) -> None:
    """Move `a` towards `b` (which is used up) by `share`, in place."""
    b -= a
    b *= share
    a += b


class Spline:
    """A thin-plate spline from source to target points (Bookstein, PAMI 11, 1989), softened by `stiffness`.

    Raises:
        numpy.linalg.LinAlgError: the source points are all on one line, or two of them coincide without stiffness.
    """

    def __init__(self, source: Points, target: Points, stiffness: float = 0.0) -> None:
        count = len(source)
        system = np.zeros((count + 3, count + 3))
        system[:count, :count] = _radial(source, source) + stiffness * np.eye(count)
        system[:count, count:] = np.c_[np.ones(count), source]
        system[count:, :count] = system[:count, count:].T
        wanted = np.r_[target, np.zeros((3, 2))]
        self._source = source
        self._weights = np.linalg.solve(system, wanted)

    def __call__(self, points: Points) -> Points:
        """Return points (N, 2) moved by the spline."""
        count = len(self._source)
        smooth = np.c_[np.ones(len(points)), points] @ self._weights[count:]
        moved: Points = _radial(points, self._source) @ self._weights[:count] + smooth
        return moved

    def map(self, size: tuple[int, int], step: int = 16) -> Map:
        """Return the map of `size` = (width, height), exact on a grid of `step` pixels and linear between."""
        width, height = size
        columns, rows = -(-width // step) + 2, -(-height // step) + 2
        # Cell i of the grid covers the pixels from (i - 1) * step on: one cell more on each side, since a resize
        # repeats the outermost half cell.
        x, y = np.meshgrid((np.arange(columns) - 0.5) * step - 0.5, (np.arange(rows) - 0.5) * step - 0.5)
        nodes = self(np.c_[x.ravel(), y.ravel()]).T.reshape(2, rows, columns).astype(np.float32)
        return resize(nodes, (columns * step, rows * step))[:, step : step + height, step : step + width]


def _radial(a: Points, b: Points) -> NDArray[np.floating[Any]]:
    square = (a[:, None, 0] - b[None, :, 0]) ** 2 + (a[:, None, 1] - b[None, :, 1]) ** 2
    result: NDArray[np.floating[Any]] = square * np.log(np.maximum(square, 1e-12))
    return result
