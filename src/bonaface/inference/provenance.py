"""Read from a bundle what a report needs: its own thresholds, their source, and what it was trained on."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from bonaface.core.records import PLUS
from bonaface.datasets.experiment import Source, find_sources
from bonaface.datasets.protocols import split_rows
from bonaface.evaluation.aggregate import Unit
from bonaface.evaluation.operating_point import Rule, Threshold
from bonaface.inference.bundle import DEFAULT_POINT, BundleCard, ThresholdSource

if TYPE_CHECKING:  # a store needs pyarrow, and scoring pictures does not
    from bonaface.store.crop_store import CropStore


def trained_on(card: BundleCard) -> str:
    """Return what the model was trained on, as ``oulu-npu/1`` or ``oulu-npu/1 + casia-fasd/overall``."""
    return protocols_of(card.source)


def protocols_of(source: ThresholdSource) -> str:
    """Return the protocols whose dev scores `source` counts, as `trained_on` gives them."""
    pairs = list(zip_longest(source.dataset.split(PLUS), source.protocol.split(PLUS)))
    if any(None in pair for pair in pairs):  # a stranger's card, of which no more is known than its words
        return f"{source.dataset}/{source.protocol}"
    return PLUS.join(map("/".join, pairs))


def source_on(card: BundleCard, dataset: str) -> Source | None:
    """Return by which protocol and fold the model was trained on the set `dataset`; None where it was not.

    Raises:
        UnknownNameError: the set has no such protocol.
    """
    if dataset not in card.source.dataset.split(PLUS):
        return None
    (source,) = [each for each in find_sources(trained_on(card), card.source.fold) if each.dataset == dataset]
    return source


def own_threshold(card: BundleCard, output: str, unit: Unit, point: str = DEFAULT_POINT) -> Threshold:
    """Return the threshold that the bundle has for `output` at an operating point, of its training protocol's dev set.

    Raises:
        UnknownNameError: the model has no such output or operating point.
    """
    value, source = card.threshold(output, unit, point), card.point(point).source
    where = "/".join(filter(None, (protocols_of(source), source.fold)))
    return Threshold(value, str(Rule.parse(point)), f"dev of {where}, in the bundle", unit)


def seen_in_training(card: BundleCard, store: "CropStore", test: Sequence[int]) -> int:
    """Return how many of the presentations `test`, row numbers of `store`, trained or tuned the model.

    Known where it was trained on this very store, which is where a fold or protocol is easily mistaken; else 0.
    """
    return len(seen_rows(card, store) & set(test))


def seen_rows(card: BundleCard, store: "CropStore") -> set[int]:
    """Return the row numbers of `store` that trained or tuned the model; none where it was trained on another store."""
    digests = card.provenance.get("store_digests")
    alone = card.provenance.get("store_digest")  # all that bundles of version 0.1 have
    if store.digest not in (digests.values() if isinstance(digests, dict) else [alone]):
        return set()
    source = source_on(card, store.dataset)
    if source is None:
        return set()
    split = split_rows(store.table, source.protocol, source.fold, card.seed)
    return {*split.train, *split.dev}
