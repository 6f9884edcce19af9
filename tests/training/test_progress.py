from itertools import pairwise

import pytest

from bonaface.training.progress import Lines, Progress, Step, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (5369, "89 min"),
        (5400, "1 h 30 min"),
        (90000, "25 h 0 min"),
    ],
)
def test_duration_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_progress_tells_the_time_left_at_the_rate_since_the_start() -> None:
    """Forty were done by an earlier start, so ten took 20 s and fifty will take 100 s."""
    shown: list[Step] = []
    now = 100.0
    progress = Progress(shown.append, "features of train", clock=lambda: now)
    progress(40, 100)
    now = 120.0
    progress(50, 100, "of 2 views")
    assert shown == [
        Step("features of train", 40, 100),
        Step("features of train", 50, 100, 100.0, "of 2 views"),
    ]


def test_lines_begin_after_15_s_and_name_what_is_known() -> None:
    lines: list[str] = []
    now = 100.0
    write = Lines(lines.append, clock=lambda: now)
    write(Step("dev", 0, 10))
    now = 114.0
    write(Step("dev", 1, 10, 90.0))
    assert lines == []
    now = 115.0
    write(Step("dev", 2, 10, 80.0, "loss 0.5"))
    now = 116.0
    write(Step("train", 0, 10))  # another step has its own clock
    now = 131.0
    write(Step("train", 0, 10))
    write(Step("dev", 9, 10, 600.0))
    assert lines == ["dev 2/10, loss 0.5, 80 s left", "train 0/10", "dev 9/10, 10 min left"]


def test_lines_of_a_night_are_some_hundred() -> None:
    """A step each second for ten hours: every 15 s in the first five minutes, then every 1.05 times as long."""
    lines: list[str] = []
    now = 0.0
    write = Lines(lines.append, clock=lambda: now)
    for second in range(36_000):
        now = float(second)
        write(Step("training batches", second, 36_000))
    times = [int(line.split()[2].partition("/")[0]) for line in lines]
    assert times[:3] == [15, 30, 45]
    assert 100 < len(times) < 150
    assert max(b - a for a, b in pairwise(times)) <= 0.05 * 36_000 + 1
