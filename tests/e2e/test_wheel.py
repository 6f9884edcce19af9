"""The wheel, installed into an environment of its own, checks pictures with the model that ships."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(out),
        str(ROOT),
    ]
    subprocess.run(command, check=True)
    (path,) = out.glob("bonaface-*.whl")
    return path


@pytest.mark.slow
def test_a_fresh_installation_checks_its_two_examples(
    wheel: Path, light_python: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as file:
        file.extractall(site)
    # The environment has the dependencies of a light installation, and the wheel's files in place of this tree's.
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from bonaface.cli.main import main; main()"
    done = subprocess.run(
        [light_python, "-I", "-c", code, str(site), "check", "--example", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stderr
    verdicts = {Path(v["path"]).name: v["decision"] for v in map(json.loads, done.stdout.splitlines())}
    assert verdicts == {"attack.jpg": "attack", "bona-fide.jpg": "bona fide"}
    assert str(site) in json.loads(done.stdout.splitlines()[0])["path"]
