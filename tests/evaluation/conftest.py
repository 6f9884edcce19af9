"""Score tables to judge, small enough to count by hand or drawn with a seed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bonaface.core.records import Response, Score
from bonaface.evaluation.columns import Numbers
from bonaface.evaluation.score_table import ScoreTable


@pytest.fixture
def row() -> Callable[..., Any]:
    """A function that makes one `Score` from what matters to a test."""

    def make(name: str, label: int, score: float, species: str | None = None, **more: Any) -> Score:
        kind = ("" if label else "print-1") if species is None else species
        given = {"video_id": name, "frame": 0, "subject": "", "split": "test", **more}
        return Score(sample_id=given.pop("sample_id", name), label=label, species=kind, score=score, **given)

    return make


@pytest.fixture
def drawn() -> Callable[..., Any]:
    """A function that draws a table: videos of several frames, five kinds, twenty subjects, dev and test."""

    def make(
        seed: int = 0, videos: int = 300, frames: int = 3, fold: str = "", shift: float = 0.0, **more: Any
    ) -> ScoreTable:
        rng = np.random.default_rng(seed)
        kinds = ["", "print-1", "print-2", "display-1", "display-2"]
        rows = []
        for video in range(videos):
            species = kinds[video // 20 % 5]
            level = rng.normal(0.3 if species else 0.7 + shift, 0.15)
            for frame in range(frames):
                non_response = rng.random() < 0.02 or video % 59 == 0
                rows.append(
                    Score(
                        sample_id=f"v{video}#{frame}",
                        video_id=f"v{video}",
                        frame=frame,
                        subject=f"s{video % 20:02}",
                        label=int(not species),
                        species=species,
                        split="dev" if video % 20 < 8 else "test",
                        score=float("nan")
                        if non_response
                        else float(np.clip(level + rng.normal(0, 0.05), 0, 1)),
                        response=Response.NO_FACE if non_response else Response.SCORED,
                        dataset="oulu-npu",
                        protocol="1",
                        fold=fold,
                        **more,
                    )
                )
        return ScoreTable.from_scores(rows)

    return make


@pytest.fixture
def noisy() -> Callable[..., Any]:
    """A function that gives the same presentations as a table, scored by a worse system."""

    def make(table: ScoreTable, seed: int, sigma: float = 0.15) -> ScoreTable:
        rng = np.random.default_rng(seed)
        scores = table.numbers("score") + rng.normal(0, sigma, len(table))
        return ScoreTable(table.data.replaced("score", Numbers(scores, np.isnan(scores))))

    return make
