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
    dataset: Annotated[str, typer.Argument(help="Name of the data set; bonaface datasets lists the names.")],
    root: Annotated[
        Path,
        typer.Argument(
            parser=to_path,
            metavar="ROOT",
            help="Folder with the data set's files; for folder also a CSV file. A path or a URL (s3://, ...).",
        ),
    ],
    store: Annotated[
        Path,
        typer.Argument(
            parser=to_path,
            metavar="STORE",
            help="Folder for the crop store; it is made if it does not exist. A path or a URL.",
        ),
    ],
    frames: Annotated[
        int, typer.Option(min=1, help="Number of evenly spaced frames to take from a video.")
    ] = 20,
    longer_side: Annotated[
        int,
        typer.Option(min=32, help="Reduce pictures to this longer side, in pixels, before finding faces."),
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
        int | None,
        typer.Option(min=1, help="Number of processes. Default: one for each core.", show_default=False),
    ] = None,
    boxes: Annotated[
        bool,
        typer.Option(
            "--boxes",
            help="Use the face boxes that come with the set, not the detector's. check always uses the detector.",
        ),
    ] = False,
    subject_pattern: SubjectPattern = None,
    engine: Annotated[
        Engine,
        typer.Option(
            help="local: processes on this machine; ray: tasks on a Ray cluster. Both make the same store."
        ),
    ] = "local",
    address: Address = None,
) -> None:
    """Find the face in every picture and video of a data set and keep it, without loss, in a crop store.

    You can stop it at any time; the same command continues.
    """
    from bonaface.cli.progress import bar
    from bonaface.cli.tables import terminal
    from bonaface.datasets.registry import open_dataset
    from bonaface.store import prepare as preparing
    from bonaface.store.crop_store import PrepareSettings

    console = terminal()
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
        console.print(f"unreadable: {path}: {detail}", highlight=False, soft_wrap=True)
    for note in summary.notes:
        console.print(f"note: {note}", highlight=False, soft_wrap=True)
    console.print(f"{summary.store}: {summary.bytes / 1e6:.1f} MB", highlight=False, soft_wrap=True)
