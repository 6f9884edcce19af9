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
    root: Annotated[
        Path | None,
        typer.Option(
            help="The set's own folder; with it presentations in which no face was found are shown."
        ),
    ] = None,
) -> None:
    """Draw the papers' figures of a run: samples, crops, spectra, attention, the levels' heat maps.

    What the network has no part for is left out. If STORE is of the set that the run was trained on, the run's test
    presentations are shown, else all.
    """
    try:
        from bonaface.explain.explain import explain as write_figures
        from bonaface.explain.run import TrainedRun
    except ModuleNotFoundError as error:
        raise MissingExtraError("explaining a run", "train", str(error.name)) from error
    from bonaface.cli.progress import bar
    from bonaface.core.files import alone, holds_files
    from bonaface.store.crop_store import CropStore

    opened, store = TrainedRun.open(run), CropStore.open(data)
    if holds_files(out) and not (out / "index.html").is_file():
        raise InputError(f"{out} holds other files; give a new or empty folder (--out)")
    with alone(out, "explanation"), bar("frames") as progress:
        written = write_figures(opened, store, out, samples=samples, root=root, progress=progress)
    typer.echo(f"Written: {', '.join(map(str, written))}")
