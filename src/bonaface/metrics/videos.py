"""The score of a video, computed from the scores of its frames."""

from math import fsum, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bonaface.core.errors import UnknownNameError

Aggregation = Literal["mean", "median", "min", "std"]
AGGREGATIONS: tuple[Aggregation, ...] = ("mean", "median", "min", "std")


def video_scores(
    videos: ArrayLike, scores: ArrayLike, aggregation: Aggregation = "mean", count: int | None = None
) -> NDArray[np.float64]:
    """Return the score of each video, (V,) float64: the `aggregation` of its frames that have one.

    It does not depend on the order of the frames: a mean is that of the exactly rounded sum (Shewchuk, 1997, as
    `math.fsum`). It never lies outside the frames' own scores, so that equal scores have exactly their value for mean.
    "std" is their standard deviation (n), 0 for one frame: for scores whose change over a video tells an attack, as
    the frequency descriptor of Li et al. (2004).

    Args:
        videos: (N,) the number of each frame's video, in [0, V).
        scores: (N,) of each frame; NaN where it got none. A video without any is NaN.
        count: V; without it, one more than the largest number.

    Raises:
        UnknownNameError: there is no such aggregation.
    """
    if aggregation not in AGGREGATIONS:
        raise UnknownNameError("aggregation of a video's frames", aggregation, AGGREGATIONS)
    numbers, values = np.asarray(videos, np.intp), np.asarray(scores, np.float64)
    if count is None:
        count = int(numbers.max()) + 1 if numbers.size else 0
    scored = ~np.isnan(values)
    numbers, values = numbers[scored], values[scored]
    order = np.lexsort((values, numbers))  # by video, then by score
    values = values[order]
    frames = np.bincount(numbers, minlength=count)
    present = np.flatnonzero(frames)
    many = frames[present]
    first = np.cumsum(many) - many
    result = np.full(count, np.nan)
    if aggregation == "min":
        result[present] = values[first]
    elif aggregation == "median":
        result[present] = (values[first + (many - 1) // 2] + values[first + many // 2]) / 2
    else:
        result[present] = _means(values, first, many)
    if aggregation == "std":
        result[present] = _deviations(values, first, many, result[present])
    return result


def _means(
    values: NDArray[np.float64], first: NDArray[np.intp], many: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the mean of each run of `many` values from `first` on; each run is sorted."""
    means = values[first]
    several = np.flatnonzero(many > 1)
    runs = values.tolist()
    ends = first + many
    means[several] = [
        fsum(runs[begin:end]) / (end - begin)
        for begin, end in zip(first[several].tolist(), ends[several].tolist(), strict=True)
    ]
    return np.clip(means, values[first], values[ends - 1])


def _deviations(
    values: NDArray[np.float64],
    first: NDArray[np.intp],
    many: NDArray[np.intp],
    means: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the standard deviation (n) of each run of `many` values from `first` on about its mean."""
    squares = ((values - np.repeat(means, many)) ** 2).tolist()
    ends = (first + many).tolist()
    return np.array(
        [
            sqrt(fsum(squares[begin:end]) / (end - begin))
            for begin, end in zip(first.tolist(), ends, strict=True)
        ]
    )
