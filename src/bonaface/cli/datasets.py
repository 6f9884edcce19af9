"""`bonaface datasets`."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from bonaface.data.datasets import Dataset


def datasets(
    name: Annotated[str | None, typer.Argument(help="One data set, to see its layout in full.")] = None,
) -> None:
    """List the data sets that can be prepared, with their protocols, folds and published counts."""
    from rich.console import Console

    from bonaface.data.datasets import dataset_names, open_dataset

    console = Console()
    if name is None:
        _list(console, [open_dataset(known) for known in dataset_names()])
        console.print(
            "\nbonaface prepare DATASET ROOT STORE cuts the faces of one; counts: bona fide/attacks."
        )
        return
    dataset = open_dataset(name)
    console.print(f"[bold]{dataset.name}[/bold]: {dataset.title}", highlight=False)
    if dataset.reference:
        console.print(dataset.reference, highlight=False)
    console.print(f"expected below ROOT: {dataset.layout}\n", markup=False, highlight=False)
    for protocol in dataset.protocols:
        console.print(f"[bold]{protocol.name}[/bold]: {protocol.description}", highlight=False)
    console.print()
    _list(console, [dataset])


def _list(console: "Console", every: "list[Dataset]") -> None:
    from rich.table import Table

    table = Table("data set", "protocol", "folds", "train", "dev", "test", box=None)
    for dataset in every:
        for number, protocol in enumerate(dataset.protocols):
            counts = protocol.counts
            table.add_row(
                dataset.name if number == 0 else "",
                protocol.name,
                ", ".join(protocol.folds),
                *(f"{n[0]}/{n[1]}" if n else "" for n in (counts.train, counts.dev, counts.test)),
            )
    console.print(table)
