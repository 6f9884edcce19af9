"""The option by which persons are found in file names."""

from typing import Annotated

import typer

SubjectPattern = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX",
        help="Where files lie in no folder of a person's: what finds the person in their paths, as its group "
        "'subject' or its first, like '/(\\d+)_'.",
        show_default=False,
    ),
]
