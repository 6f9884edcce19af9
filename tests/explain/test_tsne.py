from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from tests.explain.test_grad_cam import pictures

from bonaface.explain.tsne import embed, features_of, nearest_alike, tsne_figure


def test_neighbours_stay_neighbours_and_points_do_not_change() -> None:
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(5 * k, 0.1, (10, 8)) for k in range(3)]).astype(np.float32)
    points = embed(features)
    groups = np.repeat([0, 1, 2], 10)
    near = KNeighborsClassifier(1).fit(points[::2], groups[::2])
    assert (near.predict(points[1::2]) == groups[1::2]).all()
    assert (embed(features) == points).all()


def test_nearest_neighbours_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 2, 40)
    alike = [
        KNeighborsClassifier(1)
        .fit(np.delete(features, n, 0), np.delete(labels, n))
        .predict(features[n : n + 1])[0]
        == labels[n]
        for n in range(40)
    ]
    assert nearest_alike(features, labels) == np.mean(alike)
    assert nearest_alike(features, np.ones(40, int)) is None


def test_shows_what_one_run_got_wrong_and_another_right(untrained: Callable[..., Any]) -> None:
    run, other = untrained("bi-fas-s"), replace(untrained("bi-fas"), path=Path("Other"))
    scores = {1: [0.6, 0.7, 0.8, 0.9, 0.1], 0: [0.2, 0.3, 0.4]}
    samples = pictures(scores)
    # The other run is wrong in all but the first; this one is in the fifth.
    others = [replace(one, score=one.score if n == 0 else 1 - one.score) for n, one in enumerate(samples)]
    others[4] = replace(others[4], score=0.1)
    figure = tsne_figure(samples, run, others, other)
    assert figure.arrays["sample_ids"].tolist() == [
        samples[n].presentation.sample_id for n in (1, 2, 3, 5, 6, 7)
    ]
    assert figure.findings[0] == (
        "Of 8 presentations Other judged 7 wrongly, and run judged 6 of these rightly: 3 bona fide, 3 attacks."
    )
    assert figure.arrays["run_points"].shape == figure.arrays["other_points"].shape == (6, 2)
    crop = torch.from_numpy(samples[1].crop.copy()).float() / 255
    image = ((crop - torch.tensor(run.network.mean)) / torch.tensor(run.network.std)).permute(2, 0, 1)
    with torch.inference_mode():
        expected = run.network.forward_features(image[None].float())["P3"].flatten().numpy()
    assert figure.arrays["run_features"][0] == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert features_of(samples[:1], other)[0] == "P3"
    svg = figure.drawing.svg("")
    assert svg.count("<circle") == 2 * 6 + 2
    assert svg.count('fill="#0072B2"') == svg.count('fill="#D55E00"') == 2 * 3 + 1
    few = tsne_figure(samples[:4], run, others[:4], other)
    assert few.startswith(
        "of 4 presentations Other judged 3 wrongly, and run judged 3 of these rightly, and t-SNE"
    )
