"""`bonaface simulate`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer


def simulate(
    out: Annotated[Path, typer.Argument(help="Folder for the set; it is made if it does not exist.")],
    layout: Annotated[
        str, typer.Option(help="Layout of the set: oulu-npu, replay-mobile or folder.")
    ] = "oulu-npu",
    persons: Annotated[
        int | None,
        typer.Option(min=1, help="Number of people. Default: as many as the layout has.", show_default=False),
    ] = None,
    phones: Annotated[int, typer.Option(min=1, max=6, help="Number of phones, for oulu-npu.")] = 6,
    sessions: Annotated[int, typer.Option(min=1, max=3, help="Number of sessions, for oulu-npu.")] = 3,
    frames: Annotated[
        int, typer.Option(min=1, help="Frames in each video; for folder: pictures of each person and class.")
    ] = 8,
    size: Annotated[
        str | None,
        typer.Option(
            help="Width x height of the frames. Default: 540x960; for folder 512x512.", show_default=False
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of every random choice; the same seed gives the same bytes.")
    ] = 0,
    faces: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder with one portrait of each person. May be given several times. Default: synthetic persons."
        ),
    ] = None,
    software: Annotated[
        bool,
        typer.Option(
            "--software",
            help="For folder: add what software does to some pictures: a phone's levelled light and smoothed skin, a "
            "player's controls over what a display shows.",
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Number of processes. Default: one for each core.", show_default=False),
    ] = None,
) -> None:
    """Simulate a set of presentations: people in front of cameras, and prints, screens and masks of them.

    You can stop it at any time; the same command continues.
    """
    from bonaface.cli.progress import bar
    from bonaface.cli.tables import terminal
    from bonaface.core.files import alone
    from bonaface.core.machine import usable_cores
    from bonaface.jobs.local import run_jobs
    from bonaface.simulate import sets
    from bonaface.simulate.faces import SEEN, find_faces

    plan = sets.Plan(layout, persons, phones, sessions, _size(size), frames, seed, software=software)
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
    console = terminal()
    console.print(
        f"{out}: {total} simulated presentations of {len(sets.people(plan))} "
        f"{'people' if faces else 'synthetic persons'}, {layout}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def _size(text: str | None) -> tuple[int, int] | None:
    from bonaface.core.errors import InputError

    if text is None:
        return None
    width, cross, height = text.lower().partition("x")
    # a superscript is a digit too, but no number
    if not (cross and width.strip().isdecimal() and height.strip().isdecimal()):
        raise InputError(f"the size must be like 540x960, got {text!r}")
    return int(width), int(height)
