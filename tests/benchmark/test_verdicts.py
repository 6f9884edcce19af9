from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonaface.benchmark import verdicts
from bonaface.benchmark.claims import Check, Claim
from bonaface.benchmark.grid import Evaluation, Job, PlannedCell
from bonaface.benchmark.spec import Cell, Model
from bonaface.benchmark.verdicts import claims_grids, run_checks, training_checks
from bonaface.core.records import Score
from bonaface.datasets.experiment import Experiment
from bonaface.evaluation.folds import EvaluationSettings, FoldData
from bonaface.evaluation.operating_point import Threshold
from bonaface.evaluation.score_table import ScoreTable
from bonaface.export.cost import StepCost

CLAIM = Claim("a", "bi-fpnfas", "sec. 1", "it is better", "one", "two", "hter", ("oulu-npu/1",), "lower")
PEOPLE = 12


def fold(wrong_attacks: Sequence[int], wrong_bona_fide: Sequence[int] = ()) -> FoldData:
    """One bona fide presentation and one attack of each of 12 people; those of the people named are decided wrongly."""
    rows = [
        Score(
            *2 * (f"{'real' if label else 'attack'}-{person}",),
            frame=0,
            subject=str(person),
            label=label,
            species="" if label else "print",
            split="test",
            score=0.9 if bool(label) != (person in (wrong_bona_fide if label else wrong_attacks)) else 0.1,
            dataset="oulu-npu",
            protocol="1",
        )
        for person in range(PEOPLE)
        for label in (0, 1)
    ]
    *_, (found,) = EvaluationSettings(Threshold(0.5)).fold_data(ScoreTable.from_scores(rows))
    return found


@pytest.fixture
def decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the checks of a claim where each model, by seed, decided as the given fold says."""

    def checks(
        folds: Mapping[tuple[str, int], FoldData | None], claim: Claim = CLAIM, dataset: str = "oulu-npu"
    ) -> list[Check]:
        planned = []
        for number, ((model, seed), data) in enumerate(folds.items()):
            folder = tmp_path / str(number)
            folder.mkdir()
            for kind in ("html", "json", "md", "tex", "csv") if data else ():
                (folder / f"report.{kind}").touch()
            test = Evaluation((), folder)
            cell = Cell(Model(model, model, None, {}), Experiment.parse(f"{dataset}/1"), "", "", seed)
            planned.append(PlannedCell(cell, Job(folder, (), (test,), folder / "log"), test))

        def found(planned: PlannedCell, output: str, unit: str) -> FoldData:
            data = folds[planned.cell.model.name, planned.cell.seed]
            assert data is not None
            return data

        monkeypatch.setattr(verdicts, "fold_of", found)
        return run_checks(claim, planned, "video")

    return checks


def test_a_difference_of_all_seeds_holds(decided: Any) -> None:
    """Attacks of 9 of 12 people are accepted by the second system alone: its APCER is 75 % more, its HTER 37.5 %."""
    perfect, poor = fold(()), fold(range(9))
    (check,) = decided({("one", 0): perfect, ("one", 1): perfect, ("two", 0): poor, ("two", 1): poor})
    assert check.verdict == "holds"
    assert check.figures == ("0.00", "37.50")
    assert check.difference.startswith("-37.50 (")
    assert check.basis == "2 runs each"


def test_the_same_the_other_way_round_contradicts(decided: Any) -> None:
    (check,) = decided({("one", 0): fold(range(9)), ("two", 0): fold(())})
    assert (check.verdict, check.difference[:7]) == ("contradicted", "+37.50 ")


def test_one_error_of_one_person_shows_no_difference(decided: Any) -> None:
    (check,) = decided({("one", 0): fold(()), ("two", 0): fold([3])})
    assert check.figures == ("0.00", "4.17")  # half of 1 in 12
    assert check.verdict == "no difference shown"


def test_seeds_that_disagree_show_no_difference(decided: Any) -> None:
    (check,) = decided(
        {
            ("one", 0): fold(()),
            ("two", 0): fold(range(12)),
            ("one", 1): fold([0]),
            ("two", 1): fold(()),
        }
    )
    low, high = check.difference.partition("(")[2].rstrip(")").split(" to ")
    assert float(low) < float(high) < 0  # the interval alone would have shown one
    assert (check.verdict, check.basis) == ("no difference shown", "2 runs each; seeds disagree")


def test_an_expected_sameness_is_contradicted_by_a_difference_alone(decided: Any) -> None:
    same = Claim("a", "bi-fpnfas", "sec. 1", "no use", "one", "two", "hter", ("oulu-npu/1",), "same")
    (check,) = decided({("one", 0): fold(()), ("two", 0): fold(range(9))}, same)
    assert check.verdict == "contradicted"


@pytest.mark.parametrize(
    ("folds", "basis"),
    [
        ({("one", 0): True}, "no row two here"),
        ({("one", 0): True, ("two", 0): None}, "no finished runs of both"),
        ({("one", 0): True, ("two", 1): True}, "no finished runs of both"),
    ],
)
def test_missing_runs_are_not_decidable(folds: dict[tuple[str, int], Any], basis: str, decided: Any) -> None:
    (check,) = decided({key: fold(()) if there else None for key, there in folds.items()})
    assert (check.verdict, check.basis) == ("not decidable here", basis)


def test_runs_that_are_paired_by_seed_say_how_many_are_missing(decided: Any) -> None:
    (check,) = decided(
        {("one", 0): fold(()), ("one", 1): fold(()), ("two", 0): fold(range(9)), ("two", 1): None}
    )
    assert (check.verdict, check.basis) == ("holds", "1 of 2 runs each")


def test_a_simulated_set_stands_for_its_original(decided: Any) -> None:
    (check,) = decided({("one", 0): fold(()), ("two", 0): fold(range(9))}, dataset="simulated-oulu-npu")
    assert check.verdict == "holds"


def test_the_time_of_a_step_decides_about_training() -> None:
    claim = Claim("c", "bi-fpnfas", "sec. 6", "cheaper", "one", "two", "training", expect="lower")
    two = StepCost(200, 1000, tuple(10.0 + n % 3 for n in range(11)))
    for factor, verdict in ((0.5, "holds"), (2.0, "contradicted"), (1.0, "no difference shown")):
        one = StepCost(100, 1000, tuple(factor * each for each in two.rounds))
        parameters, counted, time = training_checks(claim, {"one": one, "two": two})
        assert (parameters.verdict, parameters.difference) == ("holds", "-50.00 %")
        assert (counted.verdict, counted.difference) == ("no difference shown", "+0.00 %")
        assert time.verdict == verdict
        (rows, *_) = claims_grids([claim], [], "video", {"one": one, "two": two})
        assert rows.rows[0][2] == verdict
    assert [check.verdict for check in training_checks(claim, {})] == ["not decidable here"]


def test_every_network_that_a_step_is_compared_with_counts() -> None:
    rounds = tuple(10.0 + n % 3 for n in range(11))
    steps = {
        name: StepCost(100, 1000, tuple(factor * each for each in rounds)) for name, factor in STEPS.items()
    }
    for second, at_least, verdict in (
        (("quick", "slow"), None, "contradicted"),
        (("slow", "quick"), None, "contradicted"),
        (("slow", "quick"), 1, "holds"),
        (("slow", "unknown"), None, "not decidable here"),
        (("slow", "unknown"), 1, "holds"),
    ):
        claim = Claim(
            "c",
            "bi-fpnfas",
            "sec. 6",
            "cheaper",
            "one",
            second,
            "training",
            expect="lower",
            at_least=at_least,
        )
        (rows, *_) = claims_grids([claim], [], "video", steps)
        assert rows.rows[0][2].partition(" (")[0] == verdict


STEPS = {"one": 1.0, "quick": 0.1, "slow": 10.0}


def test_the_claims_stand_with_their_sentence_and_both_verdicts() -> None:
    claim = Claim(
        *("b", "bi-fpnfas", "sec. 5.2", "58% lower than our Bi-FAS approach", "bi-fas-s", "bi-fas", "acer"),
        ("oulu-npu/1", "oulu-npu/4"),
        "lower",
        note="a note",
    )
    summary, printed, ours = claims_grids([claim], [], "video")
    assert summary.rows == (
        (
            "b",
            "holds (2 of 2)",
            "not decidable here",
            'Bi-FPNFAS (Sensors 2021, 21, 2799), sec. 5.2: "58% lower than our Bi-FAS approach"',
        ),
    )
    assert summary.notes[0] == "b: a note"
    assert printed.rows[1][3:] == (
        "oulu-npu/4",
        "2.92 ± 3.41",
        "6.88 ± 2.82",
        "-3.96 points, -57.6 %",
        "table 3",
        "holds",
    )
    assert [row[-2:] for row in ours.rows] == [("no row bi-fas-s here", "not decidable here")] * 2
    assert np.unique([len(row) for row in (*printed.rows, *ours.rows)]).tolist() == [9]
