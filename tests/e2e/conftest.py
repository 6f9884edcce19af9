"""An environment as `pip install bonaface` makes it: the light installation's dependencies and no more."""

import re
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def light_distributions() -> set[str]:
    """Bonaface's dependencies without extras, and theirs, by name.

    Its own are those of this tree, which may be newer than the installation that the tests run in.
    """
    own = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    found: set[str] = set()
    waiting = [""]
    while waiting:
        name = waiting.pop()
        for requirement in (requires(name) or []) if name else own:
            text, _, marker = requirement.partition(";")
            wanted = re.match(r"[\w.-]+", text.strip())
            if "extra" in marker or wanted is None or wanted[0].lower() in found:
                continue
            try:
                distribution(wanted[0])
            except PackageNotFoundError:  # a dependency of other platforms
                continue
            found.add(wanted[0].lower())
            waiting.append(wanted[0])
    return found


def top_level(name: str) -> set[Path]:
    """The files and folders in site-packages that a distribution owns."""
    owner = distribution(name)
    tops = {file.parts[0] for file in owner.files or [] if file.parts[0] not in ("..", "__pycache__")}
    return {Path(str(owner.locate_file(top))) for top in tops}


@pytest.fixture(scope="session")
def light_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment without torch or pyarrow; its packages are links to the installed ones."""
    python = environment(tmp_path_factory.mktemp("light") / "venv", light_distributions())
    for absent in ("torch", "pyarrow"):
        code = f"import {absent}"
        assert subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 1
    assert sys.executable != str(python)
    return python


@pytest.fixture(scope="session")
def data_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with `bonaface[data]`."""
    return environment(tmp_path_factory.mktemp("data") / "venv", {*light_distributions(), "pyarrow"})


def environment(home: Path, names: set[str]) -> Path:
    """Make an environment of the distributions `names`, and return its Python."""
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(
        subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    )
    for name in names:
        for path in top_level(name):
            if path.exists() and not (site / path.name).exists():
                (site / path.name).symlink_to(path)
    (site / "bonaface.pth").write_text(f"{ROOT / 'src'}\n")
    return python
