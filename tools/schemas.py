"""Write the JSON schemas of Bonaface's files into docs, from the types that describe them.

    python tools/schemas.py

A test fails where they are not those of the code.
"""

import json
from pathlib import Path
from typing import Any, Literal

import msgspec

from bonaface.benchmark.spec import SpecFile
from bonaface.core.files import write_text
from bonaface.evaluation.report_json import ReportFile
from bonaface.inference.bundle import FORMAT, BundleCard
from bonaface.training.settings import RunSettings

FOLDER = Path(__file__).parents[1] / "docs"

# bundle.json holds its format and checksum beside the description.
BundleFile = msgspec.defstruct(
    "BundleFile",
    [("format", Literal[FORMAT]), ("checksum", str)],
    bases=(BundleCard,),
    forbid_unknown_fields=True,
    kw_only=True,
)

# By their place in docs.
SCHEMAS: dict[str, tuple[Any, str]] = {
    "schemas/bundle": (BundleFile, "bundle.json of a bundle"),
    "schemas/run": (RunSettings, "The settings in a run's run.json"),
    "schemas/benchmark": (SpecFile, "What bonaface benchmark reads, in YAML"),
    "report": (
        ReportFile,
        "What `bonaface report --out DIR` and `bonaface evaluate` write as report.json. Rates are shares in [0, 1].",
    ),
}


def schema_of(name: str) -> str:
    """Return the JSON schema `name` as text."""
    kind, title = SCHEMAS[name]
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(kind)}
    return json.dumps({**schema, "description": title}, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write every schema."""
    for name in SCHEMAS:
        write_text(FOLDER / f"{name}.schema.json", schema_of(name))


if __name__ == "__main__":
    main()
