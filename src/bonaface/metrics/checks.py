"""Checks that every metric makes of its arrays: labels of {0, 1}, finite scores, one row each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bonaface.core.errors import InputError

Labels = NDArray[np.int8]
Scores = NDArray[np.float64]


def checked(labels: ArrayLike, scores: ArrayLike) -> tuple[Labels, Scores]:
    """Return `labels` (N,) as int8 of {0, 1} and `scores` (N,) as float64.

    Raises:
        InputError: not one label a score, no rows at all, a label that is neither 0 nor 1, or a score that is
            NaN or infinite; the message names the first such row, counted from 0.
    """
    label_values, score_values = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if label_values.ndim != 1 or label_values.shape != score_values.shape:
        raise InputError(
            f"labels and scores must be two arrays of the same length (N,), "
            f"got {label_values.shape} and {score_values.shape}"
        )
    if not label_values.size:
        raise InputError("there are no scores to measure: labels and scores are empty")
    strange = (label_values != 0) & (label_values != 1)
    if strange.any():
        row = int(np.argmax(strange))
        raise InputError(
            f"a label must be 1 (bona fide) or 0 (attack), got {label_values[row]!s} in row {row}"
        )
    endless = ~np.isfinite(score_values)
    if endless.any():
        row = int(np.argmax(endless))
        raise InputError(
            f"a score must be a finite number, got {score_values[row]} in row {row}; "
            "leave rows without a score out and count them as non-responses"
        )
    return label_values.astype(np.int8, copy=False), score_values


@dataclass(frozen=True, slots=True)
class Groups:
    """The species of N presentations as numbers, for callers that group the same rows many times.

    `names` are the species in sorted order; `codes` (N,) points into them and is -1 for bona fide.
    """

    names: tuple[str, ...]
    codes: NDArray[np.intp]


def grouped(labels: Labels, species: ArrayLike | Groups) -> Groups:
    """Return the `species` (N,), names or `Groups` already, of the rows with `labels` (N,).

    Raises:
        InputError: another length than `labels`, or an attack without a species.
    """
    given = species.codes if isinstance(species, Groups) else np.asarray(species)
    if given.shape != labels.shape:
        raise InputError(f"species must have one entry a label, got {given.shape} for {labels.shape}")
    if isinstance(species, Groups):
        nameless = (labels == 0) & (species.codes < 0)
        groups = species
    else:
        # A dict of the names: np.unique would sort a million strings.
        texts = [
            "" if label else str(name) for name, label in zip(given.tolist(), labels.tolist(), strict=True)
        ]
        names = tuple(sorted(set(texts) - {""}))
        code_of = {"": -1} | {name: code for code, name in enumerate(names)}
        codes = np.fromiter((code_of[text] for text in texts), dtype=np.intp, count=len(texts))
        nameless = (labels == 0) & (codes < 0)
        groups = Groups(names, codes)
    if nameless.any():
        raise InputError(
            f"every attack needs a species, row {int(np.argmax(nameless))} has none; write 'unknown' if it is"
        )
    return groups


def both_classes(labels: Labels, what: str) -> None:
    """Refuse `labels` (N,) that lack one of the two classes, for a figure `what` that needs both.

    Raises:
        InputError: only bona fide or only attacks.
    """
    bona_fide = int(np.count_nonzero(labels))
    if bona_fide in (0, labels.size):
        missing = "attack" if bona_fide else "bona fide"
        raise InputError(
            f"{what} needs both classes, but there is no {missing} among the {labels.size} scores"
        )


def checked_threshold(threshold: float) -> float:
    """Return `threshold` as a float.

    Raises:
        InputError: NaN, against which every comparison is false.
    """
    if np.isnan(threshold):
        raise InputError("a threshold must be a number, got NaN")
    return float(threshold)
