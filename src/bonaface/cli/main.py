"""The program `bonaface`: its commands, its exit codes and its error messages."""

import errno
import io
import os
import signal
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bonaface import __version__
from bonaface.cli import (
    benchmark,
    calibrate,
    check,
    compare,
    datasets,
    doctor,
    drift,
    evaluate,
    explain,
    export,
    import_model,
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


class _PastTyper(Exception):  # noqa: N818 - it carries an error and is none
    """Carry an interrupt past Typer to `main`."""

    def __init__(self, cause: BaseException) -> None:
        self.cause = cause


class _Program(TyperGroup):
    """Pass Ctrl-C and a closed pipe to `main`.

    Typer itself would end without a message, and with 1 for a closed pipe, which `check` uses for an attack.
    """

    def invoke(self, ctx: Any) -> Any:  # Typer's context, whose class is private
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
app.command()(explain.explain)
app.command()(export.export)
app.command("import")(import_model.import_model)
app.command()(calibrate.calibrate)
app.command()(drift.drift)
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
    # By default OpenMP's threads spin while they wait, which makes training eight times as slow on a busy machine.
    # The variable is read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops it like Ctrl-C
    _ready_streams()
    try:
        _run()
    except BonafaceError as error:
        typer.echo(f"bonaface: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("bonaface: stopped; what was done is kept", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe (head, less) has closed it, so there is nowhere to print to or to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - any other error is printed and gets its exit code
        if isinstance(error, OSError) and error.errno in DISK_FULL + _REFUSED:
            typer.echo(f"bonaface: {_refusal(error)}", err=True)
            sys.exit(MISUSE)
        import traceback

        traceback.print_exc()
        typer.echo(
            "bonaface: this is an error of the program's own; please report it with the lines above", err=True
        )
        sys.exit(INTERNAL)


def _ready_streams() -> None:
    """Have the streams take every letter, as an escape where an encoding lacks it, and be there where one is closed."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115 - as long as the program
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _refusal(error: OSError) -> str:
    """Return the sentence for an error of the disk or a folder that its owner can solve."""
    path = error.filename2 or error.filename  # of a copy: its destination
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
