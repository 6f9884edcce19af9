"""The pool's processes are spawned, so their workers are written to scripts."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bonaface.jobs.local import run_jobs

SCRIPT = """
import os, sys, time
from pathlib import Path
from bonaface.core.errors import BonafaceError
from bonaface.jobs.local import run_jobs

out = Path(sys.argv[1])


class Writer:
    def at(self, job, done):
        return f"step {done} of {job['name']}"

    def __call__(self, job, progress):
        (out / "started" / f"{os.getpid()}").touch()
        for step in range(job["steps"]):
            time.sleep(job.get("sleep", 0))
            progress(step + 1)
        if job.get("raises"):
            raise ValueError(f"job {job['name']} is wrong")
        if job.get("dies") == "always" or (job.get("dies") and not (out / "died").exists()):
            (out / "died").touch()
            os.kill(os.getpid(), 9)
        (out / job["name"]).touch()


class Threads(Writer):  # how many its process may use, before and after numpy's matrix products are loaded
    def __call__(self, job, progress):
        from threadpoolctl import threadpool_info
        import numpy
        numpy.ones((9, 9)) @ numpy.ones((9, 9))
        used = {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}
        (out / job["name"]).write_text(f"{os.environ.get('OMP_NUM_THREADS')} {used}")


class Careful(Writer):  # dies at the steps in `bombs` that are not left out
    def leave_out(self, job, done):
        path = out / f"left-{job['name']}-{done}"
        if path.exists() or not job.get("may_leave_out", True):
            return False
        path.touch()
        return True

    def __call__(self, job, progress):
        if job.get("dies_early"):
            os.abort()
        progress(0)
        for step in range(job["steps"]):
            if job.get("dies_further_on") and not (out / f"died-{step}").exists():
                (out / f"died-{step}").touch()
                os.abort()
            if step in job.get("bombs", ()) and not (out / f"left-{job['name']}-{step}").exists():
                with (out / "deaths").open("a") as file:
                    print(job["name"], step, file=file)
                os.abort()
            progress(step + 1)
        (out / job["name"]).touch()


if __name__ == "__main__":
    (out / "started").mkdir()
    jobs = eval(sys.argv[2])
    seen = []
    try:
        run_jobs(globals()[sys.argv[4]](), jobs, int(sys.argv[3]), seen.append)
    except (BonafaceError, ValueError, KeyboardInterrupt) as error:
        print(type(error).__name__, error)
    print(seen[-1:])
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def start(script: Path, jobs: list[dict], workers: int, worker: str = "Writer") -> subprocess.Popen[str]:
    arguments = [sys.executable, str(script), str(script.parent), repr(jobs), str(workers), worker]
    return subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def named(count: int, **more: Any) -> list[dict]:
    return [{"name": f"job{i}", "steps": 2, **more} for i in range(count)]


def done(script: Path) -> set[str]:
    return {path.name for path in script.parent.glob("job*")}


def workers_of(script: Path) -> list[int]:
    return [int(path.name) for path in (script.parent / "started").glob("*")]


def wait_for(condition: Callable[..., Any], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_every_job_is_done_and_counted(script: Path) -> None:
    out, err = start(script, named(7), 2).communicate(timeout=60)
    assert (out, err) == ("[14]\n", "")
    assert done(script) == {f"job{i}" for i in range(7)}
    assert len(workers_of(script)) <= 2


@pytest.mark.parametrize("workers", [0, 1])
def test_one_worker_that_leaves_nothing_out_stays_in_this_process(workers: int) -> None:
    seen: list[int] = []
    pids = []

    def worker(job: int, progress: Callable[..., Any]) -> None:
        pids.append(os.getpid())
        progress(1)
        progress(job)

    run_jobs(worker, [3, 5], workers, seen.append)
    assert seen == [1, 3, 4, 8]
    assert set(pids) == {os.getpid()}


def test_no_jobs() -> None:
    run_jobs(lambda job, progress: None, [], 2)


def test_a_workers_error_ends_the_run(script: Path) -> None:
    """The other process ends at its next step, and waiting jobs are not begun."""
    jobs = [
        {"name": "bad", "steps": 1, "raises": True},
        {"name": "job-long", "steps": 300, "sleep": 0.1},
        *named(9),
    ]
    out, err = start(script, jobs, 2).communicate(timeout=60)
    assert out.startswith("ValueError job bad is wrong\n")
    assert err == ""
    assert "job-long" not in done(script)
    assert len(done(script)) < 9


def test_a_job_whose_process_is_killed_is_done_again(script: Path) -> None:
    jobs = named(6)
    jobs[2]["dies"] = True
    out, err = start(script, jobs, 2).communicate(timeout=60)
    assert (out, err) == ("[12]\n", "")
    assert done(script) == {f"job{i}" for i in range(6)}


@pytest.mark.parametrize(
    ("given", "used"),
    [({}, "1 {1}"), ({"OMP_NUM_THREADS": ""}, "1 {1}"), ({"OPENBLAS_NUM_THREADS": "1"}, "None {1}")],
)
def test_each_process_has_one_thread_unless_the_user_says_otherwise(
    given: dict[str, str], used: str, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    start(script, named(4), 2, "Threads").communicate(timeout=60)
    assert {(script.parent / name).read_text() for name in done(script)} == {used}


def test_reports_a_job_that_always_kills_its_process(script: Path) -> None:
    out, err = start(script, [{"name": "bomb", "steps": 1, "dies": "always"}], 2).communicate(timeout=60)
    assert out.startswith(
        "BonafaceError worker processes were killed 3 times without getting any further, at step 1 of bomb, most "
    )
    assert err == ""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_step_that_kills_three_processes_is_left_out(workers: int, script: Path) -> None:
    jobs = [
        {"name": "job-a", "steps": 5, "bombs": [1, 3]},
        {"name": "job-b", "steps": 3, "bombs": [0]},
        *named(3),
    ]
    out, err = start(script, jobs, workers, "Careful").communicate(timeout=120)
    assert (out, err) == ("[14]\n", "")
    assert done(script) == {"job-a", "job-b", "job0", "job1", "job2"}
    deaths = (script.parent / "deaths").read_text().splitlines()
    assert {place: deaths.count(place) for place in deaths} == {"job-a 1": 3, "job-a 3": 3, "job-b 0": 3}


@pytest.mark.parametrize(
    ("job", "place"),
    [
        ({"bombs": [1], "may_leave_out": False}, "step 1 of bomb"),
        ({"dies_early": True}, "step 0 of bomb"),  # as where a model cannot be loaded: no step is the reason
    ],
)
def test_reports_steps_that_cannot_be_left_out(script: Path, job: dict, place: str) -> None:
    out, err = start(script, [{"name": "bomb", "steps": 2, **job}], 2, "Careful").communicate(timeout=60)
    assert out.startswith(
        f"BonafaceError worker processes were killed 3 times without getting any further, at {place}"
    )
    assert err == ""
    assert not list(script.parent.glob("left-*"))


def test_reports_deaths_at_other_steps_each_time(script: Path) -> None:
    """As where memory is short, which is no step's fault."""
    job = {"name": "bomb", "steps": 9, "dies_further_on": True}
    out, err = start(script, [job], 2, "Careful").communicate(timeout=60)
    assert err == ""
    assert out.startswith("BonafaceError worker processes were killed 3 times"), out
    assert not list(script.parent.glob("left-*"))


def test_ctrl_c_ends_all_processes(script: Path) -> None:
    long = [{"name": f"long{i}", "steps": 1000, "sleep": 0.1} for i in range(2)]
    process = start(script, [*long, *named(1)], 3)
    wait_for(lambda: len(workers_of(script)) == 3 and done(script))  # so one of them waits for a job
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to every process of the group
    out, err = process.communicate(timeout=30)
    assert out.startswith("KeyboardInterrupt")
    assert err == ""
    assert done(script) == {"job0"}
    assert not any(alive(pid) for pid in workers_of(script))


def test_workers_die_with_their_parent(script: Path) -> None:
    process = start(script, named(100, sleep=0.2), 2)
    wait_for(lambda: len(workers_of(script)) == 2 and done(script))
    process.kill()
    process.communicate(timeout=30)
    wait_for(lambda: not any(alive(pid) for pid in workers_of(script)), seconds=5)
    assert len(done(script)) < 50


def test_a_process_killed_during_a_spawn_does_not_block_the_run(script: Path) -> None:
    process = start(script, named(12, sleep=0.05), 2)
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    children: list[str] = []
    while (
        len(children) < 2
    ):  # the resource tracker and the first process; the second follows in a millisecond
        children = path.read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert (out, err) == ("[24]\n", "")
    assert done(script) == {f"job{i}" for i in range(12)}
