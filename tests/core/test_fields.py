from math import inf, nan
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from bonaface.core.errors import InputError
from bonaface.core.fields import descriptions, expectation, fitted, wrong_fields

Share = Annotated[float, Meta(ge=0, le=1, description="a part.")]


class Inner(Struct, frozen=True, forbid_unknown_fields=True):
    share: Annotated[Share, Meta(description="Of what.")] = 0.5
    names: tuple[str, ...] = ()


class Outer(Struct, frozen=True):
    inner: Inner
    counts: dict[str, list[int]] = {}
    note: str | None = None


@pytest.mark.parametrize("value", [nan, inf, -inf])
@pytest.mark.parametrize("kind", [float, Share, Annotated[float, Meta(ge=0)]])
def test_a_number_must_be_finite(value: float, kind: Any) -> None:
    with pytest.raises(InputError, match="expected a number"):
        fitted(value, kind)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (int, "a whole number"),
        (Share, "a number of at least 0 and at most 1"),
        (Annotated[int, Meta(gt=2, lt=9)], "a whole number above 2 and below 9"),
        (bool, "true or false"),
        (Literal["b", "a"], "a or b"),
        (tuple[int, ...], "a list, each of it a whole number"),
        (str | None, "text or nothing"),
        (dict[str, Any], "names with values"),
        (Annotated[str, Meta(extra={"expected": "a colour"})], "a colour"),
    ],
)
def test_expectation_describes_types_in_words(kind: Any, words: str) -> None:
    assert expectation(kind) == words


def test_every_wrong_field_is_named_with_its_value() -> None:
    record = Outer(Inner(1.5, ("a",)), {"x": 1})  # type: ignore[dict-item]
    assert list(wrong_fields(record)) == [
        "inner.share: expected a number of at least 0 and at most 1, got 1.5",
        "counts: expected names with values, got {'x': 1}",
    ]
    assert not list(wrong_fields(Outer(Inner())))


def test_descriptions_come_from_the_annotations() -> None:
    def documented(*, share: Share, plain: int) -> None: ...

    assert descriptions(Inner) == {"share": "a part. Of what."}
    assert descriptions(documented) == {"share": "a part."}
