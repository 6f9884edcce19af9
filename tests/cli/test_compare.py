from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from bonaface.cli.compare import compare
from bonaface.core.errors import InputError

app = typer.Typer()
app.command()(compare)


def test_two_files_are_compared_at_one_threshold(tmp_path: Path) -> None:
    paths = []
    for name, scores in (("ours", (0.9, 0.8, 0.2, 0.1)), ("theirs", (0.9, 0.4, 0.2, 0.6))):
        paths.append(tmp_path / f"{name}.csv")
        lines = [f"v{n},{int(n < 2)},{score}" for n, score in enumerate(scores)]
        paths[-1].write_text("\n".join(["sample_id,label,score", *lines]) + "\n")
    out = tmp_path / "out"
    arguments = [*paths, "--threshold-from", "0.5", "--out", out]
    result = CliRunner().invoke(
        app, [str(a) for a in arguments], env={"COLUMNS": "80"}, catch_exceptions=False
    )
    assert result.exit_code == 0
    assert "ours (A) and theirs (B), by picture: 4 presentations." in result.stdout
    assert "2 presentations are decided differently" in result.stdout
    rows = (out / "flips.csv").read_text().splitlines()
    assert rows == [
        "fold,id,label,species,first,second,right",
        ",v1,1,,0.8,0.4,first",
        ",v3,0,unknown,0.1,0.6,first",
    ]


def test_each_system_may_have_its_own_dev_file(tmp_path: Path) -> None:
    rows = {"ours": (0.9, 0.1), "theirs": (9.0, 1.0)}
    for name, (high, low) in rows.items():
        for split in ("test", "dev"):
            text = f"sample_id,label,score\n{split}1,1,{high}\n{split}2,0,{low}\n"
            (tmp_path / f"{name}-{split}.csv").write_text(text)
    arguments: list[Path | str] = [tmp_path / "ours-test.csv", tmp_path / "theirs-test.csv"]
    arguments += ["--dev-a", tmp_path / "ours-dev.csv", "--dev-b", tmp_path / "theirs-dev.csv"]
    result = CliRunner().invoke(
        app, [str(a) for a in arguments], env={"COLUMNS": "80"}, catch_exceptions=False
    )
    flat = " ".join(result.stdout.split())
    assert "A 0.5 (EER of dev set, by picture); B 5 (EER of dev set, by picture)." in flat


def test_videos_are_called_videos(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        rows = [f"v{n // 2}-{n},v{n // 2},{n // 4},{0.1 * n}" for n in range(8)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["sample_id,video_id,label,score", *rows]) + "\n")
    paths = [str(tmp_path / f"{name}.csv") for name in ("ours", "theirs")]
    result = CliRunner().invoke(app, [*paths, "--threshold-from", "0.35"], env={"COLUMNS": "80"})
    assert "ours (A) and theirs (B), by video: 4 presentations." in result.stdout


def test_an_error_names_the_table_it_is_about(tmp_path: Path) -> None:
    header = "sample_id,label,score,split"
    (tmp_path / "ours.csv").write_text(f"{header}\na,1,0.9,test\nb,0,0.1,test\n")
    (tmp_path / "theirs.csv").write_text(f"{header}\na,1,0.9,train\nb,0,0.1,train\n")
    paths = [str(tmp_path / f"{name}.csv") for name in ("ours", "theirs")]
    for arguments, named, said in (
        ([*paths, "--threshold-from", "0.5"], "theirs.csv", "there are no test scores to judge"),
        ([*paths], "ours.csv", "there are no dev scores"),
        ([*paths, "--threshold-from", "0.5", "--output", "depth"], "ours.csv", "unknown score output"),
    ):
        error = CliRunner().invoke(app, arguments).exception
        assert isinstance(error, InputError)
        assert str(error).startswith(f"{tmp_path / named}: {said}")


def test_rejects_overwriting_another_comparison(tmp_path: Path) -> None:
    for name, high in (("ours", 0.9), ("theirs", 0.4)):
        (tmp_path / f"{name}.csv").write_text(f"file,label,score\na,1,{high}\nb,0,0.1\n")

    def run(threshold: str) -> Any:
        arguments = [
            tmp_path / "ours.csv",
            tmp_path / "theirs.csv",
            "--threshold-from",
            threshold,
            "--out",
            tmp_path,
        ]
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    assert run("0.5").exit_code == run("0.5").exit_code == 0
    refused = run("0.6")
    assert isinstance(refused.exception, InputError)
    assert "holds another result (compare.json)" in str(refused.exception)
