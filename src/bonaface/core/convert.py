"""Plain data, as JSON and YAML give it -> typed records; what does not fit is refused in one sentence."""

import re
from typing import Any, TypeVar

import msgspec

from bonaface.core.errors import InputError, UnknownNameError

T = TypeVar("T")

_MESSAGE = re.compile(r"(?P<text>.*?)(?: - at `\$\.?(?P<where>.*)`)?", re.DOTALL)
_STEP = re.compile(r"[^.\[\]]+|(?<=\[)\.\.\.(?=\])")
_UNKNOWN = "Object contains unknown field "
_CHOICE = "Invalid enum value "
_SHOWN = 60  # characters shown of a wrong value


def convert(values: object, kind: type[T]) -> T:
    """Return `values` as a `kind`, without conversions: neither text nor true is taken for a number.

    Raises:
        InputError: `values` is not a `kind`; the sentence says where, what was expected and what came.
    """
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise InputError(_sentence(str(error), values, kind)) from error


def _sentence(message: str, values: object, kind: Any) -> str:
    """Return msgspec's `message` in the project's wording, with the value that came or the names that are known."""
    found = _MESSAGE.fullmatch(message)
    assert found is not None, "the pattern takes any text"
    text = found["text"].replace("`", "")
    where = found["where"] or ""
    for theirs, ours in (
        ("Object missing required field ", "lacks "),
        ("Expected ", "expected "),
    ):
        text = text.replace(theirs, ours)
    if text.startswith(_UNKNOWN):
        text = str(UnknownNameError("key", text.removeprefix(_UNKNOWN), _known(kind, where))).rstrip(".")
    elif text.startswith(_CHOICE):
        text = f"expected {' or '.join(_known(kind, where))}, got {text.removeprefix(_CHOICE)}"
    elif text.startswith("expected") and ", got" not in text:
        text += _got(values, where)
    return f"{where}: {text}" if where else text


def _got(values: Any, where: str) -> str:
    """Return what came at `where`; nothing where msgspec does not name every key on the way to it."""
    for step in _STEP.findall(where):
        if isinstance(values, list | tuple):
            values = values[int(step)]
        elif step in values:
            values = values[step]
        else:
            return ""
    text = repr(values)
    return f", got {text if len(text) <= _SHOWN else f'{text[:_SHOWN]}...'}"


def _known(kind: Any, where: str) -> list[str]:
    """Return the keys of the record, or the values of the choice, that stands at `where` in a `kind`."""
    from msgspec import inspect  # after a fault alone: it takes a while to import

    def plain(info: inspect.Type, step: str = "") -> inspect.Type:
        """Return the type inside a description, and of several types the one that has `step`: a list has numbers."""
        if isinstance(info, inspect.Metadata):
            return plain(info.type, step)
        if isinstance(info, inspect.UnionType):
            of_list = (inspect.ListType, inspect.VarTupleType)
            inner = of_list if step.isdigit() else (inspect.StructType, inspect.LiteralType)
            each = (plain(one, step) for one in info.types)
            return next((one for one in each if isinstance(one, inner)), info)
        return info

    found = inspect.type_info(kind)
    for step in _STEP.findall(where):
        found = plain(found, step)
        if isinstance(found, inspect.StructType):
            found = next(field.type for field in found.fields if field.encode_name == step)
        elif isinstance(found, inspect.DictType):
            found = found.value_type
        elif isinstance(found, inspect.ListType | inspect.VarTupleType):
            found = found.item_type
    found = plain(found)
    if isinstance(found, inspect.StructType):
        return [field.encode_name for field in found.fields]
    return [str(value) for value in found.values] if isinstance(found, inspect.LiteralType) else []
