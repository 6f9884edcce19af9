import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from PIL import Image
from rich.text import Text
from typer.core import TyperGroup
from typer.testing import CliRunner

from bonaface.cli import main as program
from bonaface.core.errors import InputError
from bonaface.inference.bundle import Bundle
from bonaface.testing.networks import write_bundle


def bonaface(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bonaface.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_check_prints_verdicts_and_sets_the_exit_code(run: Path, faces_root: Path) -> None:
    picture, nobody = faces_root / "bonafide/person-0/0.png", faces_root / "bonafide/person-0/nobody.png"
    real = bonaface("check", picture, "--model", run, "--threshold", "0")
    assert (real.returncode, real.stderr) == (0, "")
    assert real.stdout.startswith(f"{picture}: bona fide, score 0.")
    attack = bonaface("check", nobody, picture, "--model", run, "--threshold", "1")
    assert attack.returncode == 1
    assert f"{nobody}: no response (no face)" in attack.stdout
    no_response = bonaface("check", nobody, picture, "--model", run, "--threshold", "0")
    assert no_response.returncode == 3


def test_check_names_an_unreadable_file_once(run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    done = bonaface("check", tmp_path / "empty.jpg", "--model", run)
    assert done.stdout == (
        f"{tmp_path}/empty.jpg: no response (expected a picture, but the file is empty (0 bytes); copy it again)\n"
    )
    assert done.returncode == 3


def test_check_reads_folders_and_prints_json_lines(run: Path, faces_root: Path) -> None:
    done = bonaface("check", faces_root / "attack", "--model", run, "--json")
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(verdicts) == 20
    threshold = Bundle.open(run).card.threshold("feature_map", "frame")
    assert all((v["decision"] == "bona fide") == (v["score"] >= threshold) for v in verdicts)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["check", "nowhere.jpg", "--model", "{run}"],
            "nowhere.jpg: no such file or folder; nothing was checked",
        ),
        (["check", "{faces}", "--model", "nowhere"], "nowhere: does not exist"),
        (
            ["check", "{faces}", "--model", "{run}", "--runtime", "tpu"],
            "unknown runtime 'tpu'. Known: onnxruntime, openvino, torch.",
        ),
        (["check", "{faces}", "--model", "{run}", "--output", "depth"], "Known: binary, feature_map."),
        (
            ["check", "{faces}", "--model", "{run}", "--threshold", "7"],
            "a threshold lies in [0, 1] as scores do, got 7.0",
        ),
        (
            ["evaluate", "{run}", "--data", "{store}", "--protocol", "grandtest"],
            "unknown protocol 'grandtest'",
        ),
        (["evaluate", "{run}", "--data", "{run}", "--protocol", "split"], "expected a crop store"),
        (["train", "bi-fas", "--out", "x"], "expected --data STORE and --protocol NAME"),
        (
            ["train", "bifas", "--data", "{store}", "--protocol", "split", "--out", "x"],
            "Did you mean 'bi-fas'?",
        ),
        (["train", "--resume", "--out", "nowhere"], "nowhere: there is no run to go on with"),
        (["train", "bi-fas", "--resume", "--out", "x"], "say: bonaface train --resume --out x"),
        (["train"], "expected a model's name"),
        (
            ["train", "--resume", "--out", "{run}", "--epochs", "3", "--set", "lr=1"],
            "a resumed run keeps the settings that it began with; leave out --epochs, --set",
        ),
        (["models", "resnet"], "unknown model 'resnet'"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: list[str], sentence: str, run: Path, faces_root: Path, store: Path
) -> None:
    done = bonaface(*(text.format(run=run, faces=faces_root, store=store) for text in arguments))
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.startswith("bonaface: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_usage_errors_exit_with_2() -> None:
    assert bonaface("check").returncode == 2
    assert bonaface("fly").returncode == 2


def exit_code_of(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> object:
    """What the program leaves with where a command raises `error`."""

    def app() -> None:
        raise error

    monkeypatch.setattr(program, "app", app)
    with pytest.raises(SystemExit) as left:
        program.main()
    return left.value.code


def test_internal_errors_exit_with_4(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(ZeroDivisionError(), monkeypatch) == 4
    assert "an error of the program's own" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "the disk is full; free some space and run the same again",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/tmp/part", None, "run/last.ckpt"),
            "run/last.ckpt: the disk is full; free some space and run the same again",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "out"),
            "out: Permission denied; give another path, or make this one readable and writable",
        ),
    ],
)
def test_disk_errors_are_one_sentence_and_exit_code_2(
    error: OSError, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(error, monkeypatch) == 2
    assert capsys.readouterr().err == f"bonaface: {sentence}\n"


def with_streams(
    redirection: str, *arguments: object, folder: Path, encoding: str = "utf-8"
) -> subprocess.CompletedProcess[bytes]:
    """`bonaface`, in `folder`, as a shell starts it with `redirection`."""
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "bonaface.cli.main"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "200"}
    return subprocess.run(
        [*command, *map(str, arguments)], cwd=folder, env=environment, capture_output=True, check=False
    )


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder with a model, and files whose names not every terminal can show."""
    write_bundle(tmp_path / "model")
    (tmp_path / "照.jpg").write_bytes(b"nothing")
    (tmp_path / "scores.csv").write_text(
        "sample_id,label,score,species\na,1,0.9,\nb,0,0.1,照片\nc,0,0.2,print\n", encoding="utf-8"
    )
    (tmp_path / os.fsdecode(b"caf\xe9.csv")).symlink_to("scores.csv")
    return tmp_path


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_terminal_without_the_letters_gets_escapes(odd: Path, encoding: str) -> None:
    said = "照".encode(encoding, "backslashreplace")
    done = with_streams("", "check", "照.jpg", "--model", "model", folder=odd, encoding=encoding)
    assert (done.returncode, done.stderr) == (3, b"")
    assert done.stdout.startswith(said + b".jpg: no response (expected a picture")
    done = with_streams("", "report", "scores.csv", "--threshold-from", "0.5", folder=odd, encoding=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert said in done.stdout


def test_a_report_of_a_name_that_is_no_utf_8_is_written(odd: Path) -> None:
    name = os.fsdecode(b"caf\xe9.csv")
    for _ in range(2):  # the second finds its own results in the folder
        done = with_streams("", "report", name, "--threshold-from", "0.5", "--out", "rep", folder=odd)
        assert (done.returncode, done.stderr) == (0, b"")
    for path in (odd / "rep").iterdir():
        path.read_text(encoding="utf-8")
    assert r"caf\udce9" in (odd / "rep" / "report.html").read_text(encoding="utf-8")
    out = os.fsdecode(b"rep\xe9")
    done = with_streams("", "compare", name, name, "--threshold-from", "0.5", "--out", out, folder=odd)
    assert (done.returncode, done.stderr) == (0, b"")


def test_closed_streams_are_no_errors_of_the_program(odd: Path) -> None:
    check = ("check", "照.jpg", "照.jpg", "scores.csv", "照.jpg", "--model", "model")
    done = with_streams("<&-", *check, "-", folder=odd)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"bonaface: standard input is closed: leave out -, or give a file or a pipe to it\n"
    for closed in (">&-", "<&- >&-", "| true"):
        done = with_streams(closed, *check, folder=odd)
        if closed != "| true":  # whose exit code is that of true
            assert done.returncode == 130, done.stderr
        assert done.stderr == b""
    report = ("report", "scores.csv", "--threshold-from", "0.5", "--out")
    for name, closed in (("rep", ">&-"), ("rep2", "<&- >&- 2>&-")):  # its files are made whoever listens
        done = with_streams(closed, *report, name, folder=odd)
        assert (done.returncode, done.stderr, (odd / name / "report.html").is_file()) == (0, b"", True)
    done = with_streams("2>&-", *check, folder=odd)
    assert (done.returncode, done.stdout.count(b"no response")) == (3, 2)


def test_rejects_a_file_as_the_report_folder(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("label,score\n1,0.9\n0,0.1\n")
    (tmp_path / "taken").touch()
    done = bonaface("report", tmp_path / "scores.csv", "--threshold-from", 0.5, "--out", tmp_path / "taken")
    assert done.returncode == 2
    assert done.stderr.startswith(f"bonaface: {tmp_path}/taken: File exists; give another path")


def test_os_errors_from_a_bug_are_internal_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), monkeypatch) == 4
    assert "Traceback" in capsys.readouterr().err


def test_interrupt_prints_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(KeyboardInterrupt(), monkeypatch) == 130
    assert capsys.readouterr().err == "bonaface: stopped; what was done is kept\n"


def test_bonaface_errors_keep_their_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    assert exit_code_of(InputError("no"), monkeypatch) == 2


def test_models_lists_every_model_and_shows_one_in_full() -> None:
    listed = bonaface("models")
    assert listed.returncode == 0
    for name in ("deep-pix-bis", "a-deep-pix-bis", "bi-fas", "bi-fas-s"):
        assert name in listed.stdout
    one = bonaface("models", "a-deep-pix-bis").stdout
    assert "preset scaled" in one
    assert "lr = 0.001" in one
    assert "margin = 0.5" in one
    assert "m of eq. 13 in radians" in one
    assert "augment.simulate" in one


def test_version_and_help() -> None:
    assert bonaface("--version").stdout.startswith("bonaface 0.")
    shown = bonaface("train", "--help").stdout
    assert "--resume" in shown


def test_a_picture_with_the_alpha_and_the_orientation_of_a_phone_is_checked(
    run: Path, tmp_path: Path
) -> None:
    from bonaface.testing.portrait import drawn_portrait

    upright = Image.fromarray(drawn_portrait(256, 3))
    upright.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to show
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "phone.png", exif=exif)
    done = bonaface("check", tmp_path / "upright.png", tmp_path / "phone.png", "--model", run, "--json")
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first["score"] == second["score"]


@pytest.mark.parametrize(
    "command", sorted(info.name or info.callback.__name__ for info in program.app.registered_commands)
)
def test_help_is_whole_on_a_narrow_terminal(command: str) -> None:
    shown = CliRunner().invoke(program.app, [command, "--help"], env={"COLUMNS": "80"})
    assert shown.exit_code == 0
    assert "--help" in shown.output
    assert "…" not in shown.output


@pytest.mark.parametrize(("given", "expected"), [(None, "passive"), ("active", "active")])
def test_openmp_waits_without_spinning_unless_asked_to(
    given: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set before any command loads torch, which reads it then; a value of the user's own is kept."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if given:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    seen: list[str | None] = []
    monkeypatch.setattr(program, "_run", lambda: seen.append(os.environ.get("OMP_WAIT_POLICY")))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    program.main()
    assert seen == [expected]


def test_no_help_text_loses_what_rich_takes_for_markup() -> None:
    commands = typer.main.get_command(program.app)
    assert isinstance(commands, TyperGroup)
    texts = [
        text
        for command in (commands, *commands.commands.values())
        for text in (command.help, *(getattr(option, "help", None) for option in command.params))
        if text
    ]
    assert len(texts) > 100
    assert [Text.from_markup(text).plain for text in texts] == texts
