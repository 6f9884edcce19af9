import dataclasses
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.records import Response, Score
from bonaface.evaluation import EvaluationSettings, Rule, ScoreTable, Threshold, evaluate_table
from bonaface.evaluation.render.html import html

HEADER = "sample_id,video_id,frame,subject,label,species,split,score,response\n"


def _read(tmp_path: Path, text: str, name: str = "scores.csv", **more: Any) -> ScoreTable:
    path = tmp_path / name
    path.write_text(text)
    return ScoreTable.read(path, **more)


def test_records_become_columns(row: Callable[..., Any]) -> None:
    table = ScoreTable.from_scores(
        [
            row("a", 1, 0.9, outputs={"binary": 0.8, "map": 0.9}, subject="007", dataset="nuaa"),
            row("b", 0, math.nan, response=Response.NO_FACE),
            row("c", 0, 0.2, outputs={"binary": 0.3}),
        ]
    )
    assert len(table) == 3
    assert table.text("subject").tolist() == ["007", "", ""]
    assert table.numbers("score").tolist() == pytest.approx([0.9, math.nan, 0.2], nan_ok=True)
    assert table.text("response").tolist() == ["", "no face", ""]
    assert table.outputs == ["binary", "map"]
    assert table.scores("binary").tolist() == pytest.approx([0.8, math.nan, 0.3], nan_ok=True)
    with pytest.raises(InputError, match="row 3 has a score but none of the output 'map'"):
        table.scores("map")
    with pytest.raises(UnknownNameError, match=r"unknown score output 'mapp'.*Known: binary, map"):
        table.scores("mapp")


@pytest.mark.parametrize("name", [b"scores.csv", b"scores.parquet", b"caf\xe9.csv", b"caf\xe9.parquet"])
def test_written_tables_are_read_back(drawn: Callable[..., Any], tmp_path: Path, name: bytes) -> None:
    """Also where a name is no UTF-8."""
    table = drawn(seed=3, videos=40)
    path = tmp_path / os.fsdecode(name)
    table.write(path)
    again = ScoreTable.read(path)
    assert list(again.data.columns) == list(table.data.columns)
    assert list(again.data.rows(again.data.columns)) == list(table.data.rows(table.data.columns))


text = st.text(st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-1e150, 1e150), st.integers(0, 1), text, text),
        min_size=1,
        max_size=6,
    )
)
def test_any_score_and_any_text_survive_a_csv(
    tmp_path: Path, rows: list[tuple[float, int, str, str]]
) -> None:
    table = ScoreTable.from_scores(
        Score(f"{n}{name}", f"{n}{name}", n, subject, label, "" if label else "print-1", "test", score)
        for n, (score, label, name, subject) in enumerate(rows)
    )
    table.write(tmp_path / "any.csv")
    again = ScoreTable.read(tmp_path / "any.csv")
    assert again.numbers("score").tolist() == table.numbers("score").tolist()
    for column in ("sample_id", "subject"):
        assert again.text(column).tolist() == table.text(column).tolist()


def test_a_failed_write_leaves_the_old_file(
    drawn: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("old")
    monkeypatch.setattr(
        "bonaface.evaluation.score_table._write_csv", lambda *_: (_ for _ in ()).throw(OSError("disk full"))
    )
    with pytest.raises(OSError, match="disk full"):
        drawn(videos=2).write(path)
    assert [file.name for file in tmp_path.iterdir()] == ["scores.csv"]
    assert path.read_text() == "old"


def test_rejects_unknown_suffix(drawn: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown ending of a score table '.xlsx'.*\.csv, \.parquet"):
        drawn(videos=2).write(tmp_path / "scores.xlsx")


def test_label_and_score_columns_suffice(tmp_path: Path) -> None:
    table = _read(tmp_path, "label,score\n1,0.5\n0,0.25\n")
    assert table.text("sample_id").tolist() == ["row 1", "row 2"]
    assert table.text("species").tolist() == ["", "unknown"]
    assert table.text("split").tolist() == ["test", "test"]


def test_frames_without_numbers_are_counted_within_their_video(tmp_path: Path) -> None:
    table = _read(tmp_path, "video_id,label,score\nx,1,0.5\ny,1,0.6\nx,1,0.7\n")
    assert table.numbers("frame").tolist() == [0, 0, 1]


def test_numeric_names_keep_leading_zeros(tmp_path: Path) -> None:
    table = _read(tmp_path, "sample_id,subject,label,score\n0012,007,1,0.5\n")
    assert table.text("sample_id").tolist() == ["0012"]
    assert table.text("subject").tolist() == ["007"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_reads_other_delimiters_and_a_byte_order_mark(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("label,score\n1,0.5\n0,0.25\n".replace(",", delimiter), encoding="utf-8-sig")
    assert ScoreTable.read(path).numbers("score").tolist() == [0.5, 0.25]


def test_reads_usual_names_of_splits(tmp_path: Path) -> None:
    table = _read(tmp_path, "split,label,score\ndevel,1,0.5\neval,1,0.25\nTRAIN,1,0.1\n")
    assert table.text("split").tolist() == ["dev", "test", "train"]


def test_an_empty_cell_without_a_column_for_reasons_is_a_non_response(tmp_path: Path) -> None:
    table = _read(tmp_path, "label,score\n1,0.5\n0,\n")
    assert table.text("response").tolist() == ["", "no score"]


GOOD = "a,a,0,s,1,,test,0.5,\nb,b,0,s,0,print-1,test,0.2,\n"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (GOOD + "c,c,0,s,1,,test,nan,\n", "row 3: score must be a finite number, got nan"),
        (GOOD + "c,c,0,s,1,,test,-inf,\n", "row 3: score must be a finite number, got -inf"),
        (GOOD + "c,c,0,s,1,,test,,\n", "row 3: no score, and response is empty"),
        (
            GOOD + "c,c,0,s,1,,test,0.5,no face\n",
            r"row 3: both a score \(0.5\) and the reason .* \('no face'\)",
        ),
        (GOOD + "c,c,0,s,1,,test,half,\n", "row 3: score must be a number such as 0.5 or -1e-3, got 'half'"),
        (
            GOOD + "c,c,0,s,2,,test,0.5,\n",
            r"row 3: the label must be 1 \(bona fide\) or 0 \(attack\), or a word such as live or spoof, got '2'",
        ),
        (GOOD + "c,c,0,s,,,test,0.5,\n", "row 3: the label must be"),
        (GOOD + "c,c,0,s,0,,test,0.5,\n", "row 3: an attack without a species"),
        (
            GOOD + "c,c,0,s,1,print-1,test,0.5,\n",
            "row 3: a bona fide presentation with the species 'print-1'",
        ),
        (
            GOOD + "c,c,0,s,0,bonafide,test,0.5,\n",
            "row 3: an attack with the species 'bonafide', which names a bona",
        ),
        (GOOD + "c,c,0,s,1,,valid,0.5,\n", "row 3: split must be train, dev or test, got 'valid'"),
        (GOOD + "c,c,0.5,s,1,,test,0.5,\n", "row 3: frame must be a whole number, got 0.5"),
        (GOOD + "b,b,0,s,0,print-1,test,0.5,\n", "row 3 repeats row 2, frame 0 of the video 'b'"),
        (
            GOOD + "a2,a,1,s,0,print-1,test,0.5,\n",
            "video 'a' have two values of label, 1 in row 1 and 0 in row 3",
        ),
        (
            GOOD + "b2,b,1,s,0,print-2,test,0.5,\n",
            "two values of species, 'print-1' in row 2 and 'print-2' in row 3",
        ),
        (GOOD + "b2,b,1,t,0,print-1,test,0.5,\n", "two values of subject, 's' in row 2 and 't' in row 3"),
        (GOOD + "b2,b,1,s,0,print-1,dev,0.5,\n", "two values of split, 'test' in row 2 and 'dev' in row 3"),
        (GOOD + "c,c,0\n", "is not a table that can be read"),
        ("", "holds no scores"),
    ],
)
def test_rejects_bad_rows_by_number(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _read(tmp_path, HEADER + rows)


def test_rejects_bad_files_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no score file .*gone\.csv"):
        ScoreTable.read(tmp_path / "gone.csv")
    with pytest.raises(
        InputError, match=r"no column 'score'; name .* --map score=COLUMN. Its columns: label, liveness"
    ):
        _read(tmp_path, "label,liveness\n1,0.5\n")
    with pytest.raises(InputError, match="has the column 'score' more than once"):
        _read(tmp_path, "label,score,score\n1,0.5,0.5\n")
    with pytest.raises(InputError, match="is neither a CSV with a header nor"):
        _read(tmp_path, "hello\n")
    (tmp_path / "fake.parquet").write_text("not parquet")
    with pytest.raises(InputError, match=r"fake\.parquet is not a table"):
        ScoreTable.read(tmp_path / "fake.parquet")
    with pytest.raises(InputError, match="no score tables to read"):
        ScoreTable.read()


def test_records_are_checked_like_files(row: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="at least one score"):
        ScoreTable.from_scores([])
    with pytest.raises(InputError, match="row 2: score must be a finite number, got nan"):
        ScoreTable.from_scores([row("a", 1, 0.5), row("b", 1, math.nan)])
    with pytest.raises(InputError, match="row 1: both a score"):
        ScoreTable.from_scores([row("a", 1, 0.5, response=Response.NO_FACE)])


def test_joins_files_of_different_columns(tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("sample_id,label,score,score_map\na,1,0.5,0.6\n")
    two.write_text("sample_id,label,score\nb,0,0.25\n")
    table = ScoreTable.read(one, two)
    assert table.text("sample_id").tolist() == ["a", "b"]
    assert table.outputs == ["map"]
    with pytest.raises(InputError, match=r"the tables together: row 2 repeats row 1.* need a column fold"):
        ScoreTable.read(one, one)


def test_unnamed_rows_of_two_files_are_distinct(tmp_path: Path) -> None:
    for name, rows in (("real.csv", "1,0.9\n1,0.4\n"), ("fake.csv", "0,0.1\n0,0.2\n")):
        (tmp_path / name).write_text(f"label,score\n{rows}")
    files = [tmp_path / "real.csv", tmp_path / "fake.csv"]
    table = ScoreTable.read(*files)
    assert table.numbers("label").tolist() == [1, 1, 0, 0]
    assert table.text("video_id").tolist() == [f"{file} row {row}" for file in files for row in (1, 2)]
    with pytest.raises(InputError, match=r"real.csv row 1'"):
        ScoreTable.read(files[0], files[0])


def test_the_same_video_may_come_in_several_folds(row: Callable[..., Any]) -> None:
    rows = [row("a", 1, 0.5, fold="1"), row("a", 1, 0.6, fold="2")]
    table = ScoreTable.from_scores(rows)
    assert table.values("fold") == ["1", "2"]
    assert table.where("fold", "2").numbers("score").tolist() == [0.6]
    with pytest.raises(InputError, match="repeats"):
        ScoreTable.from_scores([rows[0], dataclasses.replace(rows[1], fold="1")])


def test_codes_number_the_combinations(row: Callable[..., Any]) -> None:
    rows = [
        row("a", 1, 0.5, subject="x", split="dev"),
        row("b", 1, 0.5, subject="x"),
        row("c", 1, 0.1, subject="y"),
    ]
    table = ScoreTable.from_scores(rows)
    assert np.unique(table.codes("subject", "split")).tolist() == [0, 1, 2]
    subject = table.codes("subject")
    assert subject[0] == subject[1] != subject[2]


@pytest.mark.parametrize("cell", ["1_000", "1,5", "0x1", "1e", "half", "½", "1 000", "--1"])
@pytest.mark.parametrize("column", ["score", "frame", "score_map"])
def test_rejects_text_in_number_columns_by_row(tmp_path: Path, cell: str, column: str) -> None:
    header = "label,score,frame,score_map".replace(",", "\t")
    cells = {"score": "0.5", "frame": "1", "score_map": "0.5", column: cell}
    text = f"{header}\n1\t0.5\t0\t0.5\n1\t" + "\t".join(cells.values()) + "\n"
    with pytest.raises(InputError, match=rf"scores\.csv, row 2: {column} must be a number such as"):
        _read(tmp_path, text)


@pytest.mark.parametrize(
    ("cell", "value"), [(" 0.5 ", 0.5), ("1e-3", 1e-3), ("-7", -7), ("+0.5", 0.5), ("1E2", 100), (".5", 0.5)]
)
def test_reads_usual_spellings_of_numbers(tmp_path: Path, cell: str, value: float) -> None:
    assert _read(tmp_path, f"label,score\n1,{cell}\n").numbers("score").tolist() == [value]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("inf", "must be a finite number, got inf"),
        ("-Infinity", "must be a finite number, got -inf"),
        ("nan", "must be a finite number, got nan"),
        ("1e999", "must be a finite number, got inf"),
        ("1.7e308", "must lie within 1e.150 of 0, got 1.7e.308"),
        ("-1e200", "must lie within 1e.150 of 0, got -1e.200"),
    ],
)
def test_rejects_infinite_and_huge_scores_by_row(tmp_path: Path, cell: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"row 2: score {message}"):
        _read(tmp_path, f"label,score\n1,0.5\n0,{cell}\n")


@pytest.mark.parametrize("largest", [3.4e38, 1e150])
def test_evaluates_large_scores(tmp_path: Path, largest: float) -> None:
    rows = [(1, largest), (1, 1.0), (0, -largest), (0, 0.5), (0, largest)]
    table = _read(tmp_path, "label,score\n" + "".join(f"{label},{score}\n" for label, score in rows))
    report = evaluate_table(table, settings=EvaluationSettings("test"))
    assert report.folds[0].test.ranking.auc == pytest.approx((2.5 + 2) / 6)
    assert "nan" not in html(report).replace("tabular-nums", "")
    assert "inf" not in html(report)


@pytest.mark.parametrize("bona_fide", ["live", "Real", "bonafide", "bona-fide", "Bona Fide", "GENUINE"])
@pytest.mark.parametrize("attack", ["spoof", "Fake", "attack", "impostor", "presentation attack"])
def test_reads_labels_in_words_and_notes_it(tmp_path: Path, bona_fide: str, attack: str) -> None:
    table = _read(tmp_path, f"label,score\n{bona_fide},0.9\n{attack},0.1\n")
    assert table.numbers("label").tolist() == [1, 0]
    (note,) = table.notes
    assert f"'label' is read with {bona_fide} as bona fide and {attack} as attack." in note


def test_minus_inverts_labels_in_words(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("kind,score\nlive,0.9\nspoof,0.1\n")
    table = ScoreTable.read(tmp_path / "scores.csv", mapping={"label": "-kind"})
    assert table.numbers("label").tolist() == [0, 1]
    assert "live as attack and spoof as bona fide" in table.notes[0]


def test_warns_of_columns_named_after_attacks(tmp_path: Path) -> None:
    """Label and score both turned round leave the AUC high and exchange the two errors."""
    path = tmp_path / "scores.csv"
    path.write_text("is_spoof,spoof_prob,live_not_spoof\n0,0.1,0.9\n1,0.9,0.1\n")
    notes = ScoreTable.read(path, mapping={"label": "is_spoof", "score": "spoof_prob"}).notes
    assert len(notes) == 2
    assert "--map label=-is_spoof" in notes[0]
    assert "--map score=-spoof_prob" in notes[1]
    assert ScoreTable.read(path, mapping={"label": "-is_spoof", "score": "-spoof_prob"}).notes == ()
    assert len(ScoreTable.read(path, mapping={"label": "-is_spoof", "score": "live_not_spoof"}).notes) == 0


def test_unreadable_inverted_column_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("label,spoof\n1,high\n")
    with pytest.raises(InputError, match=r"scores\.csv, row 1: score must be a number"):
        ScoreTable.read(path, mapping={"score": "-spoof"})


@pytest.mark.parametrize(
    "column",
    ["filename", "File Name", "file", "path", "image", "id", "video", "video-id", "Sample", "img_path"],
)
def test_reads_usual_names_of_id_columns(tmp_path: Path, column: str) -> None:
    table = _read(tmp_path, f"{column},label,score\nx,1,0.5\ny,0,0.25\n")
    assert table.named
    assert table.text("video_id").tolist() == ["x", "y"]


def test_own_column_names_take_precedence(tmp_path: Path) -> None:
    table = _read(tmp_path, "file,path,video,sample_id,label,score\nf,p,v,s,1,0.5\n")
    assert (table.text("sample_id")[0], table.text("video_id")[0]) == ("s", "v")
    assert not _read(tmp_path, "who,label,score\nx,1,0.5\n").named


def test_threshold_is_kept_with_the_scores(row: Callable[..., Any], tmp_path: Path) -> None:
    rows = [row("a", 1, 0.9), row("b", 1, 0.4), row("c", 0, 0.6), row("d", 0, 0.2)]
    table = ScoreTable.from_scores(rows).with_threshold(
        0.3, "EER", "dev of nuaa/official, in the bundle", "video"
    )
    table.write(tmp_path / "scores.csv")
    again = ScoreTable.read(tmp_path / "scores.csv")
    (fold,) = evaluate_table(again).folds
    assert str(fold.threshold) == "0.3 (EER of dev of nuaa/official, in the bundle, by video)"
    assert fold.test.errors.bpcer.value == 0
    for other in (EvaluationSettings(unit="frame"), EvaluationSettings(rule=Rule("bpcer", 0.1))):
        with pytest.raises(InputError, match="there are no dev scores"):
            evaluate_table(again, settings=other)
    assert evaluate_table(again, settings=EvaluationSettings(Threshold(0.5))).folds[0].threshold.value == 0.5
