from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import bootstrap as scipy_bootstrap

from bonaface.core.errors import InputError
from bonaface.metrics.bootstrap import bootstrap_counts, bootstrap_eer, percentile_interval
from bonaface.metrics.curves import eer


def _drawn(
    seed: int, size: int, people: int, digits: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size)
    labels[:2] = [0, 1]
    return labels, np.round(rng.normal(labels, 1.0), digits), rng.integers(0, people, size)


def _draws(people: int, rounds: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """What the module promises to draw, written down once more: S subjects, S times, with replacement."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        yield np.bincount(rng.integers(0, people, size=people, dtype=np.int32), minlength=people)


@pytest.mark.parametrize(
    ("seed", "size", "people", "digits"),
    [
        (0, 30, 4, 0),
        (1, 300, 25, 1),
        (2, 2000, 40, 6),
        (3, 500, 500, 3),
        (4, 12, 2, 2),
        (5, 400, 10, -1),
    ],
)
def test_every_round_equals_the_eer_of_the_repeated_presentations(
    seed: int, size: int, people: int, digits: int
) -> None:
    labels, scores, subjects = _drawn(seed, size, people, digits)
    names, owner = np.unique(subjects, return_inverse=True)
    rounds = bootstrap_eer(labels, scores, subjects, rounds=40, seed=11)
    for weights, got in zip(_draws(names.size, 40, 11), rounds, strict=True):
        times = weights[owner]
        truth, values = np.repeat(labels, times), np.repeat(scores, times)
        expected = eer(truth, values) if 0 < truth.sum() < truth.size else np.nan
        assert got == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_counts_equal_those_of_the_repeated_presentations() -> None:
    labels, scores, subjects = _drawn(6, 200, 15, 3)
    wrong = (scores >= 0.5) != (labels == 1)
    errors, totals = bootstrap_counts(labels, wrong, subjects, rounds=25, seed=3)
    assert errors.shape == totals.shape == (25, 2)
    for weights, failed, total in zip(_draws(15, 25, 3), errors, totals, strict=True):
        times = weights[subjects]
        for group in (0, 1):
            assert total[group] == times[labels == group].sum()
            assert failed[group] == times[(labels == group) & wrong].sum()


def test_interval_agrees_with_scipys_percentile_bootstrap() -> None:
    """One presentation a subject, one class: scipy's own resampling of the error rate must be near ours."""
    rng = np.random.default_rng(8)
    wrong = rng.random(300) < 0.2
    errors, totals = bootstrap_counts(np.zeros(300, dtype=int), wrong, np.arange(300), rounds=4000, seed=1)
    ours = percentile_interval(errors[:, 0] / totals[:, 0])
    theirs = scipy_bootstrap((wrong.astype(float),), np.mean, n_resamples=4000, method="percentile", rng=2)
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.005)


def test_subjects_widen_the_interval() -> None:
    """Ten people whose presentations all go wrong or all go right are ten facts, not five hundred."""
    subjects = np.repeat(np.arange(10), 50)
    wrong = np.isin(subjects, [0, 1, 2])
    group = np.zeros(500, dtype=int)

    def width(owner: NDArray[np.int64]) -> float:
        errors, totals = bootstrap_counts(group, wrong, owner, rounds=500)
        interval = percentile_interval(errors[:, 0] / totals[:, 0])
        return interval.high - interval.low

    assert width(subjects) > 5 * width(np.arange(500))


def test_the_seed_decides_and_systems_are_paired() -> None:
    labels, scores, subjects = _drawn(9, 300, 20, 6)
    first = bootstrap_eer(labels, scores, subjects, rounds=50, seed=1)
    assert first.tolist() == bootstrap_eer(labels, scores, subjects, rounds=50, seed=1).tolist()
    assert first.tolist() != bootstrap_eer(labels, scores, subjects, rounds=50, seed=2).tolist()
    twin = bootstrap_eer(labels, 3 * scores + 1, subjects, rounds=50, seed=1)
    assert np.abs(first - twin).max() < 1e-12


def test_subjects_may_be_names() -> None:
    labels, scores, subjects = _drawn(10, 100, 9, 2)
    named = np.array([f"client{n:03}" for n in subjects])
    assert (
        bootstrap_eer(labels, scores, named, 20).tolist()
        == bootstrap_eer(labels, scores, subjects, 20).tolist()
    )


def test_rounds_without_a_class_are_nan_and_left_out() -> None:
    rounds = bootstrap_eer([0, 1], [0.2, 0.8], ["a", "b"], rounds=100, seed=0)
    assert 0 < np.isnan(rounds).sum() < 100
    assert percentile_interval(rounds) == (0.0, 0.0)
    assert percentile_interval([np.nan, np.nan]) == (0.0, 1.0)


def test_what_cannot_be_resampled_is_refused() -> None:
    with pytest.raises(InputError, match="one entry a presentation"):
        bootstrap_eer([0, 1], [0.1, 0.2], ["a"])
    with pytest.raises(InputError, match="at least one round, got 0"):
        bootstrap_eer([0, 1], [0.1, 0.2], ["a", "b"], rounds=0)
    with pytest.raises(InputError, match="needs both classes"):
        bootstrap_eer([1, 1], [0.1, 0.2], ["a", "b"])
