"""The scripts of benchmarks/, loaded as modules."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def script(request: pytest.FixtureRequest, load_script: Callable[[str], Any]) -> Iterator[ModuleType]:
    """Load the script that the test module names as SCRIPT."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)  # it imports its neighbour
        yield load_script(f"benchmarks/{request.module.SCRIPT}.py")
