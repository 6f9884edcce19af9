from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.files import write_checked_json, write_json
from bonaface.models.preset import Augment
from bonaface.training.settings import RunSettings, choose_preset, parse_changes, read_settings


def settings(**changes: Any) -> RunSettings:
    return RunSettings(choose_preset("bi-fas", None, {}), "store", "official", **changes)


def test_changes_reach_the_preset_and_the_network() -> None:
    preset = choose_preset(
        "a-deep-pix-bis", "paper", parse_changes(["lr=1e-4", "epochs=3", "crop=tight", "scale=8"])
    )
    assert (preset.lr, preset.epochs, preset.crop, preset.options["scale"]) == (1e-4, 3, "tight", 8)


def test_default_preset_has_the_papers_values() -> None:
    preset = choose_preset("bi-fas-s", None, {})
    assert (preset.name, preset.lr, preset.epochs, preset.batch, preset.size) == ("paper", 1e-4, 2, 64, 512)


def test_sets_augmentation_by_name() -> None:
    texts = ["augment.simulate=0.3", "augment.crops=[tight, square-1.3]", "lr=1e-4"]
    preset = choose_preset("bi-fas", None, parse_changes(texts))
    assert preset.augment == Augment(0.3, ("tight", "square-1.3"))
    assert choose_preset("bi-fas", None, {}).augment == Augment(0.0, ())
    assert choose_preset("bi-fas", None, {"augment.simulate": 1}).augment.simulate == 1.0
    before = RunSettings(preset, "store", "official")
    assert RunSettings.from_dict(before.as_dict()) == before
    assert "preset.augment.simulate (0.0, not 0.3)" in before.differences(settings())[1]


def test_a_store_may_have_a_name_that_is_no_utf_8(tmp_path: Path) -> None:
    own = msgspec.structs.replace(settings(), store="st-caf\udce9")
    assert RunSettings.from_dict(own.as_dict()) == own
    values = {"settings": own.as_dict(), "store_digest": "0" * 64, "notes": []}
    write_checked_json(tmp_path / "run.json", values)
    assert read_settings(tmp_path / "run.json") == own


def test_settings_of_a_run_of_version_0_1_are_read() -> None:
    older = settings().as_dict()
    later = (
        "augment",
        "optimizer",
        "momentum",
        "schedule",
        "warmup",
        "step_epochs",
        "step_factor",
        "clip",
        "ema",
        "bn",
    )
    for name in later:
        del older["preset"][name]
    assert RunSettings.from_dict(older) == settings()


def test_reads_tones_of_version_0_1_as_color_transfer() -> None:
    older = settings().as_dict()
    older["preset"]["augment"] = {"simulate": 0.25, "crops": ["tight"], "tones": 0.5}
    assert RunSettings.from_dict(older).preset.augment == Augment(0.25, ("tight",), 0.5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"preset": None}, r"preset: expected object, got null|preset: expected object"),
        ({"seed": "7"}, "seed: expected int, got str"),
        ({"seed": True}, "seed: expected int, got bool"),
        ({"devices": 0}, "devices: expected int >= 1, got 0"),
        ({"later": 1}, "unknown key 'later'"),
    ],
)
def test_rejects_settings_of_another_type_or_version(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=rf"not the settings of a run of this version \({sentence}"):
        RunSettings.from_dict(settings().as_dict() | change)


def test_the_options_of_a_network_are_checked_as_they_are_chosen() -> None:
    preset = choose_preset("bi-fas", None, {"levels": [4, 5], "scale": 2})
    assert preset.options["levels"] == (4, 5)
    assert preset.options["scale"] == 2.0
    with pytest.raises(
        InputError, match="scale: expected a number, got 'large'; literal: expected true or false"
    ):
        choose_preset("bi-fas", None, {"scale": "large", "literal": 1})


def test_rejects_wrong_augmentation() -> None:
    with pytest.raises(
        UnknownNameError,
        match=r"Known: .*augment\.camera, augment\.color_transfer, augment\.crops, augment\.exposure, "
        r"augment\.simulate",
    ):
        choose_preset("bi-fas", None, {"augment.simulat": 0.3})
    with pytest.raises(InputError, match=r"augment\.simulate: expected a share between 0 and 1, got 'much'"):
        choose_preset("bi-fas", None, {"augment.simulate": "much"})
    for changes, sentence in (
        ({"augment.simulate": 1.5}, "augment.simulate: expected a share between 0 and 1, got 1.5"),
        (
            {"augment.color_transfer": -0.1},
            "augment.color_transfer: expected a share between 0 and 1, got -0.1",
        ),
        ({"augment.crops": ["tigt"]}, "crop must be .* got 'tigt'"),
    ):
        with pytest.raises(InputError, match=sentence):
            RunSettings(choose_preset("bi-fas", None, changes), "store", "official")


def test_rejects_wrong_changes() -> None:
    with pytest.raises(InputError, match="expected key=value"):
        parse_changes(["lr"])
    with pytest.raises(InputError, match="epochs: expected a whole number of at least 1, got 'two'"):
        choose_preset("bi-fas", None, {"epochs": "two"})
    with pytest.raises(
        UnknownNameError, match=r"of bi-fas 'epoch'. Did you mean 'epochs'\? Known: .*lr, margin"
    ):
        choose_preset("bi-fas", None, {"epoch": 2})
    with pytest.raises(UnknownNameError, match="Known: angular, bi-fas-a, literal, paper"):
        choose_preset("bi-fas", "papre", {})
    with pytest.raises(InputError, match="crop"):
        settings_with_crop("triangle")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"optimizer": "lion"}, "optimizer: expected adam or adamw or sgd, got 'lion'"),
        ({"schedule": "linear"}, "schedule: expected constant or cosine or step, got 'linear'"),
        ({"bn": "frozen"}, "bn: expected fixed or train, got 'frozen'"),
        ({"ema": 1.0}, "ema: expected a number of at least 0 and below 1, got 1.0"),
        ({"warmup": 1.0}, "warmup: expected a number of at least 0 and below 1, got 1.0"),
        ({"momentum": -0.1}, "momentum: expected a number of at least 0 and below 1, got -0.1"),
        ({"clip": -1.0}, "clip: expected a number of at least 0, got -1.0"),
        ({"step_factor": 0.0}, "step_factor: expected a number above 0 and at most 1, got 0.0"),
        ({"step_epochs": 0}, "step_epochs: expected a whole number of at least 1, got 0"),
        ({"balance": "oversample"}, "balance: expected none or undersample, got 'oversample'"),
        ({"lr": -1e-4}, "lr: expected a number of at least 0, got -0.0001"),
        ({"lr": float("nan")}, "lr: expected a number of at least 0, got nan"),
        ({"weight_decay": -1}, "weight_decay: expected"),
        ({"backbone_rate": -1}, "backbone_rate: expected"),
        ({"bn_batches": -1}, "bn_batches: expected a whole number of at least 0, got -1"),
        ({"flip": 1.5}, "flip: expected a share between 0 and 1, got 1.5"),
        ({"jitter": [0.1, 0.1, 0.1]}, r"jitter: expected brightness, .* got \[0.1, 0.1, 0.1\]"),
        ({"jitter": ["1e-1", 0.1, 0.1, 0.1]}, "jitter: expected brightness"),
        ({"jitter": [0.1, 0.1, 0.1, 0.6]}, r"jitter: .* hue in \[0, 0.5\]"),
        ({"augment.crops": [1]}, r"augment\.crops: expected a list, each of it text, got \[1\]"),
        ({"epochs": 0, "lr": -1}, "epochs: .* got 0; lr: "),
    ],
)
def test_rejects_settings_that_would_fail_later(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        RunSettings(choose_preset("bi-fas", None, changes), "store", "official")


def test_rejects_impossible_machines() -> None:
    with pytest.raises(
        InputError, match="precision: expected 16-mixed or 32-true or bf16-mixed, got 'bf16-true'"
    ):
        settings(precision="bf16-true")
    with pytest.raises(InputError, match="workers: expected a whole number of at least 0, got -1"):
        settings(workers=-1)
    with pytest.raises(InputError, match="seed: expected"):
        settings(seed=-1)


def test_rejects_invalid_yaml() -> None:
    with pytest.raises(InputError, match=r"--set levels=\[3,4: expected a value as YAML has it"):
        parse_changes(["levels=[3,4"])


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"settings": []}', '{"settings": {"preset": []}}'])
def test_rejects_a_file_that_is_no_run(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"the settings of a run|the file is damaged"):
        read_settings(tmp_path / "run.json")


def test_rejects_a_damaged_run_and_reads_one_of_version_0_1(tmp_path: Path) -> None:
    """Any flipped bit: `--resume` would go on with other settings."""
    path, own = tmp_path / "run.json", settings()
    values = {"settings": own.as_dict(), "store_digest": "0" * 64, "notes": []}
    write_json(path, values)
    assert read_settings(path) == own
    write_checked_json(path, values)
    assert read_settings(path) == own
    data, said = path.read_bytes(), []
    for bit in range(3, 8 * len(data), 29):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            assert read_settings(path) == own  # another blank between two values
        except InputError as error:
            said.append(str(error))
    assert said
    assert all(text.startswith(f"{path}: the file is damaged") and "train again" in text for text in said)


def settings_with_crop(crop: str) -> RunSettings:
    return RunSettings(choose_preset("bi-fas", None, {"crop": crop}), "store", "official")


def test_micro_batches_must_make_a_whole_batch() -> None:
    assert settings(micro_batch=16).accumulate == 4
    assert settings(micro_batch=8, devices=2, nodes=2).accumulate == 2
    with pytest.raises(InputError, match="multiple of 48"):
        settings(micro_batch=24, devices=2)
    with pytest.raises(InputError, match="micro_batch: expected a whole number of at least 0"):
        settings(micro_batch=-1)


@given(
    st.sampled_from(["deep-pix-bis", "a-deep-pix-bis", "bi-fas", "bi-fas-s"]),
    st.integers(0, 9),
    st.sampled_from(["", "1"]),
)
def test_settings_round_trip_through_json(model: str, seed: int, fold: str) -> None:
    before = RunSettings(choose_preset(model, None, {}), "s", "p", seed=seed, fold=fold)
    after = RunSettings.from_dict(before.as_dict())
    assert after == before
    assert not after.differences(before)


def test_differences_name_both_values() -> None:
    changed = RunSettings(choose_preset("bi-fas", None, {"lr": 1e-3}), "store", "official", seed=1)
    assert changed.differences(settings()) == ["preset.lr (0.0001, not 0.001)", "seed (0, not 1)"]


@pytest.mark.parametrize(
    ("batch", "devices", "expected"),
    [(64, 1, 16), (4, 1, 4), (24, 1, 12), (17, 1, 1), (64, 8, 8), (12, 2, 6), (1, 1, 1)],
)
def test_by_default_the_largest_micro_batch_of_at_most_16_is_taken(
    batch: int, devices: int, expected: int
) -> None:
    preset = choose_preset("bi-fas", None, {"batch": batch})
    made = RunSettings(preset, "store", "official", devices=devices)
    assert made.micro_batch == expected
    assert made.accumulate * expected * devices == batch
    assert RunSettings.from_dict(made.as_dict()) == made


def test_rejects_a_batch_that_the_devices_cannot_share() -> None:
    with pytest.raises(InputError, match="a batch of 9 can't be gathered"):
        RunSettings(choose_preset("bi-fas", None, {"batch": 9}), "store", "official", devices=2)
