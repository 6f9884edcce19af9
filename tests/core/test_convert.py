from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from bonaface.core.convert import convert
from bonaface.core.errors import InputError

Share = Annotated[float, Meta(ge=0, le=1, description="a part.")]


class Inner(Struct, frozen=True, forbid_unknown_fields=True):
    share: Annotated[Share, Meta(description="Of what.")] = 0.5
    names: tuple[str, ...] = ()


class Outer(Struct, frozen=True):
    inner: Inner
    counts: dict[str, list[int]] = {}
    note: str | None = None
    several: Inner | tuple[Inner, ...] | None = None


def test_values_become_records() -> None:
    found = convert({"inner": {"share": 1, "names": ["a"]}, "counts": {"x": [1, 2]}}, Outer)
    assert found == Outer(Inner(1.0, ("a",)), {"x": [1, 2]})


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"inner": {"share": 2}}, "inner.share: expected float <= 1.0, got 2"),
        ({"inner": {"share": True}}, "inner.share: expected float, got bool"),
        ({"inner": {"share": "0.5"}}, "inner.share: expected float, got str"),
        ({"inner": {"names": ["a", 1]}}, "inner.names[1]: expected str, got int"),
        ({"inner": {"more": 1}}, "inner: unknown key 'more'. Known: names, share"),
        ({"inner": {}, "several": {"more": 1}}, "several: unknown key 'more'. Known: names, share"),
        ({"inner": {}, "several": [{}, {"more": 1}]}, "several[1]: unknown key 'more'. Known: names, share"),
        ({"inner": {}, "several": [{"share": 2}]}, "several[0].share: expected float <= 1.0, got 2"),
        ({}, "lacks inner"),
        ([], "expected object, got array"),
        ({"inner": {}, "counts": {"x": ["1"]}}, "counts[...][0]: expected int, got str"),
        ({"inner": []}, "inner: expected object, got array"),
    ],
)
def test_rejects_wrong_values_and_names_their_position(values: Any, sentence: str) -> None:
    with pytest.raises(InputError) as error:
        convert(values, Outer)
    assert str(error.value) == sentence


def test_long_values_are_cut_short() -> None:
    with pytest.raises(InputError, match=r"got 'x{59}\.\.\.$"):
        convert("x" * 100, Annotated[str, Meta(max_length=9)])  # type: ignore[arg-type]
