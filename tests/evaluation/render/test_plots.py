import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import norm

from bonaface.core.errors import MissingExtraError, UnknownNameError
from bonaface.evaluation import EvaluationSettings, ScoreTable, Threshold, evaluate_table
from bonaface.evaluation.render.plots import _bars, _calibration, _det, _sweep, plot_kinds, write_plots
from bonaface.evaluation.render.svg import limits_of

NAMES = ["bars", "calibration", "det", "scores", "subjects", "sweep", "videos"]


def test_writes_every_plot_in_every_kind_and_the_same_bytes_again(
    drawn: Callable[..., Any], tmp_path: Path
) -> None:
    report = evaluate_table(drawn())
    for folder in ("one", "two"):
        paths = write_plots(report, tmp_path / folder, ("png", "svg", "pdf"))
        assert sorted(path.name for path in paths) == [
            f"{name}.{kind}" for name in NAMES for kind in ("pdf", "png", "svg")
        ]
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
        if path.suffix == ".png":
            picture = np.asarray(Image.open(path).convert("RGB"))
            assert picture.shape[1] == 1000
            assert picture.std() > 10  # something is drawn


def test_each_fold_has_its_plots_and_every_plot_the_warning(
    drawn: Callable[..., Any], tmp_path: Path
) -> None:
    table = ScoreTable.from_tables([drawn(seed=n, fold=f"f{n}") for n in (1, 2)])
    paths = write_plots(evaluate_table(table, settings=EvaluationSettings("test")), tmp_path, ("svg",))
    assert sorted(path.stem for path in paths) == sorted(f"{name}-fold-{n}" for name in NAMES for n in (1, 2))
    assert all("THE THRESHOLD WAS TAKEN FROM THE TEST SCORES" in path.read_text() for path in paths)


def test_lines_are_the_errors_in_the_table(drawn: Callable[..., Any]) -> None:
    table = drawn(frames=1)
    fold = evaluate_table(table).folds[0]
    cells = table.data.rows(table.data.columns)
    rows = [dict(zip(table.data.columns, row, strict=True)) for row in cells]
    rows = [row for row in rows if row["split"] == "test" and row["score"] is not None]
    scores = np.array([row["score"] for row in rows])
    real = np.array([row["label"] == 1 for row in rows])
    sweep, det, bars = (Figure().add_subplot() for _ in range(3))
    limits = limits_of((fold,))
    _sweep(sweep, fold, limits)
    lines = {line.get_label(): line for line in sweep.get_lines()}
    thresholds = lines["BPCER"].get_xdata()
    bpcer = [100 * np.mean(scores[real] < threshold) for threshold in thresholds]
    pooled = [100 * np.mean(scores[~real] >= threshold) for threshold in thresholds]
    assert lines["BPCER"].get_ydata() == pytest.approx(bpcer)
    assert lines["APCER, pooled"].get_ydata() == pytest.approx(pooled)
    _det(det, fold, limits)
    curve = next(line for line in det.get_lines() if line.get_label() == "all attacks pooled")
    assert curve.get_xdata() == pytest.approx(norm.ppf(np.clip(np.array(pooled) / 100, 1e-4, 1 - 1e-4)))
    _bars(bars, fold, limits)
    width = bars.patches[0].get_window_extent().width / bars.bbox.width * bars.get_xlim()[1]
    assert width == pytest.approx(100 * np.mean(scores[real] < fold.threshold.value))


def test_calibration_is_drawn_at_score_and_share(row: Callable[..., Any]) -> None:
    rows = [
        row(f"v{n}", label, score)
        for n, (label, score) in enumerate([(1, 0.92), (1, 0.94), (0, 0.96), (0, 0.02)])
    ]
    fold = evaluate_table(ScoreTable.from_scores(rows), settings=EvaluationSettings(Threshold(0.5))).folds[0]
    axes = Figure().add_subplot()
    _calibration(axes, fold)
    assert axes.get_lines()[0].get_xydata().tolist() == [[0.02, 0.0], pytest.approx([0.94, 200 / 3])]


def test_the_kinds_are_named_once_each() -> None:
    assert plot_kinds("PDF, png,pdf") == ("pdf", "png")
    with pytest.raises(UnknownNameError, match=r"unknown kind of plot 'jpg'.*Known: pdf, png, svg"):
        plot_kinds("png,jpg")


def test_names_the_extra_that_brings_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        MissingExtraError, match=r'needs the package .matplotlib.*pip install "bonaface\[plots\]"'
    ):
        plot_kinds("png")
