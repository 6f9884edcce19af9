"""What a bundle brings along to be judged by: its own thresholds, and where they come from."""

from bonaface.evaluation.threshold import Threshold
from bonaface.evaluation.units import Unit
from bonaface.inference.bundle import BundleCard


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
