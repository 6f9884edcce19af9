"""What `pip install bonaface` alone can do, in an environment where torch really is not installed."""

import json
import subprocess
from pathlib import Path


def bonaface(python: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(python), "-m", "bonaface.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_check_a_picture(light_python: Path, run: Path, faces_root: Path) -> None:
    done = bonaface(light_python, "check", faces_root / "bonafide/person-0/0.png", "--model", run, "--json")
    assert done.returncode in (0, 1), done.stderr
    verdict = json.loads(done.stdout)
    assert 0 <= verdict["score"] <= 1
    assert verdict["decision"] == ("bona fide" if done.returncode == 0 else "attack")


def test_evaluate_a_protocol(light_python: Path, run: Path, store: Path, tmp_path: Path) -> None:
    done = bonaface(
        light_python, "evaluate", run, "--data", store, "--protocol", "split", "--out", tmp_path / "out"
    )
    assert done.returncode == 0, done.stderr
    assert "APCER" in done.stdout
    assert json.loads((tmp_path / "out" / "report.json").read_text())["folds"][0]["test"]["bona_fide"] == 4
    assert not list((tmp_path / "out").glob("*.part"))


def test_what_needs_torch_says_which_install_brings_it(light_python: Path, run: Path, store: Path) -> None:
    train = bonaface(
        light_python, "train", "bi-fas", "--data", store, "--protocol", "split", "--out", "nowhere"
    )
    check = bonaface(light_python, "check", "x.png", "--model", run, "--backend", "torch")
    assert train.returncode == 2
    assert 'pip install "bonaface[train]"' in train.stderr
    assert len(train.stderr.strip().splitlines()) == 1
    assert check.returncode == 2


def test_lists_the_models(light_python: Path) -> None:
    done = bonaface(light_python, "models")
    assert done.returncode == 0, done.stderr
    assert "linear-probe" in done.stdout


def test_checks_with_the_model_that_ships(light_python: Path) -> None:
    done = bonaface(light_python, "check", "--example", "--json")
    assert done.returncode == 1, done.stderr
    decisions = {Path(v["path"]).name: v["decision"] for v in map(json.loads, done.stdout.splitlines())}
    assert decisions == {"attack.jpg": "attack", "bona-fide.jpg": "bona fide"}


def test_no_light_package_loads_torch_or_opencv(light_package: str, light_python: Path) -> None:
    """Every module of the package is imported where torch is not there to be found."""
    code = (
        "import pkgutil, importlib, bonaface.%s as package\n"
        "for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "    importlib.import_module(module.name)\n"
    )
    done = subprocess.run(
        [light_python, "-c", code % light_package], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
