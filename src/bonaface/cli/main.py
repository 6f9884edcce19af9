"""The program `bonaface`: its commands, its exit codes, and how it says what went wrong."""

import sys
from typing import Annotated

import typer

from bonaface import __version__
from bonaface.cli import check, compare, datasets, doctor, evaluate, models, prepare, report, simulate, train
from bonaface.core.errors import BonafaceError

MISUSE, INTERNAL, INTERRUPTED = 2, 4, 130

app = typer.Typer(
    name="bonaface",
    help="Face presentation attack detection: is this face really there, or a print, a screen, a mask?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(check.check)
app.command()(prepare.prepare)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(report.report)
app.command()(compare.compare)
app.command()(models.models)
app.command()(datasets.datasets)
app.command()(doctor.doctor)
app.command()(simulate.simulate)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        typer.echo(f"bonaface {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line and exit: 0 well, 2 misuse or bad input, 4 an error of Bonaface's own, 130 Ctrl-C.

    `check` has its own meanings for 0, 1 and 3 beside these.
    """
    try:
        app()
    except BonafaceError as error:
        typer.echo(f"bonaface: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("bonaface: stopped; what was done is kept", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe (head, less) has gone: nobody is left to tell.
        sys.stderr.close()
        sys.exit(INTERRUPTED)
    except Exception:  # noqa: BLE001 - the last net: whatever it is, it is reported and has its own exit code
        import traceback

        traceback.print_exc()
        typer.echo(
            "bonaface: this is an error of the program's own; please report it with the lines above", err=True
        )
        sys.exit(INTERNAL)


if __name__ == "__main__":
    main()
