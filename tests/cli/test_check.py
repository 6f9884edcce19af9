"""What `bonaface check` looks at, what it leaves out, and that it says so."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bonaface.media.search import search
from bonaface.testing.clips import encode_clip
from bonaface.testing.networks import rewrite


def check(
    *arguments: object, folder: Path, run: Path, data: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "bonaface.cli.main", "check", *map(str, arguments), "--model", str(run)]
    return subprocess.run(
        [*command, "--threshold", "0", "--json"], cwd=folder, input=data, capture_output=True, check=False
    )


def verdicts(done: subprocess.CompletedProcess[bytes]) -> dict[str, str]:
    rows = map(json.loads, done.stdout.decode().splitlines())
    return {row["path"]: row["decision"] for row in rows}


@pytest.fixture
def folder(tmp_path: Path, faces_root: Path) -> Path:
    """A folder with faces under names that say nothing, and with much else."""
    face = faces_root / "bonafide/person-1/0.png"
    made = tmp_path / "mine"
    (made / "more").mkdir(parents=True)
    for name in ("a.png", "b.jfif", "c", "more/d.txt"):
        shutil.copy(face, made / name)
    (made / "e.dat").write_bytes(encode_clip([np.asarray(Image.open(face))] * 2, ".mp4"))
    (made / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (made / "notes.txt").write_text("no picture")
    (made / "._a.png").write_bytes(b"\x00\x05\x16\x07")
    return made


def test_checks_every_picture_and_video_of_any_name(folder: Path, run: Path) -> None:
    done = check("mine", folder=folder.parent, run=run)
    assert done.returncode == 0, done.stderr
    names = ("a.png", "b.jfif", "c", "e.dat", "more/d.txt")
    assert verdicts(done) == dict.fromkeys([f"mine/{name}" for name in names], "bona fide")
    assert done.stderr.decode() == (
        "bonaface: 3 files are neither picture nor video: mine/._a.png, mine/Thumbs.db, mine/notes.txt\n"
    )


def test_names_files_left_out_and_exits_with_3(folder: Path, run: Path) -> None:
    shutil.copy(folder / "a.png", folder / ".hidden.png")
    (folder / ".cache").mkdir()
    shutil.copy(folder / "a.png", folder / ".cache" / "a.png")
    (folder / ".git").mkdir()
    (folder / "link.jpg").symlink_to("gone.jpg")
    (folder / "broken.jpg").write_bytes(b"nothing")
    done = check("mine", folder=folder.parent, run=run)
    assert done.returncode == 3
    assert verdicts(done)["mine/broken.jpg"] == "no response"
    assert done.stderr.decode().splitlines()[:3] == [
        "bonaface: mine/.cache: left out: a hidden folder with pictures or videos; name it to have them checked",
        "bonaface: mine/.hidden.png: left out: a hidden file; name it to have it checked",
        "bonaface: mine/link.jpg: left out: a link to what is not there",
    ]


def test_missing_path_does_not_stop_the_others(folder: Path, run: Path) -> None:
    done = check("gone.jpg", "mine/a.png", "mine/gone.mp4", folder=folder.parent, run=run)
    assert done.returncode == 3
    assert verdicts(done) == {"mine/a.png": "bona fide"}
    assert done.stderr.decode().splitlines() == [
        "bonaface: gone.jpg: no such file or folder",
        "bonaface: mine/gone.mp4: no such file or folder",
    ]
    nothing = check("gone.jpg", "also.jpg", folder=folder.parent, run=run)
    assert nothing.returncode == 2
    assert nothing.stderr.decode() == (
        "bonaface: gone.jpg: no such file or folder; also.jpg: no such file or folder; nothing was checked\n"
    )


def test_another_of_the_models_thresholds_decides(folder: Path, run: Path) -> None:
    bundle = folder.parent / "bundle"

    def answer(*options: str) -> subprocess.CompletedProcess[bytes]:
        command = [
            sys.executable,
            "-m",
            "bonaface.cli.main",
            "check",
            "a.png",
            "--model",
            str(bundle),
            "--json",
            *options,
        ]
        return subprocess.run(command, cwd=folder, capture_output=True, check=False)

    shutil.copytree(run / "bundle", bundle)

    def lower(card: dict[str, Any]) -> None:
        for thresholds in card["operating_points"]["bpcer=0.01"]["thresholds"].values():
            thresholds["frame"] = 0.125

    rewrite(bundle, lower)
    (found,) = map(json.loads, answer("--operating-point", "bpcer=0.01").stdout.decode().splitlines())
    assert found["threshold"] == 0.125
    (found,) = map(json.loads, answer().stdout.decode().splitlines())
    assert found["threshold"] != 0.125
    unknown = answer("--operating-point", "bpcer=0.5")
    assert (unknown.returncode, unknown.stdout) == (2, b"")
    assert b"bpcer=0.01" in unknown.stderr
    both = answer("--operating-point", "eer", "--threshold", "0.5")
    assert both.returncode == 2
    assert b"give one of them" in both.stderr


def test_standard_input_and_quoted_patterns(folder: Path, run: Path) -> None:
    done = check(
        "-",
        "mine/*.jfif",
        "mine/**/*.txt",
        folder=folder.parent,
        run=run,
        data=(folder / "a.png").read_bytes(),
    )
    assert list(verdicts(done)) == ["-", "mine/b.jfif", "mine/more/d.txt", "mine/notes.txt"]
    assert verdicts(done)["-"] == "bona fide"
    assert done.returncode == 3  # what is named is judged, be it a text


def test_prints_a_url_as_it_was_given(folder: Path, run: Path) -> None:
    done = check("memory://nowhere/a.jpg", "gopher://host/a.jpg", folder=folder.parent, run=run)
    assert done.returncode == 2
    assert b"gopher://host/a.jpg: expected a path or a URL" in done.stderr
    done = check("memory://nowhere/a.jpg", "mine/a.png", folder=folder.parent, run=run)
    assert done.returncode == 3
    assert b"memory://nowhere/a.jpg: no such file" in done.stderr


class TestSearch:
    def test_links_to_folders_are_followed_once(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / "a" / "x.png")
        (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
        (tmp_path / "b").symlink_to(tmp_path / "a")
        found = search([str(tmp_path)])
        assert found.files == [f"{tmp_path}/a/x.png"]
        assert found.complete

    def test_file_named_twice_is_checked_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Image.new("RGB", (4, 4)).save("x.png")
        assert search(["x.png", "*.png", "x.png"]).files == ["x.png"]

    def test_names_a_folder_without_pictures(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("nothing")
        found = search([str(tmp_path)])
        assert found.left_out == [(str(tmp_path), "there is no picture or video in this folder")]
        assert not found.complete

    def test_existing_name_with_glob_characters_is_a_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Image.new("RGB", (4, 4)).save("x[1].png")
        Image.new("RGB", (4, 4)).save("x1.png")
        assert search(["x[1].png"]).files == ["x[1].png"]
        assert search(["y*.png"]).missing == ["y*.png"]

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_names_an_unreadable_folder(self, tmp_path: Path) -> None:
        (tmp_path / "locked").mkdir(mode=0)
        assert "cannot be read" in search([str(tmp_path)]).left_out[0][1]

    def test_ignores_a_pipe_in_a_folder(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
        assert search([str(tmp_path)]).others == [f"{tmp_path}/pipe"]

    def test_a_folder_at_a_url(self) -> None:
        import fsspec

        memory = fsspec.filesystem("memory")
        file = io.BytesIO()
        Image.new("RGB", (4, 4)).save(file, "PNG")
        for name in ("a.png", "more/b.jpg", "notes.txt"):
            memory.pipe(f"/looked/{name}", file.getvalue())
        found = search(["memory://looked"])
        memory.rm("/looked", recursive=True)
        assert found.files == ["memory://looked/a.png", "memory://looked/more/b.jpg"]
        assert found.others == ["memory://looked/notes.txt"]
