"""`bonaface import`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bonaface.core.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from bonaface.export.foreign import Layout, Order


def import_model(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL.onnx...", help="One network, or one for each crop, to be averaged."),
    ],
    input_size: Annotated[int, typer.Option(min=1, max=2048, help="Side of the network's input in pixels.")],
    crop: Annotated[
        list[str],
        typer.Option(
            help="Crop of the face that it reads: tight, native, square-SCALE, box-SCALE or aligned-SCALE. "
            "Given several times, one for each input or file, in their order."
        ),
    ],
    score: Annotated[
        str,
        typer.Option(
            metavar="softmax:CLASS|sigmoid[:COLUMN]|value[:COLUMN]",
            help="How its output becomes the score of bona fide; with a minus before it where it tells attacks "
            "(--score=-sigmoid).",
        ),
    ],
    order: Annotated[str, typer.Option(metavar="rgb|bgr", help="Order of the channels.")] = "rgb",
    scale: Annotated[
        float, typer.Option(help="Value of a white pixel: 1 or 255, before mean and std are applied.")
    ] = 1.0,
    mean: Annotated[
        str,
        typer.Option(
            metavar="A,B,C", help="What is taken away by channel, in the network's order and scale."
        ),
    ] = "0,0,0",
    std: Annotated[str, typer.Option(metavar="A,B,C", help="What it is then divided by.")] = "1,1,1",
    layout: Annotated[
        str, typer.Option(metavar="nchw|nhwc", help="Order of the input's dimensions.")
    ] = "nchw",
    output: Annotated[
        str | None, typer.Option(help="Output that is read, if there are several.", show_default=False)
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Score from which its makers take a face for bona fide.")
    ] = 0.5,
    name: Annotated[str, typer.Option(help="What the model is called. Default: after the file.")] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            help="Folder for the bundle. Default: NAME-bundle in this folder, after the file.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make a bundle of somebody else's network, so that evaluate, report, compare and check judge it like any other.

    The bundle is compared with the network run by hand on random pictures.
    """
    try:
        from bonaface.export.foreign import ForeignInput, ScoreRule, import_network
    except ModuleNotFoundError as error:
        raise MissingExtraError("import", "export", str(error.name)) from error
    taken = ForeignInput(
        input_size,
        tuple(crop),
        cast("Order", order),  # which ForeignInput checks, as the layout
        scale,
        _three(mean, "--mean"),
        _three(std, "--std"),
        cast("Layout", layout),
    )
    rule = ScoreRule.parse(score)
    folder = Path(f"{files[0].stem}-bundle") if out is None else out
    bundle = import_network(files, folder, taken, rule, output=output, threshold=threshold, name=name)
    typer.echo(f"written: {bundle.path}, which gives the scores of the network run by hand")
    widest = bundle.card.face.context
    typer.echo(
        f"next: bonaface prepare SET DATA STORE --context {max(widest, 2.0):g}; bonaface evaluate {folder} --data "
        "STORE ..."
    )


def _three(text: str, option: str) -> tuple[float, float, float]:
    try:
        a, b, c = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"{option} {text}: expected three numbers with commas between, as in 0.5,0.5,0.5"
        ) from None
    return a, b, c
