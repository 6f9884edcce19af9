"""Ray starts processes of its own, so all that needs it runs in a script or by the command line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bonaface.core.errors import MissingExtraError
from bonaface.datasets.registry import open_dataset
from bonaface.inference.bundle import EXAMPLES
from bonaface.jobs.ray import run_on_ray
from bonaface.store.prepare import prepare
from bonaface.testing import make_layout

# Jobs that write, die once, die always and raise; Ray is started once for all of them.
SCRIPT = """
import os, sys
from pathlib import Path
import ray
from bonaface.core.errors import BonafaceError, InputError
from bonaface.jobs import ray as ray_pool

out = Path(sys.argv[1])


def work(job, progress):
    progress(1)
    if job == "wrong":
        raise InputError("job wrong is wrong")
    if job == "bomb" or (job == "dies" and not (out / "died").exists()):
        (out / "died").touch()
        os.kill(os.getpid(), 9)
    (out / f"job-{job}").touch()
    progress(2)


class Careful:
    def at(self, job, done):
        return f"step {done} of {job}"

    def leave_out(self, job, done):
        left = out / f"left-{job}-{done}"
        if job == "stubborn" or left.exists():
            return False
        left.touch()
        return True

    def __call__(self, job, progress):
        progress(0)
        for step in range(4):
            if step in (1, 2) and job != "e" and not (out / f"left-{job}-{step}").exists():
                os.abort()
            progress(step + 1)
        (out / f"job-{job}").touch()


retries, ray_pool._RETRIES = ray_pool._RETRIES, 1
ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
         object_store_memory=100 << 20)
seen = []
for jobs in (["a", "dies", "b", "c"], ["bomb"], ["wrong"], []):
    try:
        ray_pool.run_on_ray(work, jobs, progress=seen.append)
    except BonafaceError as error:
        print(type(error).__name__, error)
ray_pool._RETRIES = retries
for jobs in (["e", "two-bombs"], ["stubborn"]):
    try:
        ray_pool.run_on_ray(Careful(), jobs, progress=seen.append)
        print("left out", seen[-1], sorted(path.name for path in out.glob("left-*")))
    except BonafaceError as error:
        print(type(error).__name__, error)
seen.append(0)
print(seen[-1], max(seen), ray.is_initialized(), sorted(path.name for path in out.glob("job-*")))
"""

QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def files_of(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


def wait_for(condition: Any, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r'the engine ray needs .* pip install "bonaface\[scale\]"'):
        run_on_ray(lambda job, progress: None, [1])


@pytest.mark.slow
def test_ray_runs_jobs_retries_deaths_and_raises_errors(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, tmp_path],
        capture_output=True,
        text=True,
        env=QUIET,
        timeout=300,
        check=False,
    )
    # between them Ray tells of the processes that died, in colour
    bomb, wrong, left_out, stubborn, summary = (
        line for line in done.stdout.splitlines() if line and line[0] != "\033" and line != " "
    )
    assert bomb.startswith("BonafaceError a worker process died 2 times over the same job")
    assert wrong == "InputError job wrong is wrong"
    assert left_out == "left out 8 ['left-two-bombs-1', 'left-two-bombs-2']"
    assert stubborn.startswith(
        "BonafaceError a worker process died 6 times over the same job, at step 1 of stubborn,"
    )
    assert summary == "0 8 True ['job-a', 'job-b', 'job-c', 'job-dies', 'job-e', 'job-two-bombs']"


@pytest.mark.slow
def test_ray_makes_the_same_store_whatever_is_killed(tmp_path: Path) -> None:
    root = make_layout("replay-mobile", tmp_path / "set")
    prepare(open_dataset("replay-mobile").read(root), root, tmp_path / "local", workers=2)
    store = tmp_path / "ray"
    command = [
        sys.executable,
        "-m",
        "bonaface.cli.main",
        "prepare",
        "replay-mobile",
        str(root),
        str(store),
        "--engine",
        "ray",
    ]

    def finished() -> int:
        return len(list((store / "shards").glob("[0-9]*.parquet")))

    first = subprocess.Popen(command, env=QUIET, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: finished() >= 2)
    mine = workers_of(first.pid)
    first.kill()
    first.wait()
    assert finished() < 21
    wait_for(lambda: not any(map(alive, mine)))  # Ray ends with the process that has started it
    second = subprocess.Popen(command, env=QUIET, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: workers_of(second.pid))
    os.kill(workers_of(second.pid)[0], signal.SIGKILL)
    out, err = second.communicate(timeout=300)
    assert (second.returncode, "146/146" in err, "bona fide" in out) == (0, True, True)
    assert files_of(store) == files_of(tmp_path / "local")


def workers_of(driver: int) -> list[int]:
    """Return the Ray processes below the process `driver` that do, or wait for, a task."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            name, pid = path.read_bytes(), int(path.parent.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if name.startswith(b"ray::") and b"_do" in name and driver in ancestors(pid):
            found.append(pid)
    return found


def ancestors(pid: int) -> list[int]:
    found: list[int] = []
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            return found
        found.append(pid)
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.slow
def test_ray_checks_a_folder_as_one_process_does(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, example in enumerate(sorted(EXAMPLES.glob("*.jpg")) * 2):
        shutil.copy(example, folder / f"{number}.jpg")
    (folder / "4.jpg").write_bytes(b"nothing to see")
    verdicts = []
    for options in ((), ("--engine", "ray", "--journal", str(tmp_path / "journal"))):
        command = [sys.executable, "-m", "bonaface.cli.main", "check", str(folder), "--json", *options]
        done = subprocess.run(command, env=QUIET, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 1, done.stderr  # an attack is among them
        verdicts.append([json.loads(line) for line in done.stdout.splitlines()])
    assert len(verdicts[0]) == 5
    assert verdicts[1] == verdicts[0]
