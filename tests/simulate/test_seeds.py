from typing import Any

import numpy as np
import pytest

from bonaface.simulate.seeds import by_ratio, stream


def test_the_same_names_give_the_same_numbers() -> None:
    assert stream(1, "person", 3).random(4).tolist() == stream(1, "person", 3).random(4).tolist()


@pytest.mark.parametrize(
    "other",
    [
        (2, "person", 3),
        (1, "person", 4),
        (1, "persons", 3),
        (1, "person"),
        (1, 3, "person"),
        (1, "person", 3, 0),
    ],
)
def test_other_names_give_other_numbers(other: tuple[Any, ...]) -> None:
    assert stream(1, "person", 3).random() != stream(*other).random()


def test_a_text_and_its_number_give_different_streams() -> None:
    # blake2b("x") as a number must not name the same stream as "x"
    from hashlib import blake2b

    number = int.from_bytes(blake2b(b"x", digest_size=4).digest(), "little")
    assert stream(0, "x").random() != stream(0, number).random()


def test_streams_are_uncorrelated() -> None:
    draws = np.array([stream(0, "person", number).standard_normal(200) for number in range(50)])
    between = np.corrcoef(draws)[np.triu_indices(50, 1)]
    assert np.abs(between).max() < 0.35
    assert abs(between.mean()) < 0.01


def test_streams_are_the_same_on_all_machines() -> None:
    assert stream(0, "person", 1).integers(0, 1000, 4).tolist() == [660, 481, 141, 224]


def test_by_ratio_half_of_the_numbers_lie_under_the_geometric_mean() -> None:
    drawn = np.array([by_ratio(stream(0, "ratio", n), 2.0, 32.0) for n in range(2000)])
    assert 2.0 <= drawn.min() < 2.1
    assert 31.0 < drawn.max() < 32.0
    assert np.mean(drawn < 8.0) == pytest.approx(0.5, abs=0.04)
    assert np.mean(drawn < 4.0) == pytest.approx(0.25, abs=0.04)
