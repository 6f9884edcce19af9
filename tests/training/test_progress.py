import pytest

from bonaface.training.progress import Progress, duration


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
def test_a_duration_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_says_how_far_it_is_and_what_is_left_at_the_rate_since_the_start() -> None:
    """Forty were done by an earlier start, so ten took 20 s and fifty will take 100 s."""
    said: list[str] = []
    now = 100.0
    progress = Progress(said.append, "features of train", every=15, clock=lambda: now)
    progress(40, 100)
    now = 110.0
    progress(45, 100)
    assert said == []
    now = 120.0
    progress(50, 100)
    assert said == ["features of train 50/100, 2 min left"]
    now = 130.0
    progress(60, 100)
    assert len(said) == 1


def test_says_no_time_left_where_nothing_was_done_yet() -> None:
    said: list[str] = []
    now = 0.0
    progress = Progress(said.append, "dev", every=1, clock=lambda: now)
    progress(0, 10)
    now = 5.0
    progress(0, 10)
    assert said == ["dev 0/10"]
