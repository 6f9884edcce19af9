from typing import Any

import pytest
import yaml

from bonaface.core.values import as_number


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-4", 0.0001), ("0.5", 0.5), ("3", 3), ("tight", "tight"), ("true", True), ("[1, 2]", [1, 2])],
)
def test_converts_numbers_that_yaml_reads_as_text(text: str, value: Any) -> None:
    found = as_number(yaml.safe_load(text))
    assert found == value
    assert type(found) is type(value)
