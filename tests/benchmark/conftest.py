"""A small grid, as several tests of its results read it."""

import json
import shutil
from pathlib import Path

import pytest

from bonaface.benchmark.grid import PlannedCell, plan, run_grid
from bonaface.benchmark.spec import Spec, read_spec

SPEC = """
stores: {{folder: {store}}}
models: [deep-pix-bis]
protocols: [folder/split, folder/split -> folder/test]
seeds: [0, 1, 2]
"""


@pytest.fixture(scope="session")
def planned_cells(
    store: Path, run: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Spec, list[PlannedCell]]:
    """A grid of three seeds: one run is there and evaluated for real, the second is its copy, the third failed."""
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "spec.yaml").write_text(SPEC.format(store=store))
    spec = read_spec(folder / "spec.yaml")
    planned_cells = plan(spec, folder / "out")
    first, second, third = (planned.job for planned in planned_cells[:3])
    shutil.copytree(run, first.run)
    run_grid([planned for planned in planned_cells if planned.cell.seed == 0], 1)
    shutil.copytree(first.run, second.run)
    third.errors.write_text(json.dumps({"train": "out of luck"}))
    return spec, planned_cells
