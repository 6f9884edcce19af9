"""The real program, stopped from outside: what it says, how it leaves, and that it goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bonaface.store.crop_store import CropStore
from bonaface.training.checkpoint_saver import LAST

PROGRAM = [sys.executable, "-m", "bonaface.cli.main"]
SAID = "bonaface: stopped; what was done is kept"


def start(*arguments: object) -> "subprocess.Popen[str]":
    """The program in a process group of its own, as a shell starts it: Ctrl-C goes to all of the group."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*PROGRAM, *map(str, arguments)], stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def stop_when(
    path: Path, program: "subprocess.Popen[str]", sign: signal.Signals, whole_group: bool = True
) -> str:
    """Send `sign` to the group, or to its first process, once `path` is there; what came on standard error."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert program.poll() is None, program.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (os.killpg if whole_group else os.kill)(program.pid, sign)
    return program.communicate(timeout=120)[1]


@pytest.fixture
def many(faces_root: Path, tmp_path: Path) -> Path:
    """A thousand pictures, so that nobody is done before being stopped."""
    root = tmp_path / "faces"
    for number in range(25):
        for path in faces_root.rglob("*.png"):
            link = root / path.relative_to(faces_root).with_name(f"{path.stem}-{number}.png")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    return root


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_prepare_prints_one_sentence_and_keeps_the_store(
    sign: signal.Signals, many: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    program = start("prepare", "folder", many, store, "--workers", "2")
    errors = stop_when(store, program, sign)
    assert program.returncode == 130
    assert errors.rstrip().splitlines()[-1] == SAID
    assert "Traceback" not in errors
    done = subprocess.run([*PROGRAM, "prepare", "folder", many, store], capture_output=True, check=False)
    assert done.returncode == 0
    assert len(CropStore.open(store).presentations) == 25 * 41


def test_closed_pipe_does_not_exit_with_1(run: Path, faces_root: Path) -> None:
    """`bonaface check ... | head -1`: exit code 1 would say that an attack was seen."""
    program = start("check", faces_root, "--model", run, "--threshold", "0")
    assert program.stdout is not None
    program.stdout.close()
    _, errors = program.communicate(timeout=120)
    assert program.returncode == 130
    assert errors == ""


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_train_prints_one_sentence_and_resumes(
    sign: signal.Signals, store: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = [
        "--data",
        store,
        "--protocol",
        "split",
        "--backbone",
        "random:efficientnet-lite0",
        "--size",
        64,
    ]
    arguments += [
        "--set",
        "batch=8",
        "--micro-batch",
        4,
        "--checkpoint-every",
        1,
        "--workers",
        2,
        "--epochs",
        2,
    ]
    program = start("train", "bi-fas", "--out", run, *arguments)
    errors = stop_when(run / LAST, program, sign)
    assert program.returncode == 130
    assert errors == f"{SAID}\n"
    subprocess.run([*PROGRAM, "train", "--resume", "--out", str(run)], check=True, capture_output=True)
    assert (run / "bundle" / "bundle.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [False, True])
def test_a_run_on_two_devices_stops_at_one_batch_and_resumes(
    whole_group: bool, store: Path, tmp_path: Path
) -> None:
    """The system's `kill` and `timeout` tell one process, a batch system tells all of them."""
    run = tmp_path / "run"
    network = ["--backbone", "random:efficientnet-lite0", "--size", 64, "--epochs", 40, "--set", "batch=8"]
    devices = ["--devices", 2, "--accelerator", "cpu", "--micro-batch", 2, "--checkpoint-every", 1]
    data = ["--data", store, "--protocol", "split"]
    program = start("train", "bi-fas", "--out", run, *data, *network, *devices)
    errors = stop_when(run / LAST, program, signal.SIGTERM, whole_group)
    assert program.returncode == 130
    assert set(errors.splitlines()) == {SAID}
    assert (run / LAST).is_file()
