"""What a benchmark is to do: a YAML file of stores, models, protocols and seeds, and the cells that it spans.

    stores:                                # by data set: what `bonaface prepare` made, relative to this file
      oulu-npu: $STORES/oulu-npu           # $NAME is a variable of the environment
      replay-mobile: $STORES/replay-mobile
    models:                                # a name alone is the model with its first preset
      - bi-fas
      - {name: a-deep-pix-bis s=32, model: a-deep-pix-bis, preset: scaled, set: {scale: 32.0}}
    protocols:                             # all folds, unless some are named
      - oulu-npu/1
      - {protocol: oulu-npu/3, folds: [1, 2]}
      - oulu-npu/1 -> replay-mobile/grandtest
    seeds: [0]
    units: [video, frame]                  # what is judged
    set: {crop: tight}                     # changes to every preset, as `bonaface train --set`
    train: {micro_batch: 32, workers: 4}   # how training uses the machine, as the options of `bonaface train`

`stores`, `models` and `protocols` are needed.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, cast

import yaml

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.values import as_number
from bonaface.datasets.protocols import Experiment, Protocol, PublishedSplits, find_protocol
from bonaface.datasets.registry import open_dataset
from bonaface.evaluation.aggregate import UNITS, Unit

_KEYS = ("stores", "models", "protocols", "seeds", "units", "set", "train")
_NEEDED = _KEYS[:3]
_MODEL_KEYS = ("name", "model", "preset", "set")
_TRAIN_KEYS = (
    "micro_batch",
    "precision",
    "devices",
    "nodes",
    "accelerator",
    "workers",
    "checkpoint_every",
)


@dataclass(frozen=True)
class Model:
    """A model of the benchmark: its name in the tables, and what `bonaface train` is told."""

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
        """The folds of both ends in one word; empty where neither protocol has any."""
        return "-".join(dict.fromkeys(filter(None, (self.train_fold, self.test_fold))))


@dataclass(frozen=True)
class Spec:
    """A whole benchmark. `cells` of one model and experiment follow each other."""

    stores: Mapping[str, str]
    cells: tuple[Cell, ...]
    units: tuple[Unit, ...]
    train: Mapping[str, Any]


def read_spec(path: Path) -> Spec:
    """The benchmark in the YAML file at `path`; no store is opened.

    Raises:
        InputError: no such file, or something in it that is none of what a benchmark has.
        UnknownNameError: a data set, protocol, fold or unit that does not exist.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: expected a benchmark in YAML, but {error}") from error
    try:
        return _spec(values, path.parent)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def check_models(spec: Spec) -> None:
    """Look that every model of `spec` can be built as it is asked for, before any is trained. Needs torch.

    Raises:
        UnknownNameError: no such model, preset or setting. InputError: a setting of the wrong type.
    """
    from bonaface.training.settings import choose_preset

    for model in {cell.model.name: cell.model for cell in spec.cells}.values():
        choose_preset(model.model, model.preset, model.changes)


def _spec(values: Any, folder: Path) -> Spec:
    values = _mapping("the file", values, _KEYS)
    for name in _NEEDED:
        if not values.get(name):
            raise InputError(f"needs {name!r}; a benchmark has {', '.join(_KEYS)}")
    shared = _mapping("set", values.get("set", {}))
    models = [_model(entry, shared) for entry in _list("models", values["models"])]
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise InputError(f"every model needs a name of its own, got {', '.join(names)}")
    seeds = _list("seeds", values.get("seeds", [0]))
    if not all(type(seed) is int for seed in seeds):
        raise InputError(f"seeds must be whole numbers, got {seeds}")
    tests = [test for entry in _list("protocols", values["protocols"]) for test in _tests(entry)]
    stores = _mapping("stores", values["stores"])
    for experiment in dict.fromkeys(experiment for experiment, *_ in tests):
        for end in (experiment.trained_on, experiment.tested_on):
            if end.partition("/")[0] not in stores:
                raise InputError(f"{experiment} needs a store of {end.partition('/')[0]} among the stores")
    # What belongs to one row of a table is done together, and the tables of the first protocols are there first.
    experiments = dict.fromkeys(experiment for experiment, *_ in tests)
    cells = [
        Cell(model, experiment, train_fold, test_fold, seed)
        for experiment, model in product(experiments, models)
        for (of, train_fold, test_fold), seed in product(dict.fromkeys(tests), seeds)
        if of == experiment
    ]
    return Spec(
        stores={name: _path(str(store), folder) for name, store in stores.items()},
        cells=tuple(cells),
        units=tuple(_unit(unit) for unit in _list("units", values.get("units", list(UNITS)))),
        train=_mapping("train", values.get("train", {}), _TRAIN_KEYS),
    )


def _model(entry: Any, shared: Mapping[str, Any]) -> Model:
    given = _mapping("a model", {"model": entry} if isinstance(entry, str) else entry, _MODEL_KEYS)
    if "model" not in given:
        raise InputError(f"a model needs 'model', its name by `bonaface models`, got {given}")
    model, preset = str(given["model"]), given.get("preset")
    name = given.get("name") or (f"{model} ({preset})" if preset else model)
    changes = {**shared, **_mapping(f"set of {name}", given.get("set", {}))}
    return Model(str(name), model, preset, {key: as_number(value) for key, value in changes.items()})


def _tests(entry: Any) -> list[tuple[Experiment, str, str]]:
    """(experiment, training fold, test fold) of one line of `protocols`."""
    given = _mapping(
        "a protocol", {"protocol": entry} if isinstance(entry, str) else entry, ("protocol", "folds")
    )
    experiment = Experiment.parse(str(given.get("protocol", "")))
    train, test = _protocol(experiment.trained_on), _protocol(experiment.tested_on)
    if isinstance(train.splits, PublishedSplits) and train.splits.train is None:
        raise InputError(
            f"{experiment.trained_on} has nothing to train on; test the models of another protocol on it, "
            f"as in 'oulu-npu/1 -> {experiment.trained_on}'"
        )
    if train != test or experiment.trained_on != experiment.tested_on:
        if "folds" in given:
            raise InputError(
                f"{experiment}: folds can be chosen only where training and test are of one protocol"
            )
        return [(experiment, *folds) for folds in product(train.folds, test.folds)]
    folds = [str(fold) for fold in _list("folds", given.get("folds", list(train.folds)))]
    for fold in folds:
        if fold not in train.folds:
            raise UnknownNameError(f"fold of {experiment}", fold, train.folds)
    return [(experiment, fold, fold) for fold in folds]


def _protocol(name: str) -> Protocol:
    dataset, _, protocol = name.partition("/")
    return find_protocol(open_dataset(dataset).protocols, protocol)


def _unit(name: Any) -> Unit:
    if name not in UNITS:
        raise UnknownNameError("unit", str(name), UNITS)
    return cast(Unit, name)


def _path(text: str, folder: Path) -> str:
    """`text` with variables filled in, against the spec's folder; URLs and variables that are not set stay."""
    filled = os.path.expanduser(os.path.expandvars(text))  # noqa: PTH111 - a URL is no path
    return filled if "://" in filled or "$" in filled else str((folder / filled).resolve())


def _mapping(what: str, value: Any, known: Sequence[str] | None = None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{what} must be names with values, got {value!r}")
    unknown = [str(key) for key in value if known is not None and key not in known]
    if unknown:
        raise UnknownNameError(f"key of {what}", unknown[0], known or ())
    return {str(key): item for key, item in value.items()}


def _list(what: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise InputError(f"{what} must be a list of at least one, got {value!r}")
    return value
