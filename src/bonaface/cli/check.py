"""`bonaface check`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bonaface.core.errors import InputError

if TYPE_CHECKING:
    from bonaface.core.records import Verdict
    from bonaface.inference.checker import Checker


def check(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, videos, or folders of them.")],
    model: Annotated[Path, typer.Option(help="A bundle, or a run's folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line instead of text.")] = False,
    output: Annotated[
        str | None, typer.Option(help="The score output that decides; default: the model's first.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Bona fide from this score on; default: the model's own, set on its dev data."),
    ] = None,
    backend: Annotated[str, typer.Option(help="onnx (CPU), or torch (a GPU where there is one).")] = "onnx",
    threads: Annotated[
        int | None, typer.Option(help="Processor threads; default: one for each core.")
    ] = None,
) -> None:
    """Say of each picture or video whether it is bona fide or an attack.

    Exit code: 0 all are bona fide; 1 an attack is among them; 3 something got no response (no face, unreadable) and
    no attack was seen; 2 misuse; 4 an internal error.
    """
    import json

    from bonaface.inference.checker import exit_code

    files = _files(paths)
    checker = _checker(model, output, threshold, backend, threads)
    verdicts = []
    for file in files:
        verdict = checker.check(file)
        verdicts.append(verdict)
        typer.echo(json.dumps(verdict.as_dict(), allow_nan=False) if as_json else _line(verdict))
    raise typer.Exit(exit_code(verdicts))


def _checker(
    model: Path, output: str | None, threshold: float | None, backend: str, threads: int | None
) -> "Checker":
    from bonaface.cli.backends import torch_runner
    from bonaface.inference.checker import Checker

    runner = torch_runner(model, backend)
    return Checker(model, output=output, threshold=threshold, runner=runner, threads=threads)


def _files(paths: list[Path]) -> list[Path]:
    from bonaface.media.kinds import is_media

    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise InputError(f"{', '.join(missing)}: no such file or folder; nothing was checked")
    files: list[Path] = []
    for path in paths:
        inside = (
            sorted(f for f in path.rglob("*") if f.is_file() and is_media(f)) if path.is_dir() else [path]
        )
        if not inside:
            raise InputError(
                f"{path}: expected pictures or videos in this folder, found none; nothing was checked"
            )
        files += inside
    return files


def _line(verdict: "Verdict") -> str:
    if verdict.score is None:
        reason = verdict.detail.removeprefix(f"{verdict.path}: ")
        return f"{verdict.path}: no response ({reason})"
    frames = f", {verdict.frames_scored} of {verdict.frames} frames" if verdict.frames > 1 else ""
    note = f" ({verdict.detail})" if verdict.detail else ""
    return (
        f"{verdict.path}: {verdict.decision}, score {verdict.score:.4f} "
        f"(threshold {verdict.threshold:.4f}{frames}){note}"
    )
