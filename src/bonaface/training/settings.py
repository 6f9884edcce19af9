"""The settings of one run: a model's preset, the data, the machine. Printed in full into the run's folder."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta, Struct
from msgspec.structs import replace

from bonaface.core.convert import convert
from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.fields import fitted, wrong_fields
from bonaface.core.files import read_checked_json
from bonaface.core.records import PLUS
from bonaface.core.values import as_number
from bonaface.datasets.experiment import source_names
from bonaface.face.crop import CropSpec
from bonaface.models.preset import GRADIENT_FIELDS, Augment, Preset
from bonaface.models.registry import describe, presets, unknown_option
from bonaface.training.initial import Initial

_PRESET_TYPES = {field.name: field.type for field in msgspec.structs.fields(Preset)}
_PRESET_KEYS = _PRESET_TYPES.keys() - {"name", "model", "options", "augment"}
_AUGMENT = "augment."
_AUGMENT_TYPES = {_AUGMENT + field.name: field.type for field in msgspec.structs.fields(Augment)}

# What a run's file says.
RUN_NAMES = (
    "settings", "store_digest", "store_digests", "frames", "batch_normalisation_sees", "notes", "threads", "versions",
)  # fmt: skip

LARGEST_MICRO_BATCH = 16  # where none is asked for
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]  # weights in float32: what a bundle holds

_Count = Annotated[int, Meta(ge=1)]
_CountFrom0 = Annotated[int, Meta(ge=0)]


class RunSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that decides which weights a run gives, and how it uses the machine.

    `preset.batch` pictures make one optimiser step, whatever the machine: they are gathered from micro-batches of
    `micro_batch` on each of `devices` x `nodes`; 0 takes the largest of at most 16 that can be gathered. Batch
    normalisation sees the micro-batch. Whole micro-batches that an epoch has left over make a last step, whose gradient
    is smaller by as much. `checkpoint_every` counts optimiser steps. `fold` is empty where the protocol has one only.
    `pretrained` False starts the backbone from random weights. `initial` is a bundle whose weights the network begins
    with, or several, of which it takes the mean. `protocol` is one of the store's set; to train on several sets it
    names theirs, as ``oulu-npu/1 + casia-fasd/overall``, `store` is a list with a store of each, and `fold` has the
    folds of those protocols that have several, as ``1 + 3``.
    """

    preset: Preset
    store: str | Annotated[tuple[str, ...], Meta(min_length=2)]
    protocol: str
    fold: str = ""
    seed: _CountFrom0 = 0
    pretrained: bool = True
    micro_batch: _CountFrom0 = 0
    precision: Precision = "32-true"
    devices: _Count = 1
    nodes: _Count = 1
    accelerator: str = "auto"
    workers: _CountFrom0 = 0
    checkpoint_every: _Count = 50
    initial: Initial | Annotated[tuple[Initial, ...], Meta(min_length=2)] | None = None

    def __post_init__(self) -> None:
        wrong = [text.removeprefix("preset.") for text in wrong_fields(self)]
        if wrong:
            raise InputError("; ".join(wrong))
        if len(self.stores) > 1 or "/" in self.protocol:
            self._check_sources()
        if self.micro_batch == 0:
            msgspec.structs.force_setattr(self, "micro_batch", self._largest_micro_batch())
        for crop in (*self.views, *self.preset.augment.crops):
            CropSpec.parse(crop)
        if len(self.views) > 1 and self.preset.augment.crops:
            raise InputError(
                f"augment.crops draws one crop for each picture, and {self.preset.model} reads {len(self.views)} "
                "together; leave it empty"
            )
        if describe(self.preset.model).fitted_by_solver:
            if self.devices * self.nodes > 1:
                raise InputError(
                    f"{self.preset.model} is fitted by a solver, on one device; leave out --devices and --nodes"
                )
            return
        together = self.micro_batch * self.devices * self.nodes
        if self.preset.batch % together:
            raise InputError(
                f"a batch of {self.preset.batch} can't be gathered from micro-batches of {self.micro_batch} on "
                f"{self.devices} x {self.nodes} devices: batch must be a multiple of {together}; "
                "change --micro-batch or --set batch=..."
            )

    def _check_sources(self) -> None:
        names = source_names(self.protocol)
        if len(names) != len(self.stores):
            raise InputError(
                f"--protocol {self.protocol!r} trains on {len(names)} sets, and --data gives {len(self.stores)} stores"
                "; give a store of each"
            )
        msgspec.structs.force_setattr(self, "protocol", PLUS.join(names))

    def _largest_micro_batch(self) -> int:
        """Return the largest number of at most 16 of which the devices gather a batch; 1 where there is none."""
        share = max(self.preset.batch // (self.devices * self.nodes), 1)
        return max(n for n in range(1, min(share, LARGEST_MICRO_BATCH) + 1) if share % n == 0)

    @property
    def stores(self) -> tuple[str, ...]:
        """Return `store` as a list, also where there is one."""
        return (self.store,) if isinstance(self.store, str) else self.store

    @property
    def initials(self) -> tuple[Initial, ...]:
        """Return `initial` as a list, also where there is one or none."""
        given = self.initial
        return () if given is None else (given,) if isinstance(given, Initial) else given

    def begins(self) -> str:
        """Return which bundles the run begins with, as a person names them; empty where there is none."""
        return " + ".join(f"{each.bundle} ({each.digest[:12]})" for each in self.initials)

    @property
    def views(self) -> tuple[str, ...]:
        """Return the crops that the network reads together: its own option `views`, or else the preset's `crop`."""
        options = {**describe(self.preset.model).options, **self.preset.options}
        return tuple(options.get("views", ())) or (self.preset.crop,)

    @property
    def accumulate(self) -> int:
        """Return how many micro-batches of each device make one optimiser step."""
        return self.preset.batch // (self.micro_batch * self.devices * self.nodes)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        return dict(json.loads(json.dumps(msgspec.to_builtins(self))))  # a path may be no UTF-8

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunSettings":
        """Return the settings that `as_dict` gave, of this version or of 0.1.

        Raises:
            InputError: one is missing, unknown, or none that a run can have.
        """
        try:
            return convert(_of_this_version(values), cls)
        except InputError as error:
            raise InputError(f"these are not the settings of a run of this version ({error})") from error

    def differences(self, other: "RunSettings") -> list[str]:
        """Return the names of the settings that differ from `other`, with both values, for a person to read."""
        mine, theirs = (flat({**each.as_dict(), "initial": each.begins()}) for each in (self, other))
        return [
            f"{key} ({theirs.get(key)!r}, not {mine.get(key)!r})"
            for key in sorted(mine.keys() | theirs.keys())
            if mine.get(key) != theirs.get(key)
        ]


def _of_this_version(values: Any) -> Any:
    """Return the settings of a run of version 0.1 under the names of this one; others are left as they are."""
    preset = values.get("preset") if isinstance(values, Mapping) else None
    augment = preset.get("augment") if isinstance(preset, Mapping) else None
    if not (isinstance(preset, Mapping) and isinstance(augment, Mapping) and "tones" in augment):
        return values
    renamed = {{"tones": "color_transfer"}.get(key, key): value for key, value in augment.items()}
    return {**values, "preset": {**preset, "augment": renamed}}


def choose_preset(model: str, name: str | None, changes: Mapping[str, Any]) -> Preset:
    """Return the preset `name` of `model` (None: its first) with `changes` made to it.

    A change names a field of the preset (`lr`, `epochs`, `crop`, ...; `augment.simulate` one of its `augment`) or an
    option of the network.

    Raises:
        UnknownNameError: no such model or preset, or a change that no preset and no network knows.
        InputError: a change of the wrong type, or one that only other networks know.
    """
    known = presets(model)
    chosen = next(iter(known)) if name is None else name
    if chosen not in known:
        raise UnknownNameError(f"preset of {model}", chosen, known)
    preset, about = known[chosen], describe(model)
    fields = {key: _PRESET_TYPES[key] for key in _PRESET_KEYS}
    if about.fitted_by_solver:
        fields = {key: kind for key, kind in fields.items() if key not in GRADIENT_FIELDS}
    types = {**about.types, **fields, **_AUGMENT_TYPES}
    for key in changes:
        if key not in types:
            raise unknown_option(model, key, types, "setting")
    given, wrong = {}, []
    for key, value in changes.items():
        try:
            given[key] = fitted(value, types[key])
        except InputError as error:
            wrong.append(f"{key}: {error}")
    if wrong:
        raise InputError("; ".join(wrong))
    augment = {key.removeprefix(_AUGMENT): value for key, value in given.items() if key in _AUGMENT_TYPES}
    own = {key: value for key, value in given.items() if key in fields}
    options = {key: value for key, value in given.items() if key not in fields and key not in _AUGMENT_TYPES}
    changed = replace(preset.augment, **augment)
    return replace(preset, **own, options={**preset.options, **options}, augment=changed)


def parse_changes(texts: Sequence[str]) -> dict[str, Any]:
    """Read ``["lr=1e-4", "crop=tight"]`` as values by name, each of them YAML. Raises InputError for another form."""
    changes: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise InputError(f"--set {text}: expected key=value, as in --set lr=0.0001")
        try:
            changes[key.strip()] = as_number(yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise InputError(
                f"--set {text}: expected a value as YAML has it, as in --set levels=[3,4]"
            ) from error
    return changes


def read_run(path: Path) -> dict[str, Any]:
    """Return what a run's ``run.json`` says.

    Raises:
        InputError: there is no such file, or it is damaged.
    """
    if not path.is_file():
        raise InputError(
            f"{path.parent}: there is no run to go on with; name its model, --data and --protocol"
        )
    return read_checked_json(path, RUN_NAMES, f"delete {path.parent} and train again, or restore the file")


def read_settings(path: Path) -> RunSettings:
    """Return the settings in a run's ``run.json``.

    Raises:
        InputError: as `read_run`, or they are none that a run can have.
    """
    values = read_run(path)
    try:
        return RunSettings.from_dict(values["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected the settings of a run, but {error}") from error


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings in one level, as ``preset.augment.simulate``."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return found
