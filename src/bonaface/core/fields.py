"""The typed fields of settings: checks of values, and descriptions of what a field expects and is for."""

from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any, get_type_hints

import msgspec
from msgspec import inspect

from bonaface.core.errors import InputError


def fitted(value: object, kind: Any) -> Any:
    """Return `value` as the type `kind`, whose constraints it must keep; a number must be finite.

    Raises:
        InputError: it does not; the sentence says in words what `kind` expects.
    """
    try:
        result = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InputError(f"expected {expectation(kind)}, got {value!r}") from error
    if isinstance(result, float) and not isfinite(result):
        raise InputError(f"expected {expectation(kind)}, got {value!r}")
    return result


def wrong_fields(record: msgspec.Struct, prefix: str = "") -> Iterator[str]:
    """Yield a sentence for each field of `record`, and of the records in it, that is not of its type."""
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, msgspec.Struct):
            yield from wrong_fields(value, f"{prefix}{field.name}.")
            continue
        try:
            fitted(value, field.type)
        except InputError as error:
            yield f"{prefix}{field.name}: {error}"


def descriptions(documented: type | Callable[..., Any]) -> dict[str, str]:
    """Return what the annotations of a record's fields or a function's arguments say of them, by name.

    It is the `description` of a `msgspec.Meta`; a name without one is left out.
    """
    found = {}
    for name, hint in get_type_hints(documented, include_extras=True).items():
        notes = [
            note.description for note in getattr(hint, "__metadata__", ()) if isinstance(note, msgspec.Meta)
        ]
        if said := " ".join(note for note in notes if note):
            found[name] = said
    return found


def expectation(kind: Any) -> str:
    """Return in words what a value of the type `kind` is; ``Meta(extra={"expected": ...})`` overrides it."""
    return _expectation(inspect.type_info(kind))


def _expectation(info: inspect.Type) -> str:
    if isinstance(info, inspect.Metadata):
        return str((info.extra or {}).get("expected") or _expectation(info.type))
    if isinstance(info, inspect.IntType | inspect.FloatType):
        what = "a whole number" if isinstance(info, inspect.IntType) else "a number"
        return f"{what}{_limits(info)}"
    if isinstance(info, inspect.LiteralType):
        return " or ".join(map(str, info.values))
    if isinstance(info, inspect.VarTupleType | inspect.ListType):
        return f"a list, each of it {_expectation(info.item_type)}"
    if isinstance(info, inspect.UnionType):
        return " or ".join(map(_expectation, info.types))
    names: dict[type, str] = {
        inspect.BoolType: "true or false",
        inspect.StrType: "text",
        inspect.NoneType: "nothing",
        inspect.DictType: "names with values",
    }
    return names.get(type(info), "something else")


def _limits(info: inspect.IntType | inspect.FloatType) -> str:
    low = (
        f"above {info.gt:g}"
        if info.gt is not None
        else f"of at least {info.ge:g}"
        if info.ge is not None
        else ""
    )
    high = (
        f"below {info.lt:g}" if info.lt is not None else f"at most {info.le:g}" if info.le is not None else ""
    )
    text = " and ".join(filter(None, (low, high)))
    return f" {text}" if text else ""
