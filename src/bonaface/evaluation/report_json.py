"""The records of ``report.json``, format 2: the types that docs/report.schema.json is generated from.

They describe what `bonaface.evaluation.report.Report.as_dict` returns; `msgspec.json.decode` reads a report with them.
Their docstrings and descriptions stand in the schema.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from bonaface.evaluation.aggregate import Unit
from bonaface.evaluation.report import LEVEL
from bonaface.metrics.videos import Aggregation

_Count = Annotated[int, Meta(ge=0)]
_Share = Annotated[float, Meta(ge=0, le=1)]


class IntervalRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """A 95 % interval."""

    low: _Share
    high: _Share


class FigureRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """A figure with its 95 % interval and its counts."""

    value: Annotated[_Share | None, Meta(description="Null where it is not defined.")]
    interval: IntervalRecord | None
    errors: Annotated[_Count | None, Meta(description="Numerator; null where the figure is not one share.")]
    total: Annotated[_Count | None, Meta(description="Denominator; null where the figure is not one share.")]


class ThresholdRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """A score >= value is accepted as bona fide."""

    value: float
    rule: Annotated[str, Meta(description="How it was found: EER, BPCER = 0.01, fixed.")]
    data: Annotated[str, Meta(description="On which scores.")]
    unit: Annotated[Literal[Unit, ""], Meta(description="Empty where it does not matter.")]
    from_test: Annotated[bool, Meta(description="True where it was taken from the scores that it judges.")]


class GroupingFigures(Struct, frozen=True, forbid_unknown_fields=True):
    """A figure of the worst species, of the worst category, of all attacks pooled."""

    species: FigureRecord
    category: FigureRecord
    pooled: FigureRecord


class WorstNames(Struct, frozen=True, forbid_unknown_fields=True):
    """Which species and category are the worst; empty without attacks."""

    species: str
    category: str


class ErrorsRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """Errors at the threshold."""

    per_species: Annotated[
        dict[str, FigureRecord], Meta(description="APCER of each attack instrument species.")
    ]
    per_category: Annotated[
        dict[str, FigureRecord],
        Meta(description="APCER of each category, a species up to its first hyphen."),
    ]
    apcer: GroupingFigures
    worst: WorstNames
    bpcer: FigureRecord
    acer: Annotated[
        GroupingFigures,
        Meta(description="(APCER + BPCER) / 2, an academic figure; intervals over subjects."),
    ]


class BpcerAtRecord(
    Struct, frozen=True, forbid_unknown_fields=True, rename={"at_10": "10", "at_20": "20", "at_100": "100"}
):
    """Smallest BPCER with every species' APCER at most 1/n."""

    at_10: FigureRecord
    at_20: FigureRecord
    at_100: FigureRecord


class RankingRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """How well the scores part the classes, whatever the threshold."""

    eer: FigureRecord
    auc: _Share | None
    bpcer_at: BpcerAtRecord
    apcer_at_bpcer1: Annotated[
        FigureRecord, Meta(description="The worst species' APCER where BPCER is at most 1 %.")
    ]


class SetRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """All figures of one set of presentations."""

    bona_fide: _Count
    attacks: _Count
    subjects: Annotated[_Count | None, Meta(description="Null where none is named.")]
    errors: Annotated[ErrorsRecord, Meta(description="Non-responses are left out.")]
    strict: Annotated[ErrorsRecord, Meta(description="Non-responses count as rejected.")]
    apnrr_per_species: dict[str, FigureRecord]
    apnrr: FigureRecord
    bpnrr: FigureRecord
    reasons: Annotated[
        dict[str, _Count], Meta(description="How many presentations got no response, by reason.")
    ]
    hter: FigureRecord
    ranking: RankingRecord


class DetRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """Points of the DET curve by rising threshold: pooled APCER, that of the worst species, BPCER."""

    thresholds: tuple[float, ...]
    pooled: tuple[_Share, ...]
    worst: tuple[_Share, ...]
    bpcer: tuple[_Share, ...]


class HistogramRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """Counts of scores between edges, for bona fide and each species."""

    edges: tuple[float, ...]
    counts: dict[str, tuple[_Count, ...]]


class MistakeRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """A presentation on the wrong side of the threshold; sample_id is the frame to look at."""

    id: str
    sample_id: str
    label: Literal[0, 1]
    species: str
    score: float


class CalibrationRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """Of those of ten equal bins of scores in [0, 1] that have any: mean score, bona fide presentations, all."""

    scores: tuple[_Share, ...]
    bona_fide: tuple[_Count, ...]
    totals: tuple[_Count, ...]
    error: Annotated[_Share, Meta(description="The expected calibration error.")]


_Scores = Annotated[
    tuple[float, ...], Meta(max_length=60, description="Rising; at most 60, evenly chosen by rank.")
]


class SubjectRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """One subject's scores, and how many are on the wrong side of the threshold."""

    subject: str
    bona_fide: _Scores
    attacks: _Scores
    bona_fide_rejected: _Count
    bona_fide_total: _Count
    attacks_accepted: _Count
    attacks_total: _Count


class VideoRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """One video's scores frame by frame; null where a frame got no response."""

    id: str
    label: Literal[0, 1]
    species: str
    score: float
    frames: tuple[int, ...]
    scores: tuple[float | None, ...]


class FoldRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """One fold: its threshold, its figures on test and dev, what a page draws."""

    name: Annotated[str, Meta(description="Empty where the protocol has no folds.")]
    threshold: ThresholdRecord
    test: SetRecord
    dev: SetRecord | None
    det: DetRecord | None
    histogram: HistogramRecord | None
    mistakes: Annotated[
        tuple[MistakeRecord, ...],
        Meta(
            max_length=48,
            description="Presentations on the wrong side of the threshold, those farthest from it first.",
        ),
    ]
    unseen: Annotated[tuple[str, ...], Meta(description="Species of test that dev lacks.")]
    shared_subjects: Annotated[_Count, Meta(description="Subjects that are in both dev and test.")]
    calibration: Annotated[
        CalibrationRecord | None,
        Meta(description="Null where scores are no probabilities or a class is missing."),
    ]
    subjects: Annotated[
        tuple[SubjectRecord, ...],
        Meta(max_length=24, description="The subjects with the most errors, the most first."),
    ]
    videos: Annotated[
        tuple[VideoRecord, ...],
        Meta(max_length=6, description="Of each class the three videos most wrong, or nearest to it."),
    ]


class MeanSdRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """Over the folds; sd with n - 1, null for one fold."""

    mean: _Share
    sd: Annotated[float, Meta(ge=0)] | None
    n: Annotated[int, Meta(ge=1)]


class ReportFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What report.json holds. Rates are shares in [0, 1]."""

    warning: Annotated[
        str | UnsetType,
        Meta(
            description="First of all, and only where a threshold was taken from the test scores, presentations of "
            "training were tested, or they were simulated."
        ),
    ] = UNSET
    format: Literal[2]
    level: Annotated[float, Meta(ge=LEVEL, le=LEVEL, description="Of every interval.")]
    system: str
    trained_on: Annotated[
        str,
        Meta(
            description="The protocol that the system was trained on, as oulu-npu/1, several with + between; empty "
            "where nobody said."
        ),
    ]
    dataset: str
    protocol: str
    unit: Unit
    aggregation: Aggregation
    output: Annotated[str, Meta(description="A score output by name; empty for the default one.")]
    folds: Annotated[tuple[FoldRecord, ...], Meta(min_length=1)]
    seen_in_training: Annotated[
        _Count,
        Meta(
            description="How many of the test presentations trained or tuned the system, as far as that is known."
        ),
    ] = 0
    pictures: Annotated[
        bool, Meta(description="Whether each video is a single frame, so that pictures are judged.")
    ]
    notes: Annotated[tuple[str, ...], Meta(description="How the score table was understood.")]
    summary: Annotated[
        dict[str, MeanSdRecord],
        Meta(description="Mean and standard deviation over the folds, by figure."),
    ]
