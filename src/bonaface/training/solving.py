"""Train a model that a solver fits: compute its features once, then let the solver set the weights of its head."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bonaface.core.files import whole_file
from bonaface.models.base import FeatureSet, SolverModel
from bonaface.training.batches import CropBatches, Draw, epoch_order
from bonaface.training.checkpoint_saver import BEST, write_history
from bonaface.training.data import PadData
from bonaface.training.dev import Outcome, judge_dev
from bonaface.training.features import keep_features
from bonaface.training.module import plain_state
from bonaface.training.normalise import Normalise
from bonaface.training.progress import Progress, Show
from bonaface.training.settings import RunSettings
from bonaface.training.weights import save_weights

FEATURES = "features"


def solve(
    network: SolverModel,
    settings: RunSettings,
    run: Path,
    data: PadData,
    trainer: lightning.Trainer,
    log: Callable[[str], None],
    show: Show,
) -> Outcome:
    """Fit `network` on the features of the train rows, and keep its weights and a history of one line in `run`.

    In the first pass (`epochs` of the preset) the pictures are shown as they are, and augmented in those that follow.
    A resumed run computes only the features that are missing, and its result is the same bit for bit.

    Args:
        trainer: names the device and the precision of the features.
        log: called with a sentence now and then.
        show: called with how far the features are.
    """
    device = trainer.strategy.root_device
    network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    images = Normalise(network.mean, network.std).to(device)

    @torch.inference_mode()
    def compute(crops: Tensor) -> Tensor:
        with trainer.precision_plugin.forward_context():
            return network.features(images(crops.to(device)))

    def kept(name: str, part: CropBatches, draws: list[Draw]) -> tuple[FeatureSet, float]:
        values, seconds = keep_features(
            run / FEATURES / name,
            part,
            draws,
            compute,
            batch=2 * settings.micro_batch,  # no activations are kept, so twice as many fit
            workers=settings.workers,
            progress=Progress(show, f"features of {name}"),
        )
        labels, subjects, species = part.about(draws)
        pictures = picture_numbers(draws, len(part))
        return FeatureSet(values, labels, subjects, species, part.shares(draws), pictures), seconds

    log(
        f"computing the features of {len(data.train)} train and {len(data.dev)} dev pictures once; they are kept"
    )
    train, train_seconds = kept("train", data.train, train_draws(data.train.labels, settings))
    dev, dev_seconds = kept("dev", data.dev, [Draw(position, None) for position in range(len(data.dev))])
    log(f"fitting on {len(train)} pictures")
    began = time.monotonic()
    network.cpu().fit(train, dev)
    seconds = train_seconds + dev_seconds + time.monotonic() - began
    figures = {
        "train/total": float(_losses(network, train)[1].mean()),
        **_dev_figures(network, data.dev, dev),
    }
    with whole_file(run / BEST) as part:
        save_weights(plain_state(network), part)
    row: dict[str, Any] = {"epoch": 0, "step": 0, "seconds": round(seconds, 1), **figures}
    write_history(run, [row])
    log(
        f"fitted: dev ACER {100 * figures['dev/acer']:.2f} %, dev loss {figures['dev/loss']:.4f}, "
        f"dev EER threshold {figures['dev/threshold']:.4f}"
    )
    return Outcome(figures["dev/acer"], figures["dev/loss"], 0, seconds)


def train_draws(labels: NDArray[np.int64], settings: RunSettings) -> list[Draw]:
    """Return the draws that a solver is fitted on: the first pass in the data's order and without augmentation.

    The passes that follow are in random order, so that colour transfer finds both classes in a micro-batch.
    """
    preset, count = settings.preset, len(labels)
    draws = []
    for epoch in range(preset.epochs):
        simulate = preset.augment.simulate if epoch else 0.0
        order = epoch_order(labels, settings.seed, epoch, preset.balance == "undersample", simulate)
        order = order if epoch else np.sort(order)
        for position, number in enumerate(order.tolist()):
            key = (settings.seed, epoch, position) if epoch else None
            draws.append(Draw(number % count, key, number >= count))
    return draws


def picture_numbers(draws: Sequence[Draw], count: int) -> NDArray[np.int64]:
    """Return the number (N,) of the picture that each draw shows, of `count`; a simulated attack is a picture apart."""
    return np.array([draw.position + count * draw.simulated for draw in draws], np.int64)


def _dev_figures(network: SolverModel, part: CropBatches, dev: FeatureSet) -> dict[str, float]:
    scores, losses = _losses(network, dev)
    return judge_dev(part.presentations, dev.labels, scores, losses)


@torch.inference_mode()
def _losses(network: SolverModel, shown: FeatureSet) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the scores (N,) and their binary cross-entropy (N,)."""
    scores = network.predict(torch.from_numpy(shown.features), torch.from_numpy(shown.shares)).float()
    labels = torch.from_numpy(shown.labels).float()
    losses = torch.nn.functional.binary_cross_entropy(scores, labels, reduction="none")
    return scores.numpy(), losses.numpy()
