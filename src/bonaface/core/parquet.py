"""Parquet files are read and written by pyarrow, which is not part of the light installation (`bonaface[data]`)."""

from typing import Any

from bonaface.core.errors import MissingExtraError


def arrow(what: str) -> Any:
    """Return pyarrow with its module for Parquet; `what` names what is read or written.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise MissingExtraError(what, "data", str(error.name)) from error
    return pyarrow
