"""What the papers claim, as data: one record a claim, and what the papers' own tables say of it.

    - claim: three of four protocols         # its name in the tables
      paper: a-deeppixbis
      section: I
      says: the modified model can outperform the original one on 3 out of 4 protocols of the OULU-NPU dataset
      first: {model: a-deep-pix-bis, output: binary}     # a row of the grid, and of the papers' tables where it is one
      second: deep-pix-bis                               # or several: [deep-pix-bis, a-deep-pix-bis]
      measure: acer
      protocols: [oulu-npu/1, oulu-npu/2, oulu-npu/3, oulu-npu/4]
      expect: lower                                      # what the claim says of first against second
      at_least: 3                                        # of the comparisons; by default all

`points` and `percent` are the difference that is claimed, first - second, in percentage points and in per cent of
second; `value` is a figure of `first` alone. They are rounded as they are written: 58 is 57.5 to 58.5.
The claims about `measure: training` are about the cost of a step in training, and need no protocol.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from msgspec import Meta, Struct

from bonaface.core.convert import convert
from bonaface.core.errors import InputError
from bonaface.datasets.experiment import Experiment
from bonaface.evaluation.published import PublishedRow, published

Verdict = Literal["holds", "contradicted", "no difference shown", "not decidable here"]
TRAINING = "training"
NO_FIGURES = "no figures in print"


class Side(Struct, frozen=True, forbid_unknown_fields=True):
    """A row of the grid by its name, and the score output that is meant; by default the first."""

    model: str
    output: str = ""

    def __str__(self) -> str:
        return f"{self.model} ({self.output})" if self.output else self.model


class Claim(Struct, frozen=True, forbid_unknown_fields=True):
    """A sentence of a paper, and the comparison that decides it; see the module's text."""

    claim: str
    paper: Literal["a-deeppixbis", "bi-fpnfas"]
    section: str
    says: str
    first: str | Side
    second: str | Side | tuple[str | Side, ...] = ()
    measure: Literal["acer", "apcer", "bpcer", "hter", "eer", "training"] = "acer"
    protocols: tuple[str, ...] = ()
    expect: Literal["lower", "higher", "same"] | None = None
    at_least: Annotated[int, Meta(ge=1)] | None = None
    points: float | None = None
    percent: float | None = None
    value: float | None = None
    note: str = ""

    @property
    def one(self) -> Side:
        """Return the first side."""
        return _side(self.first)

    @property
    def others(self) -> tuple[Side, ...]:
        """Return the second sides."""
        return tuple(map(_side, self.second if isinstance(self.second, tuple) else (self.second,)))


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison of a claim, on one protocol, as cells of a table; `basis` is what it rests on, or lacks."""

    claim: str
    first: str
    second: str
    protocol: str
    figures: tuple[str, str]
    difference: str
    basis: str
    verdict: Verdict


def read_claims(path: Path) -> tuple[Claim, ...]:
    """Read the claims in the YAML file at `path`.

    Raises:
        InputError: there is no such file, or a claim that can't be decided as it is written.
    """
    try:
        claims = convert(read_yaml(path, "a list of claims"), tuple[Claim, ...])
        names = [claim.claim for claim in claims]
        for claim in claims:
            if names.count(claim.claim) > 1:
                raise InputError(f"every claim needs a name of its own, and {claim.claim!r} is there twice")
            _check(claim)
    except InputError as error:
        raise error if str(path) in str(error) else InputError(f"{path}: {error}") from error
    return claims


def read_yaml(path: Path, what: str) -> Any:
    """Return what the YAML file at `path` holds.

    Raises:
        InputError: there is no such file, or it is no YAML; the sentence says that it should be `what`.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: expected {what} in YAML, and there is no such file") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: expected {what} in YAML, but {error}") from error


def printed_checks(claim: Claim) -> list[Check]:
    """Return the claim against the tables of its own paper, by arithmetic; nothing where they lack a figure."""
    checks = []
    for protocol in claim.protocols:
        experiment = Experiment.parse(protocol)
        first = _printed(claim, claim.one, experiment)
        for side in claim.others if claim.second else (None,):
            second = _printed(claim, side, experiment) if side else []
            if first and (second or side is None):
                one, two = _single(claim, first), _single(claim, second) if second else None
                checks.append(_by_arithmetic(claim, protocol, one, two))
    return checks


def overall(verdicts: Sequence[Verdict], at_least: int | None = None) -> Verdict:
    """Return the verdict of a claim that holds where `at_least` of its comparisons hold; None: where all do."""
    wanted = at_least or len(verdicts)
    if not verdicts:
        return "not decidable here"
    if verdicts.count("holds") >= wanted:
        return "holds"
    if len(verdicts) - verdicts.count("contradicted") < wanted:
        return "contradicted"
    return "not decidable here" if "not decidable here" in verdicts else "no difference shown"


def _side(given: str | Side) -> Side:
    return given if isinstance(given, Side) else Side(given)


def _check(claim: Claim) -> None:
    if bool(claim.second) == (claim.value is not None):
        raise InputError(f"{claim.claim}: a claim has either `second` or, of `first` alone, a `value`")
    if claim.second and claim.expect is None:
        raise InputError(
            f"{claim.claim}: `expect` must say what first is against second: lower, higher, same"
        )
    if bool(claim.protocols) == (claim.measure == TRAINING):
        raise InputError(f"{claim.claim}: `protocols` are needed, unless the claim is about {TRAINING}")
    printed_checks(claim)  # what is wrong with it is said before anything is trained


def _printed(claim: Claim, side: Side, experiment: Experiment) -> list[PublishedRow]:
    """Return the rows of the claim's paper for `side`, which have the claim's measure."""
    return [
        row
        for row in published()
        if row.paper == claim.paper
        and row.system == side.model
        and side.output in ("", row.output)
        and (row.trained_on, row.tested_on) == (experiment.trained_on, experiment.tested_on)
        and claim.measure in row.figures
    ]


def _single(claim: Claim, rows: Sequence[PublishedRow]) -> PublishedRow:
    """Return the first of `rows`; two tables of a paper may have the same.

    Raises:
        InputError: they are of several outputs.
    """
    outputs = list(dict.fromkeys(row.output for row in rows))
    if len(outputs) > 1:
        raise InputError(f"{claim.claim}: name the output of {rows[0].system}: {', '.join(outputs)}")
    return rows[0]


def _by_arithmetic(claim: Claim, protocol: str, first: PublishedRow, second: PublishedRow | None) -> Check:
    one = first.figures[claim.measure].mean
    if second is None:
        assert claim.value is not None, "a claim without `second` has a `value`"
        right, told = _rounds(one, claim.value), f"claimed: {claim.value:g}"
    else:
        two = second.figures[claim.measure].mean
        points, percent = one - two, 100 * (one - two) / two if two else None
        right = {"lower": points < 0, "higher": points > 0, "same": points == 0}[claim.expect or "same"]
        right &= claim.points is None or _rounds(points, claim.points)
        right &= claim.percent is None or (percent is not None and _rounds(percent, claim.percent))
        told = f"{points:+.2f} points" + (f", {percent:+.1f} %" if percent is not None else "")
    names = first.printed, second.printed if second else ""
    cells = first.cells[claim.measure], second.cells[claim.measure] if second else ""
    where = dict.fromkeys(
        f"table {row.table}" if row.table != "text" else "text" for row in (first, second) if row
    )
    return Check(
        claim.claim, *names, protocol, cells, told, ", ".join(where), "holds" if right else "contradicted"
    )


def _rounds(value: float, claimed: float) -> bool:
    """Return whether `value` is `claimed`, rounded to as many decimals as that is written with."""
    decimals = len(f"{claimed:g}".partition(".")[2])
    return abs(value - claimed) <= 0.5 * 10.0**-decimals + 1e-9
