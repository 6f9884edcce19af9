import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import jsonschema
import msgspec
import pytest

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.evaluation import EvaluationSettings, Rule, ScoreTable, Threshold, evaluate_table
from bonaface.evaluation.aggregate import Samples, Unit, to_unit
from bonaface.evaluation.columns import Text
from bonaface.evaluation.render.html import html
from bonaface.evaluation.report import Report, headline, joined
from bonaface.evaluation.report_json import ReportFile
from bonaface.metrics.rates import acer_at
from bonaface.metrics.thresholds import bpcer_threshold, eer_threshold

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text())


def _check(report: Report) -> dict[str, Any]:
    text = json.dumps(report.as_dict(), allow_nan=False)
    plain = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(plain)
    assert json.loads(msgspec.json.encode(msgspec.json.decode(text, type=ReportFile))) == plain
    return plain


def _heard(table: ScoreTable, split: str, unit: Unit = "video") -> Samples:
    return to_unit(table.where("split", split), unit).scored()


@pytest.mark.parametrize("unit", ["video", "frame"])
def test_the_dev_threshold_is_applied_to_test_unchanged(drawn: Callable[..., Any], unit: Unit) -> None:
    table = drawn()
    report = evaluate_table(table, settings=EvaluationSettings(unit=unit), system="ours")
    dev, test = (_heard(table, split, unit) for split in ("dev", "test"))
    fold = report.folds[0]
    assert fold.threshold.value == eer_threshold(dev.labels, dev.scores)
    assert str(fold.threshold).endswith(f"(EER of dev set of oulu-npu/1, by {unit})")
    assert fold.test.hter.value == acer_at(test.labels, test.scores, fold.threshold.value)
    assert fold.dev.ranking.eer.value == pytest.approx(fold.dev.hter.value, abs=0.01)
    assert (report.system, report.dataset, report.protocol, report.unit) == ("ours", "oulu-npu", "1", unit)
    assert report.warning == ""
    _check(report)


def test_threshold_by_other_rules_and_by_number(drawn: Callable[..., Any]) -> None:
    table = drawn()
    dev = _heard(table, "dev")
    report = evaluate_table(table, settings=EvaluationSettings(rule=Rule("bpcer", 0.05)))
    assert report.folds[0].threshold.value == bpcer_threshold(dev.labels, dev.scores, 0.05)
    report = evaluate_table(table, settings=EvaluationSettings(Threshold(0.5)))
    assert report.folds[0].threshold == Threshold(0.5)


def test_threshold_from_test_must_be_asked_for_and_is_warned_of(
    drawn: Callable[..., Any],
) -> None:
    table = drawn().where("split", "test")
    with pytest.raises(InputError, match=r"no dev scores of oulu-npu/1 .*--threshold-from test"):
        evaluate_table(table)
    report = evaluate_table(table, settings=EvaluationSettings("test"))
    samples = to_unit(table).scored()
    assert report.folds[0].threshold.value == eer_threshold(samples.labels, samples.scores)
    assert report.folds[0].threshold.from_test
    assert report.warning.startswith("THE THRESHOLD WAS TAKEN FROM THE TEST SCORES")
    plain = _check(report)
    assert next(iter(plain)) == "warning"


def test_warns_of_simulated_presentations(drawn: Callable[..., Any]) -> None:
    data = drawn().data
    named = data.replaced("dataset", Text.filled("simulated-oulu-npu", len(data)))
    report = evaluate_table(ScoreTable(named))
    assert report.warning.startswith("THE PRESENTATIONS WERE SIMULATED")
    assert next(iter(_check(report))) == "warning"
    assert report.warning in html(report).splitlines()[0]
    both = evaluate_table(ScoreTable(named), settings=EvaluationSettings("test")).warning
    assert both.startswith("THE THRESHOLD WAS TAKEN")
    assert both.endswith(report.warning)


def test_dev_scores_from_another_table(drawn: Callable[..., Any]) -> None:
    table, other = drawn(), drawn(seed=1)
    test_only = table.where("split", "test")
    dev = _heard(other, "dev")
    report = evaluate_table(test_only, dev=other)
    assert report.folds[0].threshold.value == eer_threshold(dev.labels, dev.scores)
    # A table that does not name its dev rows is dev as a whole.
    unnamed = other.where("split", "test")
    everything = to_unit(unnamed).scored()
    report = evaluate_table(test_only, dev=unnamed)
    assert report.folds[0].threshold.value == eer_threshold(everything.labels, everything.scores)


def test_test_scores_given_as_dev_are_refused_as_such(drawn: Callable[..., Any]) -> None:
    test_only = drawn().where("split", "test")
    with pytest.raises(
        InputError, match=r"dev scores of oulu-npu/1 are the test scores themselves.*--threshold-from"
    ):
        evaluate_table(test_only, dev=test_only)
    named = evaluate_table(test_only, dev=test_only, settings=EvaluationSettings("test"))
    assert named.warning.startswith("THE THRESHOLD WAS TAKEN")


def test_a_threshold_of_the_other_unit_is_refused() -> None:
    with pytest.raises(InputError, match="was set on frames but videos are judged"):
        EvaluationSettings(Threshold(0.5, "EER", "dev", "frame"), unit="video")
    with pytest.raises(UnknownNameError, match=r"unknown set to take a threshold from 'train'.*dev, test"):
        EvaluationSettings("train")  # type: ignore[arg-type]


def _folds(
    drawn: Callable[..., Any], numbers: tuple[Any, ...] = (1, 2, 3)
) -> tuple[list[ScoreTable], ScoreTable]:
    tables = [drawn(seed=number, fold=str(number), shift=number / 20) for number in numbers]
    return tables, ScoreTable.from_tables(tables)


def test_folds_have_their_own_thresholds_and_a_mean(drawn: Callable[..., Any]) -> None:
    tables, table = _folds(drawn)
    report = evaluate_table(table)
    alone = [evaluate_table(one) for one in tables]
    assert [fold.name for fold in report.folds] == ["1", "2", "3"]
    assert [fold.threshold.value for fold in report.folds] == [one.folds[0].threshold.value for one in alone]
    assert report.folds[1].threshold.data == "dev set of oulu-npu/1, fold 2"
    for name in ("acer_species", "hter", "eer", "bpcer"):
        values = [headline(fold.test)[name].value for fold in report.folds]
        assert report.summary[name].mean == pytest.approx(mean(values))
        assert report.summary[name].sd == pytest.approx(stdev(values))
        assert report.summary[name].n == 3
    assert joined(alone).folds == report.folds
    _check(report)


def test_rejects_joining_other_systems_or_equal_folds(drawn: Callable[..., Any]) -> None:
    tables, _ = _folds(drawn, (1, 2))
    one, two = (evaluate_table(table, system="ours") for table in tables)
    with pytest.raises(InputError, match="a fold comes twice"):
        joined([one, one])
    with pytest.raises(InputError, match="only the folds of one system"):
        joined([one, evaluate_table(tables[1], system="theirs")])
    with pytest.raises(InputError, match="no reports to join"):
        joined([])
    assert len(joined([one, two]).folds) == 2


def test_dev_scores_of_several_folds_from_another_table(drawn: Callable[..., Any]) -> None:
    _, table = _folds(drawn)
    apart = evaluate_table(table.where("split", "test"), dev=table)
    assert apart.folds == evaluate_table(table).folds
    one_dev = drawn(seed=8).where("split", "dev")
    shared = evaluate_table(table.where("split", "test"), dev=one_dev)
    assert len({fold.threshold.value for fold in shared.folds}) == 1


def test_rejects_several_protocols_and_missing_test_rows(
    drawn: Callable[..., Any], row: Callable[..., Any]
) -> None:
    with pytest.raises(InputError, match="no test scores to judge: the rows belong to the split dev"):
        evaluate_table(drawn().where("split", "dev"))
    rows = [row("a", 1, 0.5, protocol="1"), row("b", 0, 0.5, protocol="2")]
    with pytest.raises(InputError, match=r"about one protocol of one data set.*'1', '2'; report them apart"):
        evaluate_table(ScoreTable.from_scores(rows), settings=EvaluationSettings(Threshold(0.5)))


def test_notes_species_and_subjects_of_dev(row: Callable[..., Any]) -> None:
    rows = [
        row("a", 1, 0.9, split="dev", subject="x"),
        row("b", 0, 0.1, "print-1", split="dev", subject="y"),
        row("c", 1, 0.8, subject="x"),
        row("d", 0, 0.7, "mask-1", subject="z"),
    ]
    fold = evaluate_table(ScoreTable.from_scores(rows)).folds[0]
    assert fold.unseen == ("mask-1",)
    assert fold.shared_subjects == 1
    assert fold.test.errors.apcer["species"].value == 1


def test_mistakes_are_those_on_the_wrong_side_farthest_first(row: Callable[..., Any]) -> None:
    rows = [row(f"a{n}", 0, n / 10, subject=f"{n}") for n in range(10)] + [row("b", 1, 0.2), row("c", 1, 0.9)]
    mistakes = (
        evaluate_table(ScoreTable.from_scores(rows), settings=EvaluationSettings(Threshold(0.55)))
        .folds[0]
        .mistakes
    )
    assert [(m.id, m.label, m.species, m.score) for m in mistakes] == [
        ("a9", 0, "print-1", 0.9),
        ("a8", 0, "print-1", 0.8),
        ("a7", 0, "print-1", 0.7),
        ("a6", 0, "print-1", 0.6),
        ("b", 1, "", 0.2),
    ]


def test_constant_scores_make_a_report(row: Callable[..., Any]) -> None:
    rows = [row(f"{split}{n}", n % 2, 0.25, split=split) for split in ("dev", "test") for n in range(6)]
    report = evaluate_table(ScoreTable.from_scores(rows))
    test = report.folds[0].test
    assert report.folds[0].threshold.value == 0.25
    assert (test.errors.apcer["pooled"].value, test.errors.bpcer.value) == (1, 0)
    assert (test.ranking.eer.value, test.ranking.auc, test.hter.value) == (0.5, 0.5, 0.5)
    _check(report)


def test_one_class_makes_a_report_with_a_note(row: Callable[..., Any]) -> None:
    rows = [row(f"a{n}", 0, n / 10) for n in range(10)]
    report = evaluate_table(ScoreTable.from_scores(rows), settings=EvaluationSettings(Threshold(0.55)))
    assert report.folds[0].det is None
    assert "acer_pooled" not in report.summary
    assert report.summary["apcer_pooled"].mean == 0.4
    _check(report)


def test_schema_rejects_unknown_fields(drawn: Callable[..., Any]) -> None:
    plain = _check(evaluate_table(drawn()))
    for spoil in (
        lambda p: p.pop("folds"),
        lambda p: p.update(extra=1),
        lambda p: p["folds"][0]["test"]["hter"].update(value=1.5),
        lambda p: p["folds"][0]["threshold"].pop("rule"),
    ):
        spoiled = json.loads(json.dumps(plain))
        spoil(spoiled)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(spoiled, SCHEMA)
