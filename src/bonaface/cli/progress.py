"""The progress bar of the commands."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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
