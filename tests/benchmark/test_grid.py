import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from bonaface.benchmark import grid
from bonaface.benchmark.grid import Evaluation, GridWorker, Job, plan, run_grid
from bonaface.benchmark.spec import Spec, read_spec
from bonaface.core.errors import InputError

SPEC = """
stores: {{folder: {store}, oulu-npu: {other}}}
models: [{{model: deep-pix-bis, set: {{backbone: "random:efficientnet-lite0", size: 64, epochs: 1, lr: {rate}}}}}]
protocols: [{protocols}]
seeds: [0]
"""


@pytest.fixture
def spec(store: Path, tmp_path: Path) -> Callable[..., Any]:
    """A function that writes a benchmark over the drawn faces and reads it."""

    def make(
        rate: str = "1e-3", protocols: str = "folder/split", other: Path | str = "$NOWHERE/oulu"
    ) -> Spec:
        path = tmp_path / "spec.yaml"
        path.write_text(SPEC.format(store=store, other=other, rate=rate, protocols=protocols))
        return read_spec(path)

    return make


def no_tick(_: int) -> None:
    pass


def pretend(monkeypatch: pytest.MonkeyPatch, said: Callable[..., Any]) -> list[Any]:
    """Commands that fill what a command would, and say `said(arguments)`; returns the list of those that ran."""
    ran = []

    def command(
        arguments: tuple[str, ...], log: Any, environment: dict[str, str], still: Callable[..., Any]
    ) -> str:
        ran.append(arguments[0])
        still()
        sentence = said(arguments)
        if not sentence:
            folder = Path(arguments[arguments.index("--out") + 1])
            names = ["bundle/x"] if arguments[0] == "train" else [f"report.{k}" for k in grid._REPORTS]
            for name in names:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).touch()
        return sentence

    monkeypatch.setattr(grid, "_command", command)
    return ran


def test_finished_cells_are_not_repeated(
    spec: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = pretend(monkeypatch, lambda arguments: "")
    steps = []
    run_grid(plan(spec(), tmp_path / "out"), 1, progress=lambda done, total: steps.append((done, total)))
    assert ran == ["train", "evaluate"]
    assert steps[0] == (0, 1)
    assert steps[-1] == (1, 1)
    planned_cells = plan(spec(), tmp_path / "out")
    assert [planned.done for planned in planned_cells] == [True]
    run_grid(planned_cells, 1)
    assert ran == ["train", "evaluate"]


def test_one_run_is_used_for_all_its_tests(
    spec: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = pretend(monkeypatch, lambda arguments: "")
    planned_cells = plan(spec(protocols="folder/split, folder/split -> folder/test"), tmp_path / "out")
    assert len({planned.job for planned in planned_cells}) == 1
    run_grid(planned_cells, 1)
    assert ran == ["train", "evaluate", "evaluate"]


def test_another_setting_or_store_is_another_run(
    spec: Callable[..., Any], store: Path, tmp_path: Path
) -> None:
    (one,), (same,), (other,) = (plan(spec(rate=rate), tmp_path) for rate in ("1e-3", "0.001", "1e-4"))
    assert one.job.run == same.job.run != other.job.run
    changed = shutil.copytree(store, tmp_path / "changed")
    with (changed / "store.json").open("a") as file:
        file.write("\n")
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC.format(store=changed, other="x", rate="1e-3", protocols="folder/split"))
    (moved,) = plan(read_spec(path), tmp_path)
    assert moved.job.run != one.job.run


def test_a_failed_cell_keeps_its_error_and_is_tried_again(
    spec: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    across = "folder/split, folder/split -> folder/test, folder/split -> oulu-npu/1"
    ran = pretend(monkeypatch, lambda arguments: "no luck" if arguments[-1].find("-test-") > 0 else "")
    planned_cells = plan(spec(protocols=across), tmp_path / "out")
    run_grid(planned_cells, 1)
    assert [planned.done for planned in planned_cells] == [True, False, False]
    assert [planned.error for planned in planned_cells] == [
        "",
        "no luck",
        "no store of oulu-npu: $NOWHERE is not set",
    ]
    again = pretend(monkeypatch, lambda arguments: "")
    run_grid(planned_cells, 1)
    assert (ran, again) == (["train", "evaluate", "evaluate"], ["evaluate"])
    assert [planned.error for planned in planned_cells[:2]] == ["", ""]
    assert not planned_cells[0].job.errors.exists()


def test_failed_training_fails_all_its_tests(
    spec: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = pretend(monkeypatch, lambda arguments: "no weights" if arguments[0] == "train" else "")
    planned_cells = plan(spec(protocols="folder/split, folder/split -> folder/test"), tmp_path / "out")
    run_grid(planned_cells, 1)
    assert ran == ["train"]
    assert [planned.error for planned in planned_cells] == ["no weights", "no weights"]


def test_store_of_another_set_fails_only_its_cells(
    spec: Callable[..., Any], store: Path, tmp_path: Path
) -> None:
    *_, planned = plan(spec(protocols="folder/split -> oulu-npu/1", other=store), tmp_path)
    assert planned.error == f"no store of oulu-npu: {store} holds folder"


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Any]:
    """A function that makes a job whose test is the given command; its run has a bundle already."""

    def make(*arguments: str) -> Job:
        (tmp_path / "run/bundle").mkdir(parents=True, exist_ok=True)
        test = Evaluation(arguments, tmp_path / "run/evaluation/test")
        return Job(tmp_path / "run", (), (test,), tmp_path / "logs/run.log")

    return make


def test_the_error_is_the_sentence_of_the_command(job: Callable[..., Any]) -> None:
    one = job("evaluate", "nowhere", "--data", "nowhere", "--protocol", "split")
    GridWorker(1)(one, no_tick)
    log = one.log.read_text()
    assert "bonaface evaluate nowhere --data nowhere --protocol split" in log
    assert one.errors.read_text().count("nowhere: does not exist") == 1


@pytest.mark.parametrize(
    ("code", "text", "said"),
    [
        (0, "all well", ""),
        (-9, "", "the process was killed by SIGKILL"),
        (2, "a line\nbonaface: no such store\n", "no such store"),
        (4, "ValueError: x\nbonaface: this is an error of the program's own; please report", "ValueError: x"),
        (1, "", "the process ended with 1 and said nothing"),
    ],
)
def test_reason_of_a_failed_command(code: int, text: str, said: str) -> None:
    assert grid._reason(code, text) == said


def test_waits_for_a_job_of_another_process(
    job: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two grids over one folder: the second takes up what the first leaves."""
    monkeypatch.setattr(grid, "_POLL", 0.01)
    ran = pretend(monkeypatch, lambda arguments: "")
    one = job("evaluate", "--out", str(tmp_path / "judged"))
    one.log.parent.mkdir()
    holding = (
        "import filelock, sys; lock = filelock.FileLock(sys.argv[1]); lock.acquire()\n"
        "print('held', flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", holding, str(one.log.with_suffix(".lock"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    asked: list[Any] = []
    worker = threading.Thread(target=GridWorker(1), args=(one, asked.append))
    worker.start()
    while len(asked) < 3 and worker.is_alive():
        time.sleep(0.01)
    assert ran == []
    holder.communicate(b"\n")
    worker.join()
    assert ran == ["evaluate"]


def test_stopping_ends_the_command(job: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "_POLL", 0.05)
    started = []

    def start(module: Any, arguments: Any, log: Any, environment: Any) -> Popen:
        started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(5)"]))
        return started[0]

    monkeypatch.setattr(grid, "start_child", start)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        GridWorker(1)(job("evaluate"), stop)
    assert started[0].returncode == -9


def test_address_selects_ray(spec: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="ray://head:10001 is a Ray cluster's address, and the engine is local"
    ):
        run_grid(plan(spec(), tmp_path / "out"), 1, address="ray://head:10001")
