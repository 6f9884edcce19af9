"""The end of a run: the best weights become a bundle, with thresholds from dev."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file

from bonaface.core.records import Score
from bonaface.export.onnx import export_network
from bonaface.inference.bundle import Bundle, BundleCard, FaceSettings, ThresholdSource, write_card
from bonaface.inference.runtime import OnnxRunner
from bonaface.inference.scoring import ScoredSplit, score_part
from bonaface.metrics.thresholds import eer_threshold
from bonaface.models.base import PadModel
from bonaface.store.crop_store import CropStore
from bonaface.training.checkpoint_saver import BEST
from bonaface.training.settings import RunSettings


def write_bundle(
    run: Path,
    network: PadModel,
    settings: RunSettings,
    store: CropStore,
    dev: Sequence[int],
    provenance: Mapping[str, Any],
) -> Bundle:
    """Export the best weights of `run`, set thresholds on the dev rows, and put ``run/bundle`` in place as a whole.

    The thresholds are the EER thresholds of every score output, over frames and over videos, of the scores that
    onnxruntime gives: the numbers that `check` and `evaluate` will compare.
    """
    network.load_state_dict(load_file(run / BEST))
    making, done = run / "bundle.part", run / "bundle"
    shutil.rmtree(making, ignore_errors=True)
    difference = export_network(network.cpu().eval(), making)
    card = _card(network, settings, store, {**provenance, "parity_to_torch": difference})
    write_card(making, card)
    scores = list(
        score_part(
            store,
            ScoredSplit(dev, "dev", settings.protocol, settings.fold),
            card,
            OnnxRunner(Bundle(making, card)),
        )
    )
    write_card(
        making,
        replace(
            card,
            thresholds=_thresholds(scores, card.outputs),
            threshold_source=_source(scores, card.threshold_source),
        ),
    )
    shutil.rmtree(done, ignore_errors=True)
    making.rename(done)
    return Bundle.open(done)


def _card(
    network: PadModel, settings: RunSettings, store: CropStore, provenance: Mapping[str, Any]
) -> BundleCard:
    preset = settings.preset
    detection = {name: getattr(store.settings, name) for name in ("longer_side", "min_score", "frames")}
    return BundleCard(
        model=preset.model,
        preset=preset.name,
        backbone=preset.backbone,
        options=dict(preset.options),
        input_size=network.input_size,
        mean=network.mean,
        std=network.std,
        crop=preset.crop,
        face=FaceSettings(**asdict(store.settings.policy), **detection),
        outputs=network.score_names,
        maps=tuple(network.map_names),
        thresholds={name: {"frame": 0.5, "video": 0.5} for name in network.score_names},
        threshold_source=ThresholdSource("eer", store.dataset, settings.protocol, settings.fold, 0, 0, 0),
        provenance=provenance,
    )


def _thresholds(scores: Sequence[Score], outputs: Sequence[str]) -> dict[str, dict[str, float]]:
    scored = [row for row in scores if not row.response]
    labels = np.array([row.label for row in scored])
    videos, first, index = np.unique([row.video_id for row in scored], return_index=True, return_inverse=True)
    found = {}
    for output in outputs:
        values = np.array([row.outputs[output] for row in scored])
        means = np.bincount(index, values) / np.bincount(index, minlength=len(videos))
        found[output] = {"frame": eer_threshold(labels, values), "video": eer_threshold(labels[first], means)}
    return found


def _source(scores: Sequence[Score], source: ThresholdSource) -> ThresholdSource:
    videos = {row.video_id: row for row in scores if not row.response}
    bona_fide = sum(row.label for row in videos.values())
    subjects = len({row.subject for row in videos.values()})
    return replace(source, bona_fide=bona_fide, attacks=len(videos) - bona_fide, subjects=subjects)
