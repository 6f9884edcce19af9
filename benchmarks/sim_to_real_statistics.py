"""Train the trivial baseline of benchmarks/sim_to_real.md: logistic regression on seven statistics of the crop."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bonaface.core.files import whole_file
from bonaface.face.crop import CropSpec, cut
from bonaface.metrics.curves import auc, eer
from bonaface.metrics.rates import acer_at
from bonaface.metrics.thresholds import eer_threshold
from bonaface.models.global_statistics import NAMES, global_statistics
from bonaface.store.crop_store import CropStore
from bonaface.training.data import open_split


def statistics(crop: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the seven statistics (7,) of a crop (H, W, 3) uint8, as `global-statistics` computes them."""
    channels = torch.from_numpy(np.ascontiguousarray(crop.transpose(2, 0, 1))).float()
    return global_statistics(channels[None])[0].double().numpy()


@dataclass(frozen=True)
class Statistics:
    """The statistics of every frame of a store at one crop: `values` (frames, 7), NaN where there is no face."""

    store: CropStore
    values: NDArray[np.float64]

    @classmethod
    def of(cls, store: CropStore, crops: tuple[str, ...], size: int, kept: Path) -> dict[str, "Statistics"]:
        """Return the statistics by crop; computed once and kept in the folder `kept`, under the store's name."""
        files = {crop: kept / f"{store.path.name}-{crop}-{size}.npy" for crop in crops}
        if not all(file.is_file() for file in files.values()):
            values = np.full((len(crops), len(store.frames), len(NAMES)), np.nan)
            for number, frame in enumerate(store.frames):
                if not frame.response:
                    square = store.read(number)
                    for position, crop in enumerate(crops):
                        values[position, number] = statistics(cut(square, CropSpec.parse(crop), size))
            for found, file in zip(values, files.values(), strict=True):
                with whole_file(file) as part, part.open("wb") as stream:
                    np.save(stream, found)
        return {crop: cls(store, np.load(file, allow_pickle=False)) for crop, file in files.items()}

    def part(self, protocol: str, *splits: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return statistics (N, 7) and labels (N,) of the frames with a face in the named splits of a protocol."""
        split = open_split(self.store, protocol, "", seed=0)
        rows = [row for name in splits for row in getattr(split, name)]
        presentations = np.array([frame.presentation for frame in self.store.frames])
        chosen = np.isin(presentations, rows) & ~np.isnan(self.values[:, 0])
        labels = np.array([self.store.presentations[number].label for number in presentations])
        return self.values[chosen], labels[chosen]


ScoredSplit = tuple[NDArray[np.float64], NDArray[np.int64]]


def fit_and_judge(train: ScoredSplit, dev: ScoredSplit, test: ScoredSplit) -> dict[str, float]:
    """Return AUC, EER, and ACER at dev's EER threshold, of a logistic regression on standardised statistics."""
    fitted = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=5000)).fit(
        *train
    )
    scores = {name: fitted.predict_proba(part[0])[:, 1] for name, part in (("dev", dev), ("test", test))}
    threshold = eer_threshold(dev[1], scores["dev"])
    return {
        "auc": auc(test[1], scores["test"]),
        "eer": eer(test[1], scores["test"]),
        "acer": acer_at(test[1], scores["test"], threshold),
    }
