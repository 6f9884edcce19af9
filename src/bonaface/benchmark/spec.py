"""Read a benchmark from a YAML file of stores, models, protocols and seeds, and list its cells.

    stores:                                # by data set: what `bonaface prepare` made, relative to this file
      oulu-npu: $STORES/oulu-npu           # $NAME is a variable of the environment
      replay-mobile: $STORES/replay-mobile
      casia-fasd: $STORES/casia-fasd
    models:                                # a name alone is the model with its first preset
      - bi-fas
      - {name: a-deep-pix-bis s=32, model: a-deep-pix-bis, preset: scaled, set: {scale: 32.0}}
    protocols:                             # all folds, unless some are named
      - oulu-npu/1
      - {protocol: oulu-npu/3, folds: [1, 2]}
      - {protocol: oulu-npu/1 -> replay-mobile/grandtest, models: [bi-fas]}
      - oulu-npu/1 + casia-fasd/overall -> replay-mobile/grandtest
    seeds: [0]
    units: [video, frame]                  # what is judged
    claims: claims.yaml                    # what the papers say (bonaface.benchmark.claims), relative to this file
    set: {crop: tight}                     # changes to every preset, as `bonaface train --set`
    train: {micro_batch: 32, workers: 4}   # how training uses the machine, as the options of `bonaface train`

`stores`, `models` and `protocols` are needed.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec.structs import asdict

from bonaface.benchmark.claims import Claim, read_claims, read_yaml
from bonaface.core.convert import convert
from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.values import as_number
from bonaface.datasets.experiment import Experiment, Source, find_sources, joined_folds
from bonaface.datasets.protocols import PublishedSplits
from bonaface.evaluation.aggregate import UNITS, Unit

_Count = Annotated[int, Meta(ge=1)]


class ModelEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """One of the file's `models`: the arguments of `bonaface train`, and a name for the tables."""

    model: str
    preset: str | None = None
    name: str | None = None
    set: dict[str, Any] = {}


class ProtocolEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """One of the file's `protocols`, with those of its folds and of the models that are meant; None are all."""

    protocol: str
    folds: Annotated[tuple[str | int, ...], Meta(min_length=1)] | None = None
    models: Annotated[tuple[str, ...], Meta(min_length=1)] | None = None


class TrainOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """How training uses the machine: options of `bonaface train`, with the defaults of that command."""

    micro_batch: _Count | None = None
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] | None = None
    devices: _Count | None = None
    nodes: _Count | None = None
    accelerator: str | None = None
    workers: Annotated[int, Meta(ge=0)] | None = None
    checkpoint_every: _Count | None = None


class SpecFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A benchmark's file, as it is written."""

    stores: Annotated[dict[str, str], Meta(min_length=1)]
    models: Annotated[tuple[str | ModelEntry, ...], Meta(min_length=1)]
    protocols: Annotated[tuple[str | ProtocolEntry, ...], Meta(min_length=1)]
    seeds: Annotated[tuple[Annotated[int, Meta(ge=0)], ...], Meta(min_length=1)] = (0,)
    units: Annotated[tuple[Unit, ...], Meta(min_length=1)] = UNITS
    claims: str | None = None
    set: dict[str, Any] = {}
    train: TrainOptions = TrainOptions()


@dataclass(frozen=True)
class Model:
    """A model of the benchmark: its name in the tables, and the arguments of `bonaface train`."""

    name: str
    model: str
    preset: str | None
    changes: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Cell:
    """One cell of the grid: a model, trained on a fold with a seed, tested on a fold."""

    model: Model
    experiment: Experiment
    train_fold: str
    test_fold: str
    seed: int

    @property
    def fold(self) -> str:
        """Return the folds of both ends in one word; empty where neither protocol has any."""
        return "-".join(dict.fromkeys(filter(None, (self.train_fold, self.test_fold))))


@dataclass(frozen=True)
class Spec:
    """A whole benchmark. `cells` of one model and experiment follow each other."""

    stores: Mapping[str, str]
    cells: tuple[Cell, ...]
    units: tuple[Unit, ...]
    train: Mapping[str, Any]
    claims: tuple[Claim, ...] = ()


def read_spec(path: Path) -> Spec:
    """Read the benchmark in the YAML file at `path`, and its claims; no store is opened.

    Raises:
        InputError: there is no such file, or it is no valid benchmark.
        UnknownNameError: a data set, protocol, fold, unit or model that does not exist.
    """
    values = read_yaml(path, "a benchmark")
    try:
        return _spec(values, path.parent)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def check_models(spec: Spec) -> None:
    """Check that every model of `spec` can be built, before any is trained. Needs torch.

    Raises:
        UnknownNameError: no such model, preset or setting. InputError: a setting of the wrong type.
    """
    from bonaface.training.settings import choose_preset

    for model in {cell.model.name: cell.model for cell in spec.cells}.values():
        choose_preset(model.model, model.preset, model.changes)


def _spec(values: Any, folder: Path) -> Spec:
    if values is None:
        raise InputError(
            f"expected a benchmark in YAML, with {', '.join(SpecFile.__struct_fields__)}, got nothing"
        )
    file = convert(values, SpecFile)
    models = [_model(entry, file.set) for entry in file.models]
    for what, given in (("seeds", file.seeds), ("units", file.units)):
        if len(set(given)) < len(given):
            raise InputError(f"{what} must differ, got {', '.join(map(str, given))}")
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise InputError(f"every model needs a name of its own, got {', '.join(names)}")
    entries = [ProtocolEntry(entry) if isinstance(entry, str) else entry for entry in file.protocols]
    tests = [
        (model, *test) for entry in entries for test in _tests(entry) for model in _chosen(entry, models)
    ]
    for experiment in dict.fromkeys(experiment for _, experiment, *_ in tests):
        for end in (*experiment.sources, experiment.tested_on):
            if end.partition("/")[0] not in file.stores:
                raise InputError(f"{experiment} needs a store of {end.partition('/')[0]} among the stores")
    # The cells of one row of a table follow each other, so that the tables of the first protocols are finished first.
    experiments = dict.fromkeys(experiment for _, experiment, *_ in tests)
    cells = [
        Cell(model, experiment, train_fold, test_fold, seed)
        for experiment, model in product(experiments, models)
        for (by, of, train_fold, test_fold), seed in product(dict.fromkeys(tests), file.seeds)
        if (by, of) == (model, experiment)
    ]
    return Spec(
        stores={name: _path(store, folder) for name, store in file.stores.items()},
        cells=tuple(cells),
        units=file.units,
        train={key: value for key, value in asdict(file.train).items() if value is not None},
        claims=read_claims(folder / file.claims) if file.claims else (),
    )


def _model(entry: str | ModelEntry, shared: Mapping[str, Any]) -> Model:
    given = ModelEntry(entry) if isinstance(entry, str) else entry
    name = given.name or (f"{given.model} ({given.preset})" if given.preset else given.model)
    changes = {key: as_number(value) for key, value in {**shared, **given.set}.items()}
    return Model(name, given.model, given.preset, changes)


def _chosen(entry: ProtocolEntry, models: Sequence[Model]) -> list[Model]:
    """Return the models that one line of `protocols` is for."""
    names = [model.name for model in models]
    for name in entry.models or ():
        if name not in names:
            raise UnknownNameError(f"model of {entry.protocol}", name, names)
    return [model for model in models if entry.models is None or model.name in entry.models]


def _tests(given: ProtocolEntry) -> list[tuple[Experiment, str, str]]:
    """Return (experiment, training fold, test fold) of one line of `protocols`."""
    experiment = Experiment.parse(given.protocol)
    sources, (test,) = find_sources(experiment.trained_on), find_sources(experiment.tested_on)
    for name, source in zip(experiment.sources, sources, strict=True):
        if isinstance(source.protocol.splits, PublishedSplits) and source.protocol.splits.train is None:
            raise InputError(
                f"{name} has nothing to train on; test the models of another protocol on it, as in "
                f"'oulu-npu/1 -> {name}'"
            )
    if experiment.trained_on != experiment.tested_on:
        if given.folds is not None:
            raise InputError(
                f"{experiment}: folds can be chosen only where training and test are of one protocol"
            )
        return [
            (experiment, joined_folds(folds) if len(folds) > 1 else folds[0], fold)
            for folds in _training_folds(sources)
            for fold in test.protocol.folds
            if all(map(partial(_fits, test, fold), sources, folds))
        ]
    known = test.protocol.folds
    folds = known if given.folds is None else tuple(map(str, given.folds))
    for fold in folds:
        if fold not in known:
            raise UnknownNameError(f"fold of {experiment}", fold, known)
    return [(experiment, fold, fold) for fold in folds]


def _training_folds(sources: Sequence[Source]) -> list[tuple[str, ...]]:
    """Return the folds to train on, one of each source: every combination; "" of a source that has one only."""
    if len(sources) == 1:
        return [(fold,) for fold in sources[0].protocol.folds]
    return list(product(*(s.protocol.folds if len(s.protocol.folds) > 1 else ("",) for s in sources)))


def _fits(test: Source, fold: str, source: Source, trained: str) -> bool:
    """Return whether a model that was `trained` on a fold of `source` may be tested on `fold`.

    Another fold of the same set trains on what this one keeps for its test.
    """
    return source.dataset != test.dataset or fold not in source.protocol.folds or trained in ("", fold)


def _path(text: str, folder: Path) -> str:
    """Return `text` with variables filled in, against the spec's folder; URLs and unset variables stay."""
    filled = os.path.expanduser(os.path.expandvars(text))  # noqa: PTH111 - a URL is no path
    return filled if "://" in filled or "$" in filled else str((folder / filled).resolve())
