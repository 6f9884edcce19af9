import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.registry import known_implementations

from bonaface.core.errors import BonafaceError, InputError
from bonaface.core.files import whole_file, write_json
from bonaface.core.paths import entries, files_below, is_folder, is_remote, local_copy, read_range, to_path


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """Return an empty folder of a file system that is not this machine's."""
    yield to_path(f"memory://{tmp_path.name}")
    fsspec.filesystem("memory").store.clear()


def test_paths_and_urls(tmp_path: Path) -> None:
    assert to_path("a/b") == Path("a/b")
    assert to_path(tmp_path) == tmp_path
    assert to_path(f"file://{tmp_path}") == tmp_path
    assert not is_remote(to_path("a"))
    remote = to_path("memory://places/a")
    assert is_remote(remote)
    assert to_path(remote) is remote
    assert str(remote / "b.txt") == "memory://places/a/b.txt"


def test_rejects_an_unknown_file_system() -> None:
    with pytest.raises(InputError, match="xyz://a/b: expected a path or a URL that fsspec knows"):
        to_path("xyz://a/b")


def test_reports_the_missing_package_of_a_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(known_implementations, "far", {"class": "far.Away", "err": "Install far"})
    with pytest.raises(InputError, match=r"far://a: this file system needs a package .*: Install far"):
        to_path("far://a")


@pytest.mark.parametrize("url", ["github://", "reference://x", "http://[bad/x.jpg"])
@pytest.mark.filterwarnings("ignore:UPath 'reference'")
def test_rejects_a_url_that_lacks_what_its_file_system_needs(url: str) -> None:
    with pytest.raises(InputError) as caught:
        to_path(url)
    assert str(caught.value).startswith(f"{url}: expected a path or a URL that fsspec knows (")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1:9/x.jpg", "zip://a.jpg::nowhere.zip"])
def test_says_that_a_file_system_cannot_be_reached(url: str) -> None:
    with pytest.raises(
        BonafaceError, match=r": cannot be reached \(.*\); see that it can be reached, and"
    ) as caught:
        to_path(url)
    assert type(caught.value) is BonafaceError  # the URL may be right
    assert str(caught.value).startswith(url)


def test_a_folder_at_a_url_that_cannot_be_listed(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **more: Any) -> None:
        raise RuntimeError("connection lost")

    for name in ("ls", "find"):
        monkeypatch.setattr(type(fsspec.filesystem("memory")), name, broken)
    for look in (entries, files_below):
        with pytest.raises(BonafaceError, match=r"cannot be listed \(connection lost\); see that it"):
            list(look(memory))


def test_odd_links_are_no_folders_and_no_files(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a.txt").write_text("a")
    for name, target in (("loop", "loop"), ("long", "a" * 300), ("gone", "nowhere"), ("link", "below")):
        (tmp_path / name).symlink_to(target)
    folders = {"below", "link"}
    assert entries(tmp_path) == [
        (name, name in folders) for name in ("below", "gone", "link", "long", "loop")
    ]
    assert list(files_below(tmp_path)) == [("below/a.txt", 1)]
    assert [is_folder(tmp_path / name) for name in ("loop", "long", "gone", "link")] == [
        False,
        False,
        False,
        True,
    ]


def test_a_file_at_a_url_is_written_whole_or_not_at_all(memory: Path) -> None:
    def broken() -> None:
        with whole_file(memory / "x" / "a.txt") as part:
            part.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert list(files_below(memory)) == []
    with whole_file(memory / "x" / "a.txt") as part:
        part.write_text("whole")
        assert list(files_below(memory)) == []
        scratch = part.parent
    assert (memory / "x" / "a.txt").read_text() == "whole"
    assert not scratch.exists()
    write_json(memory / "b.json", {"a": 1})
    assert json.loads((memory / "b.json").read_bytes()) == {"a": 1}


@pytest.mark.parametrize("remote", [False, True])
def test_local_and_remote_folders_are_listed_alike(memory: Path, tmp_path: Path, remote: bool) -> None:
    root = memory if remote else tmp_path
    for name in ("b/deep/er.txt", "b/c.txt", "a.txt"):
        with whole_file(root / name) as part:
            part.write_text(name)
    assert entries(root) == [("a.txt", False), ("b", True)]
    assert entries(root / "nowhere") == []
    assert sorted(files_below(root)) == [("a.txt", 5), ("b/c.txt", 7), ("b/deep/er.txt", 13)]
    assert read_range(root / "b" / "c.txt", 2, 3) == b"c.t"
    assert read_range(root / "b" / "c.txt", 5, 30) == b"xt"
    with pytest.raises(OSError, match="none"):
        read_range(root / "none", 0, 1)


def test_local_copy_is_deleted_when_the_block_ends(memory: Path, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"123")
    with local_copy(tmp_path / "a.bin") as path:
        assert path == tmp_path / "a.bin"
    assert path.exists()
    with whole_file(memory / "clip.mp4") as part:
        part.write_bytes(b"123")
    with local_copy(memory / "clip.mp4") as path:
        assert (path.name, path.read_bytes()) == ("clip.mp4", b"123")
    assert not path.exists()
    signed = "照" * 300 + ".mp4"  # a signed URL is longer than a file's name may be
    fsspec.filesystem("memory").pipe(f"{memory.path}/{signed}", b"123")  # type: ignore[attr-defined]
    with local_copy(memory / signed) as path:
        assert (path.suffix, path.read_bytes()) == (".mp4", b"123")
    with local_copy(memory / "none.mp4") as path:
        assert not path.exists()


def test_a_network_failure_is_not_reported_as_a_missing_file(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **more: Any) -> None:
        raise ConnectionResetError("connection lost")

    def fetch() -> None:
        with local_copy(memory / "a.jpg"):
            pass

    files = type(fsspec.filesystem("memory"))
    monkeypatch.setattr(files, "get_file", broken)
    with pytest.raises(
        BonafaceError, match=r"a\.jpg: cannot be fetched \(connection lost\); see that it can be reached, and"
    ):
        fetch()
    monkeypatch.setattr(files, "put_file", broken)
    with pytest.raises(
        BonafaceError, match=r"b\.json: cannot be written \(connection lost\); run the same again"
    ):
        write_json(memory / "b.json", {})
