"""Fine-tuning: a run that begins with a bundle's weights."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from bonaface.cli.main import app
from bonaface.core.errors import InputError, ModelFileError
from bonaface.inference.bundle import WEIGHTS, Bundle, write_card
from bonaface.models import PadModel, create_model
from bonaface.testing.networks import card, write_bundle
from bonaface.training import checkpoint_saver, fit
from bonaface.training.fit import train
from bonaface.training.initial import Initial, load_initial
from bonaface.training.settings import RunSettings, choose_preset

CHANGES = {"backbone": "random:efficientnet-lite0", "size": 64, "epochs": 1, "batch": 8, "bn_batches": 0}


def settings(store: Path, initial: Initial | None, **changes: object) -> RunSettings:
    preset = choose_preset("deep-pix-bis", None, {**CHANGES, **changes})
    return RunSettings(
        preset, str(store), "split", micro_batch=4, workers=0, checkpoint_every=1, initial=initial
    )


def saved_bundle(network: PadModel, folder: Path, **changes: Any) -> Initial:
    """Write a bundle with the weights of `network`, as a run with random weights leaves it; `changes` to its card."""
    write_bundle(folder)
    save_file(network.inference_state_dict(), folder / WEIGHTS)
    over = f"random:{network.backbone.name}" if network.strides else ""
    write_card(folder, card(**{"model": network.name, "backbone": over, **changes}))
    return Initial.of(folder)


def test_begins_with_the_weights_of_the_bundle(bundle: Path) -> None:
    network = create_model("deep-pix-bis", backbone="random:efficientnet-lite0", size=64, pretrained=False)
    saved = load_file(Bundle.open(bundle).weights)
    before = network.inference_state_dict()
    assert any(not torch.equal(before[name], saved[name]) for name in saved)
    load_initial(network, Initial.of(bundle))
    after = network.inference_state_dict()
    assert after.keys() == saved.keys()
    assert all(torch.equal(after[name], saved[name]) for name in saved)


def test_parts_for_training_alone_stay_as_they_are(tmp_path: Path) -> None:
    """Bi-FAS has a branch that no bundle holds."""
    first, second = (
        create_model("bi-fas-s", backbone="random:efficientnet-lite0", size=64, pretrained=False)
        for _ in range(2)
    )
    initial = saved_bundle(first, tmp_path / "bundle")
    own = {
        key: value.clone()
        for key, value in second.state_dict().items()
        if key not in first.inference_state_dict()
    }
    assert own
    load_initial(second, initial)
    found = second.state_dict()
    assert all(torch.equal(found[key], value) for key, value in own.items())
    assert all(torch.equal(found[key], value) for key, value in first.inference_state_dict().items())


def test_a_run_learns_from_there_and_says_so(
    bundle: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a rate of 0 the weights stay those of the bundle."""
    told: list[Any] = []
    monkeypatch.setattr(fit, "write_bundle", lambda *given: told.append(given[5]))
    initial = Initial.of(bundle)
    train(settings(store, initial, lr=1e-12, weight_decay=0.0), tmp_path / "run")
    weights, saved = (
        load_file(tmp_path / "run" / checkpoint_saver.BEST),
        load_file(Bundle.open(bundle).weights),
    )
    for name, value in saved.items():
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked")):
            torch.testing.assert_close(weights[name], value, atol=1e-6, rtol=0)
    assert told[0]["settings"]["initial"] == {"bundle": str(bundle.resolve()), "digest": initial.digest}


def test_resume_needs_the_bundle_no_longer(
    bundle: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setattr(fit, "write_bundle", lambda *_: None)
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    chosen = settings(store, Initial.of(copy), epochs=2)
    train(chosen, tmp_path / "whole")
    save, count = checkpoint_saver.CheckpointSaver._save, iter(range(99))

    class StoppedError(Exception):
        pass

    def stopping(self: checkpoint_saver.CheckpointSaver, trainer: Any) -> None:
        save(self, trainer)
        if next(count) == 1:
            raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_saver.CheckpointSaver, "_save", stopping)
        with pytest.raises(StoppedError):
            train(chosen, tmp_path / "stopped")
    shutil.rmtree(copy)
    train(chosen, tmp_path / "stopped", resume=True)
    one, two = (load_file(tmp_path / name / checkpoint_saver.BEST) for name in ("whole", "stopped"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_another_backbone_is_refused_before_a_run_is_begun(bundle: Path, store: Path, tmp_path: Path) -> None:
    initial = Initial.of(bundle)
    preset = choose_preset("bi-fas-s", None, {**CHANGES, "backbone": "random:test_efficientnet"})
    other = RunSettings(preset, str(store), "split", micro_batch=4, workers=0, initial=initial)
    with pytest.raises(
        InputError,
        match=r"holds deep-pix-bis over random:efficientnet-lite0 at 64 px, and this run trains bi-fas-s over "
        r".*tensors differ.*; train the same network with that backbone, or another network over it",
    ):
        train(other, tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()
    probe = choose_preset("global-statistics", None, {})
    with pytest.raises(InputError, match="fitted by a solver and has no backbone whose weights"):
        train(RunSettings(probe, str(store), "split", initial=initial), tmp_path / "run")
    with pytest.raises(InputError, match="another bundle than the one"):
        train(settings(store, Initial(initial.bundle, "0" * 64)), tmp_path / "run")
    without = Initial.of(write_bundle(tmp_path / "light"))
    with pytest.raises(
        ModelFileError, match=r"no weights for torch, model\.safetensors, so that no training"
    ):
        train(settings(store, without), tmp_path / "run")


def small(model: str, **options: Any) -> PadModel:
    return create_model(
        model, backbone="random:efficientnet-lite0", size=64, pretrained=False, **options
    ).eval()


def test_fine_tuning_begins_where_the_linear_probe_ends(tmp_path: Path) -> None:
    views = ("tight", "square-1.3")
    probe, tuned = small("linear-probe", views=views), small("lp-ft", views=views)
    probe.load_state_dict({**probe.state_dict(), "offsets": torch.tensor([0.0, -0.3, 0.0, 0.2])})
    load_initial(tuned, saved_bundle(probe, tmp_path / "bundle"))
    images, shares = torch.randn(3, 2, 3, 64, 64), torch.tensor([[0.0, 0.0], [0.0, 0.6], [0.0, 0.1]])
    with torch.no_grad():
        expected, found = (network(images, shares).scores["linear"] for network in (probe, tuned))
    assert torch.equal(found, expected)
    with pytest.raises(InputError, match="holds linear-probe over"):
        load_initial(small("lp-ft"), Initial.of(tmp_path / "bundle"))


def test_a_solver_takes_the_backbone_and_leaves_the_head(tmp_path: Path) -> None:
    tuned, probe = small("lp-ft", views=("tight", "square-1.3")), small("linear-probe")
    head = probe.state_dict()["weight"].clone()
    load_initial(probe, saved_bundle(tuned, tmp_path / "bundle"))
    assert torch.equal(probe.state_dict()["weight"], head)
    for name, value in tuned.backbone.state_dict().items():
        assert torch.equal(probe.backbone.state_dict()[name], value), name
    other = create_model("linear-probe", backbone="random:test_efficientnet", size=64, pretrained=False)
    with pytest.raises(InputError, match=r"holds lp-ft over .* trains linear-probe over .* tensors differ"):
        load_initial(other, Initial.of(tmp_path / "bundle"))


@pytest.mark.parametrize("model", ["deep-pix-bis", "bi-fas-s", "lp-ft"])
def test_another_network_gives_its_backbone_alone(tmp_path: Path, model: str) -> None:
    """DeepPixBiS reads no level after stride 16, so its backbone ends there."""
    other = small("bi-fas") if model == "lp-ft" else small("linear-probe")
    network = small(model)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert not load_initial(network, saved_bundle(other, tmp_path / "bundle"))
    given = other.backbone.state_dict()
    for key, value in network.state_dict().items():
        expected = given[key.removeprefix("backbone.")] if key.startswith("backbone.") else before[key]
        assert torch.equal(value, expected), key
    assert any(
        not torch.equal(before[f"backbone.{key}"], given[key]) for key in network.backbone.state_dict()
    )


@pytest.mark.parametrize("plain", ["deep-pix-bis", "linear-probe"])
def test_a_model_by_its_name_with_a_backbone_is_the_same_network(tmp_path: Path, plain: str) -> None:
    begin = saved_bundle(small(plain), tmp_path / "bundle", model=f"{plain}:efficientnet-lite0")
    assert load_initial(small("lp-ft" if plain == "linear-probe" else plain), begin)


def test_a_run_over_random_weights_gives_its_backbone(bundle: Path) -> None:
    saved = load_file(Bundle.open(bundle).weights)
    assert Bundle.open(bundle).card.model == "deep-pix-bis"
    network = small("a-deep-pix-bis")
    assert not load_initial(network, Initial.of(bundle))
    for key, value in network.backbone.state_dict().items():
        assert torch.equal(value, saved[f"backbone.{key}"]), key


def test_says_why_a_bundle_can_not_be_begun_with(tmp_path: Path) -> None:
    shallow = saved_bundle(small("deep-pix-bis"), tmp_path / "shallow")
    with pytest.raises(
        InputError, match=r"holds deep-pix-bis over .*differ.*; the backbone there ends before"
    ):
        load_initial(small("bi-fas"), shallow)
    alike = saved_bundle(small("bi-fas"), tmp_path / "alike", backbone="tf_efficientnet_lite0")
    for other in ("bi-fas-s", "linear-probe"):
        with pytest.raises(
            InputError, match=r"px, and this run trains .*px; train the same network with that"
        ):
            load_initial(small(other), alike)
    with pytest.raises(
        InputError, match=r"over tf_efficientnet_lite0 at .*px; train it with the backbone, size"
    ):
        load_initial(small("bi-fas"), alike)
    with pytest.raises(InputError, match=r"tensors differ.*; train it with the backbone, size and options"):
        load_initial(small("bi-fas", cells=1), saved_bundle(small("bi-fas"), tmp_path / "cells"))
    bare = create_model("cdcn", backbone="", size=64, pretrained=False)
    for network, begin in ((bare, shallow), (small("bi-fas"), saved_bundle(bare, tmp_path / "bare"))):
        with pytest.raises(InputError, match="only the backbone is taken, which both must have"):
            load_initial(network, begin)


def test_a_backbone_alone_leaves_the_linear_start(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--from` of the same network sets the pixels, and of another one the backbone from which they are solved."""
    monkeypatch.setattr(fit, "write_bundle", lambda *_: None)
    started: list[bool] = []
    monkeypatch.setattr(fit, "start_linear", lambda *_: started.append(True))
    options = {"start": "linear", "pooling": "mean-spread"}
    for name, of in (("a", small("linear-probe")), ("b", small("deep-pix-bis", pooling="mean-spread"))):
        lines: list[str] = []
        begin = saved_bundle(of, tmp_path / name)
        train(settings(store, begin, **options), tmp_path / f"run-{name}", log=lines.append)
        (told,) = (line for line in lines if line.startswith("deep-pix-bis begins with"))
        alone = "the backbone efficientnet-lite0 of"
        assert (alone in told) == (name == "a")
        assert ("all else of it is new" in told) == (name == "a")
    assert started == [True]


def test_takes_the_mean_of_several_bundles(tmp_path: Path) -> None:
    first, second, own = (small("deep-pix-bis") for _ in range(3))
    counters = [key for key in first.state_dict() if key.endswith("num_batches_tracked")]
    second.load_state_dict({**second.state_dict(), **dict.fromkeys(counters, torch.tensor(7))})
    begins = [saved_bundle(each, tmp_path / name) for each, name in ((first, "a"), (second, "b"))]
    assert load_initial(own, *begins)
    one, two, mean = (each.inference_state_dict() for each in (first, second, own))
    for key, value in mean.items():
        expected = one[key] if key in counters else (one[key] + two[key]) / 2
        torch.testing.assert_close(value, expected, atol=1e-7, rtol=1e-6)
    assert counters
    assert any(not torch.equal(one[key], two[key]) for key in one)
    other = saved_bundle(small("bi-fas"), tmp_path / "c")
    with pytest.raises(
        InputError,
        match=r"a holds deep-pix-bis, .*c holds bi-fas; of one of them deep-pix-bis takes everything",
    ):
        load_initial(small("deep-pix-bis"), begins[0], other)
    several = (other, saved_bundle(small("linear-probe"), tmp_path / "d"))
    bi_fas = small("bi-fas-s")
    assert not load_initial(bi_fas, several[0], several[-1])
    given = [load_file(tmp_path / name / WEIGHTS) for name in ("c", "d")]
    for key, value in bi_fas.backbone.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            expected = (given[0][f"backbone.{key}"] + given[1][f"backbone.{key}"]) / 2
            torch.testing.assert_close(value, expected, atol=1e-7, rtol=1e-6)


def test_other_beginnings_are_told_in_a_line() -> None:
    preset = choose_preset("deep-pix-bis", None, CHANGES)
    one, two = Initial("/runs/a", "1" * 64), Initial("/runs/b", "2" * 64)

    def of(initial: Initial | tuple[Initial, ...] | None) -> RunSettings:
        return RunSettings(preset, "store", "split", initial=initial)

    assert of((one, two)).differences(of(one)) == [
        "initial ('/runs/a (111111111111)', not '/runs/a (111111111111) + /runs/b (222222222222)')"
    ]
    assert of(None).differences(of(one)) == ["initial ('/runs/a (111111111111)', not '')"]
    assert of((one, two)).differences(of((one, two))) == []


def test_from_on_the_command_line(
    bundle: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunSettings] = []
    monkeypatch.setattr(fit, "train", lambda settings, *_, **__: asked.append(settings))
    command = [
        "train",
        "deep-pix-bis",
        "--data",
        str(store),
        "--protocol",
        "split",
        "--out",
        str(tmp_path / "run"),
    ]
    done = CliRunner().invoke(app, [*command, "--from", str(bundle.parent)])
    assert done.exit_code == 0, done.output
    assert asked[0].initial == Initial.of(bundle)
    assert RunSettings.from_dict(json.loads(json.dumps(asked[0].as_dict()))) == asked[0]
    done = CliRunner().invoke(app, [*command, "--from", str(bundle), "--from", str(bundle.parent)])
    assert done.exit_code == 0, done.output
    assert asked[1].initial == (Initial.of(bundle),) * 2 == asked[1].initials
    assert RunSettings.from_dict(json.loads(json.dumps(asked[1].as_dict()))) == asked[1]
    with pytest.raises(ModelFileError, match="is no bundle"):
        CliRunner().invoke(app, [*command, "--from", str(tmp_path)], catch_exceptions=False)
