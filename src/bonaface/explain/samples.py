"""Choose presentations of a store, and run a network over them: scores, maps, and the spectra that it draws."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from bonaface.core.records import Presentation
from bonaface.datasets.protocols import split_rows
from bonaface.explain.kept import write_arrays
from bonaface.explain.run import TrainedRun
from bonaface.face.crop import ContextCrop, Views, crop_landmarks, cut_views
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
    run: TrainedRun, store: CropStore, indices: Sequence[int], kept: Path, done: Callable[[int], None]
) -> list[Sample]:
    """Run the network of `run` over the frames `indices` of `store`.

    What the network gives is kept in the folder `kept`, batch by batch, so that after a stop only the rest is computed;
    it must be of this run, store and frames. `done` gets how many frames were done in each step.
    """
    found: list[Sample] = []
    for start in range(0, len(indices), _BATCH):
        batch = indices[start : start + _BATCH]
        squares = [store.read(index) for index in batch]
        views = [cut_views(square, run.card.crop_specs, run.network.input_size) for square in squares]
        file = kept / f"{start:06}.npz"
        outputs = _read(file)
        if outputs is None:
            outputs = _outputs(run, views)
            write_arrays(file, outputs)
        found += _samples(run, store, batch, squares, views, outputs)
        done(len(batch))
    return found


def images_of(run: TrainedRun, samples: Sequence[Sample]) -> torch.Tensor:
    """Return the normalised images that the network reads of `samples`: (B, 3, S, S), of V views (B, V, 3, S, S)."""
    crops = np.stack([np.stack(list(one.views.values()) or [one.crop]) for one in samples])
    images: torch.Tensor = Normalise(run.network.mean, run.network.std)(torch.from_numpy(crops))
    return images if samples[0].views else images[:, 0]


@torch.inference_mode()
def _outputs(run: TrainedRun, views: Sequence[Views]) -> dict[str, NDArray[np.float32]]:
    """Return a network's "score" (B,) of pictures, and (B, h, w) "map_P3", "spectrum_P3" and so on, "own_spectrum"."""
    network = run.network
    crops = np.stack([view.crops for view in views])  # (B, V, S, S, 3)
    images = Normalise(network.mean, network.std)(torch.from_numpy(crops))
    found: dict[str, torch.Tensor] = {}
    if crops.shape[1] > 1:
        output = network(images, torch.from_numpy(np.stack([view.shares for view in views])))
    else:
        images = images[:, 0]
        features = network.forward_features(images)
        output = network.forward_head(features)
        if isinstance(network, BiFasS) and network.branch == "fourier":
            found |= {f"spectrum_{name}": drawn for name, drawn in network.spectra(features).items()}
            found["own_spectrum"] = network.spectrum_target(images)
    found |= {f"map_{name}": values for name, values in output.maps.items()}
    found["score"] = output.scores[run.card.default_output]
    return {name: values.float().numpy() for name, values in found.items()}


def _samples(
    run: TrainedRun,
    store: CropStore,
    indices: Sequence[int],
    squares: Sequence[ContextCrop],
    views: Sequence[Views],
    outputs: Mapping[str, NDArray[np.float32]],
) -> list[Sample]:
    def of(kind: str, n: int) -> dict[str, NDArray[np.float32]]:
        return {name.removeprefix(kind): v[n] for name, v in outputs.items() if name.startswith(kind)}

    specs, size = run.card.crop_specs, run.network.input_size
    return [
        Sample(
            index,
            store.presentations[store.frames[index].presentation],
            views[n].crops[0],
            crop_landmarks(squares[n], specs[0], size),
            float(outputs["score"][n]),
            of("map_", n),
            of("spectrum_", n),
            of("own_", n).get("spectrum"),
            dict(zip(run.card.views, views[n].crops, strict=True)) if len(specs) > 1 else {},
        )
        for n, index in enumerate(indices)
    ]


def _read(file: Path) -> dict[str, NDArray[np.float32]] | None:
    """Return the arrays of a file, or None: it is not there, or a bit of it has changed and it is made again."""
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, BadZipFile, zlib.error):
        return None
