"""Read from a bundle what a report needs: its own thresholds, their source, and what it was trained on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bonaface.datasets.protocols import find_protocol, split_rows
from bonaface.datasets.registry import open_dataset
from bonaface.evaluation.aggregate import Unit
from bonaface.evaluation.operating_point import Rule, Threshold
from bonaface.inference.bundle import DEFAULT_POINT, BundleCard

if TYPE_CHECKING:  # a store needs pyarrow, and scoring pictures does not
    from bonaface.store.crop_store import CropStore


def trained_on(card: BundleCard) -> str:
    """Return the protocol that the model was trained on, as ``oulu-npu/1``."""
    return f"{card.source.dataset}/{card.source.protocol}"


def own_threshold(card: BundleCard, output: str, unit: Unit, point: str = DEFAULT_POINT) -> Threshold:
    """Return the threshold that the bundle has for `output` at an operating point, of its training protocol's dev set.

    Raises:
        UnknownNameError: the model has no such output or operating point.
    """
    value, source = card.threshold(output, unit, point), card.point(point).source
    where = "/".join(filter(None, (source.dataset, source.protocol, source.fold)))
    return Threshold(value, str(Rule.parse(point)), f"dev of {where}, in the bundle", unit)


def seen_in_training(card: BundleCard, store: "CropStore", test: Sequence[int]) -> int:
    """Return how many of the presentations `test`, row numbers of `store`, trained or tuned the model.

    Known where it was trained on this very store, which is where a fold or protocol is easily mistaken; else 0.
    """
    return len(seen_rows(card, store) & set(test))


def seen_rows(card: BundleCard, store: "CropStore") -> set[int]:
    """Return the row numbers of `store` that trained or tuned the model; none where it was trained on another store."""
    if card.provenance.get("store_digest") != store.digest:
        return set()
    protocol = find_protocol(open_dataset(store.dataset).protocols, card.source.protocol)
    split = split_rows(store.table, protocol, card.source.fold, card.seed)
    return {*split.train, *split.dev}
