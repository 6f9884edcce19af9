import csv
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from safetensors.torch import load_file

from bonaface.core.errors import BonafaceError, InputError, ModelFileError
from bonaface.core.files import alone
from bonaface.datasets.registry import open_dataset
from bonaface.inference.bundle import Bundle
from bonaface.models import create_model
from bonaface.store.prepare import prepare
from bonaface.training import checkpoint_saver, fit, weights
from bonaface.training.batches import Batch
from bonaface.training.fit import train, usual_workers
from bonaface.training.module import PadModule
from bonaface.training.progress import Step
from bonaface.training.settings import RunSettings, choose_preset

CHANGES = {"backbone": "random:efficientnet-lite0", "size": 64, "epochs": 2, "batch": 8, "bn_batches": 2}


@pytest.fixture
def settings(store: Path) -> RunSettings:
    preset = choose_preset("bi-fas-s", None, CHANGES)
    return RunSettings(preset, str(store), "split", micro_batch=4, workers=0, checkpoint_every=1)


class StoppedError(Exception):
    pass


def stop_after(saves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the run die after that many checkpoints, as a kill would."""
    count = 0
    save = checkpoint_saver.CheckpointSaver._save

    def counting(self: checkpoint_saver.CheckpointSaver, trainer: object) -> None:
        nonlocal count
        save(self, trainer)  # type: ignore[arg-type]
        count += 1
        if count == saves:
            raise StoppedError

    monkeypatch.setattr(checkpoint_saver.CheckpointSaver, "_save", counting)


def tensors(run: Path) -> dict[str, torch.Tensor]:
    last = torch.load(run / checkpoint_saver.LAST, weights_only=True)
    return {
        **last["state_dict"],
        **{f"best.{k}": v for k, v in load_file(run / checkpoint_saver.BEST).items()},
    }


def unbroken_and_stopped(
    settings: RunSettings, saves: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the tensors of a run, and of one that was stopped after that many checkpoints and went on."""
    train(settings, folder / "unbroken")
    with monkeypatch.context() as patch:
        stop_after(saves, patch)
        with pytest.raises(StoppedError):
            train(settings, folder / "stopped")
    torch.manual_seed(99)
    train(settings, folder / "stopped", resume=True)
    return tensors(folder / "unbroken"), tensors(folder / "stopped")


@pytest.fixture(scope="module", autouse=True)
def no_bundle() -> Iterator[None]:
    """Exporting and drawing take longer than these runs; what ends in a bundle and a page is the session's `run`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "write_bundle", lambda *_: None)
        patch.setattr(fit, "write_page", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def whole(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    preset = choose_preset("bi-fas-s", None, CHANGES)
    path = tmp_path_factory.mktemp("whole") / "run"
    train(RunSettings(preset, str(store), "split", micro_batch=4, workers=0, checkpoint_every=1), path)
    return path


# Two epochs of three steps: the second, mid-epoch; the third, at an epoch's end; the fifth, in the second epoch.
@pytest.mark.parametrize("saves", [2, 3, 5])
def test_resumed_run_gives_the_same_weights_bit_for_bit(
    saves: int, whole: Path, settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_after(saves, patch)
        with pytest.raises(StoppedError):
            train(settings, stopped)
    torch.manual_seed(99)
    train(settings, stopped, resume=True)
    expected, found = tensors(whole), tensors(stopped)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert (stopped / checkpoint_saver.LOSSES).read_text() == (whole / checkpoint_saver.LOSSES).read_text()


def test_run_that_filled_the_disk_gives_the_same_weights(
    whole: Path, settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full in the midst of the second checkpoint; the first one stays."""
    sealed: list[Path] = []

    def full(path: Path) -> None:
        if sealed:
            path.write_bytes(path.read_bytes()[:1000])
            raise OSError(errno.ENOSPC, "No space left on device")
        weights.seal(path)
        sealed.append(path)

    monkeypatch.setattr(checkpoint_saver, "seal", full)
    with pytest.raises(OSError, match="No space left"):  # which the program says in a sentence
        train(settings, tmp_path / "run")
    monkeypatch.undo()
    train(settings, tmp_path / "run", resume=True)
    expected, found = tensors(whole), tensors(tmp_path / "run")
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_finished_run_is_not_changed(whole: Path, settings: RunSettings, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    (run / "bundle").mkdir()
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    sentences: list[str] = []
    assert train(settings, run, resume=True, log=sentences.append) == run / "bundle"
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    assert sentences == [f"this run is finished, and left as it is: {run / 'bundle'}"]
    with pytest.raises(InputError, match="these differ: "):
        train(replace(settings, seed=1), run, resume=True)


def test_resumed_run_with_simulated_attacks_gives_the_same_weights(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {**CHANGES, "epochs": 1, "augment.simulate": 0.5, "augment.crops": ["tight", "square-1.3"]}
    chosen = choose_preset("deep-pix-bis", None, changes)
    settings = RunSettings(chosen, str(store), "split", micro_batch=4, workers=0, checkpoint_every=1)
    expected, found = unbroken_and_stopped(settings, 2, tmp_path, monkeypatch)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    described = json.loads((tmp_path / "stopped/run.json").read_text())
    assert described["settings"]["preset"]["augment"] == {
        "simulate": 0.5,
        "crops": ["tight", "square-1.3"],
        "color_transfer": 0.0,
        "exposure": 0.0,
        "camera": 0.0,
    }


# Everything that a checkpoint must carry beside Adam's own state.
GOES_ON = {
    "ema-and-cosine": {"ema": 0.9, "schedule": "cosine", "warmup": 0.4},
    "sgd-with-steps": {"optimizer": "sgd", "schedule": "step", "step_epochs": 1, "clip": 0.5},
    "adamw-over-fixed-statistics": {"optimizer": "adamw", "bn": "fixed", "weight_decay": 0.1, "ema": 0.5},
}


@pytest.mark.parametrize("name", GOES_ON)
def test_resumed_run_keeps_schedule_and_weight_average(
    name: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after the second of six steps, in the first epoch."""
    chosen = choose_preset("deep-pix-bis", None, {**CHANGES, **GOES_ON[name]})
    settings = RunSettings(chosen, str(store), "split", micro_batch=4, workers=0, checkpoint_every=1)
    expected, found = unbroken_and_stopped(settings, 2, tmp_path, monkeypatch)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert ("_average.network.pixel.weight" in expected) == ("ema" in GOES_ON[name])


def test_each_setting_of_the_gradient_steps_changes_what_is_learned(store: Path, tmp_path: Path) -> None:
    cases: dict[str, dict[str, object]] = {
        "plain": {},
        "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
        "adam": {"weight_decay": 0.1},
        "sgd": {"optimizer": "sgd"},
        "cosine": {"schedule": "cosine"},
        "warmup": {"warmup": 0.5},
        "clip": {"clip": 1e-3},
        "ema": {"ema": 0.9},
        "fixed": {"bn": "fixed"},
    }
    found = {}
    for name, changes in cases.items():
        chosen = choose_preset("deep-pix-bis", None, {**CHANGES, "epochs": 1, "bn_batches": 0, **changes})
        train(RunSettings(chosen, str(store), "split", micro_batch=8), tmp_path / name)
        found[name] = load_file(tmp_path / name / checkpoint_saver.BEST)["pixel.weight"]
    names = list(found)
    same = [(a, b) for i, a in enumerate(names) for b in names[:i] if torch.equal(found[a], found[b])]
    assert same == []


@pytest.mark.parametrize("changes", [{"backbone_rate": 0.0}, {"bn": "fixed"}], ids=["frozen", "fixed"])
def test_run_keeps_statistics_of_a_frozen_or_fixed_backbone(
    changes: dict[str, object], store: Path, tmp_path: Path
) -> None:
    """The first epoch is tested too, because Lightning puts no module into training mode by itself."""
    chosen = choose_preset("deep-pix-bis", None, {**CHANGES, **changes})
    train(RunSettings(chosen, str(store), "split", micro_batch=8), tmp_path / "run")
    torch.manual_seed(0)
    first = create_model("deep-pix-bis", backbone=str(CHANGES["backbone"]), size=64).backbone.state_dict()
    last = torch.load(tmp_path / "run" / checkpoint_saver.LAST, weights_only=True)["state_dict"]
    same = {name for name, value in first.items() if torch.equal(value, last[f"network.backbone.{name}"])}
    assert {name for name in first if "running" in name} <= same
    assert (same == first.keys()) == ("backbone_rate" in changes)


def test_run_folder_records_settings_versions_and_counts(whole: Path, store: Path) -> None:
    described = json.loads((whole / "run.json").read_text())
    assert described["settings"]["preset"]["lr"] == 1e-4
    assert described["settings"]["store"] == str(store)
    assert described["frames"]["train"] == {"attack": 12, "bona_fide": 12}
    assert described["frames"]["shown_per_epoch"] == 24
    assert described["batch_normalisation_sees"] == 4
    assert torch.__version__.startswith(described["versions"]["torch"])
    with (whole / checkpoint_saver.HISTORY).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert [row["step"] for row in rows] == ["3", "6"]
    assert all(0 <= float(row["dev/acer"]) <= 1 for row in rows)
    assert all(float(row["train/spectrum"]) > 0 for row in rows)


def test_the_best_epoch_has_the_lowest_dev_acer_then_loss_then_number(whole: Path) -> None:
    with (whole / checkpoint_saver.HISTORY).open() as file:
        rows = [(float(r["dev/acer"]), float(r["dev/loss"]), int(r["epoch"])) for r in csv.DictReader(file)]
    best = torch.load(whole / checkpoint_saver.LAST, weights_only=True)["callbacks"]["CheckpointSaver"][
        "best"
    ]
    assert tuple(best) == min(rows)


# Networks that draw numbers of torch's while they learn.
DRAWS = {
    "bi-fas": {**CHANGES, "drop": 0.5},
    "patchnet": {**CHANGES, "backbone": "random:resnet18", "size": 96},
}


@pytest.mark.parametrize("model", DRAWS)
def test_a_resumed_run_draws_what_it_would_have_drawn(
    model: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the second of two epochs, whose loader is made anew."""
    preset = choose_preset(model, None, DRAWS[model])
    settings = RunSettings(preset, str(store), "split", micro_batch=4, workers=0, checkpoint_every=1)
    expected, found = unbroken_and_stopped(settings, 5, tmp_path, monkeypatch)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_weights_that_no_checkpoint_knows_are_made_again(
    whole: Path, settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between the first epoch's weights and its checkpoint."""
    run = tmp_path / "run"
    save = checkpoint_saver.CheckpointSaver._save

    def stopping(self: checkpoint_saver.CheckpointSaver, trainer: Any) -> None:
        if trainer.global_step == 3:
            raise StoppedError
        save(self, trainer)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_saver.CheckpointSaver, "_save", stopping)
        with pytest.raises(StoppedError):
            train(settings, run)
    (left,) = (run / "checkpoints").glob("next-best-*")
    left.write_bytes(b"of an epoch that no checkpoint knows")
    assert not (run / checkpoint_saver.BEST).exists()
    train(settings, run, resume=True)
    assert not list((run / "checkpoints").glob("next-best-*"))
    expected, found = tensors(whole), tensors(run)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize(("best", "wanted"), [(0, b"before"), (1, b"epoch 1"), (2, b"epoch 2")])
def test_the_best_weights_are_those_of_the_epoch_that_the_checkpoint_names(
    best: int, wanted: bytes, tmp_path: Path
) -> None:
    """The weights of an epoch lie beside them until the checkpoint says that it is the best."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (tmp_path / checkpoint_saver.BEST).write_bytes(b"before")
    for epoch in (1, 2):
        (folder / f"next-best-{epoch}.safetensors").write_bytes(f"epoch {epoch}".encode())
    saver = checkpoint_saver.CheckpointSaver(tmp_path, 1)
    saver.load_state_dict({**saver.state_dict(), "best": (0.1, 0.2, best)})
    assert (tmp_path / checkpoint_saver.BEST).read_bytes() == wanted
    assert [path.name for path in folder.iterdir()] == ["best.safetensors"]


def test_an_epochs_losses_are_means_over_it_also_after_a_stop(
    whole: Path, settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = np.loadtxt(whole / checkpoint_saver.LOSSES, delimiter=",", skiprows=1)[:, 1]
    with (whole / checkpoint_saver.HISTORY).open() as file:
        rows = list(csv.DictReader(file))
    found = [float(row["train/total"]) for row in rows]
    np.testing.assert_allclose(found, [losses[:3].mean(), losses[3:].mean()], rtol=1e-6)
    with monkeypatch.context() as patch:
        stop_after(5, patch)
        with pytest.raises(StoppedError):
            train(settings, tmp_path / "run")
    train(settings, tmp_path / "run", resume=True)
    with (tmp_path / "run" / checkpoint_saver.HISTORY).open() as file:
        again = list(csv.DictReader(file))
    for one, other in zip(rows, again, strict=True):
        names = [name for name in one if name.startswith("train/")]
        assert [float(other[name]) for name in names] == pytest.approx(
            [float(one[name]) for name in names], rel=1e-6
        )


@pytest.mark.parametrize("kept", [0, 0.5, -1, -10])
def test_rejects_a_checkpoint_that_was_cut_short(
    kept: float, whole: Path, settings: RunSettings, tmp_path: Path
) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    data = (run / checkpoint_saver.LAST).read_bytes()
    (run / checkpoint_saver.LAST).write_bytes(data[: int(kept * len(data)) if kept >= 0 else int(kept)])
    with pytest.raises(
        ModelFileError, match=r"last\.ckpt: the checkpoint is damaged: .*; delete .*checkpoints"
    ):
        train(settings, run, resume=True)


def test_micro_batches_give_the_weights_of_the_whole_batch(store: Path, tmp_path: Path) -> None:
    """Over a backbone without batch normalisation, which alone sees the micro-batch."""
    changes = {**CHANGES, "backbone": "random:test_vit", "size": 160, "epochs": 1}
    preset = choose_preset("deep-pix-bis", None, changes)
    runs = [tmp_path / "gathered", tmp_path / "whole"]
    for micro_batch, run in zip((2, 8), runs, strict=True):
        train(RunSettings(preset, str(store), "split", micro_batch=micro_batch), run)
    gathered, shown_whole = map(tensors, runs)
    for name, value in shown_whole.items():
        torch.testing.assert_close(gathered[name], value, rtol=0, atol=1e-5, msg=name)
    steps = [torch.load(run / checkpoint_saver.LAST, weights_only=True)["global_step"] for run in runs]
    assert steps == [3, 3]


def test_rejects_a_folder_with_a_run(whole: Path, settings: RunSettings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is a run here already; go on with --resume"):
        train(settings, whole)
    with pytest.raises(InputError, match=r"keeps its settings, but these differ: seed \(0, not 1\)"):
        train(replace(settings, seed=1), whole, resume=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(InputError, match="expected a new or empty folder"):
        train(settings, tmp_path / "other")


@pytest.mark.parametrize("resume", [False, True])
def test_resume_starts_a_run_that_was_killed_before_its_first_file(
    resume: bool, whole: Path, settings: RunSettings, tmp_path: Path
) -> None:
    """A kill leaves the lock and a part of run.json at most."""
    run = tmp_path / "run"
    run.mkdir()
    (run / ".lock").touch()
    (run / ".run.json.x1.part").write_text("{")
    train(settings, run, resume=resume)
    expected, found = tensors(whole), tensors(run)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_resumes_a_run_of_version_0_1(
    whole: Path, settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checkpoint has the callback that keeps the best epoch under another name."""
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_after(4, patch)
        with pytest.raises(StoppedError):
            train(settings, run)
    checkpoint = torch.load(run / checkpoint_saver.LAST, weights_only=True)
    checkpoint["callbacks"]["Keeper"] = checkpoint["callbacks"].pop("CheckpointSaver")
    torch.save(checkpoint, run / checkpoint_saver.LAST)
    train(settings, run, resume=True)
    expected, found = tensors(whole), tensors(run)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    with (run / checkpoint_saver.HISTORY).open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]


def test_rejects_micro_batches_of_one_picture_where_batch_normalisation_gets_one_value(
    store: Path, tmp_path: Path
) -> None:
    """At 64 px the pyramid's coarsest level has one position; DeepPixBiS's has sixteen."""
    chosen = choose_preset("bi-fas", None, CHANGES)
    with pytest.raises(InputError, match="bi-fas at 64 px can't learn from micro-batches of one picture"):
        train(RunSettings(chosen, str(store), "split", micro_batch=1), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    other = choose_preset("deep-pix-bis", None, {**CHANGES, "epochs": 1, "batch": 1})
    train(RunSettings(other, str(store), "split"), tmp_path / "other")
    assert (tmp_path / "other" / checkpoint_saver.BEST).is_file()


def test_the_loss_of_each_step_is_kept(
    settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step has two micro-batches, whose losses are taken here where the network gives them."""
    losses: list[float] = []
    step = PadModule.training_step

    def noted(self: PadModule, batch: Batch, number: int) -> torch.Tensor:
        loss = step(self, batch, number)
        losses.append(loss.item())
        return loss

    monkeypatch.setattr(PadModule, "training_step", noted)
    train(settings, tmp_path / "run")
    with (tmp_path / "run" / checkpoint_saver.LOSSES).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    found = [float(row["loss"]) for row in rows]
    np.testing.assert_allclose(found, np.reshape(losses, (6, 2)).mean(1), rtol=1e-6)


def test_a_run_shows_its_batches_with_loss_dev_acer_and_time_left(
    settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_saver, "_GLANCE", 0.0)
    steps: list[Step] = []
    with monkeypatch.context() as patch:
        stop_after(5, patch)
        with pytest.raises(StoppedError):
            train(settings, tmp_path / "run", show=steps.append)
    trained = [step for step in steps if step.what == "training batches"]
    assert [(step.done, step.total) for step in trained] == [(done, 12) for done in range(10)]
    assert (trained[0].note, trained[0].left) == ("epoch 1/2", None)
    assert all(re.fullmatch(r"epoch 1/2, loss \d\.\d{4}", step.note) for step in trained[1:7])
    acer = r"dev ACER \d+\.\d\d %"
    assert all(re.fullmatch(rf"epoch 2/2, loss \d\.\d{{4}}, {acer}", step.note) for step in trained[7:])
    assert all(step.left is not None and step.left > 0 for step in trained[1:])
    dev = [step for step in steps if step.what == "dev batches"]
    assert [step.done for step in dev] == list(range(dev[0].total + 1))
    steps.clear()
    train(settings, tmp_path / "run", resume=True, show=steps.append)
    trained = [step for step in steps if step.what == "training batches"]
    # What the first start had done gives no time left, but its dev ACER is known.
    assert (trained[0].done, trained[0].left) == (10, None)
    assert re.fullmatch(rf"epoch 2/2, {acer}", trained[0].note)
    assert trained[-1] == Step("training batches", 12, 12, 0.0, trained[-1].note)


def test_rejects_a_folder_that_safetensors_cannot_open(settings: RunSettings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder whose name is UTF-8"):
        train(settings, tmp_path / "caf\udce9")
    assert not any(tmp_path.iterdir())


def test_rejects_a_second_process_on_one_run(whole: Path, settings: RunSettings) -> None:
    with alone(whole, "run"), pytest.raises(BonafaceError, match="another process is making this run"):
        train(settings, whole, resume=True)


def test_rejects_a_damaged_checkpoint(whole: Path, settings: RunSettings, tmp_path: Path) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    data = bytearray((run / checkpoint_saver.LAST).read_bytes())
    data[len(data) // 2] ^= 1
    (run / checkpoint_saver.LAST).write_bytes(data)
    with pytest.raises(
        ModelFileError, match=r"last\.ckpt: the checkpoint is damaged: .*; delete .*checkpoints"
    ):
        train(settings, run, resume=True)


def test_training_notes_missing_subjects(
    settings: RunSettings, faces_root: Path, store: Path, tmp_path: Path
) -> None:
    for path in (path for path in faces_root.rglob("*.png") if path.parent.name in ("person-0", "person-1")):
        flat = (
            tmp_path / "flat" / path.parent.parent.relative_to(faces_root) / f"{path.parent.name}-{path.name}"
        )
        flat.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, flat)
    table = open_dataset("folder").read(tmp_path / "flat")
    prepare(table, tmp_path / "flat", tmp_path / "store", workers=0)

    def first_sentence(settings: RunSettings, run: Path) -> str:
        def log(sentence: str) -> None:
            raise InterruptedError(sentence)

        with pytest.raises(InterruptedError) as first:
            train(settings, run, log=log)
        return str(first.value)

    assert re.match(
        "folder/split: 9 rows name no subject .*: the same person may be in train and test; name them by a folder",
        first_sentence(replace(settings, store=str(tmp_path / "store")), tmp_path / "unnamed"),
    )
    assert "name no subject" not in first_sentence(settings, tmp_path / "named")


def test_rejects_training_without_a_dev_subject(settings: RunSettings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train has no bona fide and attack frame"):
        train(replace(settings, protocol="test"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_killed_program_resumes_and_finishes(settings: RunSettings, whole: Path, tmp_path: Path) -> None:
    """Kill -9 the real program at an arbitrary moment, then run it with --resume."""
    run = tmp_path / "run"
    arguments = ["train", "bi-fas-s", "--data", *settings.stores, "--protocol", "split", "--out", str(run)]
    arguments += ["--micro-batch", "4", "--workers", "0", "--checkpoint-every", "1"]
    for key, value in CHANGES.items():
        arguments += ["--set", f"{key}={value}"]
    program = [sys.executable, "-m", "bonaface.cli.main"]
    started = subprocess.Popen([*program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (run / checkpoint_saver.LAST).exists():
        assert started.poll() is None, started.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(started.pid, signal.SIGKILL)
    started.communicate()
    subprocess.run([*program, "train", "--resume", "--out", str(run)], check=True, capture_output=True)
    expected, found = tensors(whole), tensors(run)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.slow
def test_two_processes_train_together(settings: RunSettings, tmp_path: Path) -> None:
    """DDP over gloo: weights, statistics and choice are those of one process over the same micro-batches."""
    run, alone = tmp_path / "run", tmp_path / "alone"
    arguments = ["train", "bi-fas", "--data", *settings.stores, "--protocol", "split", "--out", str(run)]
    arguments += ["--micro-batch", "4", "--workers", "0", "--devices", "2", "--accelerator", "cpu"]
    for key, value in {**CHANGES, "epochs": 1}.items():
        arguments += ["--set", f"{key}={value}"]
    program = [sys.executable, "-m", "bonaface.cli.main"]
    finished = subprocess.run([*program, *arguments], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert np.isfinite(Bundle.open(run).card.threshold("pyramid", "frame"))
    preset = choose_preset("bi-fas", None, {**CHANGES, "epochs": 1})
    train(replace(settings, preset=preset, accelerator="cpu"), alone)
    expected, found = tensors(alone), tensors(run)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        if not name.endswith("num_batches_tracked"):  # each device counts its own
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(
    ("gpu", "cores", "accelerator", "devices", "expected"),
    [
        (False, 16, "auto", 1, 0),
        (True, 16, "auto", 1, 8),
        (True, 4, "auto", 1, 3),
        (True, 16, "gpu", 4, 3),
        (True, 2, "gpu", 8, 1),
        (True, 16, "cpu", 1, 0),
        (False, 16, "cpu", 2, 0),
    ],
)
def test_processes_read_crops_where_a_gpu_would_wait_for_them(
    gpu: bool, cores: int, accelerator: str, devices: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(fit, "usable_cores", lambda: cores)
    assert usual_workers(accelerator, devices) == expected
