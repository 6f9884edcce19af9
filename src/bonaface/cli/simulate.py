"""`bonaface simulate`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer


def simulate(
    out: Annotated[Path, typer.Argument(help="The folder for the set; begun if it is not there.")],
    layout: Annotated[str, typer.Option(help="oulu-npu, replay-mobile or folder.")] = "oulu-npu",
    persons: Annotated[
        int | None,
        typer.Option(min=1, help="How many people; default: all of the layout.", show_default=False),
    ] = None,
    phones: Annotated[
        int, typer.Option(min=1, max=6, help="Of OULU-NPU's six phones, the first so many.")
    ] = 6,
    sessions: Annotated[
        int, typer.Option(min=1, max=3, help="Of its three sessions, the first so many.")
    ] = 3,
    frames: Annotated[
        int, typer.Option(min=1, help="Frames of a video; in folder: pictures of a person and class.")
    ] = 8,
    size: Annotated[
        str | None,
        typer.Option(
            help="Width x height of the frames; default: 540x960, in folder 512x512.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    faces: Annotated[
        list[Path] | None,
        typer.Option(
            help="A folder with a picture of each person; may be repeated. Default: synthetic persons."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; default: one for each core.", show_default=False)
    ] = None,
) -> None:
    """Make a set of simulated presentations: people before cameras, and prints, screens and masks in their place.

    It can be stopped at any moment: the same command goes on where it was.
    """
    from rich.console import Console

    from bonaface.cli.progress import bar
    from bonaface.core.files import alone
    from bonaface.core.machine import usable_cores
    from bonaface.jobs.local import run_jobs
    from bonaface.simulate import sets
    from bonaface.simulate.faces import SEEN, find_faces

    plan = sets.Plan(layout, persons, phones, sessions, _size(size), frames, seed)
    with alone(out, "set"):
        if faces:
            with bar("faces") as show:
                found = find_faces(faces, len(sets.people(plan)), seed, workers, show, out / SEEN)
            plan = replace(plan, faces=found)
        total = sets.total_files(plan)
        sets.begin(out, plan)
        with bar("presentations") as show:
            run_jobs(
                sets.SetWriter(out, plan),
                sets.people(plan),
                workers or usable_cores(),
                lambda done: show(done, total),
            )
    console = Console()
    console.print(
        f"{out}: {total} simulated presentations of {len(sets.people(plan))} "
        f"{'people' if faces else 'synthetic persons'}, {layout}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip


def _size(text: str | None) -> tuple[int, int] | None:
    from bonaface.core.errors import InputError

    if text is None:
        return None
    width, cross, height = text.lower().partition("x")
    if not (cross and width.strip().isdigit() and height.strip().isdigit()):
        raise InputError(f"the size must be like 540x960, got {text!r}")
    return int(width), int(height)
