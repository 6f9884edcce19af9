"""`bonaface models`."""

from typing import TYPE_CHECKING, Annotated

import typer

from bonaface.core.errors import MissingExtraError

if TYPE_CHECKING:
    from rich.console import Console

    from bonaface.models.registry import Description


def models(
    name: Annotated[
        str | None, typer.Argument(help="One model, to see its presets and options in full.")
    ] = None,
) -> None:
    """List the models that can be trained, with their presets; or one of them in full."""
    from rich.console import Console
    from rich.table import Table

    try:
        from bonaface.models.registry import describe, model_names
    except ModuleNotFoundError as error:
        raise MissingExtraError("listing the models", "train", str(error.name)) from error
    console = Console()
    if name is None:
        table = Table("model", "what it is", "scores (first: default)", "presets (first: default)", box=None)
        for known in model_names():
            about = describe(known)
            table.add_row(
                known,
                about.summary,
                ", ".join(about.scores),
                ", ".join(preset.name for preset in about.presets),
            )
        console.print(table)
        console.print("\nbonaface models NAME shows one in full; bonaface train NAME --data STORE trains it.")
        return
    _one(console, describe(name))


def _one(console: "Console", about: "Description") -> None:
    from msgspec.structs import asdict

    from bonaface.core.fields import descriptions
    from bonaface.models.preset import GRADIENT_FIELDS, Augment, Preset

    console.print(f"[bold]{about.name}[/bold]: {about.summary}\n{about.paper} {about.link}\n")
    left_out = {"name", "model", *(GRADIENT_FIELDS if about.fitted_by_solver else ())}
    for preset in about.presets:
        console.print(f"[bold]preset {preset.name}[/bold]")
        for key, value in asdict(preset).items():
            if key not in left_out:
                console.print(f"  {key} = {value}")
    console.print("\n[bold]options[/bold] of this network (train --set NAME=VALUE)")
    for option, default in about.options.items():
        _explain(console, f"{option} = {default}", about.meanings.get(option, ""))
    console.print("\n[bold]fields of a preset[/bold], which can be set in the same way")
    for name, meaning in descriptions(Preset).items():
        if name not in left_out | {"options", "augment"}:
            _explain(console, name, meaning)
    for name, meaning in descriptions(Augment).items():
        _explain(console, f"augment.{name}", meaning)


def _explain(console: "Console", name: str, meaning: str) -> None:
    from rich.padding import Padding
    from rich.text import Text

    console.print(f"  {name}", markup=False, highlight=False)
    console.print(Padding(Text(meaning), (0, 0, 0, 6)))
