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
def test_duration_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_progress_reports_the_time_left_at_the_rate_since_the_start() -> None:
    """Forty were done by an earlier start, so ten took 20 s and fifty will take 100 s."""
    sentences: list[str] = []
    now = 100.0
    progress = Progress(sentences.append, "features of train", every=15, clock=lambda: now)
    progress(40, 100)
    now = 110.0
    progress(45, 100)
    assert sentences == []
    now = 120.0
    progress(50, 100)
    assert sentences == ["features of train 50/100, 2 min left"]
    now = 130.0
    progress(60, 100)
    assert len(sentences) == 1


def test_progress_omits_the_time_left_before_anything_is_done() -> None:
    sentences: list[str] = []
    now = 0.0
    progress = Progress(sentences.append, "dev", every=1, clock=lambda: now)
    progress(0, 10)
    now = 5.0
    progress(0, 10)
    assert sentences == ["dev 0/10"]
