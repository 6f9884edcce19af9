import csv
import json
from dataclasses import replace
from math import fsum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from bonaface.core.records import Score
from bonaface.export.torch_runner import TorchRunner
from bonaface.inference.bundle import Bundle
from bonaface.inference.runtime import OnnxRunner
from bonaface.inference.scoring import ScoredSplit, score_part
from bonaface.store.crop_store import CropStore
from bonaface.testing.networks import card
from bonaface.training.bundling import operating_points
from bonaface.training.checkpoint_saver import HISTORY
from bonaface.training.data import open_split


def test_bundle_scores_in_onnxruntime_match_torch(run: Path) -> None:
    bundle = Bundle.open(run)
    images = np.random.default_rng(7).normal(size=(3, 3, 64, 64)).astype(np.float32)
    exported, expected = OnnxRunner(bundle).run(images), TorchRunner(bundle, "cpu").run(images)
    differences = [np.abs(exported[name] - expected[name]).max() for name in expected]
    assert max(differences) <= 1e-4
    assert np.ptp(expected["binary"]) > 0  # the pictures are told apart at all
    assert bundle.card.provenance["parity_to_torch"] == pytest.approx(max(differences), abs=1e-5)


def test_bundle_and_history_agree(run: Path) -> None:
    provenance = Bundle.open(run).card.provenance
    with (run / HISTORY).open() as file:
        (row,) = csv.DictReader(file)
    assert provenance["best_epoch"] == int(row["epoch"]) + 1
    assert provenance["dev_acer"] == pytest.approx(float(row["dev/acer"]))
    assert provenance["dev_loss"] == pytest.approx(float(row["dev/loss"]))
    assert provenance["training_seconds"] >= float(row["seconds"]) > 0
    assert provenance["settings"] == json.loads((run / "run.json").read_text())["settings"]


def test_operating_points_are_set_on_frames_and_on_videos() -> None:
    """200 bona fide videos and 50 attacks of three frames each, in random order, against every threshold tried."""
    rng = np.random.default_rng(3)
    rows = [
        Score(
            sample_id=f"{video}#{frame}",
            video_id=str(video),
            frame=frame,
            subject=str(video % 20),
            label=int(video < 200),
            species="" if video < 200 else "print",
            split="dev",
            score=0.0,
            outputs={"score": float(rng.beta(4, 2) if video < 200 else rng.beta(2, 4))},
        )
        for video in range(250)
        for frame in range(3)
    ]
    rows = [rows[n] for n in rng.permutation(len(rows))]
    rows.append(replace(rows[0], score=float("nan"), response="no face", outputs={}))
    points = operating_points(rows, card())
    assert set(points) == {"eer", "bpcer=0.01"}
    for point in points.values():
        source = point.source
        assert (source.bona_fide, source.attacks, source.subjects) == (200, 50, 20)
    by_video: dict[str, list[Score]] = {}
    for row in rows[:-1]:
        by_video.setdefault(row.video_id, []).append(row)
    units: dict[str, list[Any]] = {
        "frame": [(row.label, row.outputs["score"]) for row in rows[:-1]],
        "video": [(v[0].label, fsum(r.outputs["score"] for r in v) / 3) for v in by_video.values()],
    }
    for unit, pairs in units.items():
        bona_fide = np.array([score for label, score in pairs if label])
        attacks = np.array([score for label, score in pairs if not label])
        kept = getattr(points["bpcer=0.01"].thresholds["score"], unit)
        rejected = np.sort(bona_fide)[: len(bona_fide) // 100]
        assert (bona_fide < kept).sum() == len(rejected)  # 1 % and not one more
        assert not ((attacks >= rejected.max()) & (attacks < kept)).all()
        equal = getattr(points["eer"].thresholds["score"], unit)
        gaps = [abs((attacks >= t).mean() - (bona_fide < t).mean()) for t in (*bona_fide, *attacks)]
        assert abs((attacks >= equal).mean() - (bona_fide < equal).mean()) <= min(gaps) + 1e-12


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (1.0, 1.0)])
def test_threshold_beyond_all_scores_is_clipped(low: float, high: float) -> None:
    """Every attack scores as high as the best: the threshold that keeps BPCER lies below all scores, and at 0."""
    rows = [
        Score(
            f"{n}", f"{n}", 0, f"{n}", int(n < 5), "" if n < 5 else "print", "dev", 0.0, "", {"score": score}
        )
        for n, score in enumerate([low] * 5 + [high] * 5)
    ]
    thresholds = operating_points(rows, card())["bpcer=0.01"].thresholds["score"]
    assert 0.0 <= thresholds.frame <= low
    assert thresholds.video == thresholds.frame


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
    # Of four bona fide pictures none may be rejected at a BPCER of 1 %.
    assert bundle.card.threshold(output, "frame", "bpcer=0.01") <= scores[labels == 1].min()


def test_operating_points_by_hand() -> None:
    """Two genuine videos of means 6/8 and 4/8, two attacks of 2/8 and 3/8: only the videos are told apart."""
    frames = {"b1": (7, 5), "b2": (5, 3), "a1": (4, 0), "a2": (2, 4)}  # in eighths
    rows = [
        Score(
            f"{video}#{n}", video, n, video, int(video[0] == "b"), "" if video[0] == "b" else "print", "dev"
        )
        for video in frames
        for n in range(2)
    ]
    rows = [replace(row, outputs={"score": frames[row.video_id][row.frame] / 8}) for row in rows]
    points = {rule: point.thresholds["score"] for rule, point in operating_points(rows, card()).items()}
    # Videos: between 3/8 and 4/8 nothing is wrong.
    assert points["eer"].video == points["bpcer=0.01"].video == 3.5 / 8
    # Frames: genuine 7 5 5 3, attacks 4 0 2 4. Between 3 and 4, and between 4 and 5, one kind errs by 1/4 more than
    # the other: their middle. Below 3 no genuine frame is rejected, and the highest such threshold lies above 2.
    assert (points["eer"].frame, points["bpcer=0.01"].frame) == (4 / 8, 2.5 / 8)
