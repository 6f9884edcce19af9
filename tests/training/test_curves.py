"""The learning curves: what is drawn, read back off the picture."""

import re

import numpy as np
import pytest

from bonaface.evaluation.render.canvas import BLACK, Frame
from bonaface.training.curves import acer_svg, best_epoch, loss_svg

ROWS = [
    {"step": 4.0, "dev/acer": 0.5, "dev/loss": 0.7},
    {"step": 8.0, "dev/acer": 0.1, "dev/loss": 0.6},
    {"step": 12.0, "dev/acer": 0.1, "dev/loss": 0.3},
    {"step": 16.0, "dev/acer": 0.1, "dev/loss": 0.3},
]


def read(svg: str, title: str) -> np.ndarray:
    """Return the points (N, 2) of the line `title`, in shares of the plot."""
    frame = Frame()
    (points,) = re.findall(rf'<polyline points="([^"]+)"[^>]*><title>{title}</title>', svg)
    pairs = np.array([[float(number) for number in pair.split(",")] for pair in points.split()])
    x0, x1, y0, y1 = frame.across(0), frame.across(1), frame.up(0), frame.up(1)
    return np.stack([(pairs[:, 0] - x0) / (x1 - x0), (pairs[:, 1] - y0) / (y1 - y0)], 1)


def test_the_kept_epoch_has_the_lowest_acer_then_loss_then_number() -> None:
    assert best_epoch(ROWS) == 3


def test_both_pictures_have_one_axis_of_epochs() -> None:
    losses = [(step, 1.0 / step) for step in range(1, 17)]
    loss, acer = loss_svg(losses, ROWS), acer_svg(ROWS)
    for svg, title in ((loss, "loss on dev"), (acer, "ACER on dev")):
        np.testing.assert_allclose(read(svg, title)[:, 0], [0.25, 0.5, 0.75, 1], atol=1e-3)
    training = read(loss, "loss in training")
    np.testing.assert_allclose(training[:, 0], np.arange(1, 17) / 16, atol=1e-3)
    # The axis ends at the first round number above the highest loss, 1.
    np.testing.assert_allclose(training[:, 1], 1 / np.arange(1, 17) / 1.2, atol=1e-3)
    np.testing.assert_allclose(
        read(acer, "ACER on dev")[:, 1], np.array([0.5, 0.1, 0.1, 0.1]) / 0.6, atol=1e-3
    )
    assert re.findall(rf'fill="{BLACK}"><title>([^<]+)', acer) == ["epoch 3: dev ACER 10.00 %"]


def test_long_runs_are_drawn_by_means_that_lose_no_step() -> None:
    values = np.random.default_rng(0).uniform(0, 1, 3000)
    rows = [{"step": 3000.0, "dev/acer": 0.0, "dev/loss": 0.9}]
    svg = loss_svg(list(enumerate(values.tolist(), 1)), rows)
    points = read(svg, "loss in training")
    assert len(points) == 300
    np.testing.assert_allclose(points[:, 1], values.reshape(300, 10).mean(1) / 1.0, atol=1e-3)
    assert "training, mean of 10 steps" in svg


@pytest.mark.parametrize("loss", [float("inf"), float("nan")])
def test_a_loss_that_is_no_number_is_left_out(loss: float) -> None:
    svg = loss_svg([(1, 0.5), (2, loss), (4, 0.25)], ROWS)
    np.testing.assert_allclose(read(svg, "loss in training")[:, 0], [1 / 16, 4 / 16], atol=1e-3)
