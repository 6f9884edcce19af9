"""The errors that Bonaface raises on purpose: one clear sentence each, and the exit code of the command line."""

import errno
from collections.abc import Iterable

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)  # of an OSError


class BonafaceError(Exception):
    """Something the caller can mend. The message says what was expected, what came, and what to do."""

    exit_code = 2


class InputError(BonafaceError):
    """An argument, a file or a folder is not what was asked for."""


class ModelFileError(BonafaceError):
    """A model's file is missing, altered, or of another kind than its description says."""


class UnknownNameError(InputError):
    """A name that no registry knows; the message lists the names that are known."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        from difflib import get_close_matches  # not before a name is wrong: commands start sooner

        names = sorted(known)
        by_small_letters = {known_name.lower(): known_name for known_name in names}
        close = get_close_matches(name.lower(), by_small_letters, n=1)
        hint = f" Did you mean {by_small_letters[close[0]]!r}?" if close else ""
        super().__init__(f"unknown {kind} {name!r}.{hint} Known: {', '.join(names) or 'none'}.")


class MissingExtraError(BonafaceError):
    """A command needs packages that the light installation leaves out."""

    def __init__(self, what: str, extra: str, module: str) -> None:
        super().__init__(
            f"{what} needs the package {module!r}, which is not installed; "
            f'install it with: pip install "bonaface[{extra}]"'
        )
