import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bonaface.evaluation import EvaluationSettings, ScoreTable, Threshold, evaluate_table
from bonaface.evaluation.report import Report
from bonaface.evaluation.report_json import ReportFile

FIXED = EvaluationSettings(Threshold(0.55))


def _rewritten(plain: dict[str, Any]) -> Any:
    """Return `plain` after it was read as a `ReportFile` and written again."""
    record = msgspec.json.decode(json.dumps(plain, allow_nan=False), type=ReportFile)
    return json.loads(msgspec.json.encode(record))


def _assert_nothing_is_lost(report: Report) -> None:
    plain = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert _rewritten(plain) == plain


@pytest.mark.parametrize("unit", ["video", "frame"])
def test_reads_folds_with_dev_and_non_responses(drawn: Callable[..., Any], unit: Any) -> None:
    table = ScoreTable.from_tables([drawn(seed=number, fold=str(number)) for number in (1, 2)])
    report = evaluate_table(
        table,
        settings=EvaluationSettings(unit=unit, aggregation="median"),
        system="ours",
        trained_on="oulu-npu/1",
    )
    assert report.folds[0].test.reasons
    assert report.folds[0].dev is not None
    _assert_nothing_is_lost(report)


def test_reads_a_warning_and_presentations_of_training(drawn: Callable[..., Any]) -> None:
    report = evaluate_table(
        drawn().where("split", "test"), settings=EvaluationSettings("test"), seen_in_training=3
    )
    assert report.warning
    _assert_nothing_is_lost(report)


def test_reads_notes_and_pictures(drawn: Callable[..., Any]) -> None:
    table = drawn(frames=1)
    report = evaluate_table(ScoreTable(table.data, notes=("labels were words",)))
    assert report.notes
    assert report.pictures
    _assert_nothing_is_lost(report)


@pytest.mark.parametrize("label", [0, 1])
def test_reads_one_class(row: Callable[..., Any], label: int) -> None:
    rows = [row(f"a{n}", label, n / 10) for n in range(10)]
    _assert_nothing_is_lost(evaluate_table(ScoreTable.from_scores(rows), settings=FIXED))


def test_rejects_what_no_report_says(row: Callable[..., Any]) -> None:
    rows = [row("a", 0, 0.6), row("b", 1, 0.9)]
    plain = evaluate_table(ScoreTable.from_scores(rows), settings=FIXED).as_dict()
    test = plain["folds"][0]["test"]
    wrong: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (plain, {"format": 1}),
        (plain, {"level": 0.9}),
        (plain, {"folds": []}),
        (plain, {"extra": 1}),
        (plain["folds"][0]["threshold"], {"unit": "subject"}),
        (test, {"attacks": -1}),
        (test["hter"], {"value": 1.5}),
        (test["ranking"]["bpcer_at"], {"50": test["hter"]}),
    ]
    for part, change in wrong:
        before = dict(part)
        part.update(change)
        with pytest.raises(msgspec.ValidationError):
            _rewritten(plain)
        part.clear()
        part.update(before)
    _rewritten(plain)
