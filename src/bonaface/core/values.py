"""Values as people write them in YAML and on command lines."""

from typing import Any


def as_number(value: Any) -> Any:
    """`value`, or the number that it spells: YAML 1.1 reads 1e-4 as text, for it wants a point in the mantissa."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
