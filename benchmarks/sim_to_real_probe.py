"""Test quickly whether frozen features carry over from the chain's presentations to NUAA's train part.

    bonaface simulate SET --layout folder --faces FACES --persons 500 --frames 1
    bonaface prepare folder SET STORE
    python benchmarks/sim_to_real_probe.py STORE NUAA

EfficientNet-Lite0 with its ImageNet weights, frozen; the mean and the spread of each of its channels at strides 8, 16
and 32, at 224 px. On them a logistic regression learns from all of STORE, every picture with the tones of another one,
at both crops: with all attacks, with held prints alone, with displays alone. It prints the AUC on every fifth picture
of NUAA's official train part, the light as it is and exchanged between the classes. About three minutes on a core.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bonaface.core.files import whole_file
from bonaface.face.crop import CropSpec
from bonaface.inference.preprocess import normalise
from bonaface.metrics.curves import auc
from bonaface.models.base import PadModel
from bonaface.models.registry import create_model
from bonaface.store.crop_store import CropStore
from bonaface.training.augment import transfer_color
from bonaface.training.batches import Augmentation, CropBatches, Draw
from bonaface.training.data import open_split

CROPS = ("tight", "square-1.3")
SIZE, LOT, EVERY, REGULARISATION = 224, 16, 5, 1e-3
ATTACKS = {"all attacks": "", "held prints": "print-held", "displays": "display"}

Lit = dict[str, dict[str, list[NDArray[np.uint8]]]]  # crop: light: pictures


def cropped(
    store: CropStore, rows: Sequence[int], crop: str, size: int
) -> tuple[CropBatches, NDArray[np.uint8]]:
    """Return the frames of `rows` that have a face, and their crops (N, H, W, 3) as evaluation cuts them."""
    data = CropBatches(store, rows, [CropSpec.parse(crop)], size, Augmentation(0.0, (0.0, 0.0, 0.0, 0.0)))
    return data, data[[Draw(position, None) for position in range(len(data))]].crops.numpy()


def lit_crops(nuaa: Path, size: int, every: int) -> tuple[NDArray[np.int64], Lit]:
    """Return every `every`-th presentation of NUAA's official train part, by crop and by light, and its labels.

    Light as it is, and exchanged: every picture has the tones of one of the other class. In that part bona fide
    pictures are dark and prints are light; a network that goes by tones is good as it is, and under 0.5 exchanged.
    """
    store = CropStore.open(nuaa)
    split = open_split(store, "official", "", seed=0)
    rows = sorted([*split.train, *split.dev])[::every]
    lit: Lit = {}
    for crop in CROPS:
        data, crops = cropped(store, rows, crop, size)
        rng = np.random.default_rng(0)
        others = [crops[int(rng.choice(np.flatnonzero(data.labels != label)))] for label in data.labels]
        lit[crop] = {"as it is": list(crops), "exchanged": list(map(transfer_color, crops, others))}
    labels = data.labels
    return labels, lit


def features(network: PadModel, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Return (N, 2 * channels) of the backbone's three levels: means, then spreads."""
    found = []
    for start in range(0, len(crops), LOT):
        images = torch.from_numpy(normalise(np.stack(crops[start : start + LOT]), network.mean, network.std))
        with torch.inference_mode():
            levels = network.backbone(images.to(memory_format=torch.channels_last))
        found.append(torch.cat([part for x in levels for part in (x.mean((2, 3)), x.std((2, 3)))], 1).numpy())
    return np.concatenate(found)


def simulated(
    store: CropStore, network: PadModel
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.str_]]:
    """Return features (2 N, F), labels (2 N,) and species (2 N,) of all N frames of `store` at both crops."""
    rng, found = np.random.default_rng(0), []
    for crop in CROPS:
        data, crops = cropped(store, range(len(store.presentations)), crop, SIZE)
        toned = [transfer_color(picture, crops[int(rng.integers(len(crops)))]) for picture in crops]
        found.append(features(network, toned))
    species = np.array([store.presentations[row].species for row in data.presentations])
    return np.concatenate(found), np.tile(data.labels, len(CROPS)), np.tile(species, len(CROPS))


def probe(simulated_store: Path, nuaa: Path, kept: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Return AUC by choice of attacks, crop and light. The file `kept` (``.safetensors``) keeps NUAA's features."""
    network = create_model("bi-fas", backbone="efficientnet-lite0", size=SIZE).eval()
    values, labels, species = simulated(CropStore.open(simulated_store), network)
    if not kept.is_file():
        truth, lit = lit_crops(nuaa, SIZE, EVERY)
        found = {
            f"{crop}, {light}": features(network, crops)
            for crop, lights in lit.items()
            for light, crops in lights.items()
        }
        with whole_file(kept) as part:
            save_file({"labels": truth, **found}, part)
    real = load_file(kept)
    truth = real.pop("labels")
    result: dict[str, dict[str, dict[str, float]]] = {}
    for name, prefix in ATTACKS.items():
        shown = (labels == 1) | np.char.startswith(species, prefix)
        if labels[shown].all():  # a chain without such attacks
            continue
        fitted = make_pipeline(
            StandardScaler(), LogisticRegression(C=REGULARISATION, class_weight="balanced", max_iter=1000)
        )
        fitted.fit(values[shown], labels[shown])
        result[name] = {crop: {} for crop in CROPS}
        for which, of in real.items():
            crop, light = which.split(", ")
            result[name][crop][light] = auc(truth, fitted.decision_function(of))
    return result


def main() -> int:
    """Print a line for each choice of attacks."""
    store, nuaa = Path(sys.argv[1]), Path(sys.argv[2])
    with TemporaryDirectory() as folder:
        for name, crops in probe(store, nuaa, Path(folder) / "real.safetensors").items():
            aucs = (
                f"{c}, light {light} {value:.3f}" for c, by in crops.items() for light, value in by.items()
            )
            print(f"{name}: {'; '.join(aucs)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
