"""The progress bar of the commands."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID

    from bonaface.training.progress import Show, Step


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error with rate and time left, fed by (done, total); `what` names what is counted."""
    from rich import progress
    from rich.console import Console

    class RateColumn(progress.ProgressColumn):
        def render(self, task: progress.Task) -> str:
            return f"{task.finished_speed or task.speed or 0:.1f}/s"

    columns = (
        progress.TextColumn(what),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        RateColumn(),
        progress.TimeRemainingColumn(),
    )
    # What is printed meanwhile appears above the bar; but a file or a pipe on standard output gets it as it is.
    aside = sys.stdout.isatty()
    with progress.Progress(*columns, console=Console(stderr=True), redirect_stdout=aside) as shown:
        task = shown.add_task("", total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


@contextmanager
def training_bar() -> Iterator["Show | None"]:
    """Show a run's steps as bars on standard error, each with what it says and the time left.

    A step that is done goes away. None where standard error is no terminal: a bar would fill a log with its states.
    """
    from rich import progress
    from rich.console import Console
    from rich.table import Column

    from bonaface.training.progress import duration

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=20),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[said]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    tasks: dict[str, TaskID] = {}
    with progress.Progress(*columns, console=console, redirect_stdout=sys.stdout.isatty()) as shown:

        def show(step: "Step") -> None:
            left = "" if step.left is None else f"{duration(step.left)} left"
            said = ", ".join(filter(None, (left, step.note)))
            if step.what not in tasks:
                tasks[step.what] = shown.add_task(step.what, total=step.total, said=said)
            shown.update(tasks[step.what], completed=step.done, total=step.total, said=said)
            if step.done >= step.total:
                shown.remove_task(tasks.pop(step.what))

        yield show
