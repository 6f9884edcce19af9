"""Record where a threshold comes from, in the words that every report shows."""

from dataclasses import dataclass
from math import isfinite
from typing import Literal, Self

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.records import PLUS, SIMULATED
from bonaface.evaluation.aggregate import Samples, Unit
from bonaface.metrics.thresholds import bpcer_threshold, eer_threshold

FROM_TEST = (
    "THE THRESHOLD WAS TAKEN FROM THE TEST SCORES: these figures are too good to be compared with others."
)
OF_TRAINING = "ALSO TRAINED OR TUNED THE SYSTEM: these figures are too good to be compared with others."
OF_SIMULATED = (
    "THE PRESENTATIONS WERE SIMULATED: these figures say nothing about real people and real attacks."
)


def caution(dataset: str, from_test: bool, seen: int = 0) -> str:
    """Return what a reader must know before any figure: how the threshold was found, and what was judged.

    `dataset` may be several with `` + `` between. `seen` is how many of the presentations the system had seen in
    training.
    """
    warnings = (
        FROM_TEST if from_test else "",
        f"{seen} OF THE PRESENTATIONS {OF_TRAINING}" if seen else "",
        OF_SIMULATED if any(name.startswith(SIMULATED) for name in dataset.split(PLUS)) else "",
    )
    return " ".join(filter(None, warnings))


@dataclass(frozen=True, slots=True)
class Threshold:
    """A score >= `value` is accepted as bona fide.

    `rule` says how it was found (EER, BPCER = 1 %, fixed), `data` on which scores (dev of nuaa/official, a
    bundle's own dev set), `unit` whether those were videos or frames; empty where it does not matter.

    Raises:
        InputError: `value` is not finite.
    """

    value: float
    rule: str = "fixed"
    data: str = ""
    unit: Unit | Literal[""] = ""
    from_test: bool = False

    def __post_init__(self) -> None:
        if not isfinite(self.value):
            raise InputError(f"a threshold must be a finite number, got {self.value}")

    def __str__(self) -> str:
        unit = f", by {self.unit}" if self.unit else ""
        return f"{self.value:.6g} ({self.rule}{f' of {self.data}' if self.data else ''}{unit})"


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule that finds a threshold on a set of scores: equal errors, or BPCER equal to `at`."""

    name: Literal["eer", "bpcer"] = "eer"
    at: float = 0.01

    def __post_init__(self) -> None:
        if self.name not in ("eer", "bpcer"):
            raise UnknownNameError("threshold rule", self.name, ("eer", "bpcer=0.01"))
        if not 0 <= self.at < 1:
            raise InputError(f"the BPCER of a threshold rule must lie in [0, 1), got {self.at}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``eer`` or ``bpcer=0.01``.

        Raises:
            UnknownNameError: another rule.
            InputError: a share that is no number in [0, 1).
        """
        name, _, share = text.strip().lower().partition("=")
        if name == "eer" and not share:
            return cls("eer")
        if name == "bpcer":
            try:
                return cls("bpcer", float(share or 0.01))
            except ValueError:
                raise InputError(f"bpcer needs a share, as in bpcer=0.01, got {share!r}") from None
        raise UnknownNameError("threshold rule", text, ("eer", "bpcer=0.01"))

    def __str__(self) -> str:
        return "EER" if self.name == "eer" else f"BPCER = {self.at:.4g}"

    def threshold(self, samples: Samples, data: str, from_test: bool = False) -> Threshold:
        """Return the threshold of this rule on those of `samples` that responded; `data` names them.

        Raises:
            InputError: a class that the rule needs is missing.
        """
        scored = samples.scored()
        try:
            value = (
                eer_threshold(scored.labels, scored.scores)
                if self.name == "eer"
                else bpcer_threshold(scored.labels, scored.scores, self.at)
            )
        except InputError as error:
            raise InputError(f"no threshold can be set on the {data}: {error}") from error
        return Threshold(value, str(self), data, samples.unit, from_test)
