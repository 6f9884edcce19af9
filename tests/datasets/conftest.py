"""Stand-ins of the licensed sets, made once and read by many tests: never written to."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bonaface.testing import make_layout


@pytest.fixture(scope="session")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The complete layout of a set, its videos empty."""
    made: dict[str, Path] = {}

    def root(dataset: str) -> Path:
        if dataset not in made:
            made[dataset] = make_layout(
                dataset, tmp_path_factory.mktemp("complete") / dataset, full=True, frames=1
            )
        return made[dataset]

    return root
