import pytest

from bonaface.cli.progress import training_bar
from bonaface.training.progress import Step


def test_a_terminal_shows_a_bar_with_what_is_said_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with training_bar() as show:
        assert show is not None
        show(Step("training batches", 3, 10, 40.0, "epoch 1/2, loss 0.5000, dev ACER 2.50 %"))
        show(Step("dev batches", 1, 2))
        show(Step("dev batches", 2, 2))
    shown = capsys.readouterr().err
    last = shown.rpartition("training batches")[2]
    assert "3/10" in last
    assert "40 s left, epoch 1/2, loss 0.5000, dev ACER 2.50 %" in last
    assert "dev batches" not in last  # it is done


def test_no_bar_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with training_bar() as show:
        assert show is None
    assert capsys.readouterr().err == ""
