"""Choose presentations of a store, and run a network over them: scores, maps, and the spectra that it draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from bonaface.core.records import Presentation
from bonaface.datasets.protocols import split_rows
from bonaface.explain.run import TrainedRun
from bonaface.face.crop import crop_landmarks, cut_views
from bonaface.inference.provenance import source_on
from bonaface.models.bi_fas import BiFasS
from bonaface.store.crop_store import CropStore
from bonaface.training.normalise import Normalise

_BATCH = 8


@dataclass(frozen=True, eq=False)
class Sample:
    """One presentation as the network sees it.

    `index` is its frame's row in the store, `crop` (S, S, 3) uint8 RGB the first of the network's crops, `landmarks`
    (5, 2) lie in it. `maps` (h, w) are the pixels' probabilities of bona fide by level, `spectra` (s, s) what a branch
    draws, by level, and `spectrum` (s, s) what it should draw; empty and None where the network has no such branch.
    `views` are the crops (S, S, 3) by name of a network that reads several, each with a map of its own.
    """

    index: int
    presentation: Presentation
    crop: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    score: float
    maps: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    spectra: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    spectrum: NDArray[np.float32] | None = None
    views: dict[str, NDArray[np.uint8]] = field(default_factory=dict)


def presentations_of(store: CropStore, run: TrainedRun) -> tuple[list[int], str]:
    """Return the rows of the store's table to explain, and what they are in words.

    Those that the run's own protocol tests, or all where the store holds another set.
    """
    source = source_on(run.card, store.dataset)
    if source is None:
        return list(range(len(store.presentations))), f"all of {store.dataset}"
    split = split_rows(store.table, source.protocol, source.fold, run.settings.seed)
    named = "/".join(filter(None, (store.dataset, source.protocol.name, source.fold)))
    return list(split.test), f"test of {named}"


def choose(store: CropStore, rows: Sequence[int], most: int) -> list[int]:
    """Return the first frame with a face of at most `most` presentations of `rows`, half of them of either class.

    They are evenly spaced over each class; where one has fewer, the other fills up. The result is sorted.
    """
    first: dict[int, int] = {}
    for number, frame in enumerate(store.frames):
        if not frame.response:
            first.setdefault(frame.presentation, number)
    classes = [
        [first[row] for row in rows if row in first and store.presentations[row].label == label]
        for label in (0, 1)
    ]
    smaller = min(map(len, classes))
    share = max(most // 2, most - smaller)
    chosen = [evenly(numbers, share if len(numbers) > smaller else most // 2) for numbers in classes]
    return sorted(number for numbers in chosen for number in numbers)


def evenly(values: Sequence[int], most: int) -> list[int]:
    """Return at most `most` of `values`, evenly spaced, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(place)] for place in np.linspace(0, len(values) - 1, most)]


def examine(
    run: TrainedRun, store: CropStore, indices: Sequence[int], progress: Callable[[int, int], None]
) -> list[Sample]:
    """Run the network of `run` over the frames `indices` of `store`; `progress` gets (frames done, frames in all)."""
    found: list[Sample] = []
    for start in range(0, len(indices), _BATCH):
        found += _examined(run, store, indices[start : start + _BATCH])
        progress(len(found), len(indices))
    return found


@torch.inference_mode()
def _examined(run: TrainedRun, store: CropStore, indices: Sequence[int]) -> list[Sample]:
    network, specs = run.network, run.card.crop_specs
    squares = [store.read(index) for index in indices]
    views = [cut_views(square, specs, network.input_size) for square in squares]
    crops = np.stack([view.crops for view in views])  # (B, V, S, S, 3)
    images = Normalise(network.mean, network.std)(torch.from_numpy(crops))
    spectra: dict[str, torch.Tensor] = {}
    wanted = None
    if len(specs) > 1:
        output = network(images, torch.from_numpy(np.stack([view.shares for view in views])))
    else:
        images = images[:, 0]
        features = network.forward_features(images)
        output = network.forward_head(features)
        if isinstance(network, BiFasS) and network.branch == "fourier":
            spectra, wanted = network.spectra(features), network.spectrum_target(images).numpy()
    score = output.scores[run.card.default_output].tolist()
    return [
        Sample(
            index,
            store.presentations[store.frames[index].presentation],
            views[n].crops[0],
            crop_landmarks(squares[n], specs[0], network.input_size),
            score[n],
            {name: values[n].numpy() for name, values in output.maps.items()},
            {name: values[n].numpy() for name, values in spectra.items()},
            None if wanted is None else wanted[n],
            dict(zip(run.card.views, views[n].crops, strict=True)) if len(specs) > 1 else {},
        )
        for n, index in enumerate(indices)
    ]
