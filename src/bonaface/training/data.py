"""Load the train and dev rows of a protocol from a crop store, or of several from several stores."""

from itertools import accumulate

import lightning
from torch.utils.data import DataLoader

from bonaface.core.errors import InputError
from bonaface.datasets.experiment import find_sources, source_names
from bonaface.datasets.protocols import Split, split_rows
from bonaface.face.crop import CropSpec
from bonaface.models.preset import Preset
from bonaface.models.registry import describe
from bonaface.store.crop_store import CropStore
from bonaface.store.joined import Store, join, parts
from bonaface.training.batches import (
    Augmentation,
    Batch,
    CropBatches,
    EpochSampler,
    ResumableLoader,
    epoch_order,
    in_order,
)
from bonaface.training.settings import RunSettings


def open_stores(settings: RunSettings) -> Store:
    """Open the stores that a run learns from, in the order of its protocol's sources, and join them if it has several.

    Raises:
        InputError: a store can't be opened, the stores hold other sets than the protocol names, or they can't be
            joined.
    """
    stores = [CropStore.open(path) for path in settings.stores]
    found = {store.dataset: store for store in stores}
    if len(stores) == 1 and "/" not in settings.protocol:
        return stores[0]
    wanted = [name.partition("/")[0] for name in source_names(settings.protocol)]
    if sorted(wanted) != sorted(store.dataset for store in stores):
        raise InputError(
            f"--protocol {settings.protocol!r} trains on {', '.join(wanted)}, but the stores hold "
            f"{', '.join(store.dataset for store in stores)}; give a store of each"
        )
    return join([found[name] for name in wanted])


def with_set(protocol: str, store: Store) -> str:
    """Return a run's `protocol` with the name of its set, as ``oulu-npu/1``, which it may lack where there is one."""
    return protocol if "/" in protocol else f"{store.dataset}/{protocol}"


def open_split(store: Store, protocol: str, fold: str, seed: int) -> Split:
    """Return the rows of `store` that train, tune and test under `protocol`, which names one for each of its sets.

    Raises:
        UnknownNameError: a set has no such protocol, or a protocol no such fold.
        InputError: a table can't be split that way.
    """
    sources = find_sources(with_set(protocol, store), fold)
    every = parts(store)
    starts = list(accumulate((len(part.presentations) for part in every), initial=0))[:-1]
    splits = [
        split_rows(part.table, source.protocol, source.fold, seed)
        for part, source in zip(every, sources, strict=True)
    ]

    def joined(name: str) -> tuple[int, ...]:
        return tuple(
            start + row for start, split in zip(starts, splits, strict=True) for row in getattr(split, name)
        )

    notes = tuple(note for split in splits for note in split.notes)
    return Split(joined("train"), joined("dev"), joined("test"), notes)


def augmentation_of(preset: Preset) -> Augmentation:
    """Return how the pictures of a training with `preset` are changed."""
    augment = preset.augment
    crops = tuple(map(CropSpec.parse, augment.crops))
    return Augmentation(
        preset.flip, preset.jitter, crops, augment.color_transfer, augment.exposure, augment.camera
    )


class PadData(lightning.LightningDataModule):
    """The loaders of a run.

    Raises:
        InputError: train or dev has no frame of one of the classes, or fewer frames than the devices need.
    """

    def __init__(self, store: Store, settings: RunSettings) -> None:
        super().__init__()
        self._settings, self._store = settings, store
        preset = settings.preset
        self.split = open_split(store, settings.protocol, settings.fold, settings.seed)
        augmentation = augmentation_of(preset)
        views = tuple(map(CropSpec.parse, settings.views))
        targets = describe(preset.model).targets
        self.train = CropBatches(store, self.split.train, views, preset.size, augmentation, targets)
        self.dev = CropBatches(store, self.split.dev, views, preset.size, augmentation, targets)
        for name, data in (("train", self.train), ("dev", self.dev)):
            present = set(data.labels.tolist())
            if present != {0, 1}:
                lacking = " and ".join(w for n, w in ((1, "bona fide"), (0, "attack")) if n not in present)
                raise InputError(
                    f"{with_set(settings.protocol, store)}: {name} has no {lacking} frame with a face; training needs "
                    "both classes in train, and in dev for the checkpoint's choice and its thresholds"
                )
        devices = settings.devices * settings.nodes
        shown = self.shown_per_epoch()
        if shown <= settings.micro_batch * (devices - 1) or len(self.dev) < devices:
            raise InputError(
                f"{with_set(settings.protocol, store)}: {devices} devices with {settings.micro_batch} pictures each "
                f"can't share the {shown} frames of an epoch and the {len(self.dev)} of dev; take fewer devices or a "
                "smaller --micro-batch"
            )

    def check_landmarks(self, learns_depth: bool) -> None:
        """Refuse to train what needs landmarks on faces that have none, as the boxes of a set.

        Args:
            learns_depth: whether the network's loss reads a face's depth, which is laid under landmarks.

        Raises:
            InputError: the run needs landmarks, and a store was prepared with --boxes.
        """
        augment = self._settings.preset.augment
        crops = [
            spec for spec in (*self._settings.views, *augment.crops) if CropSpec.parse(spec).kind == "aligned"
        ]
        needs = [f"the crop {crops[0]}"] if crops else []
        needs += ["a depth to learn"] if learns_depth else []
        needs += ["augment.simulate"] if augment.simulate else []
        boxed = [part.path for part in parts(self._store) if part.settings.boxes]
        if needs and boxed:
            raise InputError(
                f"{boxed[0]} was prepared with the set's face boxes, which have no landmarks, and "
                f"{' and '.join(needs)} take them; prepare it without --boxes"
            )

    def train_loader(self, epoch: int = 0) -> ResumableLoader:
        """Return the under-sampled, shuffled and augmented batches of an epoch, for this device."""
        settings = self._settings
        sampler = EpochSampler(
            self.train.labels,
            settings.micro_batch,
            seed=settings.seed,
            balance=settings.preset.balance == "undersample",
            simulate=settings.preset.augment.simulate,
            rank=self._rank,
            world=self._world,
        )
        sampler.set_epoch(epoch)
        return ResumableLoader(self.train, sampler, num_workers=settings.workers)

    def train_dataloader(self) -> ResumableLoader:
        """Return `train_loader`, as Lightning's hook."""
        return self.train_loader()

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the dev frames in order, this device's share."""
        batch = 2 * self._settings.micro_batch  # no activations are kept, so twice as many fit
        return in_order(self.dev, batch, self._settings.workers, self._rank, self._world)

    def steps_per_epoch(self) -> int:
        """Return how many optimiser steps an epoch takes."""
        return -(-len(self.train_loader()) // self._settings.accumulate)

    def shown_per_epoch(self) -> int:
        """Return how many frames an epoch shows, with those that are shown again as simulated attacks."""
        preset, seed = self._settings.preset, self._settings.seed
        balance = preset.balance == "undersample"
        return len(epoch_order(self.train.labels, seed, 0, balance, preset.augment.simulate))

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0

    @property
    def _world(self) -> int:
        return self.trainer.world_size if self.trainer else 1
