"""The score of a video against numpy and exact fractions, in any order of the frames."""

import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonaface.core.errors import UnknownNameError
from bonaface.metrics.videos import AGGREGATIONS, Aggregation, video_scores

FRAMES = st.lists(
    st.tuples(st.integers(0, 4), st.one_of(st.floats(0, 1), st.just(float("nan")))), min_size=1, max_size=40
)
BY_NUMPY = {"mean": np.mean, "median": np.median, "min": np.min, "std": np.std}


@given(FRAMES, st.sampled_from(AGGREGATIONS))
def test_aggregations_agree_with_numpy(frames: list[tuple[int, float]], aggregation: Aggregation) -> None:
    videos, scores = (np.array(column) for column in zip(*frames, strict=True))
    given_scores = video_scores(videos, scores, aggregation, count=6)
    for video in range(6):
        own = scores[(videos == video) & ~np.isnan(scores)]
        if own.size:
            assert given_scores[video] == pytest.approx(
                BY_NUMPY[aggregation](own), rel=1e-12, abs=1e-15 if aggregation == "std" else 1e-300
            )
        else:
            assert np.isnan(given_scores[video])


@given(FRAMES, st.randoms(use_true_random=False))
def test_video_scores_do_not_depend_on_frame_order(frames: list[tuple[int, float]], random: object) -> None:
    shuffled = list(frames)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for aggregation in AGGREGATIONS:
        columns = [tuple(zip(*rows, strict=True)) for rows in (frames, shuffled)]
        one, two = (video_scores(videos, scores, aggregation, count=5) for videos, scores in columns)
        assert one.tobytes() == two.tobytes()


def test_a_plain_sum_would_depend_on_the_order() -> None:
    """Ten scores in hundredths, summed from left to right, give two different means in two orders."""
    scores = np.array([0.1, 0.7, 0.2, 0.9, 0.3, 0.6, 0.01, 0.33, 0.57, 0.99])
    plain = {float(sum(np.random.default_rng(seed).permutation(scores))) for seed in range(20)}
    exact = {
        float(video_scores(np.zeros(10, int), np.random.default_rng(seed).permutation(scores))[0])
        for seed in range(20)
    }
    assert len(plain) > 1
    (value,) = exact
    assert value == pytest.approx(float(sum(map(Fraction, scores.tolist())) / 10), rel=2.3e-16)


@given(st.floats(0, 1), st.integers(1, 30))
def test_equal_scores_have_exactly_their_value_for_mean(score: float, frames: int) -> None:
    for aggregation in AGGREGATIONS:
        expected = 0.0 if aggregation == "std" else score
        assert video_scores([0] * frames, [score] * frames, aggregation).tolist() == [expected]


def test_deviation_by_hand() -> None:
    assert video_scores([0, 1, 0, 0], [0.1, 0.7, 0.4, 0.1], "std").tolist() == pytest.approx([0.02**0.5, 0.0])


def test_no_frames_give_no_videos() -> None:
    assert video_scores([], []).shape == (0,)
    assert np.isnan(video_scores([], [], count=2)).all()


def test_rejects_an_unknown_aggregation() -> None:
    with pytest.raises(UnknownNameError, match=r"aggregation of a video's frames 'max'.*Known: "):
        video_scores([0], [0.5], "max")  # type: ignore[arg-type]


def test_a_million_frames_take_seconds_at_most() -> None:
    rng = np.random.default_rng(0)
    videos, scores = rng.integers(0, 50_000, 1_000_000), rng.random(1_000_000)
    begin = time.process_time()
    video_scores(videos, scores)
    assert time.process_time() - begin < 5
