"""Split the test rows of a table into folds, each with its threshold, by the settings of the evaluation."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.evaluation.aggregate import Samples, Unit, to_unit
from bonaface.evaluation.operating_point import Rule, Threshold
from bonaface.evaluation.score_table import ScoreTable
from bonaface.metrics.videos import Aggregation

# A threshold that was set elsewhere, or the set to take it from.
ThresholdFrom = Threshold | Literal["dev", "test"]


@dataclass(frozen=True, slots=True)
class FoldData:
    """One fold to judge: its test presentations, those of dev if there are any, and the threshold.

    `shared_subjects` counts the subjects that are in both, `rows` are the frames of the test presentations.
    """

    fold: str
    test: Samples
    dev: Samples | None
    threshold: Threshold
    shared_subjects: int
    rows: ScoreTable


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """How a table is judged: where the threshold comes from, by which rule, unit, aggregation and output.

    Raises:
        UnknownNameError: `threshold` is text other than ``dev`` and ``test``.
        InputError: a threshold that was set in the other unit.
    """

    threshold: ThresholdFrom = "dev"
    rule: Rule = field(default_factory=Rule)
    unit: Unit = "video"
    aggregation: Aggregation = "mean"
    output: str | None = None

    def __post_init__(self) -> None:
        given = self.threshold
        if isinstance(given, str) and given not in ("dev", "test"):
            raise UnknownNameError("set to take a threshold from", given, ("dev", "test"))
        if isinstance(given, Threshold) and given.unit not in ("", self.unit):
            raise InputError(
                f"the threshold {given} was set on {given.unit}s but {self.unit}s are judged; "
                f"judge {given.unit}s, or give the threshold of the {self.unit}s"
            )

    def fold_data(self, table: ScoreTable, dev: ScoreTable | None = None) -> tuple[str, str, list[FoldData]]:
        """Return data set, protocol and folds of the test rows of `table`; `dev` has scores for the threshold only.

        Raises:
            InputError: no test rows, more than one protocol, no dev scores where they are needed or `dev` has the
                test scores, or a class missing where the threshold is found. The message begins with the table's file.
        """
        try:
            return self._fold_data(table, dev)
        except InputError as error:
            if table.source:
                error.args = (f"{table.source}: {error}",)
            raise

    def _fold_data(self, table: ScoreTable, dev: ScoreTable | None) -> tuple[str, str, list[FoldData]]:
        test, dataset, protocol = _test_rows(table)
        folds_data = []
        for fold in test.values("fold"):
            test_rows = test.where("fold", fold)
            dev_rows = _dev_rows(table if dev is None else dev, fold, apart=dev is not None)
            samples = to_unit(test_rows, self.unit, self.aggregation, self.output)
            on_dev = (
                to_unit(dev_rows, self.unit, self.aggregation, self.output) if dev_rows is not None else None
            )
            where = _named(dataset, protocol, fold)
            wanted = self.threshold
            if wanted == "dev" and on_dev is None:
                wanted = self._carried(test_rows, where) or wanted
            chosen = _threshold(wanted, self.rule, samples, on_dev, where)
            folds_data.append(
                FoldData(fold, samples, on_dev, chosen, _shared(test_rows, dev_rows), test_rows)
            )
        return dataset, protocol, folds_data

    def _carried(self, test: ScoreTable, where: str) -> Threshold | None:
        """Return the threshold that came with the scores, if it is for this score, unit and rule.

        Raises:
            InputError: several thresholds came with the scores.
        """
        found = [
            Threshold(value, rule, data, self.unit if unit else "")
            for value, rule, data, unit in test.thresholds
            if unit in ("", self.unit)
        ]
        if not found or self.output is not None or self.aggregation != "mean":
            return None
        if len(found) > 1:
            raise InputError(
                f"the test scores{where} came with {len(found)} thresholds; give one (--threshold-from)"
            )
        return found[0] if found[0].rule in ("fixed", str(self.rule)) else None


def _test_rows(table: ScoreTable) -> tuple[ScoreTable, str, str]:
    test = table.where("split", "test")
    if not len(test):
        raise InputError(
            "there are no test scores to judge: the rows belong to the split "
            f"{' and '.join(table.values('split')) or 'none at all'}"
        )
    datasets, protocols = test.values("dataset"), test.values("protocol")
    if len(datasets) > 1 or len(protocols) > 1:
        raise InputError(
            "a report is about one protocol of one data set, but the test rows have the data sets "
            f"{', '.join(map(repr, datasets))} and the protocols {', '.join(map(repr, protocols))}; "
            "report them apart"
        )
    return test, datasets[0], protocols[0]


def _dev_rows(table: ScoreTable, fold: str, apart: bool) -> ScoreTable | None:
    """Return the dev rows for `fold`; of a table of its own (`apart`) all rows if none is marked as dev."""
    rows = table.where("split", "dev")
    if apart and not len(rows):
        rows = table
    if apart and rows.values("fold") == [""]:
        return rows
    rows = rows.where("fold", fold)
    return rows if len(rows) else None


def _same(test: Samples, dev: Samples) -> bool:
    return np.array_equal(test.ids, dev.ids) and np.array_equal(test.scores, dev.scores, equal_nan=True)


def _shared(test: ScoreTable, dev: ScoreTable | None) -> int:
    return len((set(test.values("subject")) & set(dev.values("subject"))) - {""}) if dev is not None else 0


def _threshold(
    wanted: ThresholdFrom, rule: Rule, test: Samples, dev: Samples | None, where: str
) -> Threshold:
    if isinstance(wanted, Threshold):
        return wanted
    if wanted == "test":
        return rule.threshold(test, f"test set{where}", from_test=True)
    if dev is None:
        raise InputError(
            f"there are no dev scores{where} to set the threshold on: give them (--dev FILE; bonaface evaluate "
            "--threshold-from dev writes them too), give a number (--threshold-from 0.5), or ask for --threshold-from "
            "test, which every report will then say"
        )
    if _same(test, dev):
        raise InputError(
            f"the dev scores{where} are the test scores themselves: give those of other presentations (--dev FILE), "
            "or ask for --threshold-from test, which every report will then say"
        )
    return rule.threshold(dev, f"dev set{where}")


def _named(dataset: str, protocol: str, fold: str) -> str:
    name = "/".join(part for part in (dataset, protocol) if part)
    fold = f"fold {fold}" if fold else ""
    return f" of {', '.join(part for part in (name, fold) if part)}" if name or fold else ""
