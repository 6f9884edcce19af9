import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta, t

from bonaface.core.records import Response
from bonaface.evaluation.aggregate import Samples, to_unit
from bonaface.evaluation.error_rates import Figure, figures_of
from bonaface.evaluation.score_table import ScoreTable
from bonaface.metrics.intervals import clopper_pearson

NO = math.nan
# At 0.5: print-1 1 of 2 accepted, print-2 0 of 1 and one without a response, display-1 2 of 3; bona fide 1 of
# 4 rejected and one without a response.
ROWS = [
    *(("", score) for score in (0.9, 0.8, 0.5, 0.4, NO)),
    *(("print-1", score) for score in (0.6, 0.1)),
    *(("print-2", score) for score in (0.2, NO)),
    *(("display-1", score) for score in (0.5, 0.7, 0.3)),
]


def _samples(row: Callable[..., Any], rows: list[tuple[str, float]] = ROWS, subjects: int = 3) -> Samples:
    return to_unit(
        ScoreTable.from_scores(
            row(
                f"v{number}",
                int(not species),
                score,
                species,
                subject=f"s{number % subjects}" if subjects else "",
                response=Response.NO_FACE if math.isnan(score) else Response.SCORED,
            )
            for number, (species, score) in enumerate(rows)
        )
    )


def _counts(figures: Mapping[str, Figure]) -> dict[str, tuple[int, int]]:
    return {name: (figure.errors, figure.total) for name, figure in figures.items()}


def test_errors_counted_by_hand(row: Callable[..., Any]) -> None:
    found = figures_of(_samples(row), 0.5)
    errors = found.errors
    assert (found.bona_fide, found.attacks, found.subjects) == (5, 7, 3)
    assert _counts(errors.per_species) == {"display-1": (2, 3), "print-1": (1, 2), "print-2": (0, 1)}
    assert _counts(errors.per_category) == {"display": (2, 3), "print": (1, 3)}
    assert _counts(errors.apcer) == {"species": (2, 3), "category": (2, 3), "pooled": (3, 6)}
    assert errors.worst == {"species": "display-1", "category": "display"}
    assert (errors.bpcer.errors, errors.bpcer.total, errors.bpcer.value) == (1, 4, 0.25)
    assert errors.acer["species"].value == (2 / 3 + 1 / 4) / 2
    assert errors.acer["pooled"].value == found.hter.value == (3 / 6 + 1 / 4) / 2


def test_interval_of_a_rate_is_over_subjects(row: Callable[..., Any]) -> None:
    """The attacks v5 to v11 are of the subjects 2, 0, 1, 2 (no response), 0, 1, 2: each has one error of two."""
    found = figures_of(_samples(row), 0.5)
    pooled = found.errors.apcer["pooled"]
    assert (pooled.errors, pooled.total) == (3, 6)
    # The subjects do not differ at all. So a correlation of 0.1, shared among the three, widens, and t with 2 degrees.
    size = 6 / (1 + 0.1 / 3) * (t.ppf(0.975, 5) / t.ppf(0.975, 2)) ** 2
    half = size / 2
    assert pooled.interval == pytest.approx(
        (beta.ppf(0.025, half, half + 1), beta.ppf(0.975, half + 1, half)), rel=1e-6
    )
    alone = figures_of(_samples(row, subjects=0), 0.5).errors
    assert alone.apcer["pooled"].interval == pytest.approx(clopper_pearson(3, 6), rel=1e-9)
    assert alone.bpcer.interval == pytest.approx(clopper_pearson(1, 4), rel=1e-9)


def test_only_attacks_with_one_species_not_scored(row: Callable[..., Any]) -> None:
    """The species last by name and the bona fide are named in the set, but nothing of them is left to draw."""
    rows = [("", NO), ("display-1", 0.6), ("display-1", 0.4), ("print-1", NO)]
    found = figures_of(_samples(row, rows), 0.5)
    assert _counts(found.errors.per_species) == {"display-1": (1, 2), "print-1": (0, 0)}
    assert (found.errors.bpcer.value, found.errors.acer["species"].value) == (None, None)
    assert found.strict.acer["species"].value == (1 / 2 + 1) / 2


def test_non_responses_are_counted_and_then_counted_as_rejected(row: Callable[..., Any]) -> None:
    found = figures_of(_samples(row), 0.5)
    assert _counts(found.apnrr_per_species) == {"display-1": (0, 3), "print-1": (0, 2), "print-2": (1, 2)}
    assert (found.apnrr.errors, found.apnrr.total) == (1, 7)
    assert (found.bpnrr.errors, found.bpnrr.total) == (1, 5)
    assert found.reasons == {"no face": 2}
    assert _counts(found.strict.per_species) == {"display-1": (2, 3), "print-1": (1, 2), "print-2": (0, 2)}
    assert (found.strict.bpcer.errors, found.strict.bpcer.total) == (2, 5)
    assert found.strict.acer["pooled"].value == (3 / 7 + 2 / 5) / 2


def test_strict_errors_equal_errors_without_non_responses(row: Callable[..., Any]) -> None:
    found = figures_of(_samples(row, [r for r in ROWS if not math.isnan(r[1])]), 0.5)
    assert found.strict == found.errors
    assert found.reasons == {}


def test_ranking_counted_by_hand(row: Callable[..., Any]) -> None:
    ranking = figures_of(_samples(row), 0.5).ranking
    # Bona fide 0.9 0.8 0.5 0.4, attacks 0.7 0.6 0.5 0.3 0.2 0.1: of 24 pairs 18 are in order and 1 is a tie.
    assert ranking.auc == pytest.approx((6 + 6 + 3.5 + 3) / 24)
    # Between 0.5 and 0.6 two of four bona fide and two of six attacks are wrong, below 0.5 one and three.
    assert ranking.eer.value == pytest.approx((2 / 4 + 2 / 6) / 2)
    # No species may have one accepted at 10 %, so nothing under 0.7 or at it passes: 0.5 and 0.4 are lost.
    assert all((ranking.bpcer_at[n].errors, ranking.bpcer_at[n].total) == (2, 4) for n in (10, 20, 100))
    # At BPCER 0 the threshold is 0.4: the worst species has 2 of 3.
    assert (ranking.apcer_at_bpcer1.errors, ranking.apcer_at_bpcer1.total) == (2, 3)


@pytest.mark.parametrize("missing", ["attacks", "bona fide"])
def test_a_missing_class_leaves_its_figures_out(row: Callable[..., Any], missing: str) -> None:
    rows = [r for r in ROWS if bool(r[0]) == (missing == "bona fide")]
    found = figures_of(_samples(row, rows), 0.5)
    errors = found.errors
    if missing == "attacks":
        assert errors.apcer["species"] == Figure(None, None, 0, 0)
        assert (errors.per_species, errors.worst) == ({}, {"species": "", "category": ""})
        assert errors.bpcer.value == 0.25
    else:
        assert errors.bpcer == Figure(None, None, 0, 0)
        assert errors.apcer["species"].value == 2 / 3
    assert all(figure.value is None for figure in errors.acer.values())
    assert found.ranking.eer.value is None
    assert found.ranking.auc is None


def test_a_species_that_never_responded_has_no_apcer_and_is_not_the_worst(row: Callable[..., Any]) -> None:
    rows = [*ROWS, ("mask-1", NO), ("mask-1", NO)]
    found = figures_of(_samples(row, rows), 0.5)
    assert found.errors.per_species["mask-1"] == Figure(None, None, 0, 0)
    assert found.errors.worst["species"] == "display-1"
    assert found.apnrr_per_species["mask-1"].value == 1
    assert found.strict.per_species["mask-1"].value == 0


def test_no_presentation_scored(row: Callable[..., Any]) -> None:
    found = figures_of(_samples(row, [("", NO), ("print-1", NO)]), 0.5)
    assert found.errors.bpcer.value is None
    assert found.errors.acer["pooled"].value is None
    assert found.strict.bpcer.value == 1
    assert found.strict.acer["pooled"].value == 0.5


def test_zero_errors_have_an_upper_bound(row: Callable[..., Any]) -> None:
    rows = [("", 0.9)] * 20 + [("print-1", 0.1)] * 40
    found = figures_of(_samples(row, rows, subjects=0), 0.5)
    bona_fide, attacks = clopper_pearson(0, 20).high, clopper_pearson(0, 40).high
    assert found.errors.bpcer.interval == (0.0, pytest.approx(bona_fide))
    # Independent rates: the ends are recovered by Pythagoras.
    together = math.hypot(bona_fide, attacks) / 2
    for figure in (found.errors.acer["species"], found.hter):
        assert (figure.value, figure.interval) == (0, (0.0, pytest.approx(together)))
    # The variance of the mean of two shares is that of one share of 4 / (1 / 20 + 1 / 40) presentations.
    expected = 1 - 0.025 ** (1 / (4 / (1 / 20 + 1 / 40)))
    assert found.ranking.eer.interval == (0.0, pytest.approx(expected, rel=0.02))


def test_intervals_hold_their_figure_and_widen_with_fewer_subjects(drawn: Callable[..., Any]) -> None:
    samples = to_unit(drawn(seed=9))
    found = figures_of(samples, 0.5)
    every = [*found.errors.acer.values(), *found.errors.apcer.values(), found.ranking.eer, found.errors.bpcer]
    for figure in every:
        assert figure.interval.low <= figure.value <= figure.interval.high
    # The same videos as those of few people, each with one outcome, say less.
    wrong = (samples.scores >= 0.5) != (samples.labels == 1)
    order = np.argsort(wrong, kind="stable")
    owners = np.empty(len(samples), dtype=np.int64)
    owners[order] = np.arange(len(samples)) // 10
    few = figures_of(type(samples)(**{**_fields(samples), "subjects": owners}), 0.5)
    width, wider = (f.hter.interval.high - f.hter.interval.low for f in (found, few))
    assert wider > 1.5 * width


def _fields(samples: Samples) -> dict[str, Any]:
    return {name: getattr(samples, name) for name in samples.__slots__}


def test_notes_unnamed_subjects(row: Callable[..., Any]) -> None:
    assert figures_of(_samples(row, subjects=0), 0.5).subjects is None
