from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bonaface.core.errors import UnknownNameError
from bonaface.face.crop import cut
from bonaface.inference.bundle import Bundle, BundleCard
from bonaface.inference.preprocess import normalise
from bonaface.inference.scoring import ScoredSplit, score_part
from bonaface.store.crop_store import CropStore


class Brightness:
    """A runner whose score is the mean of the network's input: what was read can be told from it."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def run(
        self, images: NDArray[np.float32], shares: NDArray[np.float32] | None = None
    ) -> Mapping[str, NDArray[np.float32]]:
        self.batches.append(len(images))
        means = images.mean((1, 2, 3))
        return {"feature_map": means, "binary": -means}


@pytest.fixture
def card(run: Path) -> BundleCard:
    return Bundle.open(run).card


def test_rows_have_the_score_of_their_own_crop(store: Path, card: BundleCard) -> None:
    opened = CropStore.open(store)
    chosen = [40, 3, 0]  # whatever order is asked for, the store's is kept
    rows = list(
        score_part(
            opened, ScoredSplit(chosen, "test", "p", "2"), card, Brightness(), output="binary", batch=2
        )
    )
    assert [row.video_id for row in rows] == [opened.presentations[i].sample_id for i in sorted(chosen)]
    for number, row in zip(sorted(chosen), rows, strict=True):
        if row.response:
            continue
        image = normalise(cut(opened.read(number), card.crop_specs[0], 64)[None], card.mean, card.std)
        assert row.outputs["feature_map"] == pytest.approx(float(image.mean()))
        assert row.score == row.outputs["binary"] == -row.outputs["feature_map"]
        assert (row.split, row.protocol, row.fold, row.dataset) == ("test", "p", "2", "folder")


def test_non_responses_are_rows_without_a_network_run(store: Path, card: BundleCard) -> None:
    opened = CropStore.open(store)
    runner, seen = Brightness(), []
    rows = list(
        score_part(
            opened,
            ScoredSplit(range(41), "test", "p"),
            card,
            runner,
            batch=8,
            progress=lambda *a: seen.append(a),
        )
    )
    unscored = [row for row in rows if row.response]
    assert [row.response for row in unscored] == ["no face"]
    assert np.isnan(unscored[0].score)
    assert not unscored[0].outputs
    assert sum(runner.batches) == 40
    assert seen[-1] == (41, 41)
    assert [done for done, _ in seen] == [8, 16, 24, 32, 40, 41]


def test_skipped_rows_leave_the_others_unchanged(store: Path, card: BundleCard) -> None:
    opened, part = CropStore.open(store), ScoredSplit(range(41), "test", "p")
    whole = list(score_part(opened, part, card, Brightness()))
    rest = list(score_part(opened, part, card, Brightness(), skip=17))
    assert [row.sample_id for row in rest] == [row.sample_id for row in whole[17:]]
    np.testing.assert_allclose([row.score for row in rest], [row.score for row in whole[17:]], rtol=1e-6)
    assert not list(score_part(opened, part, card, Brightness(), skip=41))


def test_rejects_an_unknown_output_at_once(store: Path, card: BundleCard) -> None:
    with pytest.raises(UnknownNameError, match="binary, feature_map"):
        next(
            score_part(
                CropStore.open(store), ScoredSplit([0], "test", "p"), card, Brightness(), output="depth"
            )
        )
