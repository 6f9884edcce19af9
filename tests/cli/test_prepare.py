import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from bonaface.cli.prepare import _show, prepare
from bonaface.core.errors import InputError
from bonaface.core.records import Response
from bonaface.store.crop_store import CropStore
from bonaface.store.prepare import Summary

app = typer.Typer()
app.command()(prepare)


def run(*arguments: object) -> Any:
    runner = CliRunner(env={"COLUMNS": "200"})
    return runner.invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def root(faces_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people of `faces_root`, a picture without a face, a broken one and a file of another kind."""
    root = tmp_path_factory.mktemp("few")
    for person in ("bonafide/person-0", "attack/print-1/person-1"):
        shutil.copytree(faces_root / person, root / person)
    (root / "attack" / "print-1" / "broken.png").write_text("no picture")
    (root / "attack" / "print-1" / "notes.txt").touch()
    return root


def test_prepare_prints_counts(root: Path, tmp_path: Path) -> None:
    result = run("folder", root, tmp_path / "s", "--workers", 1, "--frames", 3, "--longer-side", 256)
    assert result.exit_code == 0
    header, *lines = result.stdout.splitlines()
    assert " ".join(header.split()) == (
        "species presentations without any face frames with a face unreadable no face"
    )
    assert [" ".join(line.split()) for line in lines[:2]] == ["bona fide 3 1 3 2 0 1", "print-1 3 1 3 2 1 0"]
    rest = lines[2:]
    assert rest[0].startswith("unreadable: attack/print-1/broken.png: expected a picture")
    assert rest[1].startswith("note: 1 files are neither picture nor video and were left out")
    assert rest[2].startswith(
        "note: 1 of 6 presentations name no subject (attack/print-1/broken.png), so each"
    )
    assert rest[3].startswith(f"{tmp_path / 's'}: ")
    assert "6/6" in result.stderr
    settings = CropStore.open(tmp_path / "s").settings
    assert (settings.frames, settings.longer_side) == (3, 256)


def test_second_run_prints_the_same(root: Path, tmp_path: Path) -> None:
    first = run("folder", root, tmp_path / "s", "--workers", 1)
    assert run("folder", root, tmp_path / "s").stdout == first.stdout


def test_rejects_other_settings(root: Path, tmp_path: Path) -> None:
    run("folder", root, tmp_path / "s", "--workers", 1)
    with pytest.raises(InputError, match=r"settings\.frames was 20, now 5"):
        run("folder", root, tmp_path / "s", "--frames", 5)


def test_misuse(root: Path, tmp_path: Path) -> None:
    assert run("folder", root, tmp_path / "s", "--workers", 0).exit_code == 2
    assert run("folder", root).exit_code == 2
    for option, least in (("--frames", 1), ("--longer-side", 32)):
        refused = run("folder", root, tmp_path / "s", option, least - 1)
        assert refused.exit_code == 2
        assert f"greater than or equal to {least}" in refused.output
    assert not (tmp_path / "s").exists()


def test_subjects_are_found_in_file_names(root: Path, tmp_path: Path) -> None:
    for arguments in (("--subject-pattern", "/(broken)"), ()):
        store = tmp_path / f"s{len(arguments)}"
        result = run("folder", root, store, "--workers", 1, *arguments)
        assert result.exit_code == 0
        assert ("name no subject" in result.stdout) == (not arguments)
        subjects = {row.subject for row in CropStore.open(store).presentations}
        assert subjects == {"person-0", "person-1", "broken" if arguments else ""}


@pytest.mark.parametrize("width", [80, 100])
def test_species_are_whole_on_a_narrow_terminal(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    names = (
        "",
        "display-highdef-photo",
        "display-highdef-video",
        "display-mobile-photo",
        "display-mobile-video",
    )
    summary = Summary(
        store=Path("store"),
        presentations=dict.fromkeys(names, 400),
        non_response=dict.fromkeys(names, 12),
        frames={(name, response): 8000 for name in names for response in Response},
        unreadable=(),
        notes=(),
        bytes=1,
    )
    _show(Console(width=width), summary)
    text = capsys.readouterr().out
    assert "…" not in text
    for name in names[1:]:
        (line,) = (line for line in text.splitlines() if line.startswith(name))
        assert line.split()[1:] == ["400", "12", str(8000 * len(Response)), *["8000"] * len(Response)]
