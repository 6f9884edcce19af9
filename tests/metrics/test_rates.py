import math
from typing import Any

import numpy as np
import pytest

from bonaface.core.errors import InputError
from bonaface.metrics import rates
from bonaface.metrics.checks import Groups
from bonaface.metrics.rates import Rate

# Counted by hand at the threshold 0.5: print-1 1 of 2 accepted, print-2 0 of 1, display-1 2 of 3 (one sits
# on the threshold and is accepted), bona fide 1 of 4 rejected.
LABELS = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
SPECIES = ["", "", "", "", "print-1", "print-1", "print-2", "display-1", "display-1", "display-1"]
SCORES = [0.9, 0.8, 0.5, 0.4, 0.6, 0.1, 0.2, 0.5, 0.7, 0.3]


def test_rates_counted_by_hand() -> None:
    per_species = rates.apcer_per_species(LABELS, SPECIES, SCORES, 0.5)
    assert per_species == {"display-1": Rate(2, 3), "print-1": Rate(1, 2), "print-2": Rate(0, 1)}
    assert rates.apcer(LABELS, SCORES, 0.5) == Rate(3, 6)
    assert rates.bpcer(LABELS, SCORES, 0.5) == Rate(1, 4)
    assert rates.category_apcer(LABELS, SPECIES, SCORES, 0.5) == {"display": Rate(2, 3), "print": Rate(1, 3)}
    assert rates.worst(per_species) == ("display-1", Rate(2, 3))
    assert rates.worst_apcer(LABELS, SPECIES, SCORES, 0.5) == Rate(2, 3)
    assert rates.acer_at(LABELS, SCORES, 0.5) == (3 / 6 + 1 / 4) / 2
    assert rates.hter(LABELS, SCORES, 0.5) == (3 / 6 + 1 / 4) / 2
    assert rates.acer(Rate(2, 3), Rate(1, 4)) == (2 / 3 + 1 / 4) / 2


def test_a_category_ends_at_the_first_hyphen() -> None:
    assert [rates.category(name) for name in ("print-1", "print-a-4", "mask")] == ["print", "print", "mask"]
    parts = {"print-a-4": Rate(1, 2), "print-1": Rate(0, 3), "mask": Rate(1, 1)}
    assert rates.by_category(parts) == {"mask": Rate(1, 1), "print": Rate(1, 5)}


def test_numbered_species_give_the_same_rates() -> None:
    groups = Groups(("display-1", "print-1", "print-2"), np.array([-1] * 4 + [1, 1, 2, 0, 0, 0]))
    by_name = rates.apcer_per_species(LABELS, SPECIES, SCORES, 0.5)
    assert rates.apcer_per_species(LABELS, groups, SCORES, 0.5) == by_name


def test_thresholds_beyond_all_scores() -> None:
    assert rates.apcer(LABELS, SCORES, -math.inf) == Rate(6, 6)
    assert rates.bpcer(LABELS, SCORES, -math.inf) == Rate(0, 4)
    assert rates.apcer(LABELS, SCORES, math.inf) == Rate(0, 6)
    assert rates.bpcer(LABELS, SCORES, math.inf) == Rate(4, 4)


def test_rate_of_zero_presentations_is_nan() -> None:
    assert math.isnan(Rate(0, 0).value)
    assert Rate(0, 0).interval() == (0.0, 1.0)
    assert rates.apcer([1, 1], [0.1, 0.2], 0.5) == Rate(0, 0)
    assert rates.apcer_per_species([1], [""], [0.1], 0.5) == {}
    assert rates.worst({}) == ("", Rate(0, 0))
    assert rates.worst({"a": Rate(0, 0), "b": Rate(0, 5)}) == ("b", Rate(0, 5))
    assert math.isnan(rates.acer(Rate(0, 0), Rate(0, 3)))
    with pytest.raises(InputError, match="needs both classes, but there is no attack among the 2"):
        rates.acer_at([1, 1], [0.1, 0.2], 0.5)


def test_the_interval_by_name() -> None:
    assert Rate(1, 20).interval() == Rate(1, 20).interval("clopper-pearson")
    assert Rate(1, 20).interval("wilson") != Rate(1, 20).interval("clopper-pearson")


@pytest.mark.parametrize(("errors", "total"), [(-1, 3), (4, 3)])
def test_rejects_impossible_rates(errors: int, total: int) -> None:
    with pytest.raises(InputError, match="0 <= errors <= total"):
        Rate(errors, total)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1], [0.1], r"same length \(N,\), got \(2,\) and \(1,\)"),
        ([[0, 1]], [[0.1, 0.2]], r"same length"),
        ([], [], "no scores to measure"),
        ([0, 2], [0.1, 0.2], r"1 \(bona fide\) or 0 \(attack\), got 2 in row 1"),
        ([0, -1, 1], [0.1, 0.2, 0.3], "got -1 in row 1"),
        ([0, 1, 1], [0.1, 0.2, math.nan], "finite number, got nan in row 2"),
        ([0, 1, 1], [0.1, -math.inf, math.nan], "got -inf in row 1"),
    ],
)
def test_rejects_bad_arrays_and_names_the_row(labels: list[Any], scores: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        rates.apcer(labels, scores, 0.5)


def test_attacks_need_a_species_and_thresholds_a_number() -> None:
    with pytest.raises(InputError, match="every attack needs a species, row 2 has none"):
        rates.apcer_per_species([0, 1, 0], ["print-1", "", ""], [0.1, 0.2, 0.3], 0.5)
    with pytest.raises(InputError, match="every attack needs a species, row 0 has none"):
        rates.apcer_per_species([0, 1], Groups((), np.array([-1, -1])), [0.1, 0.2], 0.5)
    with pytest.raises(InputError, match="one entry a label"):
        rates.apcer_per_species([0, 1], ["print-1"], [0.1, 0.2], 0.5)
    for figure in (rates.apcer, rates.bpcer):
        with pytest.raises(InputError, match="threshold must be a number, got NaN"):
            figure([0, 1], [0.1, 0.2], math.nan)
