"""A report's plots as files for papers, by matplotlib: PNG, SVG and PDF (`bonaface[plots]`).

They show the same numbers as the page, whose own SVG is lighter and needs no package.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bonaface.core.errors import MissingExtraError, UnknownNameError
from bonaface.core.files import whole_file
from bonaface.evaluation.curves import LEAST, deviate
from bonaface.evaluation.error_rates import Figure as Rate
from bonaface.evaluation.render.canvas import BLACK, COLOURS, GREY, PALE, colour
from bonaface.evaluation.render.svg import SCORE, TICKS, Limits, limits_of, operating_point
from bonaface.evaluation.report import Fold, Report
from bonaface.metrics.intervals import wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("png", "svg", "pdf")
_SIZE = (5.0, 4.0)  # inches
_DPI = 200
_ROW = 0.22  # inches a row of bars or strips


def plot_kinds(text: str) -> tuple[str, ...]:
    """Return the kinds of files named in `text`, as ``png,pdf``, once each.

    Raises:
        UnknownNameError: another kind.
        MissingExtraError: matplotlib is not installed.
    """
    kinds = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",")))
    for kind in kinds:
        if kind not in KINDS:
            raise UnknownNameError("kind of plot", kind, KINDS)
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("drawing plots as files", "plots", "matplotlib") from error
    return kinds


def write_plots(report: Report, folder: Path, kinds: Sequence[str]) -> list[Path]:
    """Write every plot of the report into `folder`, each as a file of each of `kinds`, and return their paths.

    Args:
        report: what to draw.
        folder: made if it is not there; files of the same names are replaced.
        kinds: some of `KINDS`, as `plot_kinds` returns them. The same report gives the same bytes.
    """
    limits, paths = limits_of(report.folds), []
    for number, fold in enumerate(report.folds, start=1):
        behind = f"-fold-{number}" if len(report.folds) > 1 else ""
        for name, (draw, rows) in _drawers(fold, limits).items():
            paths += _write(draw, rows, [folder / f"{name}{behind}.{kind}" for kind in kinds], report.warning)
    return paths


def _drawers(fold: Fold, limits: Limits) -> dict[str, tuple[Callable[["Axes"], None], int]]:
    """Return what draws each plot, and how many rows it has (0 where it has none), by the name of its file."""
    bars = 1 + len(fold.test.errors.per_species)
    found: dict[str, tuple[Callable[[Axes], None], int]] = {"bars": (lambda a: _bars(a, fold, limits), bars)}
    if fold.det:
        found["det"] = (lambda a: _det(a, fold, limits), 0)
        found["sweep"] = (lambda a: _sweep(a, fold, limits), 0)
    if fold.histogram:
        found["scores"] = (lambda a: _scores(a, fold, limits), 0)
    if fold.calibration:
        found["calibration"] = (lambda a: _calibration(a, fold), 0)
    if fold.subjects:
        found["subjects"] = (lambda a: _subjects(a, fold, limits), len(fold.subjects))
    if fold.videos:
        found["videos"] = (lambda a: _videos(a, fold, limits), 0)
    return found


def _write(draw: Callable[["Axes"], None], rows: int, paths: Sequence[Path], warning: str) -> list[Path]:
    import matplotlib
    from matplotlib.figure import Figure

    # A fixed salt and no date, so that the same report gives the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "bonaface", "font.size": 9, "axes.axisbelow": True}):
        height = max(1.4 + _ROW * rows, 2.0) if rows else _SIZE[1]
        figure = Figure(figsize=(_SIZE[0], height), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        if warning:
            figure.suptitle(warning, fontsize=6, color="#b00020", wrap=True)
        for path in paths:
            kind = path.suffix[1:]
            dateless = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
            with whole_file(path) as part:
                figure.savefig(part, format=kind, dpi=_DPI, metadata=dateless)
    return list(paths)


def _det(axes: "Axes", fold: Fold, limits: Limits) -> None:
    det, at = fold.det, operating_point(fold)
    assert det is not None
    bpcer = [deviate(share) for share in det.bpcer]
    for shares, stroke, name in (
        (det.pooled, COLOURS[0], "all attacks pooled"),
        (det.worst, COLOURS[1], "worst species"),
    ):
        axes.plot([deviate(share) for share in shares], bpcer, color=stroke, label=name)
    ends = [deviate(LEAST * 10), deviate(limits.det)]
    axes.plot(ends, ends, color=GREY, linestyle=":", label="equal errors")
    if at:
        axes.plot(*map(deviate, at), "o", color=BLACK, label="at the threshold")
    ticks = [share for share in TICKS if LEAST * 10 <= share <= limits.det]
    places, words = [deviate(share) for share in ticks], [f"{100 * share:g}" for share in ticks]
    axes.set(xlim=ends, ylim=ends, xticks=places, yticks=places, xticklabels=words, yticklabels=words)
    axes.set(xlabel="APCER %", ylabel="BPCER %", aspect="equal")
    axes.grid(color=PALE)
    axes.legend()


def _sweep(axes: "Axes", fold: Fold, limits: Limits) -> None:
    det = fold.det
    assert det is not None
    for shares, stroke, name in (
        (det.worst, COLOURS[1], "APCER, worst species"),
        (det.pooled, COLOURS[2], "APCER, pooled"),
        (det.bpcer, COLOURS[0], "BPCER"),
    ):
        axes.plot(det.thresholds, [100 * share for share in shares], color=stroke, label=name)
    axes.axvline(fold.threshold.value, color=BLACK, linestyle="--", label="threshold")
    axes.set(xlim=limits.score, ylim=(0, 100), xlabel="threshold", ylabel="% of the kind decided wrongly")
    axes.grid(color=PALE)
    axes.legend()


def _scores(axes: "Axes", fold: Fold, limits: Limits) -> None:
    histogram = fold.histogram
    assert histogram is not None
    for number, (name, counts) in enumerate(histogram.counts.items()):
        shares = [100 * count / max(sum(counts), 1) for count in counts]
        axes.stairs(shares, histogram.edges, color=colour(number), label=name)
        if not number:
            axes.stairs(shares, histogram.edges, color=colour(number), fill=True, alpha=0.2)
    axes.axvline(fold.threshold.value, color=BLACK, linestyle="--", label="threshold")
    axes.set(xlim=limits.score, ylim=(0, 105 * limits.share), xlabel=SCORE, ylabel="% of the kind")
    axes.legend()


def _bars(axes: "Axes", fold: Fold, limits: Limits) -> None:
    rows: list[tuple[str, Rate]] = [("BPCER (bona fide)", fold.test.errors.bpcer)]
    rows += [(f"APCER {name}", rate) for name, rate in fold.test.errors.per_species.items()]
    known = [(name, rate) for name, rate in rows if rate.value is not None]
    for number, (_, rate) in enumerate(known):
        value = rate.value or 0.0
        axes.barh(number, 100 * value, color=COLOURS[0 if known[number][0].startswith("BPCER") else 1])
        if rate.interval:
            around = [[100 * (value - rate.interval.low)], [100 * (rate.interval.high - value)]]
            axes.errorbar(100 * value, number, xerr=around, color=BLACK, capsize=3)
    axes.set_yticks(range(len(known)), [name for name, _ in known])
    axes.locator_params(axis="x", nbins=6, steps=[1, 2, 5, 10])
    axes.set(xlim=(0, min(105 * limits.error, 100)), xlabel="% at the threshold, with 95 % intervals")
    axes.invert_yaxis()
    axes.grid(axis="x", color=PALE)


def _calibration(axes: "Axes", fold: Fold) -> None:
    calibration = fold.calibration
    assert calibration is not None
    shares, below, above = [], [], []
    for real, total in zip(calibration.bona_fide, calibration.totals, strict=True):
        bounds = wilson(real, total)
        shares.append(100 * real / total)
        below.append(shares[-1] - 100 * bounds.low)
        above.append(100 * bounds.high - shares[-1])
    axes.errorbar(calibration.scores, shares, yerr=[below, above], color=COLOURS[0], marker="o", capsize=3)
    axes.plot([0, 1], [0, 100], color=GREY, linestyle=":")
    axes.set(xlim=(0, 1), ylim=(0, 100), xlabel="mean score of the bin", ylabel="% bona fide")
    axes.set_title(f"expected calibration error {calibration.error:.3f}", fontsize=9)
    axes.grid(color=PALE)


def _subjects(axes: "Axes", fold: Fold, limits: Limits) -> None:
    threshold = fold.threshold.value
    for number, one in enumerate(fold.subjects):
        for scores, stroke, up in ((one.attacks, COLOURS[1], 0.15), (one.bona_fide, COLOURS[0], -0.15)):
            sizes = [20 if (score >= threshold) != (up < 0) else 5 for score in scores]
            axes.scatter(scores, [number + up] * len(scores), s=sizes, color=stroke, alpha=0.6, linewidths=0)
    axes.axvline(threshold, color=BLACK, linestyle="--")
    names = [f"{one.subject} {one.errors}/{one.bona_fide_total + one.attacks_total}" for one in fold.subjects]
    axes.set_yticks(range(len(names)), names)
    axes.set(xlim=limits.score, xlabel=f"{SCORE}; errors are large")
    axes.set_ylabel("subject, errors/presentations")
    axes.invert_yaxis()


def _videos(axes: "Axes", fold: Fold, limits: Limits) -> None:
    for number, video in enumerate(fold.videos):
        scores = [float("nan") if score is None else score for score in video.scores]
        name = f"{video.id}: {'bona fide' if video.label else video.species}"
        axes.plot(video.frames, scores, color=colour(number), marker=".", label=name)
    axes.axhline(fold.threshold.value, color=BLACK, linestyle="--", label="threshold")
    axes.set(ylim=limits.frame, xlabel="frame", ylabel="score")
    axes.grid(color=PALE)
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
