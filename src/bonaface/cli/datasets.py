"""`bonaface datasets`."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from bonaface.datasets.protocols import Protocol
    from bonaface.datasets.registry import Dataset


def datasets(
    name: Annotated[str | None, typer.Argument(help="Name of one data set: show its layout in full.")] = None,
) -> None:
    """List the data sets that can be prepared, with their protocols, folds and published counts."""
    from bonaface.cli.tables import terminal, titled
    from bonaface.datasets.registry import dataset_names, open_dataset

    console = terminal()
    if name is None:
        _list(console, [open_dataset(known) for known in dataset_names()])
        console.print("\nbonaface datasets DATASET says more of one.")
        console.print("bonaface doctor DATASET ROOT says what a copy of it lacks.")
        console.print("bonaface prepare DATASET ROOT STORE cuts its faces.")
        return
    dataset = open_dataset(name)
    console.print(titled(dataset.name, f": {dataset.title}"))
    if dataset.reference:
        console.print(dataset.reference, highlight=False)
    console.print(f"expected below ROOT: {dataset.layout}", highlight=False)
    if dataset.boxes:
        console.print(
            "It comes with face boxes: prepare --boxes takes them, doctor --detect N compares them."
        )
    console.print()
    for protocol in dataset.protocols:
        console.print(titled(protocol.name, f": {protocol.description}"))
    console.print()
    _list(console, [dataset])


def _list(console: "Console", every: "list[Dataset]") -> None:
    from bonaface.cli.tables import names_table

    title = "bona fide/attack presentations as published (?: not published); drawn: subjects, by seed"
    table = names_table("data set", "protocol", "folds", "train", "dev", "test", names=2, caption=title)
    for dataset in every:
        for number, protocol in enumerate(dataset.protocols):
            name = dataset.name if number == 0 else ""
            table.add_row(name, protocol.name, ", ".join(protocol.folds), *_parts(protocol))
    console.print(table)


def _parts(protocol: "Protocol") -> list[str]:
    """Return what train, dev and test have, in a word or two each."""
    from bonaface.datasets.protocols import BySubject

    splits, counts = protocol.splits, protocol.counts
    if isinstance(splits, BySubject):
        return ["drawn"] * 3
    said = [f"{n[0]}/{n[1]}" if n else "?" for n in (counts.train, counts.dev, counts.test)]
    if splits.train is None:
        return ["none", "none", "all" if said[2] == "?" else said[2]]
    if splits.dev is None:
        said[1] = f"{splits.dev_share:.0%} of train"
    return said
