"""The settings of one run: a model's preset, the data, the machine. Printed in full into the run's folder."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from math import inf
from pathlib import Path
from typing import Any

import yaml

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.values import as_number
from bonaface.face.crop import CropSpec
from bonaface.models.preset import GRADIENT_FIELDS, Augment, Preset
from bonaface.models.registry import describe, presets

_PRESET_KEYS = {field.name for field in fields(Preset)} - {"name", "model", "options", "augment"}
_AUGMENT = "augment."

BALANCES = ("undersample", "none")
OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "cosine", "step")
BATCH_NORMS = ("train", "fixed")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")  # weights in float32: what a bundle holds


@dataclass(frozen=True)
class RunSettings:
    """Everything that decides which weights come out of a run, and how it uses the machine.

    `preset.batch` pictures make one optimiser step, whatever the machine: they are gathered from micro-batches of
    `micro_batch` on each of `devices` x `nodes`. Batch normalisation sees the micro-batch. Whole micro-batches that an
    epoch has left over make a last step, whose gradient is smaller by as much. `checkpoint_every` counts
    optimiser steps. `fold` is empty where the protocol has one only. `pretrained` False starts the backbone from
    random weights.
    """

    preset: Preset
    store: str
    protocol: str
    fold: str = ""
    seed: int = 0
    pretrained: bool = True
    micro_batch: int = 16
    precision: str = "32-true"
    devices: int = 1
    nodes: int = 1
    accelerator: str = "auto"
    workers: int = 0
    checkpoint_every: int = 50

    def __post_init__(self) -> None:
        for crop in (*self.views, *self.preset.augment.crops):
            CropSpec.parse(str(crop))
        if len(self.views) > 1 and self.preset.augment.crops:
            raise InputError(
                f"augment.crops draws one crop for each picture, and {self.preset.model} reads {len(self.views)} "
                "together; leave it empty"
            )
        wrong = [f"{name}: expected {expected}, got {value!r}" for name, expected, value in _wrong(self)]
        if wrong:
            raise InputError("; ".join(wrong))
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

    @property
    def views(self) -> tuple[str, ...]:
        """Return the crops that the network reads together: its own option `views`, or else the preset's `crop`."""
        options = {**describe(self.preset.model).options, **self.preset.options}
        return tuple(options.get("views", ())) or (self.preset.crop,)

    @property
    def accumulate(self) -> int:
        """How many micro-batches of each device make one optimiser step."""
        return self.preset.batch // (self.micro_batch * self.devices * self.nodes)

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return dict(json.loads(json.dumps(asdict(self))))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunSettings":
        """The settings that `as_dict` gave. Raises InputError for a missing or unknown one."""
        try:
            given = {key: _frozen(value) for key, value in values["preset"].items()}
            augment = {key: _frozen(value) for key, value in given.pop("augment", {}).items()}
            if "tones" in augment:  # its name in version 0.1
                augment["color_transfer"] = augment.pop("tones")
            preset = Preset(**given, augment=Augment(**augment))
            return cls(**{**values, "preset": preset})
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"these are not the settings of a run of this version ({error})") from error

    def differences(self, other: "RunSettings") -> list[str]:
        """The names of the settings that differ from `other`, with both values, for a person to read."""
        mine, theirs = _flat(self.as_dict()), _flat(other.as_dict())
        return [
            f"{key} ({theirs.get(key)!r}, not {mine.get(key)!r})"
            for key in sorted(mine.keys() | theirs.keys())
            if mine.get(key) != theirs.get(key)
        ]


def _wrong(settings: RunSettings) -> Iterator[tuple[str, str, Any]]:
    """(name, what was expected, what came) of every setting that a run would stumble over, or take for another."""
    preset, numbers = settings.preset, {**vars(settings.preset), **vars(settings)}
    for name in (
        "micro_batch",
        "devices",
        "nodes",
        "checkpoint_every",
        "batch",
        "epochs",
        "size",
        "step_epochs",
    ):
        if numbers[name] < 1:
            yield name, "a whole number of at least 1", numbers[name]
    for name in ("bn_batches", "workers", "seed"):
        if numbers[name] < 0:
            yield name, "a whole number of at least 0", numbers[name]
    for name in ("lr", "weight_decay", "backbone_rate", "clip"):
        if not 0 <= numbers[name] < inf:
            yield name, "a number of 0 or more", numbers[name]
    shares = {
        "augment.simulate": preset.augment.simulate,
        "augment.color_transfer": preset.augment.color_transfer,
    }
    for name, share in {"flip": preset.flip, **shares}.items():
        if not 0 <= share <= 1:
            yield name, "a share between 0 and 1", share
    for name in ("momentum", "warmup", "ema"):
        if not 0 <= numbers[name] < 1:
            yield name, "a number of 0 or more and below 1", numbers[name]
    if not 0 < preset.step_factor <= 1:
        yield "step_factor", "a factor above 0 and at most 1", preset.step_factor
    if not _is_jitter(preset.jitter):
        yield "jitter", "brightness, contrast, saturation of 0 or more and hue in [0, 0.5]", preset.jitter
    choices = {
        "balance": BALANCES,
        "precision": PRECISIONS,
        "optimizer": OPTIMIZERS,
        "schedule": SCHEDULES,
        "bn": BATCH_NORMS,
    }
    for name, known in choices.items():
        if numbers[name] not in known:
            yield name, " or ".join(known), numbers[name]


def _is_jitter(strengths: Sequence[Any]) -> bool:
    # Text is what YAML makes of 1e-1 inside a list (bonaface.core.values).
    plain = len(strengths) == 4 and all(isinstance(strength, float | int) for strength in strengths)
    return plain and all(0 <= strength < inf for strength in strengths) and strengths[3] <= 0.5


def choose_preset(model: str, name: str | None, changes: Mapping[str, Any]) -> Preset:
    """The preset `name` of `model` (None: its first) with `changes` made to it.

    A change names a field of the preset (`lr`, `epochs`, `crop`, ...; `augment.simulate` one of its `augment`) or an
    option of the network.

    Raises:
        UnknownNameError: no such model or preset, or a change that neither the preset nor the network knows.
        InputError: a change of the wrong type.
    """
    known = presets(model)
    chosen = next(iter(known)) if name is None else name
    if chosen not in known:
        raise UnknownNameError(f"preset of {model}", chosen, known)
    preset, about = known[chosen], describe(model)
    network = about.options
    fields_of_preset = _PRESET_KEYS - set(GRADIENT_FIELDS if about.fitted_by_solver else ())
    own: dict[str, Any] = {}
    augment: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for key, value in changes.items():
        if key.startswith(_AUGMENT):
            augment[key.removeprefix(_AUGMENT)] = _as_type(key, value, _augmentation(preset, key))
        elif key in fields_of_preset:
            own[key] = _as_type(key, value, getattr(preset, key))
        elif key in network:
            options[key] = value
        else:
            known_keys = {*fields_of_preset, *network, *(_AUGMENT + field.name for field in fields(Augment))}
            raise UnknownNameError(f"setting of {model}", key, known_keys)
    changed = replace(preset.augment, **augment)
    return replace(preset, **own, options={**preset.options, **options}, augment=changed)


def _augmentation(preset: Preset, key: str) -> Any:
    known = asdict(preset.augment)
    name = key.removeprefix(_AUGMENT)
    if name not in known:
        raise UnknownNameError("augmentation", name, known)
    return known[name]


def parse_changes(texts: Sequence[str]) -> dict[str, Any]:
    """``["lr=1e-4", "crop=tight"]`` -> values by name, each read as YAML. Raises InputError for another form."""
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


def read_settings(path: Path) -> RunSettings:
    """The settings in a run's ``run.json``."""
    if not path.is_file():
        raise InputError(f"{path.parent}: there is no run to go on with; leave out --resume to start one")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return RunSettings.from_dict(values["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected the settings of a run, but {error}") from error


def _as_type(key: str, value: Any, present: Any) -> Any:
    if isinstance(present, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    value = _frozen(value)
    if type(value) is not type(present):
        raise InputError(
            f"--set {key}={value}: expected a value of type {type(present).__name__}, as {present!r}, "
            f"got {type(value).__name__}"
        )
    return value


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat
