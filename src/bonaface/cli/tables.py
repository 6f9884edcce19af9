"""Text and tables for the terminal, in which every name stands as it is and in full.

Names of files, species and models may have square brackets or colons, which rich would take for markup.
"""

from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text


def terminal() -> Console:
    """Return the console of standard output, which prints text as it is."""
    return Console(markup=False, emoji=False)


def titled(title: str, text: str) -> Text:
    """Return `text` after `title` in bold."""
    return Text.assemble((title, "bold"), text)


class NamesTable(Table):
    """A table whose cells print as they are on any console."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row; see `rich.table.Table.add_row`."""
        super().add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells), **options)


def names_table(*columns: str, names: int = 1, numbers: int = 0, caption: str | None = None) -> NamesTable:
    """Return an empty table of `columns`, of which the first `names` hold names and the last `numbers` numbers.

    A name is never cut. Other text that does not fit is wrapped in its cell.
    """
    table = NamesTable(box=None, caption=caption, caption_justify="left", pad_edge=False)
    for index, name in enumerate(columns):
        justify: Literal["left", "right"] = "left" if index < len(columns) - numbers else "right"
        table.add_column(name, justify=justify, no_wrap=index < names, overflow="fold")
    return table
