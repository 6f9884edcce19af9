"""The JSON schemas in docs are those of the code, and take what the code writes and reads."""

import json
import runpy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from bonaface.testing.networks import write_bundle
from bonaface.training.settings import RunSettings, choose_preset

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TOOL = runpy.run_path(str(ROOT / "tools" / "schemas.py"))


def validate(name: str, values: Any) -> None:
    schema = json.loads((DOCS / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(values)


@pytest.mark.parametrize("name", TOOL["SCHEMAS"])
def test_a_schema_is_up_to_date(name: str) -> None:
    text = (DOCS / f"{name}.schema.json").read_text()
    assert text == TOOL["schema_of"](name), "run: python tools/schemas.py"
    jsonschema.Draft202012Validator.check_schema(json.loads(text))


def test_there_is_no_other_schema() -> None:
    found = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.schema.json")}
    assert found == {f"{name}.schema.json" for name in TOOL["SCHEMAS"]}


def test_a_bundles_description_is_one(tmp_path: Path) -> None:
    values = json.loads((write_bundle(tmp_path) / "bundle.json").read_text())
    validate("schemas/bundle", values)
    changes: list[dict[str, Any]] = [
        {"format": 1},
        {"views": []},
        {"mean": [0, 0, 2]},
        {"extra": 1},
        {"files": {"model.onnx": "x"}},
    ]
    for wrong in changes:
        with pytest.raises(jsonschema.ValidationError):
            validate("schemas/bundle", values | wrong)


def test_settings_of_a_run_are_some() -> None:
    settings = RunSettings(choose_preset("bi-fas", None, {}), "store", "official").as_dict()
    validate("schemas/run", settings)
    with pytest.raises(jsonschema.ValidationError):
        validate("schemas/run", settings | {"micro_batch": -1})


GRIDS = sorted(set((ROOT / "benchmarks").glob("*.yaml")) - {ROOT / "benchmarks" / "claims.yaml"})


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.name)
def test_the_benchmarks_are_some(path: Path) -> None:
    values = yaml.safe_load(path.read_text())
    validate("schemas/benchmark", values)
    with pytest.raises(jsonschema.ValidationError):
        validate("schemas/benchmark", values | {"train": {"epochs": 3}})
