from collections.abc import Callable
from typing import Any

from bonaface.evaluation import EvaluationSettings, ScoreTable, Threshold, evaluate_table
from bonaface.evaluation.render.tables import heading, notes


def test_notes_of_a_report(row: Callable[..., Any]) -> None:
    rows = [
        row("a", 1, 0.2, split="dev"),
        row("b", 0, 0.8, split="dev"),
        row("c", 1, 0.1),
        row("d", 0, 0.9, "mask-1"),
    ]
    said = " ".join(notes(evaluate_table(ScoreTable.from_scores(rows))))
    assert "AUC is 0.00 %: attacks score higher" in said
    assert "Species that the dev set lacks: mask-1." in said
    assert "No subjects are named" in said
    assert "Only 1 bona fide presentations: one error is 100.0 %." in said
    few = [row(f"{kind}{n}", kind, kind, subject=f"s{n}") for kind in (0, 1) for n in range(3)]
    report = evaluate_table(ScoreTable.from_scores(few), settings=EvaluationSettings(Threshold(0.5)))
    assert "Only 3 subjects: take the intervals" in " ".join(notes(report))
    alone = evaluate_table(
        ScoreTable.from_scores([row("a", 1, 0.2)]), settings=EvaluationSettings(Threshold(0.5))
    )
    assert "There is no attack: the figures that need one are left out" in " ".join(notes(alone))


def test_the_heading_names_what_was_trained_on_where_it_is_not_what_is_tested(
    drawn: Callable[..., Any],
) -> None:
    for trained_on, said in (
        ("", "bi-fas on oulu-npu/1, judged"),
        ("oulu-npu/1", "bi-fas on oulu-npu/1, judged"),
        ("siw/1", "bi-fas, trained on siw/1, tested on oulu-npu/1, judged"),
    ):
        report = evaluate_table(drawn(), system="bi-fas", trained_on=trained_on)
        assert heading(report)[0].startswith(said)
        assert report.as_dict()["trained_on"] == trained_on
