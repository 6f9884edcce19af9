"""How far a run is: a step with its time left, shown as a bar or, without a terminal, as a line now and then."""

import time
from collections.abc import Callable
from dataclasses import dataclass

EVERY = 15.0  # seconds between two lines, at least
_SHARE = 0.05  # of the time that a step has taken, between two lines of a long one


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run: `done` of `total` things, the seconds `left` (None: not known yet), and what else to say.

    `what` names the things, as "training batches".
    """

    what: str
    done: int
    total: int
    left: float | None = None
    note: str = ""


Show = Callable[[Step], None]


def duration(seconds: float) -> str:
    """Return a duration as a person says it: "40 s", "3 min", "2 h 5 min"."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class Progress:
    """Report a step, with the time left: ``progress(done, total)``.

    The time left is computed from what was done since the first call; what an earlier start had done does not count.

    Args:
        show: gets the step at each call.
        what: what is counted, as "training batches".
        clock: gives the time in seconds.
    """

    def __init__(self, show: Show, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._show, self._what, self._clock = show, what, clock
        self._start: tuple[float, int] | None = None

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Report that `done` of `total` are done."""
        now = self._clock()
        began, first = self._start = self._start or (now, done)
        left = (now - began) / (done - first) * (total - done) if done > first else None
        self._show(Step(self._what, done, total, left, note))


class Lines:
    """Write steps as lines, where there is no terminal for a bar.

    A step gets its first line after `every` seconds. The longer it takes, the rarer they come: 20 more each time that
    it has taken e times as long, so that a night's training leaves a log of some hundred lines.

    Args:
        log: gets the lines.
        clock: gives the time in seconds.
    """

    def __init__(
        self, log: Callable[[str], None], every: float = EVERY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log, self._every, self._clock = log, every, clock
        self._began: dict[str, float] = {}
        self._next: dict[str, float] = {}

    def __call__(self, step: Step) -> None:
        """Write a line of `step`, if it is time for one."""
        now = self._clock()
        began = self._began.setdefault(step.what, now)
        if now >= self._next.setdefault(step.what, now + self._every):
            self._next[step.what] = now + max(self._every, _SHARE * (now - began))
            left = "" if step.left is None else f"{duration(step.left)} left"
            self._log(", ".join(filter(None, (f"{step.what} {step.done}/{step.total}", step.note, left))))
