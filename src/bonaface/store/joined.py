"""The crop stores of several data sets as one, to train on all of them."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from itertools import accumulate

from bonaface.core.errors import InputError
from bonaface.core.records import PLUS, Presentation
from bonaface.datasets.table import PresentationTable
from bonaface.face.crop import ContextCrop
from bonaface.store.crop_store import CropStore, PrepareSettings
from bonaface.store.frames import Frame, FrameRows

# What a bundle says of the face finding, once for all that it was trained on.
_ALIKE = ("frames", "longer_side", "min_score", "policy", "context", "boxes")


class JoinedStore:
    """Several stores, one after the other, with what training and scoring need of a `CropStore`.

    Every name keeps its set, so that nothing of two sets is taken for one: the subject ``3`` of OULU-NPU is
    ``oulu-npu/3``, and so are `sample_id` and `device`; the species ``print-1`` is ``print-1 (oulu-npu)``, whose
    category is still print.

    Raises:
        InputError: two stores hold the same set, or their faces were not found in the same way.
    """

    def __init__(self, stores: Sequence[CropStore]) -> None:
        names = [store.dataset for store in stores]
        if len(set(names)) < len(names):
            raise InputError(f"expected stores of different sets to join, got {', '.join(names)}")
        first = stores[0]
        for other in stores[1:]:
            differ = [
                f"{name} {getattr(other.settings, name)}, not {getattr(first.settings, name)}"
                for name in _ALIKE
                if getattr(other.settings, name) != getattr(first.settings, name)
            ]
            if differ:
                raise InputError(
                    f"{other.path} was prepared otherwise than {first.path} ({'; '.join(differ)}), and a model finds "
                    "faces in one way; prepare both with the same options"
                )
        self.stores = tuple(stores)
        self.frames = _JoinedFrames(self.stores)
        rows = tuple(_with_set(row, store.dataset) for store in stores for row in store.presentations)
        self.table = PresentationTable(PLUS.join(names), rows)

    @property
    def dataset(self) -> str:
        """Return the sets' names with a plus between."""
        return self.table.dataset

    @property
    def presentations(self) -> tuple[Presentation, ...]:
        """Return the rows of all tables; `Frame.presentation` counts in them."""
        return self.table.rows

    @property
    def settings(self) -> PrepareSettings:
        """Return the first store's settings; what a network depends on is the same in all."""
        return self.stores[0].settings

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 of the stores' digests, in their order: 64 hex digits."""
        return sha256(" ".join(store.digest for store in self.stores).encode()).hexdigest()

    def read(self, index: int) -> ContextCrop:
        """Read the context crop of row `index` of `frames`, as `CropStore.read`."""
        number, row = self.frames.place(range(len(self.frames))[index])
        return self.stores[number].read(row)


Store = CropStore | JoinedStore


def join(stores: Sequence[CropStore]) -> Store:
    """Return one store as it is, and several as a `JoinedStore`, whose InputErrors it may raise."""
    return stores[0] if len(stores) == 1 else JoinedStore(stores)


def parts(store: Store) -> tuple[CropStore, ...]:
    """Return the stores that `store` consists of."""
    return store.stores if isinstance(store, JoinedStore) else (store,)


def digests(store: Store) -> dict[str, str]:
    """Return the digest of each store that `store` consists of, by its data set."""
    return {part.dataset: part.digest for part in parts(store)}


class _JoinedFrames(FrameRows):
    """The frames of several stores in order; presentations are numbered on from one store to the next."""

    def __init__(self, stores: Sequence[CropStore]) -> None:
        self._frames = [store.frames for store in stores]
        self._starts = [0, *accumulate(map(len, self._frames))]
        self._before = [0, *accumulate(len(store.presentations) for store in stores)]

    def __len__(self) -> int:
        return self._starts[-1]

    def place(self, index: int) -> tuple[int, int]:
        """Return which store the row `index` is in, and its row there."""
        number = bisect_right(self._starts, index) - 1
        return number, index - self._starts[number]

    def _row(self, index: int) -> Frame:
        number, row = self.place(index)
        frame = self._frames[number][row]
        return replace(frame, presentation=self._before[number] + frame.presentation)


def _with_set(row: Presentation, dataset: str) -> Presentation:
    def of(name: str) -> str:
        return f"{dataset}/{name}" if name else ""  # no name is no identity: such a row stands alone

    return replace(
        row,
        sample_id=of(row.sample_id),
        subject=of(row.subject),
        device=f"{dataset}/{row.device}",
        species=f"{row.species} ({dataset})" if row.species else "",
    )
