"""Evaluate a run on its dev set: these figures choose the checkpoint and fill the history."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonaface.metrics.rates import acer_at
from bonaface.metrics.thresholds import eer_threshold
from bonaface.metrics.videos import video_scores


@dataclass(frozen=True)
class Outcome:
    """The result of a run: ACER and loss on dev, the epoch (counted from 0) whose weights are kept, seconds in all."""

    acer: float
    loss: float
    epoch: int
    seconds: float


def judge_dev(
    presentations: NDArray[np.int64],
    labels: NDArray[np.floating | np.integer],
    scores: NDArray[np.float32],
    losses: NDArray[np.float32],
) -> dict[str, float]:
    """Return ACER at the EER threshold, that threshold, and the mean loss: "dev/acer", "dev/threshold", "dev/loss".

    Errors are counted over presentations, pooled over the attacks; a video's score is the mean of its frames'.

    Args:
        presentations: (N,) which presentation each frame is of.
        labels: (N,) of {0, 1}; 1 is bona fide.
        scores: (N,), finite, higher for bona fide.
        losses: (N,) the loss of each frame.
    """
    _, first, index = np.unique(presentations, return_index=True, return_inverse=True)
    means = video_scores(index, scores)
    truth = labels[first].astype(np.int64)
    threshold = eer_threshold(truth, means)
    return {
        "dev/acer": float(acer_at(truth, means, threshold)),
        "dev/threshold": float(threshold),
        "dev/loss": float(losses.mean()),
    }
