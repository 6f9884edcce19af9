"""Start a network's pixels from the linear classifier over what they are made of, instead of from random weights.

Source: A. Kumar, A. Raghunathan, R. Jones, T. Ma, P. Liang, "Fine-Tuning can Distort Pretrained Features and
Underperform Out-of-Distribution", ICLR 2022, https://arxiv.org/abs/2202.10054: first the head alone, then gentle steps.
"""

from collections.abc import Callable
from pathlib import Path

import lightning
import numpy as np
import torch
from msgspec.structs import replace
from numpy.typing import NDArray
from torch import Tensor

from bonaface.core.errors import InputError
from bonaface.models.base import GradientModel, standardisation
from bonaface.models.branches import BranchedModel
from bonaface.models.linear_probe import INVARIANCE, STRENGTH, solve_logistic, steady_bases
from bonaface.training.data import PadData
from bonaface.training.features import keep_features
from bonaface.training.normalise import Normalise
from bonaface.training.progress import Progress, Show
from bonaface.training.settings import RunSettings
from bonaface.training.solving import FEATURES, picture_numbers, train_draws

_PASSES = 2  # over the pictures as they are and augmented, as linear-probe's presets have it


def start_linear(
    network: GradientModel,
    settings: RunSettings,
    run: Path,
    data: PadData,
    trainer: lightning.Trainer,
    log: Callable[[str], None],
    show: Show,
) -> None:
    """Set the pixels of `network` to the logistic regression over mean and spread of the channels of their level.

    The features are kept in `run`, so that a stopped run goes on.

    Args:
        trainer: names the device and the precision of the features.
        log: called with a sentence now and then.
        show: called with how far the features are.

    Raises:
        InputError: see `check_start`.
        BonafaceError: the solver does not converge.
    """
    started = check_start(network, settings)
    device = trainer.strategy.root_device
    network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    images = Normalise(network.mean, network.std).to(device)

    @torch.inference_mode()
    def compute(crops: Tensor) -> Tensor:
        with trainer.precision_plugin.forward_context():
            return started.statistics(images(crops.to(device)))

    passes = replace(settings, preset=replace(settings.preset, epochs=_PASSES))
    draws = train_draws(data.train.labels, passes)
    log(f"computing the features of {len(draws)} pictures, from which the linear start is solved")
    values, _ = keep_features(
        run / FEATURES / "start",
        data.train,
        draws,
        compute,
        batch=2 * settings.micro_batch,
        workers=settings.workers,
        progress=Progress(show, "features of the start"),
    )
    pictures = picture_numbers(draws, len(data.train))
    started.start_pixels(*linear_start(values, data.train.about(draws)[0], pictures))
    network.cpu().train()


def check_start(network: GradientModel, settings: RunSettings) -> BranchedModel:
    """Return `network`, whose pixels can start from a linear classifier.

    Raises:
        InputError: they can't, or the run has several devices.
    """
    if not isinstance(network, BranchedModel) or network.pooling != "mean-spread":
        raise InputError(
            f"{network.name} with these options can't start from a linear classifier: it needs one level of pixels "
            "that are a linear function of mean and spread; take --set start=random, or a network with "
            "--set pooling=mean-spread"
        )
    if settings.devices * settings.nodes > 1:
        raise InputError("start=linear computes features on one device; leave out --devices and --nodes")
    return network


def linear_start(
    values: NDArray[np.float32], labels: NDArray[np.int64], pictures: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    """Return weight (F,) and bias of `linear-probe`'s logistic regression over values (N, F) as they are.

    `pictures` (N,) are the numbers of the pictures that are shown, each in several passes.

    Raises:
        InputError: no picture is shown twice.
        BonafaceError: the solver does not converge.
    """
    features = values.astype(np.float64)
    center, scale = standardisation(features)
    standard = ((features - center) / scale)[:, None]
    bases = steady_bases(standard, pictures, INVARIANCE)
    solved, bias = solve_logistic(standard, labels, np.ones((1, 1)), STRENGTH, bases)
    weight = solved[0] / scale
    return weight, bias - float(weight @ center)
