"""Write the bundle at the end of a run: the best weights, with thresholds from dev."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from bonaface.core.records import PLUS, Score
from bonaface.datasets.experiment import find_sources
from bonaface.evaluation.score_table import ScoreTable
from bonaface.export.onnx import export_network
from bonaface.inference.bundle import (
    DEFAULT_POINT,
    Bundle,
    BundleCard,
    FaceSettings,
    OperatingPoint,
    ThresholdSource,
    UnitThresholds,
    write_card,
)
from bonaface.inference.runtime import OnnxRunner
from bonaface.inference.scoring import ScoredSplit, score_part
from bonaface.metrics.thresholds import bpcer_threshold, eer_threshold
from bonaface.metrics.videos import video_scores
from bonaface.models.base import PadModel
from bonaface.store.joined import Store
from bonaface.training.checkpoint_saver import BEST
from bonaface.training.data import with_set
from bonaface.training.progress import Progress, Show
from bonaface.training.settings import RunSettings
from bonaface.training.weights import load_weights

DEV_SCORES = "dev_scores.csv"
RULES: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    DEFAULT_POINT: eer_threshold,
    "bpcer=0.01": bpcer_threshold,
}


def write_bundle(
    run: Path,
    network: PadModel,
    settings: RunSettings,
    store: Store,
    dev: Sequence[int],
    provenance: Mapping[str, Any],
    log: Callable[[str], None],
    show: Show,
) -> Bundle:
    """Export the best weights of `run`, set thresholds on the dev rows, and put ``run/bundle`` in place as a whole.

    The thresholds are those of the EER and of a BPCER of 1 %, of every score output, over frames and over videos, of
    the scores that onnxruntime gives: the numbers that `check` and `evaluate` will compare. They are kept as a score
    table, ``run/dev_scores.csv``.
    """
    network.load_state_dict(load_weights(run / BEST))
    making, done = run / "bundle.part", run / "bundle"
    shutil.rmtree(making, ignore_errors=True)
    log("writing the bundle: exporting the network to ONNX")
    difference = export_network(network.cpu().eval(), making)
    card = _card(network, settings, store, {**provenance, "parity_to_torch": difference})
    write_card(making, card)
    log("writing the bundle: scoring dev for the thresholds")
    scores = list(
        score_part(
            store,
            ScoredSplit(dev, "dev", card.source.protocol, settings.fold),
            card,
            OnnxRunner(Bundle(making, card)),
            progress=Progress(show, "scoring dev: frames"),
        )
    )
    ScoreTable.from_scores(scores).write(run / DEV_SCORES)
    write_card(making, msgspec.structs.replace(card, operating_points=operating_points(scores, card)))
    shutil.rmtree(done, ignore_errors=True)
    making.rename(done)
    return Bundle.open(done)


def _card(
    network: PadModel, settings: RunSettings, store: Store, provenance: Mapping[str, Any]
) -> BundleCard:
    preset = settings.preset
    detection = {
        name: getattr(store.settings, name) for name in ("longer_side", "min_score", "frames", "context")
    }
    unset = {name: UnitThresholds(0.5, 0.5) for name in network.score_names}
    sources = find_sources(with_set(settings.protocol, store), settings.fold)
    protocol = PLUS.join(source.protocol.name for source in sources)
    source = ThresholdSource(store.dataset, protocol, settings.fold, 0, 0, 0)
    return BundleCard(
        model=preset.model,
        preset=preset.name,
        backbone=preset.backbone,
        options=dict(preset.options),
        input_size=network.input_size,
        mean=network.mean,
        std=network.std,
        views=settings.views,
        face=FaceSettings(**asdict(store.settings.policy), **detection),
        outputs=network.score_names,
        maps=tuple(network.map_names),
        operating_points={DEFAULT_POINT: OperatingPoint(unset, source)},
        seed=settings.seed,
        provenance=dict(provenance),
    )


def operating_points(scores: Sequence[Score], card: BundleCard) -> dict[str, OperatingPoint]:
    """Return the thresholds of each rule on dev `scores`, of every output, over frames and over videos."""
    scored = [row for row in scores if not row.response]
    labels = np.array([row.label for row in scored])
    _, first, index = np.unique([row.video_id for row in scored], return_index=True, return_inverse=True)
    source = _source(scored, card.source)
    points: dict[str, dict[str, UnitThresholds]] = {rule: {} for rule in RULES}
    for output in card.outputs:
        values = np.array([row.outputs[output] for row in scored])
        means = video_scores(index, values)
        for rule, set_threshold in RULES.items():
            frame, video = set_threshold(labels, values), set_threshold(labels[first], means)
            # A threshold just below or above all scores is clipped to [0, 1], where every score lies.
            points[rule][output] = UnitThresholds(*np.clip((frame, video), 0.0, 1.0).tolist())
    return {rule: OperatingPoint(thresholds, source) for rule, thresholds in points.items()}


def _source(scored: Sequence[Score], source: ThresholdSource) -> ThresholdSource:
    videos = {row.video_id: row for row in scored}
    bona_fide = sum(row.label for row in videos.values())
    subjects = len({row.subject for row in videos.values()})
    return msgspec.structs.replace(
        source, bona_fide=bona_fide, attacks=len(videos) - bona_fide, subjects=subjects
    )
