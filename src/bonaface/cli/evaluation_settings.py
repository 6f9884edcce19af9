"""The options that `report` and `compare` share: which threshold, which unit, which columns."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bonaface.core.errors import InputError

if TYPE_CHECKING:
    from bonaface.evaluation.folds import EvaluationSettings

ThresholdOption = Annotated[
    str,
    typer.Option(
        "--threshold-from",
        metavar="dev|test|NUMBER",
        help="Where the threshold comes from. dev: set on the dev scores, or, where there are none, the one that "
        "evaluate wrote beside the scores; test: set on the test scores (every report then says so); or a number.",
    ),
]
RULE = "eer|bpcer=SHARE"
RULE_HELP = "How the threshold is set. eer: where the errors are equal; bpcer=0.01: where BPCER is 1 %."
RuleOption = Annotated[str, typer.Option(metavar=RULE, help=RULE_HELP)]
UnitOption = Annotated[
    str, typer.Option(metavar="video|frame", help="What counts as one decision: a video or a frame.")
]
AggregationOption = Annotated[
    str,
    typer.Option(
        metavar="mean|median|min|std", help="How a video's score is made from the scores of its frames."
    ),
]
OutputOption = Annotated[
    str | None, typer.Option(help="Score output to use (column score_NAME). Default: the column score.")
]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="OURS=THEIRS",
        help="Read a column that has another name, such as score=liveness. score=-spoof reverses scores where higher "
        "means attack. FILE:score=liveness is for one of several files alone. May be given several times.",
    ),
]


def evaluation_settings(
    threshold_from: str,
    rule: str,
    unit: str,
    aggregation: str,
    output: str | None,
    known_sources: tuple[str, ...] = ("dev", "test"),
) -> "EvaluationSettings":
    """Return the options as `evaluation` takes them; `known_sources` are the names that --threshold-from takes.

    Raises:
        InputError: an option has an unknown value.
    """
    from difflib import get_close_matches
    from typing import cast

    from bonaface.core.errors import UnknownNameError
    from bonaface.evaluation.aggregate import UNITS, Unit
    from bonaface.evaluation.folds import EvaluationSettings, ThresholdFrom
    from bonaface.evaluation.operating_point import Rule, Threshold
    from bonaface.metrics.videos import AGGREGATIONS, Aggregation

    for name, value, known in (
        ("unit", unit, UNITS),
        ("aggregation of a video's frames", aggregation, AGGREGATIONS),
    ):
        if value not in known:
            raise UnknownNameError(name, value, known)
    wanted: ThresholdFrom
    if threshold_from in ("dev", "test"):
        wanted = cast(ThresholdFrom, threshold_from)
    else:
        try:
            wanted = Threshold(float(threshold_from), "fixed")
        except ValueError:
            close = get_close_matches(threshold_from, known_sources, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise InputError(
                f"--threshold-from takes {', '.join(known_sources)} or a number, got {threshold_from!r}{hint}"
            ) from None
    return EvaluationSettings(
        wanted, Rule.parse(rule), cast(Unit, unit), cast(Aggregation, aggregation), output
    )


def column_mapping(pairs: list[str] | None, files: Sequence[Path | None]) -> dict[str, str]:
    """Return the columns that --map names; `files` are the score files of the command.

    Raises:
        InputError: a pair that cannot be read, or one for a file that is not among them.
    """
    from bonaface.evaluation.formats import check_mapping, parse_mapping

    mapping = parse_mapping(pairs or [])
    check_mapping(mapping, [path for path in files if path])
    return mapping
