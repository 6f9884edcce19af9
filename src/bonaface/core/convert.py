"""Plain data, as JSON and YAML give it -> typed records; what does not fit is refused in one sentence."""

import re
from typing import Any, TypeVar

import msgspec

from bonaface.core.errors import InputError

T = TypeVar("T")

_MESSAGE = re.compile(r"(?P<said>.*?)(?: - at `\$\.?(?P<where>.*)`)?", re.DOTALL)
_STEP = re.compile(r"[^.\[\]]+")
_SHOWN = 60  # characters of a wrong value


def convert(values: object, kind: type[T]) -> T:
    """Return `values` as a `kind`. Nothing is guessed: text is no number and true is none either.

    Raises:
        InputError: `values` is no `kind`; the sentence says where in it, what was expected and what came.
    """
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise InputError(_sentence(str(error), values)) from error


def _sentence(message: str, values: object) -> str:
    """Return msgspec's `message` as the project says such things, with the value that came."""
    found = _MESSAGE.fullmatch(message)
    assert found is not None, "the pattern takes any text"
    said = found["said"].replace("`", "")
    where = found["where"] or ""
    for theirs, ours in (
        ("Object missing required field ", "lacks "),
        ("Object contains unknown field ", "has the unknown key "),
        ("Expected ", "expected "),
    ):
        said = said.replace(theirs, ours)
    if said.startswith("expected") and ", got" not in said:
        said += _got(values, where)
    return f"{where}: {said}" if where else said


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
