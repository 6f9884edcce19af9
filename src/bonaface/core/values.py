"""Values as people write them in YAML and on command lines."""

from typing import Any


def as_number(value: Any) -> Any:
    """Return `value`, or the number that its text spells: YAML 1.1 reads 1e-4 as text, as it has no decimal point."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
