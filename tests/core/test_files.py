import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonaface.core.errors import BonafaceError, InputError
from bonaface.core.files import (
    alone,
    holds_files,
    is_leftover,
    json_text,
    make_folder,
    new_folder,
    read_checked_json,
    sealed,
    sha256,
    unsealed,
    whole_file,
    whole_folder,
    write_checked_json,
    write_json,
    write_text,
)


def test_a_file_appears_whole_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    with whole_file(target) as part:
        part.write_text("half")
        assert not target.exists()
        part.write_text("whole")
    assert target.read_text() == "whole"
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")

    def broken() -> None:
        with whole_file(target) as part:
            part.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("name", ["a" * 255, "照" * 85])
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path, name: str) -> None:
    with whole_file(tmp_path / name) as part:
        assert is_leftover(part.name)
        part.write_text("whole")
    (tmp_path / name).unlink()
    with whole_folder(new_folder(tmp_path / name)) as made:
        assert is_leftover(made.parent.name)
    assert (tmp_path / name).is_dir()


def test_a_folder_appears_whole_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "above" / "folder"
    for _ in range(2):  # where it is not there, and where it is empty
        with whole_folder(new_folder(target)) as made:
            (made / "a.txt").write_text("whole")
            assert not target.exists() or not any(target.iterdir())
        assert [path.name for path in target.parent.iterdir()] == ["folder"]
        assert (target / "a.txt").read_text() == "whole"
        (target / "a.txt").unlink()

    def broken() -> None:
        with whole_folder(target) as made:
            (made / "a.txt").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert [path.name for path in tmp_path.rglob("*")] == ["above", "folder"]


def test_a_folder_that_cannot_be_replaced_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (".", f"../{tmp_path.name}", "none/..", str(tmp_path)):
        with pytest.raises(
            InputError, match=r"the one that you are in, or a mounted disk; name a new folder in it$"
        ):
            new_folder(Path(name))
    (tmp_path / "link").symlink_to("target")
    assert new_folder(Path("link")) == tmp_path / "target"
    with pytest.raises(InputError, match=r"^\.: expected a new or empty folder, but it has files in it$"):
        new_folder(Path())


def test_a_mounted_disk_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_mount", lambda path: path == tmp_path)
    with pytest.raises(InputError, match="or a mounted disk"):
        new_folder(tmp_path)


def test_names_that_are_no_utf_8_are_written_as_escapes(tmp_path: Path) -> None:
    write_text(tmp_path / "a.html", "caf\udce9 é")
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == "caf\\udce9 é"
    values = {"caf\udce9": ["\udce9\\udce9"]}
    write_json(tmp_path / "a.json", values)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text == json_text(values)
    assert json.loads(text) == values
    write_checked_json(tmp_path / "b.json", values)
    assert read_checked_json(tmp_path / "b.json", values, "") == values


def test_files_have_the_mode_that_the_user_gives_new_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "file.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == 0o640


def test_write_json_rejects_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"é": [1, 2.5, None]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"é": [1, 2.5, None]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", {"x": float("nan")})
    assert not (tmp_path / "b.json").exists()


def test_the_checksum_is_sha256s(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n")), st.data())
def test_a_sealed_line_gives_its_text_or_nothing(text: str, data: st.DataObject) -> None:
    line = sealed(text)
    assert unsealed(line[:-1]) == text
    assert unsealed(line[: data.draw(st.integers(0, len(line) - 2))]) is None
    changed = bytearray(line[:-1].encode())
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert unsealed(changed.decode(errors="replace")) is None


def test_lock_admits_one_process_and_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    with alone(folder, "set"):
        (folder / "made.txt").touch()
        said = "set: another process is making this set; wait for its end"
        with pytest.raises(BonafaceError, match=said), alone(folder, "set"):
            pass
    assert [path.name for path in folder.iterdir()] == ["made.txt"]
    with alone(folder, "set"):
        pass


def test_a_new_folder_in_which_nothing_was_made_is_removed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stopped"), alone(tmp_path / "set", "set"):
        raise ValueError("stopped")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_no_lock_behind(tmp_path: Path) -> None:
    """The lock's file stays, but no process holds it."""
    program = (
        "import sys, pathlib\n"
        "from bonaface.core.files import alone\n"
        "with alone(pathlib.Path(sys.argv[1]), 'set'):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    folder = tmp_path / "set"
    command = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BonafaceError, match="another process is making this set"), alone(folder, "set"):
            pass
        holder.kill()
    assert not holds_files(folder)
    with alone(folder, "set"):
        assert not holds_files(folder)


def test_leftovers_of_a_killed_process_are_not_counted_as_files(tmp_path: Path) -> None:
    for name, left in ((".lock", True), (".run.json.ab.part", True), ("x.part", False), (".bashrc", False)):
        (tmp_path / name).touch()
        assert is_leftover(name) is left
        assert holds_files(tmp_path) is not left
        (tmp_path / name).unlink()
    assert not holds_files(tmp_path / "nowhere")


def test_a_flipped_bit_of_a_checked_json_is_refused_or_harmless(tmp_path: Path) -> None:
    path, values = (
        tmp_path / "values.json",
        {"name": "a\u00e9", "many": [1, 0.1 + 0.2, None, True], "more": {"b": 1}},
    )
    write_checked_json(path, values)
    assert read_checked_json(path, ("name", "many", "more"), "make it again") == values
    data, said = path.read_bytes(), []
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            assert read_checked_json(path, ("name", "many", "more"), "make it again") == values
        except InputError as error:
            said.append(str(error))
    assert len(said) > 0.9 * 8 * len(data)
    assert all(text.startswith(f"{path}: the file is damaged") for text in said)
    assert all(text.endswith("; make it again") for text in said)


def test_reads_a_json_without_a_checksum_of_version_0_1(tmp_path: Path) -> None:
    write_json(tmp_path / "old.json", {"a": 1})
    assert read_checked_json(tmp_path / "old.json", ("a", "b"), "") == {"a": 1}
    for text in ("[]", "1", '{"c": 1}', "{", ""):
        (tmp_path / "old.json").write_text(text)
        with pytest.raises(InputError, match=r"old\.json: the file is damaged"):
            read_checked_json(tmp_path / "old.json", ("a", "b"), "delete it")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="Linux's /proc takes no new folders from anybody")
def test_says_that_a_folder_cannot_be_made() -> None:
    where = Path("/proc/none/folder")
    with pytest.raises(
        InputError, match=r"/proc/none/folder: this folder cannot be made .*give another path"
    ):
        make_folder(where)
    with pytest.raises(InputError, match="cannot be made"):
        write_text(where / "file.txt", "x")
    with pytest.raises(InputError, match="cannot be made"), alone(where, "set"):
        pass
