"""The program `bonaface`: its commands, its exit codes, and how it says what went wrong."""

import errno
import os
import signal
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bonaface import __version__
from bonaface.cli import (
    benchmark,
    check,
    compare,
    datasets,
    doctor,
    evaluate,
    models,
    prepare,
    report,
    simulate,
    train,
)
from bonaface.core.errors import DISK_FULL, BonafaceError

MISUSE, INTERNAL, INTERRUPTED = 2, 4, 130

_REFUSED = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
)


class _PastTyper(Exception):  # noqa: N818 - no error: it carries one
    """Carries an interrupt past Typer to `main`."""

    def __init__(self, cause: BaseException) -> None:
        self.cause = cause


class _Program(TyperGroup):
    """Typer would answer Ctrl-C without a word, and a closed pipe with 1, by which `check` means an attack."""

    def invoke(self, ctx: Any) -> Any:  # Typer's context, of a class that it keeps to itself
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, BrokenPipeError) as error:
            raise _PastTyper(error) from None


app = typer.Typer(
    cls=_Program,
    name="bonaface",
    help="Detect face presentation attacks: is this face really there, or is it a print, a screen or a mask?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(check.check)
app.command()(prepare.prepare)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(benchmark.benchmark)
app.command()(report.report)
app.command()(compare.compare)
app.command()(models.models)
app.command()(datasets.datasets)
app.command()(doctor.doctor)
app.command()(simulate.simulate)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"bonaface {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line and exit: 0 well, 2 misuse or bad input, 4 an error of Bonaface's own, 130 stopped.

    `check` has its own meanings for 0, 1 and 3 beside these.
    """
    # OpenMP's threads else spin while they wait, which on a busy machine makes training eight times as slow; read when
    # torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # asked to end is stopped as by Ctrl-C
    try:
        _run()
    except BonafaceError as error:
        typer.echo(f"bonaface: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("bonaface: stopped; what was done is kept", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe (head, less) has gone: nobody is left to tell, nor to flush for at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the last net: whatever it is, it is said and has its exit code
        if isinstance(error, OSError) and error.errno in DISK_FULL + _REFUSED:
            typer.echo(f"bonaface: {_refusal(error)}", err=True)
            sys.exit(MISUSE)
        import traceback

        traceback.print_exc()
        typer.echo(
            "bonaface: this is an error of the program's own; please report it with the lines above", err=True
        )
        sys.exit(INTERNAL)


def _refusal(error: OSError) -> str:
    """What the disk or a folder refused, which its owner can mend."""
    path = error.filename2 or error.filename  # of a copy, where it was to go
    where = f"{path}: " if path else ""
    if error.errno in DISK_FULL:
        return f"{where}the disk is full; free some space and run the same again"
    return f"{where}{error.strerror}; give another path, or make this one readable and writable"


def _run() -> None:
    try:
        app()
    except _PastTyper as past:
        raise past.cause from None


if __name__ == "__main__":
    main()
