"""Set a bundle's threshold anew on pictures of one's own users, and keep their scores."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil, floor, log10
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct

from bonaface.core.convert import convert
from bonaface.core.errors import InputError, ModelFileError
from bonaface.core.files import new_folder, whole_folder
from bonaface.core.records import Score
from bonaface.core.text import printable
from bonaface.evaluation.error_rates import Errors
from bonaface.evaluation.folds import EvaluationSettings
from bonaface.evaluation.operating_point import Rule, Threshold
from bonaface.evaluation.report import evaluate_table
from bonaface.evaluation.score_table import ScoreTable
from bonaface.inference.bundle import (
    Bundle,
    BundleCard,
    OperatingPoint,
    ThresholdSource,
    UnitThresholds,
    write_card,
)
from bonaface.metrics.clustered import Owners, effective_size, share
from bonaface.metrics.thresholds import bpcer_threshold

OWN = "calibration"  # the protocol's name, and where provenance keeps the scores
MOST_SCORES, DIGITS = 10_000, 6  # of the scores that are kept in the bundle
_LONGEST = 200  # letters that a bundle takes as a name

_Number = Annotated[float, Meta(ge=0, le=1)]


class Reference(Struct, frozen=True):
    """The bona fide scores (N,) of a calibration, in provenance, and whose each is, as a number from 0 on."""

    output: str
    scores: Annotated[list[_Number], Meta(min_length=1, max_length=MOST_SCORES)]
    subjects: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1, max_length=MOST_SCORES)]

    def __post_init__(self) -> None:
        if len(self.scores) != len(self.subjects):
            raise ValueError("expected a subject for each score")


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold and what it does to the pictures that it was set on: counts, rates and intervals over subjects.

    `subjects` counts the people among the bona fide presentations, `effective` how many independent presentations
    would say as much, `silent` the presentations of either kind that got no score.
    """

    point: str
    output: str
    threshold: float
    errors: Errors
    bona_fide: int
    attacks: int
    subjects: int
    effective: float
    silent: int


def calibrate(
    card: BundleCard, rows: Sequence[Score], rule: Rule, about: str
) -> tuple[BundleCard, Calibration]:
    """Return the description of a bundle that decides by a threshold set on `rows`, and what it does to them.

    Args:
        card: the bundle as it is; its other operating points stay.
        rows: one a picture or video, those without a score included.
        rule: a BPCER to keep.
        about: names the pictures, for the reader of the bundle; a long name is cut.

    Raises:
        InputError: the rule is another, or the bona fide presentations are too few for it.
    """
    about = printable(about)[:_LONGEST]
    scored = [row for row in rows if not row.response]
    genuine = [row for row in scored if row.label]
    check_rule(rule, len(genuine))
    point = f"bpcer={rule.at:g}"
    thresholds = {}
    for output in card.outputs:
        values = [row.outputs[output] for row in genuine]
        value = min(max(bpcer_threshold([1] * len(values), values, rule.at), 0.0), 1.0)
        thresholds[output] = UnitThresholds(value, value)
    output = card.default_output
    threshold = thresholds[output].frame
    subjects, effective = _check_people(genuine, output, threshold, rule)
    source = ThresholdSource(about, OWN, "", len(genuine), len(scored) - len(genuine), subjects)
    judged = evaluate_table(
        ScoreTable.from_scores(rows), settings=EvaluationSettings(Threshold(threshold, str(rule), about))
    )
    found = Calibration(
        point,
        output,
        threshold,
        judged.folds[0].test.errors,
        len(genuine),
        len(scored) - len(genuine),
        subjects,
        effective,
        len(rows) - len(scored),
    )
    told = {
        **card.provenance,
        OWN: {
            "rule": point,
            "pictures": about,
            "silent": found.silent,
            "bpcer": asdict(found.errors.bpcer),
            **({"apcer": asdict(found.errors.apcer["pooled"])} if found.attacks else {}),
            "reference": msgspec.to_builtins(_reference(output, genuine)),
        },
    }
    points = {**card.operating_points, point: OperatingPoint(thresholds, source)}
    return (
        msgspec.structs.replace(
            card, operating_points=points, default_point=point, provenance=told, files=None
        ),
        found,
    )


def check_rule(rule: Rule, count: int) -> None:
    """Refuse a rule that `count` bona fide presentations cannot keep, as can be told before they are scored.

    Raises:
        InputError: the rule keeps no BPCER above 0, or one presentation is already a larger share than it rejects.
    """
    if rule.name != "bpcer":
        raise InputError(
            "a calibration keeps a BPCER, as in --rule bpcer=0.01; other rules need many attacks"
        )
    if not rule.at > 0:
        raise InputError("a BPCER of 0 can't be kept by any number of pictures; take one above 0, as 0.01")
    needed = ceil(1 / rule.at - 1e-9)
    if count < needed:
        other = f", or keep a BPCER of {_share_of_one(count):g}" if count > 1 else ""
        raise InputError(
            f"a BPCER of {rule.at:g} takes at least {needed} bona fide presentations with a face, for one of fewer is "
            f"already a larger share, got {count}; give {needed - count} more, of further people{other}"
        )


def _share_of_one(count: int) -> float:
    """Return 1 / `count` with two digits, rounded up: the smallest such BPCER that so many can keep."""
    digits = 1 - floor(log10(1 / count))
    return ceil(10.0**digits / count - 1e-9) / 10.0**digits


def _check_people(genuine: Sequence[Score], output: str, threshold: float, rule: Rule) -> tuple[int, float]:
    """Return how many people are shown, and how many independent presentations would say as much.

    Raises:
        InputError: these are too few for the rule.
    """
    names = [row.subject or f"\0{row.sample_id}" for row in genuine]
    rejected = np.array([row.outputs[output] < threshold for row in genuine])
    found = share(rejected, np.ones(len(genuine), bool), Owners.of(names))
    people, effective = len(set(names)), effective_size(found)
    needed = 1 / rule.at
    if people < 2 or effective < needed:
        more = ceil(people * needed / max(effective, 1.0)) - people
        raise InputError(
            f"pictures of one person resemble each other: these {len(genuine)} of {people} people say as much as "
            f"{effective:.0f} independent ones, and a BPCER of {rule.at:g} takes {needed:.0f}; give pictures of about "
            f"{max(more, 1)} people more, or keep a higher BPCER"
        )
    return people, effective


def _reference(output: str, genuine: Sequence[Score]) -> Reference:
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(row.subject or f"\0{row.sample_id}", len(numbers)) for row in genuine]
    order = np.argsort([row.outputs[output] for row in genuine], kind="stable")
    kept = order[np.linspace(0, len(order) - 1, min(len(order), MOST_SCORES)).round().astype(int)]
    # No names of people are kept, and the scores in no order of theirs.
    return Reference(
        output, [round(genuine[at].outputs[output], DIGITS) for at in kept], [codes[at] for at in kept]
    )


def reference_of(card: BundleCard) -> Reference:
    """Return the scores that the bundle was calibrated on.

    Raises:
        ModelFileError: it was never calibrated, or its description says what no calibration writes.
    """
    told: Any = card.provenance.get(OWN)
    if not isinstance(told, dict) or "reference" not in told:
        raise ModelFileError(
            "this bundle keeps no scores to compare with: bonaface calibrate makes one that does, of pictures of your "
            "users"
        )
    try:
        return convert(told["reference"], Reference)
    except InputError as error:
        raise ModelFileError(f"the bundle's calibration is none that Bonaface writes: {error}") from error


def write_calibrated(bundle: Bundle, card: BundleCard, out: Path) -> None:
    """Write a bundle with the networks of `bundle` and the description `card` into `out`, whole or not at all.

    Raises:
        InputError: `out` holds files, or cannot be replaced (`new_folder`).
    """
    with whole_folder(new_folder(out)) as made:
        for name in bundle.files:
            shutil.copyfile(bundle.path / name, made / name)
        write_card(made, card)
