"""Compute what a report shows of single people and videos: each subject's scores, and a video's frame by frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonaface.evaluation.aggregate import Samples
from bonaface.evaluation.score_table import ScoreTable

_SUBJECTS = 24
_SCORES = 60
_VIDEOS = 3


@dataclass(frozen=True, slots=True)
class SubjectScores:
    """One subject's scores, rising, and how many of all are on the wrong side of the threshold.

    `bona_fide` and `attacks` have at most 60 scores each, evenly chosen by rank, the lowest and the highest among them.
    """

    subject: str
    bona_fide: tuple[float, ...]
    attacks: tuple[float, ...]
    bona_fide_rejected: int
    bona_fide_total: int
    attacks_accepted: int
    attacks_total: int

    @property
    def errors(self) -> int:
        """Return how many of the subject's presentations are on the wrong side of the threshold."""
        return self.bona_fide_rejected + self.attacks_accepted


@dataclass(frozen=True, slots=True)
class VideoScores:
    """One video's scores (T,) at the frames (T,), by rising frame number; None where a frame got no response."""

    id: str
    label: int
    species: str
    score: float
    frames: tuple[int, ...]
    scores: tuple[float | None, ...]


def subjects_of(samples: Samples, threshold: float) -> tuple[SubjectScores, ...]:
    """Return the at most 24 subjects with the most errors at `threshold`, the most first; none where none is named."""
    scored = samples.scored()
    wrong = (scored.scores >= threshold) != (scored.labels == 1)
    names = samples.subject_names
    named = scored.subjects < len(names)
    errors = np.bincount(scored.subjects[named & wrong], minlength=len(names))
    present = [code for code in np.unique(scored.subjects[named]) if names[code]]
    present.sort(key=lambda code: (-errors[code], str(names[code])))
    return tuple(_subject(scored, wrong, int(code), str(names[code])) for code in present[:_SUBJECTS])


def videos_of(
    samples: Samples, rows: ScoreTable, threshold: float, output: str | None
) -> tuple[VideoScores, ...]:
    """Return three attacks and three bona fide videos, frame by frame: those that are most wrong, or nearest to it.

    Videos of a single frame are left out, and there is none where frames are judged.

    Args:
        samples: the videos that are judged.
        rows: the table of their frames.
        threshold: a score >= threshold is accepted.
        output: the score output that is judged.
    """
    if samples.unit != "video":
        return ()
    videos = rows.data.text("video_id")
    several = {videos.names[code] for code in np.flatnonzero(np.bincount(videos.codes) > 1)}
    chosen = []
    for label in (0, 1):
        own = np.flatnonzero((samples.labels == label) & ~np.isnan(samples.scores))
        right_by = (samples.scores[own] - threshold) * (1 if label else -1)
        order = own[np.argsort(right_by, kind="stable")]
        chosen += [row for row in order if samples.ids[row] in several][:_VIDEOS]
    return tuple(_video(samples, rows, int(row), output) for row in chosen)


def _subject(scored: Samples, wrong: NDArray[np.bool_], code: int, name: str) -> SubjectScores:
    own = scored.subjects == code
    bona_fide, attacks = own & (scored.labels == 1), own & (scored.labels == 0)
    return SubjectScores(
        name,
        _thinned(scored.scores[bona_fide]),
        _thinned(scored.scores[attacks]),
        int(wrong[bona_fide].sum()),
        int(bona_fide.sum()),
        int(wrong[attacks].sum()),
        int(attacks.sum()),
    )


def _thinned(scores: NDArray[np.float64]) -> tuple[float, ...]:
    ordered = np.sort(scores)
    if ordered.size > _SCORES:
        ordered = ordered[np.rint(np.linspace(0, ordered.size - 1, _SCORES)).astype(np.intp)]
    return tuple(ordered.tolist())


def _video(samples: Samples, rows: ScoreTable, row: int, output: str | None) -> VideoScores:
    code = samples.species.codes[row]
    name = str(samples.ids[row])
    own = rows.where("video_id", name)
    order = np.argsort(own.numbers("frame"), kind="stable")
    scores = own.scores(output)[order]
    return VideoScores(
        name,
        int(samples.labels[row]),
        samples.species.names[code] if code >= 0 else "",
        float(samples.scores[row]),
        tuple(own.numbers("frame")[order].tolist()),
        tuple(None if np.isnan(score) else float(score) for score in scores),
    )
