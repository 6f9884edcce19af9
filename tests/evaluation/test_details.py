from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bonaface.core.records import Response
from bonaface.evaluation import EvaluationSettings, ScoreTable, Threshold, evaluate_table

FIXED = EvaluationSettings(Threshold(0.5))


def test_who_has_the_most_errors_comes_first(row: Callable[..., Any]) -> None:
    rows = [
        row("a1", 1, 0.9, subject="anna"),
        row("a2", 0, 0.1, subject="anna"),
        row("b1", 1, 0.4, subject="bela"),
        row("b2", 1, 0.8, subject="bela"),
        row("b3", 0, 0.5, subject="bela"),
        row("c1", 0, 0.7, subject="cleo"),
        row("d1", 0, 0.9),
    ]
    first, second, third = evaluate_table(ScoreTable.from_scores(rows), settings=FIXED).folds[0].subjects
    assert (first.subject, first.bona_fide, first.attacks) == ("bela", (0.4, 0.8), (0.5,))
    assert (first.bona_fide_rejected, first.bona_fide_total, first.attacks_accepted, first.attacks_total) == (
        1,
        2,
        1,
        1,
    )
    assert (second.subject, second.errors, second.bona_fide_total) == ("cleo", 1, 0)
    assert (third.subject, third.errors) == ("anna", 0)


def test_a_subject_with_very_many_scores_keeps_their_ends(row: Callable[..., Any]) -> None:
    rows = [row(f"v{n}", 1, n / 1000, subject="anna") for n in range(1000)] + [
        row("x", 0, 0.1, subject="anna")
    ]
    (anna,) = evaluate_table(ScoreTable.from_scores(rows), settings=FIXED).folds[0].subjects
    assert (len(anna.bona_fide), anna.bona_fide[0], anna.bona_fide[-1]) == (60, 0, 0.999)
    assert (anna.bona_fide_rejected, anna.bona_fide_total) == (500, 1000)


def test_errors_of_the_subjects_add_up(drawn: Callable[..., Any]) -> None:
    fold = evaluate_table(drawn()).folds[0]
    errors = fold.test.errors
    assert sum(one.bona_fide_rejected for one in fold.subjects) == errors.bpcer.errors
    assert sum(one.attacks_accepted for one in fold.subjects) == errors.apcer["pooled"].errors


def test_shows_the_videos_most_wrong_frame_by_frame(row: Callable[..., Any]) -> None:
    rows = [
        row(f"{name}#{frame}", label, score + frame / 100, video_id=name, frame=frame, species=species)
        for name, label, score, species in (
            ("a1", 0, 0.1, "print-1"),
            ("a2", 0, 0.9, "print-1"),
            ("a3", 0, 0.3, "print-2"),
            ("a4", 0, 0.6, "print-2"),
            ("b1", 1, 0.8, ""),
        )
        for frame in (2, 0)
    ]
    rows += [
        row("b1#1", 1, float("nan"), video_id="b1", frame=1, response=Response.NO_FACE),
        row("single", 1, 0.1),
    ]
    table = ScoreTable.from_scores(rows)
    videos = evaluate_table(table, settings=FIXED).folds[0].videos
    assert [video.id for video in videos] == ["a2", "a4", "a3", "b1"]
    assert videos[0].score == pytest.approx(0.91)
    assert (videos[0].label, videos[0].species, videos[0].frames) == (0, "print-1", (0, 2))
    assert videos[0].scores == pytest.approx((0.9, 0.92))
    assert videos[3].frames == (0, 1, 2)
    assert videos[3].scores == (0.8, None, pytest.approx(0.82))
    by_frame = EvaluationSettings(Threshold(0.5), unit="frame")
    assert evaluate_table(table, settings=by_frame).folds[0].videos == ()


def test_the_frames_have_the_output_that_is_judged(row: Callable[..., Any]) -> None:
    rows = [
        row(
            f"{name}{frame}",
            label,
            0.5,
            video_id=name,
            frame=frame,
            outputs={"pixel": label * 0.8 + frame / 10},
        )
        for name, label in (("a", 0), ("b", 1))
        for frame in range(2)
    ]
    table = ScoreTable.from_scores(rows)
    videos = (
        evaluate_table(table, settings=EvaluationSettings(Threshold(0.5), output="pixel")).folds[0].videos
    )
    assert np.array([video.scores for video in videos]) == pytest.approx(np.array([[0, 0.1], [0.8, 0.9]]))
