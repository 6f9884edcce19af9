"""Compare an exported network with the one it was made of: scores, decisions, and the errors that count."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonaface.face.crop import Views, cut_views
from bonaface.inference.bundle import BundleCard
from bonaface.inference.preprocess import run_on_views
from bonaface.inference.provenance import seen_rows
from bonaface.inference.runtime import Runner
from bonaface.metrics.rates import Rate, apcer, bpcer
from bonaface.store.crop_store import CropStore

_BATCH = 16

Scores = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class PointParity:
    """Decisions on frames at one operating point: how many changed, and both error rates before and after."""

    point: str
    threshold: float
    changed: Rate
    apcer: tuple[Rate, Rate]
    bpcer: tuple[Rate, Rate]

    @property
    def loss(self) -> float:
        """Return by how much the error rate that grew most has grown; negative where both fell."""
        grown = [after.value - before.value for before, after in (self.apcer, self.bpcer) if before.total]
        return max(grown)


@dataclass(frozen=True, slots=True)
class OutputParity:
    """How far the scores (N,) of one output moved, and what this did at each operating point."""

    output: str
    mean: float
    largest: float
    points: tuple[PointParity, ...]


@dataclass(frozen=True, slots=True)
class Parity:
    """What an export did to the scores of `crops` faces of a store."""

    store: str
    crops: int
    outputs: tuple[OutputParity, ...]

    @property
    def loss(self) -> float:
        """Return by how much APCER or BPCER grew at most, over all outputs and operating points."""
        return max(point.loss for output in self.outputs for point in output.points)


def choose_frames(
    store: CropStore, card: BundleCard, calibrate: int, judge: int
) -> tuple[list[int], list[int]]:
    """Return the frames of `store` to calibrate on and those to judge on: no subject is in both.

    What the model was trained on calibrates, where it is this very store; else a third of the subjects. Of each, up
    to so many frames are taken, evenly, at most half of them of bona fide presentations and half of attacks.
    """
    trained = seen_rows(card, store)
    if not trained:
        # Somebody who is not named stands alone.
        owners = [row.subject or f"\0{number}" for number, row in enumerate(store.presentations)]
        third = set(sorted(set(owners))[::3])
        trained = {number for number, owner in enumerate(owners) if owner in third}
    faces = [(number, frame.presentation) for number, frame in enumerate(store.frames) if not frame.response]
    parts = [[pair for pair in faces if (pair[1] in trained) is inside] for inside in (True, False)]
    first, second = (_even(store, part, most) for part, most in zip(parts, (calibrate, judge), strict=True))
    return first, second


def _even(store: CropStore, faces: Sequence[tuple[int, int]], most: int) -> list[int]:
    chosen: list[int] = []
    for label in (0, 1):
        kind = [number for number, row in faces if store.presentations[row].label == label]
        places = np.linspace(0, len(kind) - 1, min(most // 2, len(kind))).round().astype(int)
        chosen += [kind[place] for place in places]
    return sorted(chosen)


def read_faces(store: CropStore, card: BundleCard, frames: Sequence[int]) -> list[Views]:
    """Return the crops that the network of `card` reads of each of `frames`."""
    return [cut_views(store.read(number), card.crop_specs, card.input_size) for number in frames]


def score_faces(runner: Runner, card: BundleCard, faces: Sequence[Views]) -> Scores:
    """Return the scores (N,) of `faces` by output."""
    lots = [run_on_views(runner, card, faces[at : at + _BATCH]) for at in range(0, len(faces), _BATCH)]
    return {output: np.concatenate([lot[output] for lot in lots]) for output in card.outputs}


def compare_scores(
    card: BundleCard, labels: NDArray[np.int64], before: Scores, after: Scores
) -> tuple[OutputParity, ...]:
    """Return the parity of each output: scores (N,) `before` and `after`, of frames with `labels` (N,)."""
    found = []
    for output in card.outputs:
        moved = np.abs(after[output].astype(np.float64) - before[output])
        points = []
        for point in card.operating_points:
            threshold = card.threshold(output, "frame", point)
            scores = before[output], after[output]
            changed = np.count_nonzero((scores[0] >= threshold) != (scores[1] >= threshold))
            rates = [(apcer(labels, each, threshold), bpcer(labels, each, threshold)) for each in scores]
            points.append(
                PointParity(
                    point,
                    threshold,
                    Rate(int(changed), len(labels)),
                    (rates[0][0], rates[1][0]),
                    (rates[0][1], rates[1][1]),
                )
            )
        found.append(OutputParity(output, float(moved.mean()), float(moved.max()), tuple(points)))
    return tuple(found)
