"""What a bundle brings along to be judged by: its own thresholds, where they come from, and what it has seen."""

from collections.abc import Sequence

from bonaface.datasets.protocols import find_protocol, split_rows
from bonaface.datasets.registry import open_dataset
from bonaface.evaluation.aggregate import Unit
from bonaface.evaluation.operating_point import Threshold
from bonaface.inference.bundle import BundleCard
from bonaface.store.crop_store import CropStore


def trained_on(card: BundleCard) -> str:
    """The protocol that the model was trained on, as ``oulu-npu/1``."""
    return f"{card.threshold_source.dataset}/{card.threshold_source.protocol}"


def own_threshold(card: BundleCard, output: str, unit: Unit) -> Threshold:
    """The threshold that the bundle has for `output`, of its training protocol's dev set.

    Raises:
        UnknownNameError: the model has no such output.
    """
    source = card.threshold_source
    where = "/".join(filter(None, (source.dataset, source.protocol, source.fold)))
    return Threshold(
        card.threshold(output, unit), source.rule.upper(), f"dev of {where}, in the bundle", unit
    )


def seen_in_training(card: BundleCard, store: CropStore, test: Sequence[int]) -> int:
    """How many of the presentations `test`, row numbers of `store`, trained or tuned the model.

    Known where it was trained on this very store, which is where a fold or protocol is easily mistaken; else 0.
    """
    if card.provenance.get("store_digest") != store.digest:
        return 0
    source, seed = card.threshold_source, card.provenance["settings"]["seed"]
    protocol = find_protocol(open_dataset(store.dataset).protocols, source.protocol)
    split = split_rows(store.table, protocol, source.fold, seed)
    return len({*split.train, *split.dev} & set(test))
