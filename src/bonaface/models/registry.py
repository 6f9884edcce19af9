"""Models and their presets by name."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from msgspec.structs import replace

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.fields import descriptions, fitted
from bonaface.models.base import GradientModel, PadModel, SolverModel
from bonaface.models.preset import Preset


@dataclass(frozen=True)
class Description:
    """The description of a model that `bonaface models` shows.

    `options` maps each network or loss option to its default, `types` to its type and `meanings` to what it is.
    `fitted_by_solver` says that it takes no gradient steps, so that `GRADIENT_FIELDS` of a preset mean nothing;
    `targets` names what its loss reads.
    """

    name: str
    summary: str
    paper: str
    link: str
    scores: tuple[str, ...]
    options: Mapping[str, Any]
    presets: tuple[Preset, ...]
    types: Mapping[str, Any]
    meanings: Mapping[str, str]
    fitted_by_solver: bool
    targets: tuple[str, ...]


@dataclass(frozen=True)
class _Entry:
    model: type[PadModel]
    presets: Mapping[str, Preset]
    paper: str
    link: str


_entries: dict[str, _Entry] = {}


def register(model: type[PadModel], *, paper: str, link: str, presets: tuple[Preset, ...]) -> None:
    """Make a model known under its `name`, with its presets, the default one first."""
    _entries[model.name] = _Entry(model, {preset.name: preset for preset in presets}, paper, link)


def model_names() -> tuple[str, ...]:
    """Return the names of all models, sorted."""
    return tuple(sorted(_entries))


def presets(model: str) -> dict[str, Preset]:
    """Return the presets of a model by name, the default one first.

    Raises:
        UnknownNameError: no such model.
    """
    return dict(_entry(model).presets)


def default_preset(model: str) -> Preset:
    """Return the first preset of a model.

    Raises:
        UnknownNameError: no such model.
    """
    return next(iter(_entry(model).presets.values()))


def create_model(
    name: str,
    *,
    backbone: str | None = None,
    size: int | None = None,
    pretrained: bool = True,
    **options: Any,
) -> PadModel:
    """Build a network.

    Args:
        name: one of `model_names()`.
        backbone: a backbone's name; default: the default preset's. "random:NAME" asks for random weights.
        size: side of the input in pixels; default: the default preset's.
        pretrained: load the backbone's ImageNet weights.
        options: the model's own options, as in its presets (`describe(name).options`).

    Raises:
        UnknownNameError: no such model or backbone.
        InputError: an option that the model does not have, or a value outside its range; see `unknown_option`.
        BonafaceError: the backbone's weights cannot be fetched.
    """
    entry = _entry(name)
    types = _option_types(entry.model)
    for option, value in options.items():
        if option not in types:
            raise unknown_option(name, option, types)
        try:
            options[option] = fitted(value, types[option])
        except InputError as error:
            raise InputError(f"{option}: {error}") from error
    preset = default_preset(name)
    build: Callable[..., PadModel] = entry.model  # every model takes these; PadModel itself takes a backbone
    return build(
        preset.backbone if backbone is None else backbone,
        preset.size if size is None else size,
        pretrained=pretrained,
        **options,
    )


def unknown_option(name: str, option: str, known: Iterable[str], kind: str = "option") -> InputError:
    """Return the error of an option that a model does not have.

    It says why where other models have it, or which have it, and else which names are known.

    Args:
        name: the model.
        option: what it does not have.
        known: what it has.
        kind: what the names are called.
    """
    reason = _entry(name).model.lacks.get(option)
    if reason:
        return InputError(f"{name} has no {option}: {reason}")
    others = sorted(other for other, entry in _entries.items() if option in _options(entry.model))
    if others:
        return InputError(
            f"{name} has no {option}, which is a setting of {', '.join(others)}; bonaface models "
            f"{name.partition(':')[0]} lists its own"
        )
    return UnknownNameError(f"{kind} of {name}", option, known)


def describe(name: str) -> Description:
    """Return the description of a model without building it.

    Raises:
        UnknownNameError: no such model.
    """
    entry = _entry(name)
    summary = (inspect.getdoc(entry.model) or "").partition("\n")[0]
    return Description(
        name,
        summary,
        entry.paper,
        entry.link,
        entry.model.score_names,
        _options(entry.model),
        tuple(entry.presets.values()),
        _option_types(entry.model),
        {name: text for cls in _classes(entry.model) for name, text in descriptions(cls.__init__).items()},
        issubclass(entry.model, SolverModel),
        entry.model.targets if issubclass(entry.model, GradientModel) else (),
    )


def _entry(name: str) -> _Entry:
    """Return the entry of `name`; MODEL:BACKBONE is a model whose presets take that backbone."""
    model, colon, backbone = name.partition(":")
    if model not in _entries or (colon and not (backbone and default_preset(model).backbone)):
        raise UnknownNameError("model", name, _entries)
    entry = _entries[model]
    if not colon:
        return entry
    named = {key: replace(preset, model=name, backbone=backbone) for key, preset in entry.presets.items()}
    return dataclasses.replace(entry, presets=named)


def _options(model: type[PadModel]) -> dict[str, Any]:
    """Return keyword-only arguments of the model and of the models that it builds on, with their defaults."""
    parameters = [p for cls in _classes(model) for p in inspect.signature(cls.__init__).parameters.values()]
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def _option_types(model: type[PadModel]) -> dict[str, Any]:
    """Return the annotated types of `_options`."""
    names = _options(model).keys()
    hints = [get_type_hints(cls.__init__, include_extras=True) for cls in _classes(model)]
    return {name: hint for found in hints for name, hint in found.items() if name in names}


def _classes(model: type[PadModel]) -> list[type[PadModel]]:
    """Return the model and those that it builds on, the most general first."""
    return [cls for cls in reversed(model.__mro__) if issubclass(cls, PadModel)]
