import math
from collections.abc import Callable
from statistics import mean, median
from typing import Any

import numpy as np
import pytest

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.records import Response, Score
from bonaface.evaluation.aggregate import Unit, to_unit
from bonaface.evaluation.score_table import ScoreTable
from bonaface.metrics.videos import Aggregation


def _frames(row: Callable[..., Any], video: str, scores: list[float]) -> list[Score]:
    return [
        row(
            video,
            1,
            score,
            sample_id=f"{video}#{number}",
            frame=number,
            response=Response.NO_FACE if math.isnan(score) else Response.SCORED,
        )
        for number, score in enumerate(scores)
    ]


def test_video_score_is_the_mean_of_scored_frames(row: Callable[..., Any]) -> None:
    table = ScoreTable.from_scores(
        [
            *_frames(row, "b", [math.nan, 0.5, 0.75]),
            *_frames(row, "a", [math.nan, math.nan]),
            *_frames(row, "c", [0.25]),
        ]
    )
    samples = to_unit(table)
    assert samples.ids.tolist() == ["b", "a", "c"]
    assert samples.scores.tolist() == pytest.approx([0.625, math.nan, 0.25], nan_ok=True)
    assert samples.responses.tolist() == ["", "no face", ""]
    assert samples.sample_ids.tolist() == ["b#1", "a#0", "c#0"]
    assert len(samples.scored()) == 2


@pytest.mark.parametrize(("aggregation", "reference"), [("mean", mean), ("median", median), ("min", min)])
def test_aggregations_agree_with_the_standard_library(
    drawn: Callable[..., Any], aggregation: Aggregation, reference: Callable[..., Any]
) -> None:
    table = drawn(seed=5, videos=80, frames=4)
    samples = to_unit(table, "video", aggregation)
    by_video: dict[str, list[float]] = {}
    for video, score in zip(table.text("video_id"), table.numbers("score"), strict=True):
        by_video.setdefault(video, []).extend([] if math.isnan(score) else [score])
    expected = [reference(by_video[name]) if by_video[name] else math.nan for name in samples.ids]
    assert any(math.isnan(value) for value in expected)
    assert samples.scores.tolist() == pytest.approx(expected, nan_ok=True)


def test_row_order_changes_no_bit(drawn: Callable[..., Any]) -> None:
    table = drawn(seed=6, videos=60, frames=5)
    order = np.random.default_rng(0).permutation(len(table))
    shuffled = ScoreTable(table.data.take(order))
    for aggregation in ("mean", "median", "min"):
        plain, mixed = to_unit(table, aggregation=aggregation), to_unit(shuffled, aggregation=aggregation)
        assert dict(zip(plain.ids, plain.scores.tolist(), strict=True)) == pytest.approx(
            dict(zip(mixed.ids, mixed.scores.tolist(), strict=True)), abs=0, nan_ok=True
        )


def test_by_frame_each_frame_is_judged_by_itself(drawn: Callable[..., Any]) -> None:
    table = drawn(videos=10)
    samples = to_unit(table, "frame")
    assert samples.unit == "frame"
    assert samples.ids.tolist() == table.text("sample_id").tolist()
    assert np.isnan(samples.scores).sum() == (table.text("response") == "no face").sum()


def test_frames_of_one_name_are_numbered(row: Callable[..., Any]) -> None:
    rows = [row("v", 1, 0.5, frame=3), row("v", 1, 0.6, frame=8)]
    assert to_unit(ScoreTable.from_scores(rows), "frame").ids.tolist() == ["v#3", "v#8"]


def test_same_video_in_two_folds_counts_twice(row: Callable[..., Any]) -> None:
    rows = [row("v", 1, 0.25, fold="1"), row("v", 1, 0.75, fold="2")]
    assert to_unit(ScoreTable.from_scores(rows)).scores.tolist() == [0.25, 0.75]


def test_unnamed_subjects_are_distinct(row: Callable[..., Any]) -> None:
    table = ScoreTable.from_scores(
        [
            row("c", 0, 0.2, "display-1"),
            row("d", 0, 0.2, "print-1"),  # the second video, and x is the second subject
            row("a", 1, 0.9, subject="x"),
            row("b", 0, 0.1, "print-1", subject="x"),
        ]
    )
    samples = to_unit(table)
    assert samples.species.names == ("display-1", "print-1")
    assert samples.species.codes.tolist() == [0, 1, -1, 1]
    assert samples.subjects[2] == samples.subjects[3]
    assert len(set(samples.subjects.tolist())) == 3
    assert samples.named_subjects
    assert not to_unit(table.where("subject", "")).named_subjects


def test_aggregates_another_output_by_name(row: Callable[..., Any]) -> None:
    rows = [row("v", 1, 0.5, frame=n, sample_id=f"v{n}", outputs={"map": n / 4}) for n in range(3)]
    assert to_unit(ScoreTable.from_scores(rows), output="map").scores.tolist() == [0.25]


def test_rejects_unknown_unit_aggregation_and_output(drawn: Callable[..., Any]) -> None:
    table = drawn(videos=4)
    with pytest.raises(UnknownNameError, match=r"unknown unit 'clip'.*frame, video"):
        to_unit(table, "clip")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match=r"unknown aggregation .* 'max'.*mean, median, min, std"):
        to_unit(table, "video", "max")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="nothing to judge"):
        to_unit(table.where("split", "train"))


@pytest.mark.parametrize("unit", ["video", "frame"])
def test_a_subjects_number_stands_for_the_subjects_name(drawn: Callable[..., Any], unit: Unit) -> None:
    table = drawn(seed=3, videos=60)
    of_video = dict(zip(table.text("video_id"), table.text("subject"), strict=True))
    order = np.random.default_rng(1).permutation(len(table))
    for rows in (
        table,
        table.where("split", "test"),
        ScoreTable(table.data.take(order)).where("split", "test"),
    ):
        samples = to_unit(rows, unit)
        names = [samples.subject_names[number] for number in samples.subjects]
        assert names == [of_video[name.split("#")[0]] for name in samples.ids]
