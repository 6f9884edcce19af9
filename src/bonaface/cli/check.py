"""`bonaface check`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bonaface.core.errors import InputError

if TYPE_CHECKING:
    from bonaface.core.records import Decision
    from bonaface.inference.checker import Checker
    from bonaface.inference.verdict import Verdict
    from bonaface.media.decoder import Decoder
    from bonaface.media.search import Search


def check(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Pictures, videos, folders of them, URLs, patterns in quotes ('*.jpg'), or - for standard input."
        ),
    ] = None,
    example: Annotated[
        bool,
        typer.Option(
            "--example",
            help="Check the two pictures that ship with Bonaface, a simulated bona fide presentation and a "
            "simulated attack.",
        ),
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Bundle, or folder of a training run. Default: the model that ships with Bonaface.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line instead of text.")
    ] = False,
    output: Annotated[
        str | None, typer.Option(help="Score output that decides. Default: the model's first.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Lowest score that is accepted as bona fide. Default: the model's own threshold, set on dev data."
        ),
    ] = None,
    operating_point: Annotated[
        str | None,
        typer.Option(
            metavar="eer|bpcer=SHARE",
            help="Which of the model's own thresholds decides. bpcer=0.01: the one where BPCER was 1 % on dev data. "
            "Default: eer.",
        ),
    ] = None,
    backend: Annotated[
        str, typer.Option(help="onnx: run on the CPU; torch: run in torch, on a GPU if there is one.")
    ] = "onnx",
    threads: Annotated[
        int | None, typer.Option(help="Number of processor threads. Default: one for each core.")
    ] = None,
) -> None:
    """Decide for each picture or video whether it is bona fide or an attack.

    Exit code: 0 all are bona fide; 1 an attack is among them; 3 something got no response (no face, unreadable, not
    there, left out) and no attack was seen; 2 misuse, and nothing was checked; 4 an internal error.
    """
    import json

    from bonaface.inference.bundle import EXAMPLES
    from bonaface.media.decoder import Decoder
    from bonaface.media.search import search

    names = [*(paths or []), *([str(EXAMPLES)] if example else [])]
    if not names:
        raise InputError(
            "expected a picture, a video or a folder to check, got none; --example has two pictures"
        )
    found = search(names)
    if not found.files:
        raise InputError("; ".join([*found.sentences(), "nothing was checked"]))
    decoder = Decoder()
    decoder.start()  # it gets ready while the network is loaded
    checker = _checker(model, output, threshold, operating_point, backend, threads, decoder)
    decisions = set()
    for verdict in _verdicts(checker, found):
        decisions.add(verdict.decision)
        typer.echo(json.dumps(verdict.as_dict(), allow_nan=False) if as_json else str(verdict))
    raise typer.Exit(_exit_code(decisions, found))


def _verdicts(checker: "Checker", found: "Search") -> "Iterator[Verdict]":
    """The verdicts on the files that were found; on standard error what was not checked, and why."""
    for sentence in found.sentences():
        typer.echo(f"bonaface: {sentence}", err=True)
    for file in found.files:
        try:
            yield checker(sys.stdin.buffer.read(), name="-") if file == "-" else checker(file)
        except InputError as error:  # it has gone since it was found, or a URL has nothing there
            found.missing.append(file)
            typer.echo(f"bonaface: {error}", err=True)


def _exit_code(decisions: "set[Decision]", found: "Search") -> int:
    from bonaface.inference.verdict import exit_code

    code = exit_code(decisions)
    return 3 if code == 0 and not found.complete else code


def _checker(
    model: Path | None,
    output: str | None,
    threshold: float | None,
    operating_point: str | None,
    backend: str,
    threads: int | None,
    decoder: "Decoder",
) -> "Checker":
    from bonaface.cli.backends import torch_runner
    from bonaface.inference.bundle import DEFAULT_MODEL, DEFAULT_POINT
    from bonaface.inference.checker import load

    if threshold is not None and operating_point is not None:
        raise InputError("--threshold and --operating-point both say what decides; give one of them")
    runner = torch_runner(model or DEFAULT_MODEL, backend)
    return load(
        model,
        output=output,
        threshold=threshold,
        operating_point=operating_point or DEFAULT_POINT,
        runner=runner,
        threads=threads,
        preview=0,
        decoder=decoder,
    )
