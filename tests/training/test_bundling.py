from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from bonaface.inference.bundle import Bundle
from bonaface.inference.runtime import OnnxRunner
from bonaface.inference.scoring import ScoredSplit, score_part
from bonaface.store.crop_store import CropStore
from bonaface.training.data import open_split


def test_a_bundle_agrees_with_torch_and_says_how_it_came_about(run: Path) -> None:
    provenance = Bundle.open(run).card.provenance
    assert provenance["parity_to_torch"] <= 1e-4
    assert provenance["best_epoch"] == 1
    assert provenance["training_seconds"] > 0


@pytest.mark.parametrize("output", ["feature_map", "binary"])
def test_thresholds_are_the_eer_thresholds_of_dev(run: Path, store: Path, output: str) -> None:
    """At the stored threshold, FAR and FRR on dev are as near to each other as scikit-learn's ROC says they can be."""
    bundle, opened = Bundle.open(run), CropStore.open(store)
    dev = open_split(opened, "split", "", 0).dev
    rows = [
        r
        for r in score_part(opened, ScoredSplit(dev, "dev", "split"), bundle.card, OnnxRunner(bundle))
        if not r.response
    ]
    labels = np.array([row.label for row in rows])
    scores = np.array([row.outputs[output] for row in rows])
    accepted = scores >= bundle.card.threshold(output, "frame")
    gap = abs(accepted[labels == 0].mean() - (~accepted[labels == 1]).mean())
    far, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert gap == pytest.approx(np.abs(far - (1 - tpr)).min())
    assert bundle.card.threshold(output, "video") == bundle.card.threshold(output, "frame")  # pictures
