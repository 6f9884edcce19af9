"""Turn frames into the presentations that are judged: one score a video, or each frame by itself."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.evaluation.score_table import ScoreTable
from bonaface.metrics.checks import Groups
from bonaface.metrics.videos import AGGREGATIONS, Aggregation, video_scores

Unit = Literal["video", "frame"]
UNITS: tuple[Unit, ...] = ("video", "frame")


@dataclass(frozen=True, slots=True)
class Samples:
    """N presentations to judge, videos or frames, as arrays of (N,).

    `scores` is NaN where nothing responded; `responses` then says why. `subjects` are numbers; where a
    presentation names no subject it stands alone, and `named_subjects` is false if none is named. `subject_names`
    (S,) are the names that the first S numbers stand for; a number beyond has no name.
    `sample_ids` is a frame to show of each: its first that responded.
    """

    unit: Unit
    ids: NDArray[np.object_]
    sample_ids: NDArray[np.object_]
    labels: NDArray[np.int8]
    species: Groups
    subjects: NDArray[np.int64]
    named_subjects: bool
    subject_names: NDArray[np.object_]
    scores: NDArray[np.float64]
    responses: NDArray[np.object_]

    def __len__(self) -> int:
        return int(self.labels.size)

    def scored(self) -> "Samples":
        """Return the presentations that responded."""
        return self.take(np.flatnonzero(~np.isnan(self.scores)))

    def take(self, rows: NDArray[np.intp]) -> "Samples":
        """Return the presentations at `rows` (M,)."""
        return Samples(
            self.unit,
            self.ids[rows],
            self.sample_ids[rows],
            self.labels[rows],
            Groups(self.species.names, self.species.codes[rows]),
            self.subjects[rows],
            self.named_subjects,
            self.subject_names,
            self.scores[rows],
            self.responses[rows],
        )


def to_unit(
    table: ScoreTable, unit: Unit = "video", aggregation: Aggregation = "mean", output: str | None = None
) -> Samples:
    """Return the presentations of `table`: its videos in the order of their first frames, or its frames.

    A video's score is the `aggregation` of its frames that responded; it is a non-response only if none did.

    Raises:
        UnknownNameError: there is no such `unit`, `aggregation` or `output`.
        InputError: the table has no rows.
    """
    if unit not in UNITS:
        raise UnknownNameError("unit", unit, UNITS)
    if aggregation not in AGGREGATIONS:
        raise UnknownNameError("aggregation of a video's frames", aggregation, AGGREGATIONS)
    if not len(table):
        raise InputError("there is nothing to judge: the score table has no rows")
    frames = _frames(table, table.scores(output))
    return frames if unit == "frame" else _videos(table, frames, aggregation)


def _frames(table: ScoreTable, scores: NDArray[np.float64]) -> Samples:
    labels = table.numbers("label")
    people = table.data.text("subject")
    present, subjects = np.unique(people.codes, return_inverse=True)
    nameless = people.where(lambda name: not name)
    if nameless.any():
        alone = table.codes("dataset", "protocol", "fold", "video_id")
        subjects = np.where(nameless, subjects.max() + 1 + alone, subjects)
    species = table.data.text("species")
    kinds = tuple(sorted(set(species.distinct()) - {""}))
    rank = np.array([kinds.index(name) if name in kinds else -1 for name in species.names], dtype=np.intp)
    shown = table.text("sample_id")
    return Samples(
        "frame",
        shown if len(table.values("sample_id")) == len(table) else _numbered(table),
        shown,
        labels,
        Groups(kinds, rank[species.codes]),
        subjects,
        not bool(nameless.all()),
        np.array([people.names[code] for code in present], dtype=object),
        scores,
        table.text("response"),
    )


def _numbered(table: ScoreTable) -> NDArray[np.object_]:
    """Return names of video and frame, for tables that give all frames of a video the same name."""
    pairs = zip(table.text("video_id"), table.numbers("frame"), strict=True)
    return np.array([f"{video}#{frame}" for video, frame in pairs], dtype=object)


def _videos(table: ScoreTable, frames: Samples, aggregation: Aggregation) -> Samples:
    video = table.codes("dataset", "protocol", "fold", "video_id")
    non_response = np.isnan(frames.scores)
    # By video, then those that responded, then by frame: the first of a video is the one to show.
    order = np.lexsort((table.numbers("frame"), non_response, video))
    counts = np.bincount(video)
    starts = np.cumsum(counts) - counts
    first = order[starts]
    by_appearance = np.argsort(np.unique(video, return_index=True)[1])
    shown = frames.take(first)
    return Samples(
        "video",
        table.text("video_id")[first],
        shown.sample_ids,
        shown.labels,
        shown.species,
        shown.subjects,
        shown.named_subjects,
        shown.subject_names,
        video_scores(video, frames.scores, aggregation),
        shown.responses,
    ).take(by_appearance)
