"""`bonaface export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bonaface.core.errors import InputError, MissingExtraError
from bonaface.core.paths import to_path

if TYPE_CHECKING:
    from bonaface.export.format import Precision
    from bonaface.export.parity import Parity
    from bonaface.inference.bundle import Bundle


def export(
    model: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a training run, a bundle, or a model's name.")
    ],
    name: Annotated[
        str, typer.Option("--format", metavar="onnx|openvino", help="Format of the network.")
    ] = "onnx",
    precision: Annotated[
        str,
        typer.Option(
            metavar="fp32|fp16|int8",
            help="fp16: weights rounded to half precision, files of half the size. int8: computed in 8 bits, "
            "calibrated on crops of the store.",
        ),
    ] = "fp32",
    data: Annotated[
        Path | None,
        typer.Option(
            parser=to_path,
            metavar="STORE",
            help="Crop store on whose crops scores, decisions and errors are compared. Default: the one that the model "
            "was trained on, if it is there; fp32 can do without.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for the exported bundle, with a page and an example for whoever builds it in. Default of "
            "a run: RUN/export/FORMAT-PRECISION; a bundle or a model's name needs this option.",
            show_default=False,
        ),
    ] = None,
    max_loss: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="By how much APCER or BPCER may grow (0.01 is one percentage point) at any threshold.",
        ),
    ] = 0.01,
    force: Annotated[
        bool, typer.Option("--force", help="Write it also where it loses more than that.")
    ] = False,
) -> None:
    """Export a model to what programs deploy, and show what that does to its scores, decisions and errors.

    What no score needs is left out: maps, and the weights for torch. The result is a bundle, which check and evaluate
    take as any other.
    """
    from bonaface.inference.bundle import Bundle

    try:
        from bonaface.export.deploy import export_model
    except ModuleNotFoundError as error:
        raise MissingExtraError("export", "export", str(error.name)) from error
    from bonaface.store.crop_store import CropStore

    bundle = Bundle.open(model)
    folder = to or _folder(bundle, name, precision)
    where = data or _trained_on(bundle)
    store = CropStore.open(where) if where else None
    parity = export_model(
        bundle,
        name,
        cast("Precision", precision),  # which export_model checks
        folder,
        store,
        max_loss=max_loss,
        force=force,
        log=lambda sentence: typer.echo(sentence, err=True),
    )
    if parity:
        _print(parity)
    else:
        typer.echo("scores of random pictures agree; give --data STORE to compare errors")
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    typer.echo(f"written: {folder} ({size:.1f} MB); README.md says how to build it in")


def _folder(bundle: "Bundle", name: str, precision: str) -> Path:
    run = bundle.path.parent
    if not (run / "run.json").is_file():
        raise InputError(
            f"{bundle.path} is no run with a folder for exports; say where to write with --to DIR"
        )
    return run / "export" / f"{name}-{precision}"


def _trained_on(bundle: "Bundle") -> Path | None:
    """Return the store that the model was trained on, if it is still where it was."""
    from bonaface.store.crop_store import STORE

    settings = bundle.card.provenance.get("settings")
    store = settings.get("store") if isinstance(settings, dict) else None
    path = to_path(store) if isinstance(store, str) and store else None
    return path if path and (path / STORE).is_file() else None


def _print(parity: "Parity") -> None:

    from bonaface.cli.tables import names_table, terminal

    table = names_table(
        "output",
        "operating point",
        "changed",
        "APCER before",
        "after",
        "BPCER before",
        "after",
        names=2,
        numbers=5,
    )
    for output in parity.outputs:
        for point in output.points:
            rates = [f"{rate.errors}/{rate.total}" for rate in (*point.apcer, *point.bpcer)]
            table.add_row(output.output, point.point, str(point.changed.errors), *rates)
    console = terminal()
    console.print(f"{parity.crops} crops of {parity.store}", highlight=False)
    console.print(table)
    for output in parity.outputs:
        console.print(
            f"{output.output}: scores move by {output.mean:.2g} in the mean and {output.largest:.2g} at most",
            highlight=False,
        )
