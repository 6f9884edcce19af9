"""`bonaface models`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bonaface.core.errors import MissingExtraError, UnknownNameError

if TYPE_CHECKING:
    from rich.console import Console

    from bonaface.models.registry import Description

LISTED = Path(__file__).with_name("models.json")


def models(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Name of one model: show its presets and options in full; with --remote, fetch it."
        ),
    ] = None,
    remote: Annotated[
        str | None,
        typer.Option(
            metavar="URL|FOLDER",
            help="List the trained models of an index, or fetch one of them; check --model NAME then finds it.",
            show_default=False,
        ),
    ] = None,
    index: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write the index of the bundles in the subfolders of FOLDER, which any web server or share can offer.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """List the models that can be trained, with their presets, or show one of them in full.

    With --remote: list or fetch trained models from elsewhere. They are kept in the folder $BONAFACE_CACHE, or where
    the system keeps such files.
    """
    from bonaface.cli.tables import terminal
    from bonaface.evaluation.published import PUBLISHED_ONLY

    console = terminal()
    if index is not None:
        _write_index(index)
        return
    if remote is not None:
        _list_remote(console, remote) if name is None else _fetch(remote, name)
        return
    known = listed()
    if name is None:
        _list(console, known)
        return
    if name in PUBLISHED_ONLY:
        console.print(f"{name}: published figures only, it can't be run here. {PUBLISHED_ONLY[name]}")
        return
    if name.partition(":")[0] not in known:
        raise UnknownNameError("model", name, known)
    try:
        from bonaface.models.registry import describe
    except ModuleNotFoundError as error:
        raise MissingExtraError("showing a model in full", "train", str(error.name)) from error
    _one(console, describe(name))


def listed() -> dict[str, dict[str, Any]]:
    """Return `summary`, `scores` and `presets` of every model by name, as ``tools/list_models.py`` wrote them down.

    The registry knows them too, but takes torch and two seconds; a test holds the two to each other.
    """
    found: dict[str, dict[str, Any]] = json.loads(LISTED.read_text(encoding="utf-8"))
    return found


def _write_index(folder: Path) -> None:
    from bonaface.inference.remote import INDEX, write_index

    typer.echo(f"written: {folder / INDEX}, with {', '.join(write_index(folder).models)}")


def _list_remote(console: "Console", where: str) -> None:
    from bonaface.cli.tables import names_table
    from bonaface.inference.cache import models_folder
    from bonaface.inference.remote import is_here, read_index

    table = names_table("model", "what it is", "here", "MB", numbers=1)
    for name, model in read_index(where).models.items():
        there = (models_folder() / name).is_dir()
        here = "yes" if is_here(name, model) else "another version" if there else ""
        table.add_row(name, model.summary, here, f"{model.size / 1e6:.1f}")
    console.print(table)
    console.print(
        f"\nbonaface models NAME --remote {where} fetches one; bonaface check --model NAME uses it.",
        highlight=False,
    )


def _fetch(where: str, name: str) -> None:
    from bonaface.cli.progress import bar
    from bonaface.inference.remote import download

    with bar("bytes") as progress:
        folder = download(where, name, progress)
    typer.echo(f"{name} is in {folder}\nnext: bonaface check FILE --model {name}")


def _list(console: "Console", known: Mapping[str, Mapping[str, Any]]) -> None:
    from bonaface.cli.tables import names_table
    from bonaface.evaluation.published import PUBLISHED_ONLY

    caption = "The first score and preset are the default."
    table = names_table("model", "what it is", "scores", "presets", caption=caption)
    for column in table.columns[2:]:
        column.no_wrap = True  # one name a line, which is never cut
    for name, about in known.items():
        table.add_row(name, about["summary"], "\n".join(about["scores"]), "\n".join(about["presets"]))
    console.print(table)
    console.print("\nPublished figures only, shown beside ours in the papers' tables:")
    for name, what in PUBLISHED_ONLY.items():
        console.print(f"  {name}: {what}", highlight=False)
    console.print("\nbonaface models NAME shows one in full; bonaface train NAME --data STORE trains it.")


def _one(console: "Console", about: "Description") -> None:
    from msgspec.structs import asdict

    from bonaface.cli.tables import titled
    from bonaface.core.fields import descriptions
    from bonaface.models.preset import GRADIENT_FIELDS, Augment, Preset

    console.print(titled(about.name, f": {about.summary}\n{about.paper} {about.link}\n"))
    left_out = {"name", "model", *(GRADIENT_FIELDS if about.fitted_by_solver else ())}
    for preset in about.presets:
        console.print(titled(f"preset {preset.name}", ""))
        for key, value in asdict(preset).items():
            if key not in left_out:
                console.print(f"  {key} = {value}")
    console.print(titled("\noptions", " of this network (train --set NAME=VALUE)"))
    for option, default in about.options.items():
        _explain(console, f"{option} = {default}", about.meanings.get(option, ""))
    console.print(titled("\nfields of a preset", ", which can be set in the same way"))
    for name, meaning in descriptions(Preset).items():
        if name not in left_out | {"options", "augment"}:
            _explain(console, name, meaning)
    for name, meaning in descriptions(Augment).items():
        _explain(console, f"augment.{name}", meaning)


def _explain(console: "Console", name: str, meaning: str) -> None:
    from rich.padding import Padding
    from rich.text import Text

    console.print(f"  {name}", highlight=False)
    console.print(Padding(Text(meaning), (0, 0, 0, 6)))
