"""t-SNE of the features of what one run got wrong and another right (paper 2, fig. 7).

L. van der Maaten, G. Hinton, "Visualizing Data using t-SNE", JMLR 9, 2008; by scikit-learn.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from bonaface.drawing.text import line_height
from bonaface.drawing.vector import Dot, Drawing, Line, Part, Text
from bonaface.explain.figure import Figure
from bonaface.explain.figures import caption_of
from bonaface.explain.run import TrainedRun
from bonaface.explain.samples import Sample, images_of

LEAST = 5  # presentations; of fewer there is nothing to be seen
_BATCH = 8
_SIDE, _GAP, _INSIDE = (
    340,
    20,
    14,
)  # pixels: a panel, what is around it, and the dots' distance from its frame
_COLOURS = {1: "#0072B2", 0: "#D55E00"}  # Okabe and Ito
_KINDS = {1: "bona fide", 0: "attack"}
_TITLE = "t-SNE of the first level's features (paper 2, fig. 7)"


def tsne_figure(
    samples: Sequence[Sample], run: TrainedRun, others: Sequence[Sample], other: TrainedRun
) -> Figure | str:
    """Return figure 7 of paper 2: features of what `other` got wrong and `run` right; or why there is none.

    Args:
        samples: presentations as `run` sees them.
        run: the better run.
        others: the same presentations as `other` sees them.
        other: the run that got some of them wrong.
    """
    wrong = [not _is_right(one, other) for one in others]
    chosen = [n for n, one in enumerate(samples) if wrong[n] and _is_right(one, run)]
    found = (
        f"of {len(samples)} presentations {other.path} judged {sum(wrong)} wrongly, and {run.path} judged "
        f"{len(chosen)} of these rightly"
    )
    if len(chosen) < LEAST:
        return f"{found}, and t-SNE needs at least {LEAST}; --samples looks at more"
    labels = np.array([samples[n].presentation.label for n in chosen])
    parts: list[Part] = []
    arrays: dict[str, NDArray[np.generic]] = {"labels": labels}
    findings = [
        f"{found[0].upper()}{found[1:]}: {labels.sum()} bona fide, {len(labels) - labels.sum()} attacks."
    ]
    for column, (of, seen, what) in enumerate(
        ((other, others, "judged these wrongly"), (run, samples, "judged them rightly"))
    ):
        own = [seen[n] for n in chosen]
        name, features = features_of(own, of)
        points = embed(features)
        title = f"{name} of {of.path.name}, which {what}"
        parts += _panel(points, own, of, title, _GAP + column * (_SIDE + _GAP))
        key = ("other", "run")[column]
        arrays |= {f"{key}_features": features, f"{key}_points": points}
        share = nearest_alike(features, labels)
        if share is not None:
            findings.append(
                f"{of.path}: the nearest neighbour among the features {name} is of the same class for "
                f"{100 * share:.0f} % of them; {100 * np.bincount(labels).max() / len(labels):.0f} % are of the larger "
                "class."
            )
    arrays["sample_ids"] = np.array([samples[n].presentation.sample_id for n in chosen])
    width, foot = 3 * _GAP + 2 * _SIDE, _GAP + line_height() + _SIDE + _GAP
    for place, label in enumerate((1, 0)):
        x = _GAP + _INSIDE + place * 120
        parts += [Dot(x, foot, _COLOURS[label]), Text(_KINDS[label], x + 10, foot - line_height() / 2)]
    captions = tuple(caption_of(samples[n], run) for n in chosen)
    return Figure("t-sne", _TITLE, Drawing(width, foot + _GAP, parts), arrays, captions, tuple(findings))


@torch.inference_mode()
def features_of(samples: Sequence[Sample], run: TrainedRun) -> tuple[str, NDArray[np.float32]]:
    """Return the name and the features, (N, D), of the network's first level ("P3" of Bi-FAS)."""
    found, name = [], ""
    for start in range(0, len(samples), _BATCH):
        batch = samples[start : start + _BATCH]
        name, values = next(iter(run.network.forward_features(images_of(run, batch)).items()))
        found.append(values.float().reshape(len(batch), -1).numpy())
    return name, np.concatenate(found)


def embed(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return points (N, 2) whose neighbours are those of `features` (N, D); the same features give the same points."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(features) - 1) / 3)  # about as many neighbours as a point may have
    points: NDArray[np.float32] = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(
        features
    )
    return points


def nearest_alike(features: NDArray[np.float32], labels: NDArray[np.int64]) -> float | None:
    """Return the share of `features` (N, D) whose nearest other is of the same class; None where one is missing."""
    if len(set(labels.tolist())) < 2:
        return None
    wide = features.astype(np.float64)
    squares = (wide**2).sum(1)
    apart = squares[:, np.newaxis] + squares - 2 * wide @ wide.T
    np.fill_diagonal(apart, np.inf)
    return float((labels[apart.argmin(1)] == labels).mean())


def _is_right(sample: Sample, run: TrainedRun) -> bool:
    return (sample.score >= run.threshold) == bool(sample.presentation.label)


def _panel(
    points: NDArray[np.float32], samples: Sequence[Sample], run: TrainedRun, title: str, x: int
) -> list[Part]:
    """Return a framed plot. Both its axes have one scale, without ticks: t-SNE's own unit means nothing."""
    y = _GAP + line_height()
    corners = [(x, y), (x + _SIDE, y), (x + _SIDE, y + _SIDE), (x, y + _SIDE), (x, y)]
    middle = (points.max(0) + points.min(0)) / 2
    scale = (_SIDE - 2 * _INSIDE) / max(float(np.ptp(points, axis=0).max()), 1e-12)
    places = (points - middle) * (scale, -scale) + (x + _SIDE / 2, y + _SIDE / 2)
    dots = [
        Dot(left, top, _COLOURS[one.presentation.label], caption_of(one, run))
        for (left, top), one in zip(places.tolist(), samples, strict=True)
    ]
    return [Text(title, x, y - line_height() - 2), Line(corners), *dots]
