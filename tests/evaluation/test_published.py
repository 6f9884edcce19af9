from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bonaface.cli.models import listed
from bonaface.evaluation import EvaluationSettings, ScoreTable, evaluate_table
from bonaface.evaluation.aggregate import UNITS
from bonaface.evaluation.published import PUBLISHED_ONLY, PublishedRow, published
from bonaface.evaluation.render.published import other_grids, paper_grids
from bonaface.evaluation.report import Report


def _find(paper: str, table: str, tested_on: str, printed: str) -> PublishedRow:
    (row,) = [
        r
        for r in published()
        if (r.paper, r.table, r.tested_on, r.printed) == (paper, table, tested_on, printed)
    ]
    return row


def test_every_row_of_every_table_is_there() -> None:
    counts: dict[tuple[str, str, str], int] = {}
    for row in published():
        counts[row.paper, row.table, row.tested_on] = counts.get((row.paper, row.table, row.tested_on), 0) + 1
    assert counts == {
        ("a-deeppixbis", "II", "oulu-npu/1"): 10,
        ("a-deeppixbis", "II", "oulu-npu/2"): 10,
        ("a-deeppixbis", "II", "oulu-npu/3"): 9,
        ("a-deeppixbis", "II", "oulu-npu/4"): 9,
        ("a-deeppixbis", "III", "replay-mobile/grandtest"): 5,
        ("a-deeppixbis", "IV", "oulu-npu/1"): 8,
        ("a-deeppixbis", "IV", "replay-mobile/grandtest"): 8,
        ("bi-fpnfas", "3", "oulu-npu/1"): 9,
        ("bi-fpnfas", "3", "oulu-npu/2"): 9,
        ("bi-fpnfas", "3", "oulu-npu/3"): 9,
        ("bi-fpnfas", "3", "oulu-npu/4"): 9,
        ("bi-fpnfas", "4", "replay-mobile/grandtest"): 7,
        ("bi-fpnfas", "5", "oulu-npu/1"): 12,
        ("bi-fpnfas", "5", "replay-mobile/grandtest"): 12,
        ("bi-fpnfas", "A1", "folder/test"): 2,
        ("a-deeppixbis", "text", "casia-fasd/overall"): 1,
        ("bi-fpnfas", "text", "oulu-npu/4"): 1,
    }


def test_every_system_is_a_model_of_ours_or_known_by_its_figures_only() -> None:
    systems = {row.system for row in published()}
    assert {name for name in systems if name.partition(":")[0] not in listed()} | {"nas-fas"} == set(
        PUBLISHED_ONLY
    )
    assert "timm:inception_v3" in systems


def test_rows_read_as_they_are_printed() -> None:
    row = _find("bi-fpnfas", "3", "oulu-npu/4", "Bi-FAS-S")
    assert row.cells == {"apcer": "2.50 ± 3.16", "bpcer": "3.33 ± 4.08", "acer": "2.92 ± 3.41"}
    assert (row.figures["acer"].mean, row.figures["acer"].sd, row.figures["acer"].n) == (2.92, 3.41, 6)
    assert (row.system, row.output) == ("bi-fas-s", "")
    row = _find("a-deeppixbis", "II", "oulu-npu/1", "A-DeepPixBiS(binary output)")
    assert (row.system, row.output, row.figures["bpcer"].mean) == ("a-deep-pix-bis", "binary", 0.58)
    assert row.figures["bpcer"].sd is None


def test_figures_of_the_text_alone_stand_in_the_tables_of_their_protocols(drawn: Callable[..., Any]) -> None:
    grids = {grid.title: grid for grid in paper_grids()}
    grid = grids["Bi-FPNFAS (Sensors 2021, 21, 2799), table 3: oulu-npu/4"]
    assert grid.rows[-1] == ("Yu et al.", "published", "-", "-", "4.8")
    assert any(note.startswith("Yu et al.: in the text, sec. 2.1") for note in grid.notes)
    other = grids["A-DeepPixBiS (DICTA 2020), table II: oulu-npu/4"]
    assert "Yu et al." not in {row[0] for row in other.rows}
    report = evaluate_table(drawn(), system="lbp-svm", trained_on="casia-fasd/overall")
    report = replace(report, dataset="casia-fasd", protocol="overall")
    (grid,) = other_grids([report])
    assert grid.rows[0] == ("Komulainen et al.", "published", "-", "-", "-", "3.3", "-")
    assert grid.rows[1][:2] == ("lbp-svm", "ours, video, worst species")


def test_printed_acer_is_the_mean_of_the_printed_errors() -> None:
    """This would reveal a typing error in the data; one row is odd in print, and its note says so."""
    odd = []
    for row in published():
        if {"acer", "apcer"} <= row.figures.keys():
            middle = (row.figures["apcer"].mean + row.figures["bpcer"].mean) / 2
            if abs(middle - row.figures["acer"].mean) > 0.0501:
                odd.append((row.printed, row.tested_on, row.note))
    note = "printed ACER is not the mean of APCER and BPCER"
    assert odd == [("FAS-BAS", "oulu-npu/4", note)] * 2


def test_both_papers_print_the_same_figures_for_the_same_system() -> None:
    seen: dict[tuple[str, ...], object] = {}
    for row in published():
        if "exchanged in print" in row.note:
            continue
        key = (row.system, row.output, row.trained_on, row.tested_on)
        for name, cell in row.cells.items():
            assert seen.setdefault((*key, name), cell) == cell


def test_the_tables_alone_are_marked_published() -> None:
    found = paper_grids()
    assert len(found) == 4 + 1 + 1 + 4 + 1 + 1 + 1
    for grid in found:
        assert {row[1] for row in grid.rows} == {"published"}
    assert found[5].rows[0] == ("IQM-SVM", "published", "24.6", "31.6", "3.9", "42.3")
    assert any("exchanged in print" in note for note in found[5].notes)


@pytest.fixture
def reports(drawn: Callable[..., Any]) -> list[Report]:
    table = drawn()
    given: dict[str, Any] = {"system": "bi-fas-s", "trained_on": "oulu-npu/1"}
    return [evaluate_table(table, settings=EvaluationSettings(unit=unit), **given) for unit in UNITS]


def test_own_rows_follow_by_unit_and_grouping(reports: list[Report]) -> None:
    found = {grid.title: grid for grid in paper_grids(reports)}
    grid = found["Bi-FPNFAS (Sensors 2021, 21, 2799), table 3: oulu-npu/1"]
    ours = [row for row in grid.rows if row[1] != "published"]
    assert [row[1] for row in ours] == [
        f"ours, {unit}, {over}"
        for unit in UNITS
        for over in ("worst species", "worst category", "all attacks pooled")
    ]
    errors = reports[0].folds[0].test.errors
    expected = (errors.apcer["pooled"].value, errors.bpcer.value, errors.acer["pooled"].value)
    assert ours[2][2:] == tuple(f"{100 * value:.2f}" for value in expected)
    cross = found["Bi-FPNFAS (Sensors 2021, 21, 2799), table 5: HTER by training and test protocol"]
    hter = reports[0].folds[0].test.hter.value
    assert ("bi-fas-s", "ours, video", f"{100 * hter:.2f}", "-", "-", "-") in cross.rows
    other = found["Bi-FPNFAS (Sensors 2021, 21, 2799), table 3: oulu-npu/2"]
    assert {row[1] for row in other.rows} == {"published"}


def test_folds_are_a_mean_and_a_deviation(drawn: Callable[..., Any]) -> None:
    table = ScoreTable.from_tables([drawn(seed=n, fold=str(n)) for n in (1, 2)])
    report = evaluate_table(table, system="bi-fas", trained_on="oulu-npu/1")
    grid = paper_grids([report])[0]
    bpcer = report.summary["bpcer"]
    assert grid.rows[-1][3] == f"{100 * bpcer.mean:.2f} ± {100 * bpcer.sd:.2f}"


def test_a_report_that_belongs_to_no_table_is_left_out(drawn: Callable[..., Any]) -> None:
    strangers = [
        evaluate_table(drawn(), system="bi-fas", trained_on=trained_on)
        for trained_on in ("", "nuaa/official", "oulu-npu/2")
    ]
    assert {row[1] for grid in paper_grids(strangers) for row in grid.rows} == {"published"}


def test_simulated_set_fills_its_protocol_with_a_warning(row: Callable[..., Any]) -> None:
    rows = [
        row(
            f"{s}{n}",
            s,
            0.2 + 0.6 * s + n / 100,
            split=split,
            dataset="simulated-replay-mobile",
            protocol="grandtest",
        )
        for s in (0, 1)
        for n, split in enumerate(("dev", "test"))
    ]
    table = ScoreTable.from_scores(rows)
    report = evaluate_table(table, system="bi-fas", trained_on="simulated-replay-mobile/grandtest")
    grid = paper_grids([report])[4]
    assert grid.rows[-1] == ("bi-fas", "ours, video", "0.00", "0.00")
    said = "simulated-replay-mobile/grandtest stands for replay-mobile/grandtest; the figures cannot be compared."
    assert f"Ours: {said}" in grid.notes
