"""Train the reference of benchmarks/nuaa.py: a linear probe on features that never saw a face attack.

    python benchmarks/nuaa_probe.py STORE RUNS [--crop tight ...]

EfficientNet-Lite0 with its ImageNet weights, frozen, up to its pooled 1280 values; on them a logistic regression
(scikit-learn's, standardised, classes weighed equally) learns from the protocol's train frames as they are, and dev
gives the threshold, as for the networks. A crop's features are kept in RUNS; the figures go into benchmarks/nuaa.json.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bonaface.core.files import whole_file
from bonaface.core.records import Score
from bonaface.evaluation.report import evaluate_table
from bonaface.evaluation.score_table import ScoreTable
from bonaface.face.crop import CropSpec, cut
from bonaface.inference.preprocess import normalise
from bonaface.inference.scoring import ScoredSplit, score_row
from bonaface.models.backbones import _lite0_weights
from bonaface.store.crop_store import CropStore
from bonaface.training.data import open_split
from nuaa import BACKBONE, GRID, SIZE, Cell, Results, commit, figures

BATCH = 32
OUTPUT = "probe"
PACKAGES = ("bonaface", "torch", "timm", "scikit-learn", "numpy")


def features(store: CropStore, crop: str, kept: Path) -> NDArray[np.float32]:
    """Return the features (frames of the store, 1280), NaN for frames without a face."""
    if kept.is_file():
        found: NDArray[np.float32] = np.load(kept, allow_pickle=False)
        return found
    network = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    network.load_state_dict(_lite0_weights(network))
    network = network.to(memory_format=torch.channels_last)
    mean, std = (tuple(network.pretrained_cfg[name]) for name in ("mean", "std"))
    found = np.full((len(store.frames), network.num_features), np.nan, np.float32)
    numbers = [number for number, frame in enumerate(store.frames) if not frame.response]
    for start in range(0, len(numbers), BATCH):
        chunk = numbers[start : start + BATCH]
        crops = np.stack([cut(store.read(number), CropSpec.parse(crop), SIZE) for number in chunk])
        images = torch.from_numpy(normalise(crops, mean, std)).to(memory_format=torch.channels_last)
        with torch.inference_mode():
            found[chunk] = network(images).numpy()
        if start % (32 * BATCH) == 0:
            print(f"{crop}: {start} of {len(numbers)} frames", flush=True)
    with whole_file(kept) as part, part.open("wb") as file:
        np.save(file, found)
    return found


def rows(store: CropStore, part: ScoredSplit, scores: NDArray[np.float64]) -> Iterator[Score]:
    """Yield the score table's rows of one split; `scores` (frames of the store,)."""
    wanted = set(part.rows)
    for frame, score in zip(store.frames, scores.tolist(), strict=True):
        if frame.presentation in wanted:
            row = store.presentations[frame.presentation]
            yield score_row(store, part, row, frame, {} if frame.response else {OUTPUT: score}, OUTPUT)


def probe(store: CropStore, cell: Cell, values: NDArray[np.float32]) -> dict[str, object]:
    """Fit on train, set the threshold on dev, judge on test; what nuaa.json keeps of it."""
    begun = time.monotonic()
    split = open_split(store, cell.protocol, cell.fold, seed=0)
    presentations = np.array([frame.presentation for frame in store.frames])
    labels = np.array([store.presentations[number].label for number in presentations])
    scored = ~np.isnan(values[:, 0])
    train = np.isin(presentations, split.train) & scored
    fitted = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=5000))
    fitted.fit(values[train], labels[train])
    scores = np.full(len(values), np.nan)
    scores[scored] = fitted.predict_proba(values[scored])[:, 1]
    parts = [ScoredSplit(getattr(split, name), name, cell.protocol, cell.fold) for name in ("dev", "test")]
    table = ScoreTable.from_scores([row for part in parts for row in rows(store, part, scores)])
    fold = evaluate_table(table).as_dict()["folds"][0]
    preset = {
        "name": cell.preset,
        "model": cell.model,
        "backbone": BACKBONE,
        "size": SIZE,
        "crop": cell.crop,
        "epochs": 0,
    }
    return {
        "settings": {"preset": preset, "protocol": cell.protocol, "fold": cell.fold, "seed": 0},
        "store_digest": store.digest,
        "commit": commit(),
        "versions": {name: version(name) for name in PACKAGES},
        "frames": {
            "train": dict(zip(("attack", "bona_fide"), np.bincount(labels[train]).tolist(), strict=True))
        },
        "training_seconds": round(time.monotonic() - begun, 1),
        "threshold": fold["threshold"],
        "test": figures(fold["test"]),
    }


def main() -> int:
    """Probe the crops that are asked for, under every protocol that the grid has for them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--crop", action="append", help="default: every crop of the grid")
    given = parser.parse_args()
    store, results = CropStore.open(given.store), Results()
    for protocol, fold, crop in GRID:
        if crop in (given.crop or [crop]):
            values = features(store, crop, given.runs / f"probe-{crop}.npy")
            cell = Cell.probe(protocol, fold, crop)
            results.put(cell.name, probe(store, cell, values))
            print(f"{cell.name}: done", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
