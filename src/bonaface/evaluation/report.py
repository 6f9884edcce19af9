"""Make a report of a score table: the threshold first, then every figure, fold by fold."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import mean, stdev
from typing import Any

import numpy as np

from bonaface.core.errors import InputError
from bonaface.evaluation.aggregate import Samples, Unit
from bonaface.evaluation.curves import Calibration, Det, Histogram, calibration_of, det_of, histogram_of
from bonaface.evaluation.details import SubjectScores, VideoScores, subjects_of, videos_of
from bonaface.evaluation.error_rates import GROUPINGS, Figure, SetFigures, figures_of
from bonaface.evaluation.folds import EvaluationSettings, FoldData
from bonaface.evaluation.operating_point import Threshold, caution
from bonaface.evaluation.score_table import ScoreTable
from bonaface.metrics.videos import Aggregation

FORMAT = 2
LEVEL = 0.95
_MISTAKES = 24


@dataclass(frozen=True, slots=True)
class Mistake:
    """A presentation on the wrong side of the threshold; `sample_id` is the frame to look at."""

    id: str
    sample_id: str
    label: int
    species: str
    score: float


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold: its threshold, its figures on test and (where there is one) dev, what a page draws.

    `mistakes` has at most 24 attacks and 24 bona fide presentations, those farthest from the threshold first.
    `unseen` are the species of test that dev lacks, `shared_subjects` counts the subjects that are in both;
    nothing without a dev set. `subjects` are those with the most errors, `videos` the most wrong ones.
    """

    name: str
    threshold: Threshold
    test: SetFigures
    dev: SetFigures | None
    det: Det | None
    histogram: Histogram | None
    mistakes: tuple[Mistake, ...]
    unseen: tuple[str, ...] = ()
    shared_subjects: int = 0
    calibration: Calibration | None = None
    subjects: tuple[SubjectScores, ...] = ()
    videos: tuple[VideoScores, ...] = ()


@dataclass(frozen=True, slots=True)
class MeanSd:
    """Mean and standard deviation (n - 1) over n folds; None where no fold has the figure."""

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one system's scores on one protocol tell.

    `trained_on` is the protocol that the system was trained on, as ``oulu-npu/1``, several with `` + `` between; empty
    where that is unknown.
    `seen_in_training` counts the test presentations that trained or tuned it, as far as that is known. `pictures` is
    true where each video is a single frame, `notes` say how the scores were understood.
    """

    system: str
    trained_on: str
    dataset: str
    protocol: str
    unit: Unit
    aggregation: Aggregation
    output: str
    folds: tuple[Fold, ...]
    seen_in_training: int = 0
    pictures: bool = False
    notes: tuple[str, ...] = ()

    @property
    def tested_on(self) -> str:
        """Return the protocol that was judged, as ``oulu-npu/1``; empty where the table does not name one."""
        return "/".join(filter(None, (self.dataset, self.protocol)))

    @property
    def warning(self) -> str:
        """Return the first line of every output where figures need a `caution`; else empty."""
        from_test = any(fold.threshold.from_test for fold in self.folds)
        return caution(self.dataset, from_test, self.seen_in_training)

    @property
    def summary(self) -> dict[str, MeanSd]:
        """Return mean and standard deviation over the folds, by the names of `headline`."""
        columns: dict[str, list[float]] = {}
        for fold in self.folds:
            for name, figure in headline(fold.test).items():
                if figure.value is not None:
                    columns.setdefault(name, []).append(figure.value)
        return {
            name: MeanSd(mean(values), stdev(values) if len(values) > 1 else None, len(values))
            for name, values in columns.items()
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values: those of `bonaface.evaluation.report_json.ReportFile`."""
        body = asdict(self)
        body["folds"] = [_plain_fold(fold) for fold in self.folds]
        first = {"warning": self.warning} if self.warning else {}
        return {
            **first,
            "format": FORMAT,
            "level": LEVEL,
            **body,
            "summary": {name: asdict(figure) for name, figure in self.summary.items()},
        }


def evaluate_table(
    table: ScoreTable,
    *,
    dev: ScoreTable | None = None,
    settings: EvaluationSettings | None = None,
    system: str = "",
    trained_on: str = "",
    seen_in_training: int = 0,
) -> Report:
    """Judge the test rows of `table`, fold by fold.

    Args:
        table: the scores of one system on one protocol; rows of the split train are left aside.
        dev: scores to set the threshold on, if they are not the dev rows of `table`.
        settings: where the threshold comes from, and the unit; by default the dev EER, by video.
        system: what to call the system in the report.
        trained_on: the protocol that it was trained on, as ``oulu-npu/1``; several with `` + `` between.
        seen_in_training: how many of the test presentations trained or tuned it; the report's first line then says so.

    Raises:
        InputError: no test rows, more than one protocol, no dev scores where they are needed, or a class
            missing where the threshold is found.
    """
    chosen = settings or EvaluationSettings()
    dataset, protocol, folds_data = chosen.fold_data(table, dev)
    folds = tuple(_fold(fold_data, chosen.output) for fold_data in folds_data)
    judged = (dataset, protocol, chosen.unit, chosen.aggregation, chosen.output or "")
    pictures = table.where("split", "test").pictures
    notes = tuple(dict.fromkeys((*table.notes, *(dev.notes if dev else ()))))
    return Report(system, trained_on, *judged, folds, seen_in_training, pictures, notes)


def joined(reports: Sequence[Report]) -> Report:
    """Join several reports into one over all their folds, which were judged one by one (each by its own model).

    Raises:
        InputError: none, reports that differ in more than their folds, or a fold that comes twice.
    """
    if not reports:
        raise InputError("there are no reports to join")
    folds = tuple(fold for report in reports for fold in report.folds)
    kinds = {replace(report, folds=(), seen_in_training=0, pictures=False, notes=()) for report in reports}
    if len(kinds) > 1:
        raise InputError(
            "only the folds of one system on one protocol, judged in one way, can be joined; "
            f"got {', '.join(sorted(f'{r.system} on {r.tested_on} by {r.unit}' for r in kinds))}"
        )
    names = [fold.name for fold in folds]
    if len(set(names)) < len(names):
        raise InputError(f"a fold comes twice among the reports to join: {', '.join(names)}")
    seen = sum(report.seen_in_training for report in reports)
    pictures = all(report.pictures for report in reports)
    notes = tuple(dict.fromkeys(note for report in reports for note in report.notes))
    return replace(reports[0], folds=folds, seen_in_training=seen, pictures=pictures, notes=notes)


def headline(figures: SetFigures) -> dict[str, Figure]:
    """Return the figures of `figures` that are averaged over folds and compared between systems, by name."""
    errors, ranking = figures.errors, figures.ranking
    return {
        **{f"apcer_{name}": errors.apcer[name] for name in GROUPINGS},
        "bpcer": errors.bpcer,
        **{f"acer_{name}": errors.acer[name] for name in GROUPINGS},
        "hter": figures.hter,
        "eer": ranking.eer,
        "auc": Figure(ranking.auc),
        **{f"bpcer{n}": figure for n, figure in ranking.bpcer_at.items()},
        "apcer_at_bpcer1": ranking.apcer_at_bpcer1,
        "apnrr": figures.apnrr,
        "bpnrr": figures.bpnrr,
    }


def _fold(fold_data: FoldData, output: str | None) -> Fold:
    test, dev, value = fold_data.test, fold_data.dev, fold_data.threshold.value
    seen = set(dev.species.names) if dev is not None else set(test.species.names)
    return Fold(
        name=fold_data.fold,
        threshold=fold_data.threshold,
        test=figures_of(test, value),
        dev=figures_of(dev, value) if dev is not None else None,
        det=det_of(test),
        histogram=histogram_of(test),
        mistakes=tuple(_mistakes(test, value)),
        unseen=tuple(name for name in test.species.names if name not in seen),
        shared_subjects=fold_data.shared_subjects,
        calibration=calibration_of(test),
        subjects=subjects_of(test, value),
        videos=videos_of(test, fold_data.rows, value, output),
    )


def _mistakes(samples: Samples, threshold: float) -> Iterator[Mistake]:
    accepted = samples.scores >= threshold
    for label in (0, 1):
        wrong = np.flatnonzero(
            (samples.labels == label) & ~np.isnan(samples.scores) & (accepted == (label == 0))
        )
        farthest = np.argsort(-np.abs(samples.scores[wrong] - threshold), kind="stable")[:_MISTAKES]
        for row in wrong[farthest]:
            code = samples.species.codes[row]
            yield Mistake(
                id=samples.ids[row],
                sample_id=samples.sample_ids[row],
                label=label,
                species=samples.species.names[code] if code >= 0 else "",
                score=float(samples.scores[row]),
            )


def _plain_fold(fold: Fold) -> dict[str, Any]:
    plain: dict[str, Any] = _plain(asdict(fold))
    return plain


def _plain(value: Any) -> Any:
    """Return `value` with names for the ends of intervals, and text for the keys that JSON needs as text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
