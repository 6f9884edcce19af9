from math import isnan, nan
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bonaface.core.records import Response, Score
from bonaface.inference.journal import Journal

WORK = {"bundle": "a", "store": "b", "part": "official//test"}


def row(number: int, score: float = 0.5, response: str = Response.SCORED) -> Score:
    outputs = {} if response else {"score": score}
    return Score(f"s{number}", f"s{number}", 0, "7", 0, "print-1", "test", score, response, outputs)


def test_journal_rows_round_trip(tmp_path: Path) -> None:
    rows = [row(0, 0.1 + 0.2), row(1, nan, Response.NO_FACE), row(2, 1e-300)]
    Journal(tmp_path / "new" / "j", WORK).add(rows)
    back = Journal(tmp_path / "new" / "j", WORK).rows
    assert back[0] == rows[0]
    assert back[2] == rows[2]
    assert isnan(back[1].score)
    assert back[1].response == "no face"


def test_journal_of_other_work_is_dropped(tmp_path: Path) -> None:
    Journal(tmp_path / "j", WORK).add([row(0)])
    assert not Journal(tmp_path / "j", {**WORK, "bundle": "c"}).rows
    assert not Journal(tmp_path / "j", WORK).rows


@settings(deadline=None)
@given(st.integers(0, 400))
def test_journal_keeps_whole_rows_after_a_kill(tmp_path_factory: object, cut: int) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"  # type: ignore[attr-defined]
    rows = [row(n) for n in range(5)]
    Journal(path, WORK).add(rows)
    data = path.read_bytes()
    path.write_bytes(data[: max(len(data) - cut, 0)])
    journal = Journal(path, WORK)
    kept = len(journal.rows)
    assert journal.rows == rows[:kept]
    assert kept == max(data[: max(len(data) - cut, 0)].count(b"\n") - 1, 0)
    journal.add(rows[kept:])
    assert Journal(path, WORK).rows == rows


def test_journal_ends_at_a_damaged_line(tmp_path: Path) -> None:
    """Any flipped bit of any line: no row is read as another one."""
    path, rows = tmp_path / "j", [row(n, n / 8) for n in range(3)]
    Journal(path, WORK).add(rows)
    data = path.read_bytes()
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        kept = Journal(path, WORK).rows
        assert kept == rows[: len(kept)]
        assert len(kept) == max(data[: bit // 8].count(b"\n") - 1, 0)
