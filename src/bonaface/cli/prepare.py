"""`bonaface prepare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bonaface.cli.engine import Address
from bonaface.cli.subjects import SubjectPattern
from bonaface.core.machine import Engine
from bonaface.core.paths import to_path

if TYPE_CHECKING:
    from rich.console import Console

    from bonaface.store.prepare import Summary


def prepare(
    dataset: Annotated[str, typer.Argument(help="The data set's name; bonaface datasets lists them.")],
    root: Annotated[
        Path,
        typer.Argument(
            parser=to_path,
            metavar="ROOT",
            help="The folder with its files; for folder also a CSV file. A path or a URL (s3://, ...).",
        ),
    ],
    store: Annotated[
        Path,
        typer.Argument(
            parser=to_path,
            metavar="STORE",
            help="The folder for the crop store; begun if it is not there. A path or a URL.",
        ),
    ],
    frames: Annotated[
        int, typer.Option(min=1, help="How many evenly spaced frames to take of a video.")
    ] = 20,
    longer_side: Annotated[
        int,
        typer.Option(min=32, help="Pixels of the longer side of the picture in which faces are looked for."),
    ] = 640,
    context: Annotated[
        float,
        typer.Option(
            min=1.0,
            max=4.0,
            help="Side of what is kept around a face, in face boxes: the widest square crop that can be cut.",
        ),
    ] = 2.0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; default: one for each core.", show_default=False)
    ] = None,
    boxes: Annotated[
        bool,
        typer.Option(
            "--boxes",
            help="Take the face boxes that come with the set, not the detector's, by which check will find faces.",
        ),
    ] = False,
    subject_pattern: SubjectPattern = None,
    engine: Annotated[
        Engine,
        typer.Option(help="local: processes of this machine; ray: tasks of a Ray cluster. Same store."),
    ] = "local",
    address: Address = None,
) -> None:
    """Cut the face out of every picture and video of a data set and keep it, without loss, in a crop store.

    It can be stopped at any moment: the same command goes on where it was.
    """
    from rich.console import Console

    from bonaface.cli.progress import bar
    from bonaface.datasets.registry import open_dataset
    from bonaface.store import prepare as preparing
    from bonaface.store.crop_store import PrepareSettings

    console = Console()
    table = open_dataset(dataset, subject_pattern).read(root)
    settings = PrepareSettings(frames=frames, longer_side=longer_side, boxes=boxes, context=context)
    with bar("presentations") as progress:
        summary = preparing.prepare(
            table,
            root,
            store,
            settings=settings,
            workers=workers,
            engine=engine,
            address=address,
            progress=progress,
        )
    _show(console, summary)


def _show(console: "Console", summary: "Summary") -> None:
    from bonaface.cli.tables import names_table
    from bonaface.core.records import Response

    given = {response for _, response in summary.frames}
    reasons = [reason for reason in Response if reason and reason in given]
    columns = ("presentations", "without any face", "frames", "with a face", *reasons)
    table = names_table("species", *columns, numbers=len(columns))
    for name in sorted(summary.presentations):  # bona fide, whose species is empty, comes first
        frames = {response: n for (species, response), n in summary.frames.items() if species == name}
        counts = (
            summary.presentations[name],
            summary.non_response.get(name, 0),
            sum(frames.values()),
            *(frames.get(response, 0) for response in (Response.SCORED, *reasons)),
        )
        table.add_row(name or "bona fide", *map(str, counts))
    console.print(table)
    for path, detail in summary.unreadable:
        console.print(f"unreadable: {path}: {detail}", markup=False, highlight=False, soft_wrap=True)
    for note in summary.notes:
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{summary.store}: {summary.bytes / 1e6:.1f} MB", highlight=False, soft_wrap=True)
