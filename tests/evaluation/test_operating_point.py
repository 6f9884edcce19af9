import math
from collections.abc import Callable
from typing import Any

import pytest

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.evaluation.aggregate import to_unit
from bonaface.evaluation.operating_point import Rule, Threshold, caution
from bonaface.evaluation.score_table import ScoreTable


def test_threshold_text_names_its_origin() -> None:
    assert str(Threshold(0.5)) == "0.5 (fixed)"
    said = str(Threshold(0.43125, "EER", "dev set of nuaa/official (bundle)", "video"))
    assert said == "0.43125 (EER of dev set of nuaa/official (bundle), by video)"
    with pytest.raises(InputError, match="finite number, got nan"):
        Threshold(math.nan)


def test_parses_threshold_rules() -> None:
    assert Rule.parse("eer") == Rule.parse(" EER ") == Rule("eer")
    assert Rule.parse("bpcer=0.05") == Rule("bpcer", 0.05)
    assert Rule.parse("bpcer") == Rule("bpcer", 0.01)
    assert str(Rule("bpcer", 0.01)) == "BPCER = 0.01"
    for bad in ("hter", "eer=0.1", ""):
        with pytest.raises(UnknownNameError, match="unknown threshold rule"):
            Rule.parse(bad)
    with pytest.raises(InputError, match="bpcer needs a share"):
        Rule.parse("bpcer=one")
    with pytest.raises(InputError, match=r"must lie in \[0, 1\), got 1"):
        Rule.parse("bpcer=1")


def test_rules_ignore_non_responses(row: Callable[..., Any]) -> None:
    rows = [row("a", 1, 0.9), row("b", 1, math.nan, response="no face"), row("c", 0, 0.1), row("d", 1, 0.6)]
    samples = to_unit(ScoreTable.from_scores(rows))
    found = Rule("eer").threshold(samples, "dev set")
    assert (found.value, found.rule, found.data, found.unit) == (
        pytest.approx(0.35),
        "EER",
        "dev set",
        "video",
    )
    assert not found.from_test
    assert Rule("bpcer", 0.5).threshold(samples, "dev set").value == pytest.approx(0.75)


def test_a_missing_class_is_named_with_the_set(row: Callable[..., Any]) -> None:
    samples = to_unit(ScoreTable.from_scores([row("a", 1, 0.9), row("d", 1, 0.6)]))
    with pytest.raises(
        InputError, match=r"no threshold can be set on the dev set of x: .* no attack among the 2"
    ):
        Rule("eer").threshold(samples, "dev set of x")
    assert Rule("bpcer").threshold(samples, "dev set of x").value < 0.6


@pytest.mark.parametrize(
    ("dataset", "warned"),
    [
        ("simulated-oulu-npu", True),
        ("casia-fasd + simulated-oulu-npu", True),
        ("casia-fasd + oulu-npu", False),
        ("", False),
    ],
)
def test_warns_of_every_simulated_set(dataset: str, warned: bool) -> None:
    assert ("WERE SIMULATED" in caution(dataset, from_test=False)) == warned
