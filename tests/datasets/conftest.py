"""Stand-ins of the licensed sets, made once and only read by the tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bonaface.testing import make_layout


@pytest.fixture(scope="session")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Make the complete layout of a set, with empty videos."""
    made: dict[str, Path] = {}

    def root(dataset: str) -> Path:
        if dataset not in made:
            made[dataset] = make_layout(
                dataset, tmp_path_factory.mktemp("complete") / dataset, full=True, frames=1
            )
        return made[dataset]

    return root
