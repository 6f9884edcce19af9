"""Load crops for training; each draw is a pure function of seed, epoch and position, so that a run can be resumed.

Reading, cutting and augmenting happen between the network's steps, in its threads, or in worker processes; the
network gets uint8 crops and normalises them on its own device.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from bonaface.core.records import Presentation
from bonaface.face.crop import CropSpec, crop_landmarks, cut_views, view_shares
from bonaface.face.detect import Face
from bonaface.models.targets import SIMULATED_ATTACK, Shown, Target, target_builders
from bonaface.store.joined import Store
from bonaface.training.augment import (
    as_attack,
    expose_anew,
    flip_and_jitter,
    flip_landmarks,
    taken_again,
    transfer_color,
)

_NO_LANDMARKS = ((0.0, 0.0),) * 5
# Appended to a picture's key: each has its own random stream, so that all else is drawn alike with it and without it.
_COLOR_TRANSFER, _EXPOSURE, _CAMERA = 1, 2, 3


class Batch(NamedTuple):
    """Crops (B, H, W, 3) uint8 RGB, targets by name (`bonaface.models.targets`), presentations (B,), row numbers of
    the table, and the mirrored share of each crop, (B, 1) float32. The target "label" is always there: (B,) float32 of
    {0, 1}. For a network that reads V crops of a face, V > 1, crops are (B, V, H, W, 3) and shares (B, V)."""

    crops: torch.Tensor
    targets: dict[str, torch.Tensor]
    presentations: torch.Tensor
    shares: torch.Tensor

    @property
    def labels(self) -> torch.Tensor:
        """Return the target "label"."""
        return self.targets["label"]


class Draw(NamedTuple):
    """One picture of one epoch: its position in the data, the key of its augmentation (None: none), and whether it is
    shown as a simulated attack."""

    position: int
    key: tuple[int, ...] | None
    simulated: bool = False


@dataclass(frozen=True)
class Augmentation:
    """How training pictures are changed: the probability of a flip; jitter strengths of brightness, contrast,
    saturation, hue; the crops of which one is drawn for each picture (empty: always the network's); the share of
    pictures that take the colour statistics of another one of their micro-batch, of those that are exposed anew, and of
    those that a worse camera takes again."""

    flip: float
    jitter: tuple[float, float, float, float]
    crops: tuple[CropSpec, ...] = ()
    color_transfer: float = 0.0
    exposure: float = 0.0
    camera: float = 0.0


class CropBatches(Dataset[Batch]):
    """The frames of some presentations, as batches: ``batches[list of draws] -> Batch``.

    Frames without a face are left out: there is no crop to learn from. Evaluation counts them as non-responses.

    Args:
        store: the crop store, or several joined.
        rows: row numbers of the presentations.
        views: the crops of a face that the network reads together.
        size: side of each crop in pixels.
        augmentation: applied to draws that carry a key.
        targets: names of the targets that a batch carries beside "label".

    Raises:
        UnknownNameError: there is no such target.
    """

    def __init__(
        self,
        store: Store,
        rows: Sequence[int],
        views: Sequence[CropSpec],
        size: int,
        augmentation: Augmentation,
        targets: Sequence[str] = (),
    ) -> None:
        wanted = set(rows)
        self._store, self._views, self._size, self._augmentation = store, tuple(views), size, augmentation
        self._builders = target_builders([*dict.fromkeys(["label", *targets])], store.table)
        self.frames = [
            number
            for number, frame in enumerate(store.frames)
            if frame.presentation in wanted and not frame.response
        ]
        self.presentations = np.array([store.frames[n].presentation for n in self.frames], np.int64)
        self.labels = np.array([store.presentations[p].label for p in self.presentations], np.int64)

    def __len__(self) -> int:
        return len(self.frames)

    def with_augmentation(self, augmentation: Augmentation) -> "CropBatches":
        """Return the same frames, augmented in another way."""
        other = copy(self)
        other._augmentation = augmentation
        return other

    def __getitem__(self, draws: Sequence[Draw]) -> Batch:
        shown = self._color_transferred(self._shown(draws), draws)
        rows = torch.from_numpy(self.presentations[[draw.position for draw in draws]])
        targets = {
            name: target_column([build(each) for each in shown]) for name, build in self._builders.items()
        }
        shares = torch.from_numpy(np.stack([each.shares for each in shown]))
        return Batch(torch.from_numpy(np.stack([each.crop for each in shown])), targets, rows, shares)

    def shares(self, draws: Sequence[Draw]) -> NDArray[np.float32]:
        """Return the mirrored shares (N, V) of the crops of each draw, without reading a picture."""
        frames = self._store.frames
        return np.stack(
            [
                view_shares(
                    Face(frame.face, _NO_LANDMARKS, frame.confidence),
                    frame.width,
                    frame.height,
                    self._views,
                    self._store.settings.context,
                )
                for frame in (frames[self.frames[draw.position]] for draw in draws)
            ]
        )

    def about(self, draws: Sequence[Draw]) -> tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.str_]]:
        """Return label, subject and species of each draw, (N,) each; a simulated attack's species is "simulated"."""
        shown = [self._about(draw) for draw in draws]
        labels, subjects, species = (
            np.array(column) for column in zip(*((s[1], s[0].subject, s[2]) for s in shown), strict=True)
        )
        return labels.astype(np.int64), subjects, species

    def _about(self, draw: Draw) -> tuple[Presentation, int, str]:
        """Return the presentation, and label and species as it is shown."""
        row = self._store.presentations[self.presentations[draw.position]]
        return (row, 0, SIMULATED_ATTACK) if draw.simulated else (row, row.label, row.species)

    def _shown(self, draws: Sequence[Draw]) -> list[Shown]:
        # A batch that is made in the network's own process can use the network's threads, because the network waits for
        # it. The loader's processes have one thread each.
        threads = min(torch.get_num_threads(), len(draws))
        if threads <= 1:
            return list(map(self._show, draws))
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(self._show, draws))

    def _color_transferred(self, shown: list[Shown], draws: Sequence[Draw]) -> list[Shown]:
        if not self._augmentation.color_transfer:
            return shown
        changed = list(shown)
        for number, draw in enumerate(draws):
            if draw.key is not None:
                rng = np.random.default_rng((*draw.key, _COLOR_TRANSFER))
                if rng.random() < self._augmentation.color_transfer:
                    other = shown[int(rng.integers(len(shown)))]
                    # Each view takes the colours of its own counterpart: none of them then tells the class by light.
                    pairs = zip(_pictures(shown[number].crop), _pictures(other.crop), strict=True)
                    views = np.stack([transfer_color(view, wanted) for view, wanted in pairs])
                    changed[number] = replace(shown[number], crop=views.reshape(other.crop.shape))
        return changed

    def _show(self, draw: Draw) -> Shown:
        square, specs, size = self._store.read(self.frames[draw.position]), self._views, self._size
        if draw.key is None:
            crops, shares = cut_views(square, specs, size)
            points = crop_landmarks(square, specs[0], size)
            return Shown(*self._about(draw), crops if len(specs) > 1 else crops[0], points, shares)
        rng, augmentation = np.random.default_rng(draw.key), self._augmentation
        if augmentation.crops:
            specs = (augmentation.crops[int(rng.integers(len(augmentation.crops)))],)
        if draw.simulated:
            # Before the crop is cut, because a wide crop shows a print's edge and the room behind it.
            square = as_attack(square, rng)
        own = np.random.default_rng((*draw.key, _CAMERA))
        if own.random() < augmentation.camera:
            square = taken_again(square, own)
        brightness, contrast, saturation, hue = augmentation.jitter
        crops, shares = cut_views(square, specs, size)
        crop, flipped = flip_and_jitter(
            _one_picture(crops),
            rng,
            flip=augmentation.flip,
            brightness=brightness,
            contrast=contrast,
            saturation=saturation,
            hue=hue,
        )
        own = np.random.default_rng((*draw.key, _EXPOSURE))
        if own.random() < augmentation.exposure:
            crop = expose_anew(crop, own, part=crop[:size])  # all views by the first one's light
        points = crop_landmarks(square, specs[0], size)
        points = flip_landmarks(points, size) if flipped else points
        changed = crop.reshape(crops.shape) if len(specs) > 1 else crop
        return Shown(*self._about(draw), changed, points, shares)


def _pictures(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return one crop (H, W, 3) or those of V views (V, H, W, 3) as (V, H, W, 3)."""
    return crops.reshape(-1, *crops.shape[-3:])


def _one_picture(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stack crops (..., H, W, 3) to one picture (N * H, W, 3), so that they are all changed in the same way."""
    return crops.reshape(-1, *crops.shape[-2:])


def target_column(values: Sequence[Target]) -> torch.Tensor:
    """Return one target of a batch: (B, ...) int64 of whole numbers, else float32."""
    stacked = np.stack([np.asarray(value) for value in values])
    kind = np.int64 if np.issubdtype(stacked.dtype, np.integer) else np.float32
    return torch.from_numpy(stacked.astype(kind))


def epoch_order(
    labels: NDArray[np.int64], seed: int, epoch: int, balance: bool, simulate: float = 0.0
) -> NDArray[np.int64]:
    """Return the order in which an epoch shows its pictures, as indices in `labels`.

    With `balance` the majority class is under-sampled at random in each epoch (A-DeepPixBiS, sec. IV-E): every
    picture of the minority class is shown once, and as many of the majority class.

    A share `simulate` of the bona fide pictures shown, drawn in each epoch, is shown once more as simulated attacks:
    as ``len(labels) + index``. With `balance` they count as attacks like any other, so the classes stay equal and of N
    attacks shown, ``simulate * N`` are simulated; without it they are added.
    """
    rng = np.random.default_rng((seed, epoch))
    attacks, bona_fide = (np.flatnonzero(labels == label) for label in (0, 1))
    again = round(simulate * len(bona_fide))
    if balance:
        shown, again = _balanced(len(attacks), len(bona_fide), simulate)
        attacks = rng.permutation(attacks)[: shown - again]
        bona_fide = rng.permutation(bona_fide)[:shown]
    # No number is drawn where nothing is simulated: such runs keep the order that they had before simulation existed.
    twice = len(labels) + rng.permutation(bona_fide)[:again] if again else bona_fide[:0]
    return rng.permutation(np.concatenate([attacks, bona_fide, twice]))


def _balanced(attacks: int, bona_fide: int, simulate: float) -> tuple[int, int]:
    """Return how many of each class an epoch shows, and how many of the attacks are simulated."""
    enough = bona_fide if simulate == 1.0 else int(attacks / (1.0 - simulate) + 1e-9)
    shown = min(bona_fide, enough)
    return shown, shown - min(attacks, shown - round(simulate * shown))


class EpochSampler(Sampler[list[Draw]]):
    """Batches of draws for one device of `world`. `epoch` and `start` (batches already done) say where it begins.

    A last batch that is not full is left out, unless it is the only one: batch normalisation needs many pictures.
    """

    def __init__(
        self,
        labels: NDArray[np.int64],
        batch: int,
        *,
        seed: int,
        balance: bool,
        simulate: float = 0.0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._labels, self._batch = labels, batch
        self._seed, self._balance, self._simulate = seed, balance, simulate
        self._rank, self._world = rank, world
        self.epoch = 0
        self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of `epoch`; called by Lightning. A call with the present epoch changes nothing."""
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0

    def __len__(self) -> int:
        return max(len(self._order()) // (self._batch * self._world), 1)

    def __iter__(self) -> Iterator[list[Draw]]:
        order, count = self._order(), len(self._labels)
        for number in range(self.start, len(self)):
            first = (number * self._world + self._rank) * self._batch
            indices = range(first, min(first + self._batch, len(order)))
            yield [
                Draw(int(order[p] % count), (self._seed, self.epoch, p), bool(order[p] >= count))
                for p in indices
            ]

    def _order(self) -> NDArray[np.int64]:
        return epoch_order(self._labels, self._seed, self.epoch, self._balance, self._simulate)


class ResumableLoader(DataLoader[Batch]):
    """A loader whose position (epoch and batches given out) goes into the checkpoint and comes back from it.

    Lightning asks for `state_dict` when it saves and calls `load_state_dict` before it iterates. A loader draws a
    number whenever it begins. It has a generator of its own for that: torch's belongs to the network, which would draw
    other numbers after a stop.
    """

    def __init__(self, data: CropBatches, sampler: EpochSampler, **options: Any) -> None:
        super().__init__(data, batch_size=None, sampler=sampler, generator=torch.Generator(), **options)
        self._draws = sampler
        self._given = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        self._given = self._draws.start
        for batch in super().__iter__():
            self._given += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Return the epoch and how many of its batches have been given out."""
        return {"epoch": self._draws.epoch, "batches": self._given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue after the batches that `state` counts."""
        self._draws.epoch, self._draws.start = state["epoch"], state["batches"]
        if self._draws.start >= len(self._draws):
            self._draws.epoch, self._draws.start = state["epoch"] + 1, 0


def in_order(data: CropBatches, batch: int, workers: int, rank: int = 0, world: int = 1) -> DataLoader[Batch]:
    """Return a loader over all of `data` (one device's share of it), in order and without augmentation."""
    indices = range(rank, len(data), world)
    chunks = [[Draw(p, None) for p in indices[i : i + batch]] for i in range(0, len(indices), batch)]
    return DataLoader(data, batch_size=None, sampler=chunks, num_workers=workers, generator=torch.Generator())
