"""Report the progress of a long step in a sentence now and then, with the time left."""

import time
from collections.abc import Callable

EVERY = 15.0  # seconds between two sentences


def duration(seconds: float) -> str:
    """Return a duration as a person says it: "40 s", "3 min", "2 h 5 min"."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class Progress:
    """Report the progress of a step at most every `every` seconds: ``progress(done, total)``.

    The time left is computed from what was done since the first call; what an earlier start had done does not count.

    Args:
        log: gets the sentences.
        what: what is counted, as "training pictures".
        clock: gives the time in seconds.
    """

    def __init__(
        self,
        log: Callable[[str], None],
        what: str,
        every: float = EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._what, self._every, self._clock = log, what, every, clock
        self._start: tuple[float, int] | None = None
        self._next = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Report that `done` of `total` are done, if it is time."""
        now = self._clock()
        if self._start is None:
            self._start, self._next = (now, done), now + self._every
        elif now >= self._next:
            self._next = now + self._every
            self._log(f"{self._what} {done}/{total}{self._left(now, done, total)}")

    def _left(self, now: float, done: int, total: int) -> str:
        began, first = self._start or (now, done)
        if done <= first:
            return ""
        return f", {duration((now - began) / (done - first) * (total - done))} left"
