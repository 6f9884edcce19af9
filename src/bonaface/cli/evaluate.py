"""`bonaface evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bonaface.cli.evaluation_settings import RULE, RULE_HELP, AggregationOption, OutputOption, UnitOption
from bonaface.cli.runtimes import RuntimeOption
from bonaface.core.errors import InputError
from bonaface.core.paths import to_path

if TYPE_CHECKING:
    from bonaface.core.records import Score
    from bonaface.evaluation.folds import EvaluationSettings
    from bonaface.evaluation.score_table import ScoreTable
    from bonaface.inference.bundle import Bundle, BundleCard
    from bonaface.inference.runtime import Runner
    from bonaface.inference.scoring import ScoredSplit
    from bonaface.store.crop_store import CropStore

_SIDE = 112  # pixels of a picture in the report


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run, or a bundle.")],
    data: Annotated[
        Path,
        typer.Option(
            parser=to_path,
            metavar="STORE",
            help="Crop store made by bonaface prepare; a path or a URL.",
        ),
    ],
    protocol: Annotated[
        str,
        typer.Option(
            help="Name of the protocol; bonaface datasets lists the names. If the model was trained on another "
            "set, or on several, give both ends: 'oulu-npu/1 -> replay-mobile/grandtest', 'oulu-npu/1 + "
            "casia-fasd/overall -> replay-mobile/grandtest'. Run and store are then checked against the name."
        ),
    ],
    fold: Annotated[str, typer.Option(help="Fold of the protocol, if it has several.")] = "",
    threshold_from: Annotated[
        str,
        typer.Option(
            metavar="bundle|dev|test|NUMBER",
            help="bundle: the model's own threshold, set on the dev scores of its training, or by calibrate; dev: set "
            "on this protocol's dev scores; test: set on the test scores (every report then says so); or a number.",
        ),
    ] = "bundle",
    rule: Annotated[
        str | None,
        typer.Option(
            metavar=RULE,
            help=f"{RULE_HELP} Default: of the model's own thresholds the one that check decides by, else eer.",
            show_default=False,
        ),
    ] = None,
    unit: UnitOption = "video",
    aggregation: AggregationOption = "mean",
    output: OutputOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for scores and report. Default: below RUN/evaluation/, named after set, protocol and fold.",
            show_default=False,
        ),
    ] = None,
    runtime: RuntimeOption = None,
) -> None:
    """Score a protocol's test presentations and report error rates by ISO/IEC 30107-3.

    Writes scores.csv and report.html, .json, .md, .tex, .csv. A stopped evaluation goes on where it was.
    """
    from bonaface.cli.runtimes import open_runner
    from bonaface.cli.tables import terminal
    from bonaface.core.files import alone
    from bonaface.evaluation.render.files import write_report
    from bonaface.evaluation.render.text import print_report
    from bonaface.evaluation.report import evaluate_table
    from bonaface.evaluation.score_table import ScoreTable
    from bonaface.inference import evaluated
    from bonaface.inference.bundle import Bundle
    from bonaface.inference.gallery import crops_of
    from bonaface.inference.provenance import seen_in_training, trained_on
    from bonaface.store.crop_store import CropStore

    bundle, store = Bundle.open(model), CropStore.open(data)
    chosen = bundle.card.output(output)
    rule = rule or (bundle.card.default_point if threshold_from == "bundle" else "eer")
    settings = _settings_of(bundle, threshold_from, rule, unit, aggregation, chosen)
    source = trained_on(bundle.card)
    protocol = _tested(protocol, source, store)
    parts = _parts(bundle, store, protocol, fold, with_dev=threshold_from == "dev")
    folder = out or model / "evaluation" / "-".join(filter(None, (store.dataset, protocol, fold)))
    with alone(folder, "evaluation"):
        judged = "/".join(filter(None, (store.dataset, parts[-1].protocol, fold)))
        evaluated.claim(folder, bundle, store, judged)
        runner = open_runner(bundle, runtime)
        scores = _scores(bundle, store, parts, runner, folder)
        table = _with_threshold(ScoreTable.from_scores(scores), settings, bundle.card)
        table.write(folder / "scores.csv")
        report = evaluate_table(
            table,
            settings=settings,
            system=bundle.card.model,
            trained_on=source,
            seen_in_training=seen_in_training(bundle.card, store, parts[-1].rows),
        )
        console = terminal()
        print_report(report, console)
        gallery = crops_of(store, bundle.card.crop_specs, bundle.card.input_size, _SIDE)
        written = [folder / "scores.csv", *write_report(report, folder, gallery)]
        evaluated.finish(folder, written)
        for part in parts:
            (folder / f"scores-{part.split}.part").unlink()  # the report that was made of its rows is written
    console.print(f"\nWritten: {', '.join(map(str, written))}", highlight=False)


def _with_threshold(table: "ScoreTable", settings: "EvaluationSettings", card: "BundleCard") -> "ScoreTable":
    """Return `table` with the threshold that its scores are judged at, for `report` and `compare`; dev needs none."""
    threshold = settings.threshold
    if isinstance(threshold, str) or settings.aggregation != "mean" or settings.output != card.output(None):
        return table
    return table.with_threshold(threshold.value, threshold.rule, threshold.data, threshold.unit)


def _settings_of(
    bundle: "Bundle", threshold_from: str, rule: str, unit: str, aggregation: str, output: str
) -> "EvaluationSettings":
    from dataclasses import replace
    from typing import cast

    from bonaface.cli.evaluation_settings import evaluation_settings
    from bonaface.evaluation.aggregate import Unit
    from bonaface.inference.provenance import own_threshold

    known = ("bundle", "dev", "test")
    settings = evaluation_settings(
        "dev" if threshold_from == "bundle" else threshold_from, rule, unit, aggregation, output, known
    )
    if threshold_from != "bundle":
        return settings
    points = bundle.card.operating_points
    if rule not in points or aggregation != "mean":
        raise InputError(
            f"the model's own thresholds are those of {' and '.join(points)}, on the mean of a video's frames; another "
            "--rule or --aggregation needs --threshold-from dev (or test, or a number), as its scores have another"
        )
    return replace(settings, threshold=own_threshold(bundle.card, output, cast(Unit, unit), rule))


def _tested(name: str, trained_on: str, store: "CropStore") -> str:
    """Return the protocol of the store that `name` asks for, which may be one of an inter-dataset experiment."""
    from bonaface.core.records import PLUS
    from bonaface.datasets.experiment import Experiment

    if "/" not in name:
        return name
    experiment = Experiment.parse(name)
    if "->" in name and set(experiment.sources) != set(trained_on.split(PLUS)):
        raise InputError(
            f"--protocol {name!r} is about models trained on {experiment.trained_on}, but this one was trained on "
            f"{trained_on}; evaluate another run, or name the protocol '{trained_on} -> {experiment.tested_on}'"
        )
    dataset, _, protocol = experiment.tested_on.partition("/")
    if dataset != store.dataset:
        raise InputError(
            f"--protocol {name!r} tests on {dataset}, but {store.path} holds {store.dataset}; give --data a store of "
            f"{dataset}"
        )
    return protocol


def _parts(
    bundle: "Bundle", store: "CropStore", protocol: str, fold: str, with_dev: bool
) -> list["ScoredSplit"]:
    from bonaface.datasets.protocols import find_protocol, split_rows
    from bonaface.datasets.registry import open_dataset
    from bonaface.inference.scoring import ScoredSplit

    # The seed that drew the run's dev subjects, so that evaluating on the training protocol tests the same split.
    seed = bundle.card.seed
    found = find_protocol(open_dataset(store.dataset).protocols, protocol)
    if not fold and len(found.folds) > 1:
        raise InputError(
            f"the protocol {store.dataset}/{found.name} has {len(found.folds)} folds, and a run is trained for one of "
            f"them; say which with --fold: {', '.join(found.folds)}"
        )
    split = split_rows(store.table, found, fold, seed)
    parts = [ScoredSplit(split.test, "test", protocol, fold)]
    if with_dev:
        parts.insert(0, ScoredSplit(split.dev, "dev", protocol, fold))
    with_face = {frame.presentation for frame in store.frames if not frame.response}
    for part in parts:
        if with_face.isdisjoint(part.rows):
            raise InputError(
                f"{store.path}: expected faces to score, but none of the {len(part.rows)} {part.split} presentations "
                f"of {store.dataset}/{found.name} has one; look at the pictures, and prepare the set again"
            )
    return parts


def _scores(
    bundle: "Bundle", store: "CropStore", parts: list["ScoredSplit"], runner: "Runner", folder: Path
) -> list["Score"]:
    from itertools import islice

    from bonaface.cli.progress import bar
    from bonaface.core.files import sha256
    from bonaface.inference.bundle import CARD
    from bonaface.inference.journal import Journal
    from bonaface.inference.scoring import score_part

    rows: list[Score] = []
    for part in parts:
        work = {
            "bundle": sha256(bundle.path / CARD),
            "store": store.digest,
            "part": f"{part.protocol}/{part.fold}/{part.split}",
        }
        journal = Journal(folder / f"scores-{part.split}.part", work)
        with bar(f"{part.split} frames") as progress:
            scores = score_part(store, part, bundle.card, runner, skip=len(journal.rows), progress=progress)
            while chunk := list(islice(scores, 64)):
                journal.add(chunk)
        rows += journal.rows
    return rows
