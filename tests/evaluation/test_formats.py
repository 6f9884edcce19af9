from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.evaluation.formats import check_mapping, parse_mapping
from bonaface.evaluation.score_table import ScoreTable

BOB = """claimed_id,test_label,is_bonafide,attack_type,score,frame_id,video_key
x0,real/x0_1,True,,1.294497,0,real/x0_1
x0,real/x0_1,True,,1.5,7,real/x0_1
x1,attack/x1_1,False,print,-19.25,0,attack/x1_1
x2,attack/x2_1,False,mask,,0,attack/x2_1
"""


def _read(
    tmp_path: Path, text: str, mapping: dict[str, str] | None = None, name: str = "scores.csv"
) -> ScoreTable:
    path = tmp_path / name
    path.write_text(text)
    return ScoreTable.read(path, mapping=mapping)


def test_bobs_csv_is_recognised(tmp_path: Path) -> None:
    table = _read(tmp_path, BOB)
    assert table.numbers("label").tolist() == [1, 1, 0, 0]
    assert table.text("species").tolist() == ["", "", "print", "mask"]
    assert table.text("subject").tolist() == ["x0", "x0", "x1", "x2"]
    assert table.text("video_id").tolist()[:2] == ["real/x0_1", "real/x0_1"]
    assert table.numbers("frame").tolist() == [0, 7, 0, 0]
    assert table.numbers("score").tolist()[:3] == [1.294497, 1.5, -19.25]
    assert table.text("response").tolist() == ["", "", "", "no score"]


def test_bobs_csv_without_videos_counts_repeated_labels_as_frames(tmp_path: Path) -> None:
    lines = [line.split(",")[:5] for line in BOB.splitlines()]
    table = _read(tmp_path, "\n".join(",".join(cells) for cells in lines))
    assert table.text("video_id").tolist() == ["real/x0_1", "real/x0_1", "attack/x1_1", "attack/x2_1"]
    assert table.numbers("frame").tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("model", ["", "model_of_001 "])
def test_bobs_text_files_are_recognised(tmp_path: Path, model: str) -> None:
    text = (
        f"001 {model}001 train/real/001 0.912\n"
        f"001 {model}001 train/real/001 0.9\n"
        f"002 {model}mattescreen train/attack/002 -3.25\n"
    )
    table = _read(tmp_path, text, name="scores-eval")
    assert table.numbers("label").tolist() == [1, 1, 0]
    assert table.text("species").tolist() == ["", "", "mattescreen"]
    assert table.text("subject").tolist() == ["001", "001", "002"]
    assert table.numbers("score").tolist() == [0.912, 0.9, -3.25]
    assert table.numbers("frame").tolist() == [0, 1, 0]


def test_a_broken_line_of_bobs_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="row 2: expected bob's four or five columns, got 3"):
        _read(tmp_path, "001 001 a 0.5\n001 001 0.5\n", name="scores-eval")
    with pytest.raises(InputError, match=r"row 2: score must be a number such as 0\.5 or -1e-3, got 'x'"):
        _read(tmp_path, "001 001 a 0.5\n001 001 b x\n", name="scores-eval")


def test_maps_columns_of_other_names(tmp_path: Path) -> None:
    table = _read(
        tmp_path,
        "file,who,genuine,attack,liveness\na,p,true,,0.75\nb,q,false,print,0.25\n",
        {"sample_id": "file", "subject": "who", "label": "genuine", "species": "attack", "score": "liveness"},
    )
    assert table.text("sample_id").tolist() == ["a", "b"]
    assert table.numbers("label").tolist() == [1, 0]
    assert table.text("species").tolist() == ["", "print"]
    assert table.numbers("score").tolist() == [0.75, 0.25]


def test_minus_inverts_scores_and_labels(tmp_path: Path) -> None:
    table = _read(tmp_path, "is_attack,spoof\n0,0.1\n1,0.9\n1,\n", {"label": "-is_attack", "score": "-spoof"})
    assert table.numbers("label").tolist() == [1, 0, 0]
    assert table.numbers("score").tolist()[:2] == [-0.1, -0.9]
    assert table.text("response").tolist() == ["", "", "no score"]
    with pytest.raises(
        InputError, match="only a score or the label can be turned round with a minus, not 'subject'"
    ):
        _read(tmp_path, "label,score,x\n1,0.5,a\n", {"subject": "-x"})


def test_a_mapping_wins_over_a_column_of_our_name(tmp_path: Path) -> None:
    table = _read(tmp_path, "label,score,calibrated\n1,0.5,0.75\n", {"score": "calibrated"})
    assert table.numbers("score").tolist() == [0.75]


def test_unknown_columns_list_the_known(tmp_path: Path) -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown column of the file 'livenes'. Did you mean 'liveness'"
    ):
        _read(tmp_path, "label,liveness\n1,0.5\n", {"score": "livenes"})
    with pytest.raises(UnknownNameError, match=r"unknown column of a score table 'points'.*Known: .*score"):
        _read(tmp_path, "label,liveness\n1,0.5\n", {"points": "liveness"})


def test_parses_column_mappings() -> None:
    assert parse_mapping(["score=my=column", "label=-spoof"]) == {"score": "my=column", "label": "-spoof"}
    for bad in ("score", "=x", "score="):
        with pytest.raises(InputError, match="written OURS=THEIRS"):
            parse_mapping([bad])
    with pytest.raises(InputError, match="'score' is mapped twice, to 'a' and to 'b'"):
        parse_mapping(["score=a", "score=b"])


def test_each_file_may_have_columns_of_its_own(tmp_path: Path) -> None:
    one, two = tmp_path / "a=1.csv", tmp_path / "b.csv"
    one.write_text("genuine,live\n1,0.75\n0,0.25\n")
    two.write_text("genuine,spoof\n1,0.125\n0,1\n")
    mapping = {"label": "genuine", "score": "live", f"{two}:score": "-spoof"}
    table = ScoreTable.read(one, two, mapping=mapping)
    assert table.numbers("label").tolist() == [1, 0, 1, 0]
    assert table.numbers("score").tolist() == [0.75, 0.25, -0.125, -1]
    check_mapping(mapping, [one, two])
    with pytest.raises(
        InputError, match=r"speaks of the file .*b\.csv, and the score files are .*a=1\.csv; write"
    ):
        check_mapping(mapping, [one])
    with pytest.raises(UnknownNameError, match="unknown column of the file 'spof'"):
        ScoreTable.read(one, two, mapping=mapping | {f"{two}:score": "spof"})


@pytest.mark.parametrize(
    ("dataset", "device", "warned"),
    [
        ("casia-fasd", "low", True),
        ("simulated-casia-fasd", "high", True),
        ("casia-fasd", "low-quality", False),
        ("mine", "low", False),
    ],
)
def test_warns_of_casias_exchanged_cameras_of_version_0_1(
    tmp_path: Path, dataset: str, device: str, warned: bool
) -> None:
    table = _read(
        tmp_path, f"label,score,dataset,device\n1,0.5,{dataset},{device}\n0,0.5,{dataset},{device}\n"
    )
    warning = f"{tmp_path / 'scores.csv'}: version 0.1 of bonaface wrote these scores of casia-fasd, and exchanged low"
    assert [note.startswith(warning) for note in table.notes] == ([True] if warned else [])


def test_bobs_text_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    table = _read(
        tmp_path, "\ufeff001 001 train/real/001 0.9\n002 mask train/attack/002 0.1\n", name="scores-eval"
    )
    assert table.numbers("label").tolist() == [1, 0]
    assert table.text("species").tolist() == ["", "mask"]


@pytest.mark.parametrize("column", ["name", "id", "key", "file", "Image Path"])
def test_a_guessed_name_that_comes_again_is_no_name_of_presentations(tmp_path: Path, column: str) -> None:
    text = f"{column},label,score\nanna,1,0.9\nben,1,0.8\nanna,0,0.7\n"
    with pytest.raises(
        InputError, match=rf"'{column}' seems to name .* 'anna' stands in 2 rows\. Write --map"
    ):
        _read(tmp_path, text)
    people = _read(tmp_path, text, {"subject": column})
    assert (people.named, people.pictures) == (False, True)
    assert people.text("subject").tolist() == ["anna", "ben", "anna"]
    with pytest.raises(InputError, match="anna"):  # bona fide and attack in one video
        _read(tmp_path, text, {"video_id": column})
    frames = _read(tmp_path, text.replace("anna,0", "anna,1"), {"video_id": column})
    assert frames.text("video_id").tolist() == ["anna", "ben", "anna"]
    numbered = (
        text.replace("label", "frame,label").replace("anna,0,", "anna,1,1,").replace(",1,0.", ",0,1,0.")
    )
    assert len(_read(tmp_path, numbered.replace("anna,1,0,1", "anna,1,1"))) == 3


@pytest.mark.parametrize("mapping", [{"score": "score_depth"}, {"score": "-score"}, {"label": "-label"}])
def test_a_threshold_that_came_with_the_scores_is_not_that_of_another_column(
    tmp_path: Path, mapping: dict[str, str]
) -> None:
    columns = "label,score,score_depth,threshold,threshold_rule,threshold_data,threshold_unit"
    text = f"{columns}\n1,0.9,0.2,0.5,EER,dev,video\n0,0.1,0.1,0.5,EER,dev,video\n"
    assert _read(tmp_path, text, {"score": "score"}).thresholds == [(0.5, "EER", "dev", "video")]
    assert _read(tmp_path, text, mapping).thresholds == []


def test_parquet_columns_that_nobody_asked_for_do_no_harm(tmp_path: Path) -> None:
    columns = {
        "label": [1, 0],
        "score": [0.75, 0.25],
        "embedding": [[0.5, 0.25], [0.0]],
        "blob": [b"\xff\xfe", b"\x00"],
        "session": [float("inf"), 2.0],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "scores.parquet")
    table = ScoreTable.read(tmp_path / "scores.parquet")
    assert table.numbers("score").tolist() == [0.75, 0.25]
    assert table.text("session").tolist() == ["inf", "2"]
    with pytest.raises(UnknownNameError, match="unknown column of the file 'embedding'"):
        ScoreTable.read(tmp_path / "scores.parquet", mapping={"score": "embedding"})
