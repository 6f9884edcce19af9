"""benchmarks/transfer.py: which sets steer, and what is done to their pictures."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bonaface.face.crop import Views
from bonaface.inference.bundle import DEFAULT_MODEL
from bonaface.testing.portrait import drawn_portrait

SCRIPT = "transfer"
LIGHTS = ("bright_face", "rui_original", "side_illumination")


@pytest.fixture(scope="module")
def transfer(script: ModuleType) -> ModuleType:
    return script


@pytest.fixture
def replays(tmp_path: Path) -> Path:
    for light in LIGHTS:
        for kind in ("real", "fake"):
            folder = tmp_path / f"dataset_{light}" / kind
            folder.mkdir(parents=True)
            Image.fromarray(drawn_portrait()).save(folder / "1.png")
    return tmp_path


def test_a_light_that_judges_is_never_changed(transfer: Any, replays: Path) -> None:
    sets = dict(transfer.sets_of({"replay": replays}, 8))
    assert set(sets) - set(transfer.STEERING) == {f"replay {light}" for light in LIGHTS[1:]}
    for name, samples in sets.items():
        assert [sample.label for sample in samples] == [1, 0]
        assert all((sample.worse is None) == (name != transfer.WORSE) for sample in samples)


def test_worse_cameras_take_both_classes_worse_in_the_same_way(transfer: Any, replays: Path) -> None:
    samples = dict(transfer.sets_of({"replay": replays}, 8))[transfer.WORSE]
    picture = np.asarray(Image.open(samples[0].path))
    taken = [
        [transfer._changed(replace(sample, worse=seed), picture, None, None) for seed in range(12)]
        for sample in samples
    ]
    assert all(np.array_equal(live, replay) for live, replay in zip(*taken, strict=True))
    assert all(worse.shape == picture.shape and worse.dtype == np.uint8 for worse in taken[0])
    detail = np.abs(np.diff(picture.astype(float), axis=1)).mean()
    smooth = [np.abs(np.diff(worse.astype(float), axis=1)).mean() < detail for worse in taken[0]]
    dark = [worse.mean() < 0.9 * picture.mean() for worse in taken[0]]
    assert all(np.abs(worse.astype(float) - picture).mean() > 1 for worse in taken[0])
    assert any(smooth)
    assert any(dark)


def test_alone_the_tight_crop_decides_as_for_a_face_that_fills_the_picture(transfer: Any) -> None:
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (3, 224, 224, 3)).astype(np.uint8)
    inside, filled = (
        Views(crops, np.array(shares, np.float32)) for shares in ((0.1, 0.0, 0.0), (0.1, 1.0, 1.0))
    )
    whole, alone = (transfer.system_of(DEFAULT_MODEL, alone=alone) for alone in (False, True))
    scores = alone.score([inside, filled])
    assert scores[0] == scores[1] == whole.score([filled])[0]
    assert whole.score([inside])[0] != scores[0]
    assert alone.thresholds == whole.thresholds


def test_a_camera_out_of_focus_or_of_few_pixels_loses_detail(transfer: Any, replays: Path) -> None:
    sample = dict(transfer.sets_of({"replay": replays}, 8))[transfer.WORSE][0]
    rough = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    for seed in range(12):
        if np.random.default_rng(seed).integers(3) != 1:  # 1 is the dark
            taken = transfer._changed(replace(sample, worse=seed), rough, None, None).astype(float)
            assert (
                np.abs(np.diff(taken, axis=1)).mean()
                < 0.6 * np.abs(np.diff(rough.astype(float), axis=1)).mean()
            )


def test_the_page_shows_the_kept_figures(transfer: Any, tmp_path: Path) -> None:
    page = tmp_path / "transfer.md"
    page.write_text(transfer.PAGE.read_text())
    results = json.loads(transfer.RESULTS.read_text())
    transfer.write_between(transfer.table_lines(results), page, transfer._BEGIN, transfer._END)
    assert page.read_text() == transfer.PAGE.read_text()
