"""`bonaface explain`."""

from pathlib import Path
from typing import Annotated

import typer

from bonaface.core.errors import InputError, MissingExtraError
from bonaface.core.paths import to_path


def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished training run.")],
    data: Annotated[
        Path,
        typer.Option(
            parser=to_path, metavar="STORE", help="Crop store made by bonaface prepare; a path or a URL."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the figures, their arrays and index.html.")],
    samples: Annotated[int, typer.Option(help="Most presentations that are looked at.")] = 200,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Layer for Grad-CAM on the errors: a feature level (P3) or a module of the network. Default: the "
            "network's first level.",
        ),
    ] = None,
    versus: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="Another run; with it t-SNE shows what that run got wrong and this one right."
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            help="The set's own folder; with it presentations in which no face was found are shown."
        ),
    ] = None,
) -> None:
    """Draw the papers' figures of a run: samples, crops, spectra, attention, heat maps, Grad-CAM, t-SNE.

    What the network has no part for is left out. If STORE is of the set that the run was trained on, the run's test
    presentations are shown, else all. You can stop it at any time; the same command continues.
    """
    try:
        from bonaface.explain.explain import explain as write_figures
        from bonaface.explain.run import TrainedRun
    except ModuleNotFoundError as error:
        raise MissingExtraError("explaining a run", "explain", str(error.name)) from error
    from bonaface.cli.progress import bar
    from bonaface.core.files import alone, holds_files
    from bonaface.explain.kept import STATE
    from bonaface.store.crop_store import CropStore

    opened, store = TrainedRun.open(run), CropStore.open(data)
    other = TrainedRun.open(versus) if versus else None
    if holds_files(out) and not (out / STATE).is_file():
        raise InputError(f"{out} holds other files; give a new or empty folder (--out)")
    with alone(out, "explanation"), bar("frames") as progress:
        entries = write_figures(
            opened, store, out, samples=samples, layer=layer, versus=other, root=root, progress=progress
        )
    for entry in entries:
        said = f"left out: {entry.left_out}" if entry.left_out else ", ".join(entry.files)
        typer.echo(f"{entry.name}: {said}")
    typer.echo(f"Written: {out / 'index.html'}")
