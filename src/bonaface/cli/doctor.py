"""`bonaface doctor`."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bonaface.cli.subjects import SubjectPattern
from bonaface.core.errors import InputError
from bonaface.core.paths import is_remote, to_path

if TYPE_CHECKING:
    from rich.console import Console

    from bonaface.datasets.doctor import Detections, DoctorReport

FINDINGS = 1


def doctor(
    dataset: Annotated[str, typer.Argument(help="Name of the data set; bonaface datasets lists the names.")],
    root: Annotated[
        Path,
        typer.Argument(
            parser=to_path,
            metavar="ROOT",
            help="Folder of this machine with the data set's files; for folder also a CSV file.",
        ),
    ],
    quick: Annotated[bool, typer.Option("--quick", help="Check names and lists only; open no file.")] = False,
    detect: Annotated[
        int,
        typer.Option(min=0, help="Find the face in this many files and compare it with the set's boxes."),
    ] = 0,
    subject_pattern: SubjectPattern = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Number of threads. Default: one for each core.", show_default=False),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the full result, with every name, as JSON.")
    ] = False,
) -> None:
    """Check a copy of a data set before any long work: report what is missing, broken or different.

    Exit code 0: nothing was found. 1: something was; it is listed. 2: there is no such set, or nothing of it.
    """
    from bonaface.cli.progress import bar
    from bonaface.cli.tables import terminal
    from bonaface.datasets.doctor import examine
    from bonaface.datasets.registry import open_dataset

    if is_remote(root):
        raise InputError(
            f"{root}: doctor examines a folder of this machine; copy the set here, or let prepare read it where it is"
        )
    chosen = open_dataset(dataset, subject_pattern)
    with nullcontext() if quick else bar("files") as progress:
        report = examine(
            chosen, root, open_files=not quick, detect=detect, workers=workers, progress=progress
        )
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2))
    else:
        _show(terminal(), report)
    if report.findings:
        sys.exit(FINDINGS)


def _show(console: "Console", report: "DoctorReport") -> None:
    _show_parts(console, report)
    if report.files:
        _show_files(console, report)
    if report.with_boxes is not None:
        console.print(f"files with face boxes of the set: {report.with_boxes}", highlight=False)
    if report.detections:
        _show_detections(console, report.detections)
    console.print()
    for note in report.notes:
        console.print(f"note: {note}", highlight=False, soft_wrap=True)
    for finding in report.findings:
        console.print(f"- {finding}", highlight=False, soft_wrap=True)
    if not report.findings:
        console.print(f"{report.dataset}: nothing is wrong with {report.root}", highlight=False)


def _show_parts(console: "Console", report: "DoctorReport") -> None:
    from bonaface.cli.tables import names_table

    table = names_table("split", "bona fide", "attacks", "subjects", numbers=3)
    for part in report.parts:
        table.add_row(part.split or "all", *map(str, (part.bona_fide, part.attacks, part.subjects)))
    console.print(table)


def _show_files(console: "Console", report: "DoctorReport") -> None:
    from bonaface.cli.tables import names_table

    table = names_table("device", "readable", "frames: fewest, median, most", "what they are")
    for files in report.files:
        shapes = "\n".join(f"{count} {shape}" for shape, count in files.shapes.items())
        table.add_row(files.device or "any", str(files.readable), ", ".join(map(str, files.frames)), shapes)
    console.print(table)


def _show_detections(console: "Console", seen: "Detections") -> None:
    for device, turns in seen.turns.items():
        words = {-1: "without a face", 0: "upright"}
        counts = (f"{count} {words.get(turn, f'to turn by {turn} degrees')}" for turn, count in turns.items())
        console.print(f"faces, {device or 'any device'}: {', '.join(counts)}", highlight=False)
    if seen.agreement is not None:
        console.print(
            f"the set's boxes and the detector's share {seen.agreement:.0%} of their union (median of {seen.compared})",
            highlight=False,
        )
