"""What `bonaface check` looks at, what it leaves out, and that it says so."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bonaface.cli import check as checking
from bonaface.cli.main import app
from bonaface.core.errors import BonafaceError, InputError
from bonaface.media.search import search
from bonaface.testing.clips import encode_clip
from bonaface.testing.networks import rewrite
from bonaface.testing.portrait import drawn_portrait


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
    assert verdicts(done) == {"memory://nowhere/a.jpg": "no response", "mine/a.png": "bona fide"}
    assert json.loads(done.stdout.splitlines()[0])["reason"] == "memory://nowhere/a.jpg: no such file"


def answer(*arguments: object, run: Path) -> tuple[int, str, str]:
    """The exit code, standard output and standard error of `check`, in this process."""
    done = CliRunner().invoke(app, ["check", *map(str, arguments), "--model", str(run)])
    return done.exit_code, done.stdout, done.stderr


class TestForms:
    """How verdicts are printed."""

    def test_csv_has_a_row_for_each_file(self, folder: Path, run: Path) -> None:
        (folder / "broken, and more.jpg").write_bytes(b"nothing")
        code, out, _ = answer(folder, "--csv", "--threshold", "0", run=run)
        rows = list(csv.DictReader(io.StringIO(out)))
        by_name = {Path(row["path"]).name: row for row in rows}
        assert (code, len(rows)) == (3, 6)
        assert by_name["a.png"]["decision"] == "bona fide"
        assert 0 < float(by_name["a.png"]["score"]) < 1
        assert float(by_name["a.png"]["x1"]) > float(by_name["a.png"]["x0"]) > 0
        broken = by_name["broken, and more.jpg"]
        assert (broken["score"], broken["response"], broken["x0"]) == ("", "unreadable", "")

    def test_frames_are_listed_in_every_form(self, folder: Path, run: Path) -> None:
        clip = folder / "e.dat"
        _, out, _ = answer(clip, "--frames", "--json", run=run)
        scores = json.loads(out)["frame_scores"]
        assert [row["frame"] for row in scores] == [0, 1]
        _, out, _ = answer(clip, "--frames", run=run)
        assert out.splitlines()[1:] == [
            f"  frame {n}: score {row['score']:.4f}" for n, row in enumerate(scores)
        ]
        _, out, _ = answer(clip, folder / "gone.png", clip, "--frames", "--csv", run=run)
        rows = list(csv.DictReader(io.StringIO(out)))
        assert [(row["frame"], float(row["score"])) for row in rows] == [
            (str(n), pytest.approx(row["score"], abs=1e-6)) for n, row in enumerate(scores)
        ]
        assert "frame_scores" not in json.loads(answer(clip, "--json", run=run)[1])

    def test_two_forms_at_once_are_refused(self, folder: Path, run: Path) -> None:
        with pytest.raises(InputError, match="give one of them"):
            CliRunner().invoke(app, ["check", str(folder), "--json", "--csv"], catch_exceptions=False)

    @pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
    def test_a_name_that_is_no_utf_8_can_be_printed(
        self, form: tuple[str, ...], folder: Path, run: Path
    ) -> None:
        (folder / "a.png").rename(folder / os.fsdecode(b"\xff\n\x1b[2J.png"))
        command = [
            sys.executable,
            "-m",
            "bonaface.cli.main",
            "check",
            *form,
            str(folder),
            "--model",
            str(run),
        ]
        done = subprocess.run(
            command, capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
        )
        assert b"Traceback" not in done.stderr
        assert b"udcff" in done.stdout
        if form != ("--csv",):  # whose cells may have any letter
            assert b"\x1b" not in done.stdout


class TestHeatMaps:
    def test_one_file_and_a_folder(self, folder: Path, run: Path, tmp_path: Path) -> None:
        one, many = tmp_path / "one.png", tmp_path / "maps"
        answer(folder / "a.png", "--heatmap", one, run=run)
        with Image.open(one) as image:
            assert image.format == "PNG"
            assert min(image.size) > 200
        (folder / "nobody.png").write_bytes((folder / "a.png").read_bytes())
        Image.new("RGB", (200, 200)).save(folder / "nobody.png")
        answer(folder, "--heatmap", many, run=run)
        assert sorted(path.name for path in many.rglob("*.png")) == [
            f"{name}.png" for name in ("a.png", "b.jfif", "c", "d.txt", "e.dat")
        ]

    @pytest.mark.parametrize(
        ("out", "says"), [("x.png", "of 2 files, name a folder"), ("x.jpg", "end its name with .png")]
    )
    def test_wrong_names_are_refused_before_anything_is_checked(
        self, out: str, says: str, folder: Path, run: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(folder)
        code, printed, _ = answer("a.png", "c", "--heatmap", out, run=run)
        assert (code, printed) == (1, "")  # CliRunner's code for an error, which `main` prints
        with pytest.raises(InputError, match=says):
            CliRunner().invoke(
                app, ["check", "a.png", "c", "--heatmap", out, "--model", str(run)], catch_exceptions=False
            )
        assert not Path(out).exists()


class TestManyFiles:
    def test_processes_print_what_one_prints(self, folder: Path, run: Path, tmp_path: Path) -> None:
        (folder / "broken.jpg").write_bytes(b"nothing")
        alone = check("mine", folder=folder.parent, run=run)
        together = check("mine", "--jobs", 2, "--journal", tmp_path / "j", folder=folder.parent, run=run)
        assert together.returncode == alone.returncode == 3
        assert verdicts(together) == verdicts(alone)
        assert list(verdicts(together)) == list(verdicts(alone))
        again = check("mine", "--jobs", 2, "--journal", tmp_path / "j", folder=folder.parent, run=run)
        assert again.stdout == together.stdout

    @pytest.mark.parametrize("jobs", [1, 2])
    def test_a_kill_costs_little_and_the_same_command_goes_on(
        self, jobs: int, folder: Path, run: Path, tmp_path: Path
    ) -> None:
        many = tmp_path / "many"
        many.mkdir()
        for number in range(120):
            (many / f"{number:03}.png").symlink_to(folder / "a.png")
        journal = tmp_path / "journal"
        command = [
            sys.executable,
            "-m",
            "bonaface.cli.main",
            "check",
            str(many),
            "--json",
            "--model",
            str(run),
        ]
        command += ["--jobs", str(jobs), "--journal", str(journal)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as program:
            deadline = time.monotonic() + 240
            while lines(journal) < 10:
                assert program.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            program.kill()
        before = lines(journal)
        assert 10 <= before < 120
        done = subprocess.run(command, capture_output=True, check=False)
        assert list(verdicts(done)) == [str(many / f"{number:03}.png") for number in range(120)]
        assert lines(journal) <= 120 + jobs, "a worker writes one more at most before it ends"
        assert subprocess.run(command, capture_output=True, check=False).stdout == done.stdout

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("-", "--jobs", "2"), "standard input is one file"),
            (("a.png", "--address", "ray://host:1", "--engine", "ray"), "with --journal"),
            (("a.png", "--address", "ray://host:1", "--jobs", "2"), "ask for the engine ray"),
            (("a.png", "--address", "ray://host:1"), "ask for the engine ray"),
            (("a.png", "--journal", "."), "expected a journal of bonaface check"),
            (("a.png", "--camera", "0"), "--camera follows a camera alone"),
            (("--camera", "0", "--jobs", "2"), "--camera follows a camera alone"),
            (("--camera", "nothing there"), "camera nothing there: it cannot be opened"),
        ],
    )
    def test_refuses_what_does_not_go_together(
        self, arguments: tuple[str, ...], says: str, folder: Path, run: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(folder)
        with pytest.raises(BonafaceError, match=says):
            CliRunner().invoke(app, ["check", *arguments, "--model", str(run)], catch_exceptions=False)

    def test_a_journal_of_another_threshold_is_refused(self, folder: Path, run: Path, tmp_path: Path) -> None:
        check("mine/a.png", "--journal", tmp_path / "j", folder=folder.parent, run=run)
        with pytest.raises(InputError, match="with another threshold"):
            CliRunner().invoke(
                app,
                [
                    "check",
                    str(folder),
                    "--journal",
                    str(tmp_path / "j"),
                    "--model",
                    str(run),
                    "--threshold",
                    "1",
                ],
                catch_exceptions=False,
            )

    @pytest.mark.parametrize(("jobs", "threads"), [("1", 4), ("2", 2), ("3", 1), ("9", 1)])
    def test_processes_share_the_cores(
        self, jobs: str, threads: int, folder: Path, run: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(checking, "usable_cores", lambda: 4)
        given: list[int] = []
        for name in ("_in_turn", "_in_processes"):
            monkeypatch.setattr(checking, name, lambda _, options, *rest: given.append(options.threads))
        CliRunner().invoke(app, ["check", str(folder), "--jobs", jobs, "--model", str(run)])
        assert given == [threads]


def lines(journal: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in journal.glob("*.jsonl"))


def test_camera_prints_the_verdict_on_its_frames(run: Path, tmp_path: Path) -> None:
    clip = tmp_path / "face.mp4"
    clip.write_bytes(encode_clip([drawn_portrait(256, seed=3)] * 10, ".mp4"))
    code, out, _ = answer("--camera", clip, "--threshold", "0", run=run)
    assert code == 0
    assert out.startswith(f"camera {clip}: bona fide, score 0.")
    code, out, _ = answer("--camera", clip, "--json", run=run)
    assert all(json.loads(line)["frames"] == 1 for line in out.splitlines())


class TestSearch:
    def test_links_to_folders_are_followed_once(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / "a" / "x.png")
        (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
        (tmp_path / "b").symlink_to(tmp_path / "a")
        found = search([str(tmp_path)])
        assert found.files == [f"{tmp_path}/a/x.png"]
        assert found.complete

    def test_a_link_to_itself_leads_nowhere(self, tmp_path: Path) -> None:
        (tmp_path / "loop.jpg").symlink_to("loop.jpg")
        Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
        found = search([str(tmp_path)])
        assert found.files == [f"{tmp_path}/x.png"]
        assert found.left_out == [(f"{tmp_path}/loop.jpg", "a link to what is not there")]
        assert search([str(tmp_path / "loop.jpg")]).left_out == found.left_out

    def test_a_link_to_what_cannot_be_looked_at_is_left_out(self, tmp_path: Path) -> None:
        (tmp_path / "long.jpg").symlink_to("a" * 300)
        (tmp_path / "long").symlink_to("a" * 300)
        Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
        found = search([str(tmp_path)])
        assert found.files == [f"{tmp_path}/x.png"]
        said = "it cannot be looked at (File name too long)"
        assert found.left_out == [(f"{tmp_path}/long", said), (f"{tmp_path}/long.jpg", said)]
        assert search([str(tmp_path / "long.jpg")]).left_out == found.left_out[1:]

    def test_a_file_system_that_cannot_be_reached_is_left_to_the_checker(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = ["ftp://127.0.0.1:9/x.jpg", "zip://a.jpg::nowhere.zip", "memory://looked/a.jpg"]

        def broken(*arguments: object, **more: Any) -> None:
            raise RuntimeError("connection lost")

        import fsspec

        memory = type(fsspec.filesystem("memory"))
        with monkeypatch.context() as patch:
            patch.setattr(memory, "info", broken)
            assert search(names).files == names
        fsspec.filesystem("memory").pipe("/looked/a.jpg", b"x")
        monkeypatch.setattr(memory, "find", broken)
        [(name, reason)] = search(["memory://looked"]).left_out
        fsspec.filesystem("memory").rm("/looked/a.jpg")
        assert (name, reason[:36]) == ("memory://looked", "cannot be listed (connection lost); ")
        with pytest.raises(InputError, match="expected a path or a URL that fsspec knows"):
            search(["github://", *names])

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
