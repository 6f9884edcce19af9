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


def test_judge_a_score_table(light_python: Path, tmp_path: Path) -> None:
    rows = "".join(f"p{n},{n % 2},{n / 40}\n" for n in range(40))
    (tmp_path / "scores.csv").write_text(f"file,label,score\n{rows}")
    report = ("report", tmp_path / "scores.csv", "--threshold-from", "0.5", "--out", tmp_path / "report")
    done = bonaface(light_python, *report)
    assert done.returncode == 0, done.stderr
    assert "APCER" in done.stdout
    compared = bonaface(light_python, "compare", *[tmp_path / "scores.csv"] * 2, "--threshold-from", "0.5")
    assert compared.returncode == 0, compared.stderr


def test_what_needs_pyarrow_says_which_install_brings_it(
    light_python: Path, run: Path, store: Path, faces_root: Path, tmp_path: Path
) -> None:
    (tmp_path / "scores.parquet").write_bytes(b"PAR1")
    commands = (
        ("evaluate", run, "--data", store, "--protocol", "split", "--out", tmp_path / "out"),
        ("prepare", "folder", faces_root, tmp_path / "store"),
        ("report", tmp_path / "scores.parquet"),
    )
    for command in commands:
        done = bonaface(light_python, *command)
        assert done.returncode == 2, done.stderr
        assert 'pip install "bonaface[data]"' in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_evaluate_a_protocol(data_python: Path, run: Path, store: Path, tmp_path: Path) -> None:
    done = bonaface(
        data_python, "evaluate", run, "--data", store, "--protocol", "split", "--out", tmp_path / "out"
    )
    assert done.returncode == 0, done.stderr
    assert "APCER" in done.stdout
    assert json.loads((tmp_path / "out" / "report.json").read_text())["folds"][0]["test"]["bona_fide"] == 4
    assert not list((tmp_path / "out").glob("*.part"))


def test_what_needs_torch_says_which_install_brings_it(light_python: Path, run: Path, store: Path) -> None:
    train = bonaface(
        light_python, "train", "bi-fas", "--data", store, "--protocol", "split", "--out", "nowhere"
    )
    check = bonaface(light_python, "check", "x.png", "--model", run, "--runtime", "torch")
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


def test_no_light_package_loads_torch_or_opencv(
    light_package: str, light_python: Path, data_python: Path
) -> None:
    """Every module of the package is imported where torch is not there to be found, nor pyarrow unless it is needed."""
    python = data_python if light_package == "store" else light_python
    code = (
        "import pkgutil, importlib, bonaface.%s as package\n"
        "for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "    importlib.import_module(module.name)\n"
    )
    done = subprocess.run([python, "-c", code % light_package], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
