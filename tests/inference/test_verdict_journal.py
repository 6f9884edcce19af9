import os
from pathlib import Path

import fsspec
import pytest

from bonaface.core.errors import InputError
from bonaface.core.files import sealed
from bonaface.core.paths import to_path
from bonaface.core.records import Decision, Response
from bonaface.inference import verdict_journal as journals
from bonaface.inference.verdict import Verdict
from bonaface.inference.verdict_journal import (
    PartWriter,
    VerdictJournal,
    file_key,
    holds_for_good,
    part_path,
    recorded,
)

WORK = {"model": "a", "threshold": "None"}


def verdict(name: str) -> Verdict:
    return Verdict(name, Decision.BONA_FIDE, 0.75, 0.5, frames_scored=1, outputs={"out": 0.75})


def write(journal: VerdictJournal, *names: str) -> Path:
    path = part_path(journal.folder, journal.run, 0)
    with PartWriter(path) as part:
        for name in names:
            part.add((name, 1, 2), verdict(name))
    return path


def test_verdicts_come_back_once(tmp_path: Path) -> None:
    journal = VerdictJournal(tmp_path / "j", WORK)
    write(journal, "a", "b")
    rows = list(journal.read_new())
    assert [key for key, _ in rows] == [("a", 1, 2), ("b", 1, 2)]
    assert Verdict.from_dict(rows[0][1]) == verdict("a")
    assert list(journal.read_new()) == []
    again = VerdictJournal(tmp_path / "j", WORK)
    assert again.run == journal.run + 1
    assert len(list(again.read_new())) == 2


def test_a_line_that_a_kill_cut_off_is_not_counted_and_read_when_it_is_whole(tmp_path: Path) -> None:
    journal = VerdictJournal(tmp_path / "j", WORK)
    path = write(journal, "a", "b")
    data = path.read_bytes()
    for cut in range(1, len(data) // 2):
        path.write_bytes(data[:-cut])
        fresh = VerdictJournal(tmp_path / "j", WORK)
        assert [key[0] for key, _ in fresh.read_new()] == ["a"]
    path.write_bytes(data)
    assert [key[0] for key, _ in fresh.read_new()] == ["b"]


def test_a_line_is_there_as_soon_as_it_is_written(tmp_path: Path) -> None:
    journal = VerdictJournal(tmp_path / "j", WORK)
    with PartWriter(part_path(journal.folder, 0, 3)) as part:
        part.add(("a", 1, 2), verdict("a"))
        assert len(list(journal.read_new())) == 1
        assert [key for key, _ in recorded(journal.folder, 0, 3)] == [("a", 1, 2)]
        assert list(recorded(journal.folder, 0, 4)) == []


def test_at_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    folder = to_path("memory://journal/j")
    try:
        journal = VerdictJournal(folder, WORK)
        monkeypatch.setattr(journals, "_SECONDS", 0.0)
        with PartWriter(part_path(folder, 0, 0)) as part:
            part.add(("a", -1, -1), verdict("a"))
            assert len(list(journal.read_new())) == 1
            part.add(("b", -1, -1), verdict("b"))
        assert len(list(journal.read_new())) == 1
        assert len(list(VerdictJournal(folder, WORK).read_new())) == 2
        with pytest.raises(InputError, match="with another model"):
            VerdictJournal(folder, {**WORK, "model": "b"})
    finally:
        memory.rm("/journal", recursive=True)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("photo.jpg", "x", "expected a journal of bonaface check, .* but it has photo.jpg"),
        ("journal.json", "{", "this is no journal of bonaface check"),
        ("journal.json", "[]", "this is no journal"),
        ("journal.json", '{"format": 1, "work": []}', "this is no journal"),
        ("journal.json", '{"format": 1, "work": {"model": "a", "threshold": "None"}}', "version of Bonaface"),
        (
            "journal.json",
            '{"format": 2, "work": {"model": "b"}}',
            "with another model and threshold; name another",
        ),
    ],
)
def test_refuses_another_folder(name: str, text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=says):
        VerdictJournal(tmp_path, WORK)


@pytest.mark.parametrize("line", ["{}", "[]", "nonsense", '{"file": ["a", 1], "verdict": {}}'])
def test_names_the_part_that_is_no_verdict(line: str, tmp_path: Path) -> None:
    journal = VerdictJournal(tmp_path, WORK)
    (tmp_path / "00000-000000-1.jsonl").write_text(sealed(line))
    with pytest.raises(
        InputError, match=r"00000-000000-1\.jsonl: a line of it is no verdict .* delete this file"
    ):
        list(journal.read_new())


def test_a_flipped_bit_is_no_verdict(tmp_path: Path) -> None:
    path = write(VerdictJournal(tmp_path, WORK), "a", "b")
    data = bytearray(path.read_bytes())
    at = data.index(b"0.75")
    data[at] ^= 1  # 1.75
    path.write_bytes(data)
    with pytest.raises(
        InputError, match=r"a line of it is damaged; delete this file, and its files are checked"
    ):
        list(VerdictJournal(tmp_path, WORK).read_new())


def test_a_changed_file_has_another_key(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"one")
    before = file_key(str(path))
    assert before == file_key(str(path))
    os.utime(path, ns=(1, 1))
    assert file_key(str(path)) != before
    assert file_key("s3://bucket/a.jpg") == ("s3://bucket/a.jpg", -1, -1)
    assert file_key("gone.jpg") == ("gone.jpg", -1, -1)
    assert file_key("nul\0.jpg")[1] == -1


def test_what_may_be_readable_tomorrow_is_looked_at_again() -> None:
    unreadable, fine = {"response": Response.UNREADABLE}, {"response": ""}
    assert not holds_for_good(unreadable)
    assert holds_for_good(fine)
    assert holds_for_good({"response": Response.NO_FACE})


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    journal = VerdictJournal(tmp_path, WORK)
    write(journal, "a")
    (tmp_path / "verdicts.jsonl").write_text('{"path": "a"}\n')
    again = VerdictJournal(tmp_path, WORK)
    assert again.run == 1
    assert [key[0] for key, _ in again.read_new()] == ["a"]
