"""The option for a Ray cluster, shared by the commands that do many jobs."""

from typing import Annotated

import typer

Address = Annotated[
    str | None,
    typer.Option(
        help="Ray cluster, such as ray://host:10001. Default: $RAY_ADDRESS, else Ray on this machine.",
        show_default=False,
    ),
]
