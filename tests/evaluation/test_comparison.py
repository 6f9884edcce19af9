import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, t

from bonaface.core.errors import InputError
from bonaface.core.records import Score
from bonaface.evaluation import EvaluationSettings, ScoreTable, Threshold
from bonaface.evaluation.aggregate import to_unit
from bonaface.evaluation.columns import Text
from bonaface.evaluation.comparison import COMPARED, Difference, compare_tables
from bonaface.evaluation.report import evaluate_table, headline

HALF = EvaluationSettings(Threshold(0.5))


def test_flips_and_mcnemar_by_hand(row: Callable[..., Any]) -> None:
    first = [row("a", 1, 0.9), row("b", 1, 0.4), row("c", 0, 0.6), row("d", 0, 0.7), row("e", 0, 0.1)]
    second = [row("a", 1, 0.9), row("b", 1, 0.8), row("c", 0, 0.2), row("d", 0, 0.3), row("e", 0, 0.9)]
    found = compare_tables(
        ScoreTable.from_scores(first),
        ScoreTable.from_scores(second[::-1]),
        settings=HALF,
        names=("x", "y"),
    )
    assert [(flip.id, flip.right, flip.first, flip.second) for flip in found.flips] == [
        ("b", "second", 0.4, 0.8),
        ("c", "second", 0.6, 0.2),
        ("d", "second", 0.7, 0.3),
        ("e", "first", 0.1, 0.9),
    ]
    tests = {kind: (test.only_first, test.only_second, test.p) for kind, test in found.mcnemar.items()}
    assert tests == {
        "attacks": (2, 1, 1.0),
        "bona fide": (1, 0, 1.0),
        "all": (3, 1, pytest.approx(binomtest(1, 4).pvalue)),
    }
    assert found.differences["bpcer"].difference == 0.5
    assert found.differences["apcer_pooled"].difference == pytest.approx(2 / 3 - 1 / 3)


def test_each_figure_is_that_of_the_systems_own_report(
    drawn: Callable[..., Any], noisy: Callable[..., Any]
) -> None:
    first = drawn()
    second = noisy(first, 1)
    found = compare_tables(first, second)
    for table, side in ((first, "first"), (second, "second")):
        fold = evaluate_table(table).folds[0]
        for name in COMPARED:
            assert getattr(found.differences[name], side) == headline(fold.test)[name].value
    for difference in found.differences.values():
        assert difference.difference == difference.first - difference.second
        assert difference.interval.low <= difference.difference <= difference.interval.high


def test_system_compared_with_itself_shows_no_difference(drawn: Callable[..., Any]) -> None:
    found = compare_tables(drawn(), drawn())
    assert found.flips == ()
    assert all(test.p == 1 for test in found.mcnemar.values())
    samples = to_unit(drawn().where("split", "test")).scored()
    bona_fide = int(samples.labels.sum())
    # No disagreement in n presentations: up to -ln(0.025) / n of them may yet be decided differently.
    assert found.differences["bpcer"].interval.high == pytest.approx(-math.log(0.025) / bona_fide)
    for difference in found.differences.values():
        assert difference.difference == 0
        assert difference.interval.low == -difference.interval.high < 0


def test_pairing_narrows_the_interval_in_any_row_order(
    drawn: Callable[..., Any], noisy: Callable[..., Any]
) -> None:
    """Subjects differ much more than the systems: the interval of the unpaired difference would be wide."""
    first = drawn(videos=400)
    second = noisy(first, 2, 0.02)
    shuffled = ScoreTable(second.data.take(np.random.default_rng(0).permutation(len(second))))
    paired = compare_tables(first, second, settings=HALF)
    again = compare_tables(first, shuffled, settings=HALF)
    assert again.differences == paired.differences
    assert again.mcnemar == paired.mcnemar
    acer = paired.differences["acer_pooled"].interval
    alone = evaluate_table(first, settings=HALF).folds[0].test.hter.interval
    assert acer.high - acer.low < 0.7 * (alone.high - alone.low)


def test_the_interval_agrees_with_a_plain_bootstrap(
    drawn: Callable[..., Any], noisy: Callable[..., Any]
) -> None:
    """The spread of the paired difference of ACER is that of whole subjects drawn again and again."""
    first = drawn(videos=800, frames=1)
    second = noisy(first, 3)
    found = compare_tables(first, second, settings=HALF).differences["acer_pooled"]
    one, two = (to_unit(table.where("split", "test")) for table in (first, second))
    scored = ~np.isnan(one.scores) & ~np.isnan(two.scores)
    rng = np.random.default_rng(99)
    people = np.unique(one.subjects)
    differences = []
    for _ in range(1000):
        rows = np.concatenate(
            [np.flatnonzero(scored & (one.subjects == p)) for p in rng.choice(people, people.size)]
        )
        real = one.labels[rows] == 1
        errors = [(s.scores[rows] >= 0.5) != real for s in (one, two)]
        acers = [(wrong[real].mean() + wrong[~real].mean()) / 2 for wrong in errors]
        differences.append(acers[0] - acers[1])
    half = t.ppf(0.975, people.size - 1) * np.std(differences) * math.sqrt(people.size / (people.size - 1))
    assert found.interval.high - found.difference == pytest.approx(half, rel=0.08)
    assert found.difference - found.interval.low == pytest.approx(half, rel=0.08)


def test_subject_in_several_folds_counts_once(drawn: Callable[..., Any], noisy: Callable[..., Any]) -> None:
    """The same presentations as two folds say no more than once; other people's presentations do."""
    first, second = drawn(seed=1), noisy(drawn(seed=1), 1)

    def half(*folds: str) -> float:
        tables = [
            ScoreTable.from_tables([_renamed(table, str(n), prefix) for n, prefix in enumerate(folds)])
            for table in (first, second)
        ]
        bounds = compare_tables(*tables, settings=HALF).differences["acer_pooled"].interval
        return float(bounds.high - bounds.low)

    assert half("", "") == pytest.approx(half(""), rel=1e-9)
    # Twice as many people: the root of 2, and t with 23 degrees of freedom in place of 11.
    ratio = t.ppf(0.975, 23) / t.ppf(0.975, 11) / math.sqrt(2)
    assert half("", "other ") == pytest.approx(ratio * half(""), rel=0.05)


def test_folds_are_averaged(drawn: Callable[..., Any], noisy: Callable[..., Any]) -> None:
    pairs = [(drawn(seed=n, fold=str(n)), noisy(drawn(seed=n, fold=str(n)), n)) for n in (1, 2)]
    whole = compare_tables(*(ScoreTable.from_tables([pair[side] for pair in pairs]) for side in (0, 1)))
    apart = [compare_tables(*pair) for pair in pairs]
    for name in COMPARED:
        expected = np.mean([one.differences[name].difference for one in apart])
        assert whole.differences[name].difference == pytest.approx(expected)
    assert len(whole.flips) == sum(len(one.flips) for one in apart)
    assert set(whole.thresholds) == {"1", "2"}


def test_leaves_out_presentations_that_one_system_did_not_score(row: Callable[..., Any]) -> None:
    first = [row("a", 1, 0.9), row("b", 0, 0.4), row("c", 0, 0.6), row("d", 1, 0.2)]
    second = [row("a", 1, 0.9), row("b", 0, math.nan, response="no face"), row("c", 0, 0.2), row("d", 1, 0.2)]
    found = compare_tables(ScoreTable.from_scores(first), ScoreTable.from_scores(second), settings=HALF)
    assert (found.presentations, found.left_out) == (3, 1)


def test_rejects_other_presentations_labels_or_folds(row: Callable[..., Any]) -> None:
    def refused(second: list[Score], message: str) -> None:
        first = [row("a", 1, 0.9), row("b", 0, 0.4)]
        with pytest.raises(InputError, match=message):
            compare_tables(ScoreTable.from_scores(first), ScoreTable.from_scores(second), settings=HALF)

    refused([row("a", 1, 0.9), row("c", 0, 0.4)], "2 of them are in one table only, 'b' for one")
    refused([row("a", 0, 0.9), row("b", 0, 0.4)], "give 'a' different labels, 1 and 0")
    refused([row("a", 1, 0.9), row("b", 0, 0.4, "mask-1")], "give 'b' different species, print-1 and mask-1")
    refused([row("a", 1, 0.9, fold="1"), row("b", 0, 0.4, fold="1")], "the same folds, got '' and '1'")


def _renamed(table: ScoreTable, fold: str, prefix: str) -> ScoreTable:
    """`table` as the fold `fold`, its subjects' names with `prefix` before them."""
    data = table.data
    data = data.replaced("subject", data.text("subject").changed(lambda name: prefix + name))
    return ScoreTable(data.replaced("fold", Text.filled(fold, len(table))))


def test_rejects_pairing_by_row_position(tmp_path: Path) -> None:
    """The same scores in another order: paired by position, 42 decisions would differ."""
    rows = [(f"p{n}", n % 2, n / 60) for n in range(60)]
    tables = {}
    for name in ("filename", "who"):
        for side, ordered in (("a", rows), ("b", rows[::-1])):
            path = tmp_path / f"{name}-{side}.csv"
            path.write_text(f"{name},label,score\n" + "".join(f"{i},{y},{x}\n" for i, y, x in ordered))
            tables[name, side] = path
    read = {key: ScoreTable.read(path) for key, path in tables.items()}
    found = compare_tables(read["filename", "a"], read["filename", "b"], settings=HALF)
    assert (found.presentations, found.flips) == (60, ())
    with pytest.raises(InputError, match=r"nothing in the table B names .* --map sample_id=COLUMN"):
        compare_tables(read["filename", "a"], read["who", "b"], settings=HALF)
    mapped = [ScoreTable.read(tables["who", side], mapping={"sample_id": "who"}) for side in "ab"]
    assert compare_tables(*mapped, settings=HALF).flips == ()


def test_the_order_of_a_folds_rows_changes_no_interval(
    drawn: Callable[..., Any], noisy: Callable[..., Any]
) -> None:
    """A person is the same in both folds, in whatever order these name people."""
    first = [drawn(seed=number, videos=100, frames=1, fold=str(number)) for number in (1, 2)]
    second = [noisy(table, seed=5, sigma=0.3) for table in first]

    def compared(order: slice) -> Mapping[str, Difference]:
        tables = [
            ScoreTable.from_tables([one, ScoreTable(two.data.take(np.arange(len(two))[order]))])
            for one, two in (first, second)
        ]
        return compare_tables(*tables).differences

    plain, turned = compared(slice(None)), compared(slice(None, None, -1))
    assert plain["acer_pooled"].interval == pytest.approx(turned["acer_pooled"].interval, abs=1e-12)
