import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from bonaface.core.errors import InputError
from bonaface.inference.bundle import Bundle
from bonaface.store.crop_store import CropStore
from bonaface.training.data import PadData
from bonaface.training.fit import train
from bonaface.training.settings import RunSettings, choose_preset


@pytest.mark.slow
def test_two_machines_train_together(store: Path, tmp_path: Path) -> None:
    """Two programs as two machines would run them, over one shared folder: only the first writes and prints."""
    run = tmp_path / "run"
    arguments = ["train", "bi-fas", "--data", str(store), "--protocol", "split", "--out", str(run)]
    arguments += ["--micro-batch", "4", "--workers", "0", "--nodes", "2", "--accelerator", "cpu"]
    arguments += [
        "--backbone",
        "random:efficientnet-lite0",
        "--size",
        "64",
        "--epochs",
        "1",
        "--set",
        "batch=8",
    ]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    meet = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    program = [sys.executable, "-m", "bonaface.cli.main", *arguments]
    pipe = subprocess.PIPE
    machines = [
        subprocess.Popen(program, stdout=pipe, stderr=pipe, text=True, env={**meet, "NODE_RANK": str(number)})
        for number in (1, 0)
    ]
    second, first = (machine.communicate(timeout=300) for machine in machines)
    assert [machine.returncode for machine in machines] == [0, 0], first[1] + second[1]
    assert "done: " in first[0]
    assert second[0] == ""
    assert np.isfinite(Bundle.open(run).card.threshold("pyramid", "frame"))


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"precision": "16-mixed"}, "can't train in precision 16-mixed on this accelerator; take bf16-mixed"),
        ({"accelerator": "abacus"}, "can't train with accelerator abacus"),
        ({"accelerator": "tpu"}, "can't train with accelerator tpu"),
    ],
)
def test_rejects_what_the_machine_cannot_do_and_leaves_no_run(
    asked: dict[str, Any], sentence: str, store: Path, tmp_path: Path
) -> None:
    preset = choose_preset(
        "deep-pix-bis", None, {"backbone": "random:efficientnet-lite0", "size": 32, "batch": 4}
    )
    settings = RunSettings(preset, str(store), "split", micro_batch=4, workers=0, accelerator="cpu")
    with pytest.raises(InputError, match=sentence):
        train(replace(settings, **asked), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("micro_batch", "devices", "sentence"),
    [
        (
            8,
            4,
            r"folder/split: 4 devices with 8 pictures each can't share the 24 frames of an epoch and the 8 of dev",
        ),
        (1, 9, r"9 devices with 1 pictures .* the 8 of dev; take fewer devices or a smaller --micro-batch"),
    ],
)
def test_rejects_more_devices_than_frames(micro_batch: int, devices: int, sentence: str, store: Path) -> None:
    preset = choose_preset("deep-pix-bis", None, {"batch": micro_batch * devices})
    settings = RunSettings(preset, str(store), "split", micro_batch=micro_batch, devices=devices)
    with pytest.raises(InputError, match=sentence):
        PadData(CropStore.open(store), settings)


def test_network_that_cannot_be_built_leaves_no_run(store: Path, tmp_path: Path) -> None:
    settings = RunSettings(choose_preset("bi-fas", None, {"size": 50, "batch": 16}), str(store), "split")
    with pytest.raises(InputError, match="multiple of 32"):
        train(settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()
