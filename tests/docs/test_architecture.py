"""ARCHITECTURE.md names the modules that there are, each under its package, and the order of imports that is held."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "bonaface"
TEXT = (ROOT / "ARCHITECTURE.md").read_text()
PACKAGES = sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_names_every_module_and_no_other(package: str) -> None:
    after = TEXT.partition(f"\n### {package}\n")[2]
    section = re.split(r"^##", after, maxsplit=1, flags=re.MULTILINE)[0]
    named = set(re.findall(r"`(\w+\.py)`", section))
    assert named == {path.name for path in (SOURCE / package).rglob("*.py")} - {"__init__.py"}


def test_gives_the_order_of_imports_that_is_held() -> None:
    held = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    layers = [set(re.findall(r"bonaface\.(\w+)", layer)) & set(PACKAGES) for layer in held["layers"]]
    block = re.split(r"^## .*$", TEXT, flags=re.MULTILINE)[1]
    lines = re.findall(r"^    ([\w, ]+)$", block, re.MULTILINE)
    assert [set(line.split(", ")) for line in lines] == [layer for layer in layers if layer]
