"""Build tables for the terminal that keep every name in full, however narrow it is."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.table import Table


def names_table(*columns: str, names: int = 1, numbers: int = 0, caption: str | None = None) -> "Table":
    """Return an empty table of `columns`, of which the first `names` hold names and the last `numbers` numbers.

    A name is never cut. Other text that does not fit is wrapped in its cell.
    """
    from rich.table import Table

    table = Table(box=None, caption=caption, caption_justify="left", pad_edge=False)
    for index, name in enumerate(columns):
        justify: Literal["left", "right"] = "left" if index < len(columns) - numbers else "right"
        table.add_column(name, justify=justify, no_wrap=index < names, overflow="fold")
    return table
