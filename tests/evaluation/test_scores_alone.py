import json
from pathlib import Path

import numpy as np
import pytest

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.evaluation.scores_alone import read_scores

ROWS = [
    {"path": "a.jpg", "score": 0.75, "subject": "anna", "label": 1, "frames": [1, 2]},
    {"path": "b.jpg", "score": 0.5, "subject": None, "label": 1},
    {"path": "c.jpg", "score": None, "subject": "carl", "label": 1},
    {"path": "d.jpg", "score": 0.25, "subject": "", "label": 0},
    {"path": "e.jpg", "score": 0.125, "label": True},
]


def _json(path: Path, start: str = "") -> Path:
    path.write_text(start + "".join(json.dumps(row) + "\n" for row in ROWS))
    return path


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_json_lines_are_read_as_a_table_is(tmp_path: Path, start: str) -> None:
    table = tmp_path / "scores.csv"
    lines = [",".join(str(row.get(name) or "") for name in ("score", "subject")) for row in ROWS]
    labels = [str(int(bool(row["label"]))) for row in ROWS]
    table.write_text(
        "score,subject,label\n" + "".join(f"{a},{b}\n" for a, b in zip(lines, labels, strict=True))
    )
    for path in (_json(tmp_path / "scores.json", start), table):
        scores, subjects = read_scores(path, {})
        assert scores.tolist() == [0.75, 0.5, 0.125]  # the attack and what has no score are left out
        assert subjects[0] == "anna"
        assert len(set(subjects.tolist())) == 3  # who is not named stands alone


def test_a_mapping_holds_for_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text('{"live": 0.5, "who": "anna"}\n{"live": 0.25, "who": "ben"}\n')
    scores, subjects = read_scores(path, {"score": "live", "subject": "who"})
    assert (scores.tolist(), subjects.tolist()) == ([0.5, 0.25], ["anna", "ben"])
    assert np.array_equal(read_scores(path, {"score": "-live"})[0], [-0.5, -0.25])
    with pytest.raises(InputError, match="line 1: expected an object with 'nothing'"):
        read_scores(path, {"score": "nothing"})
    with pytest.raises(UnknownNameError, match="unknown column of the file 'nobody'"):
        read_scores(path, {"score": "live", "subject": "nobody"})


@pytest.mark.parametrize("line", ["[1]", "0.5", "{", '{"x": 1}', "null"])
def test_a_line_that_is_no_verdict_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "scores.json"
    path.write_text(f'{{"score": 0.5}}\n{line}\n')
    with pytest.raises(InputError, match="line 2: expected an object with 'score'"):
        read_scores(path, {})
