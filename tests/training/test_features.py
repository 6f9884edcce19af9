"""Kept features: computed once, whole or not at all, the same after a stop."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bonaface.core.errors import BonafaceError
from bonaface.face.crop import CropSpec
from bonaface.store.crop_store import CropStore
from bonaface.training import features
from bonaface.training.batches import Augmentation, CropBatches, Draw
from bonaface.training.features import keep_features


@pytest.fixture
def data(store: Path) -> CropBatches:
    opened = CropStore.open(store)
    rows = range(len(opened.presentations))
    return CropBatches(opened, rows, [CropSpec.parse("tight")], 32, Augmentation(0.5, (0.2, 0.2, 0.2, 0.02)))


@pytest.fixture
def draws(data: CropBatches) -> list[Draw]:
    return [Draw(position, None) for position in range(len(data))]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "CHUNK", 8)


class Counting:
    """Mean and maximum of each channel, (B, 2, 3), counting the batches; stops at batch number `stop`."""

    def __init__(self, stop: int = -1) -> None:
        self.batches = 0
        self._stop = stop

    def __call__(self, crops: torch.Tensor) -> torch.Tensor:
        if self.batches == self._stop:
            raise KeyboardInterrupt
        self.batches += 1
        values = crops.float()
        return torch.stack([values.mean((1, 2)), values.amax((1, 2))], 1)


def test_features_are_in_the_order_of_the_draws(data: CropBatches, draws: list[Draw], tmp_path: Path) -> None:
    turned = draws[::-1]
    given, seconds = keep_features(tmp_path, data, turned, Counting(), batch=3)
    assert given.shape == (len(draws), 2, 3)
    assert given.dtype == np.float32
    assert seconds > 0
    for number in (0, 7, len(draws) - 1):
        crop = data[[turned[number]]].crops[0].numpy()
        np.testing.assert_allclose(given[number], [crop.mean((0, 1)), crop.max((0, 1))], rtol=1e-5)


def test_resumed_features_compute_only_the_stopped_chunk_again(
    data: CropBatches, draws: list[Draw], tmp_path: Path
) -> None:
    """Forty crops in batches of 3 make chunks of 9: five of them, 14 batches; stopped in the third chunk."""
    assert len(draws) == 40
    expected, _ = keep_features(tmp_path / "whole", data, draws, Counting(), batch=3)
    with pytest.raises(KeyboardInterrupt):
        keep_features(tmp_path / "stopped", data, draws, Counting(stop=7), batch=3)
    assert sorted(path.name for path in (tmp_path / "stopped").iterdir()) == ["00000.npz", "00001.npz"]
    rest, told = Counting(), []
    given, _ = keep_features(
        tmp_path / "stopped", data, draws, rest, batch=3, progress=lambda *done: told.append(done)
    )
    assert rest.batches == 8
    assert told[0] == (18, 40)
    assert told[-1] == (40, 40)
    assert np.array_equal(given, expected)
    again = Counting(stop=0)
    assert np.array_equal(keep_features(tmp_path / "stopped", data, draws, again, batch=3)[0], expected)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_bit,
        lambda path: path.write_bytes(path.read_bytes()[:-30]),
        lambda path: path.write_bytes(b""),
        lambda path: np.savez(path, values=np.zeros((2, 2, 3), np.float32), seconds=0.0),
    ],
    ids=["one-bit", "cut-off", "empty", "too-few"],
)
def test_damaged_chunk_is_computed_again(
    damage: Callable[[Path], None], data: CropBatches, draws: list[Draw], tmp_path: Path
) -> None:
    expected, _ = keep_features(tmp_path, data, draws, Counting(), batch=4)
    damage(tmp_path / "00002.npz")
    again = Counting()
    given, _ = keep_features(tmp_path, data, draws, again, batch=4)
    assert again.batches == 2
    assert np.array_equal(given, expected)


def test_workers_give_the_same_features(data: CropBatches, draws: list[Draw], tmp_path: Path) -> None:
    keyed = [draw._replace(key=(0, 1, draw.position)) for draw in draws]
    expected, _ = keep_features(tmp_path / "here", data, keyed, Counting(), batch=4)
    given, _ = keep_features(tmp_path / "workers", data, keyed, Counting(), batch=4, workers=2)
    assert np.array_equal(given, expected)


def test_rejects_infinite_features(data: CropBatches, draws: list[Draw], tmp_path: Path) -> None:
    def infinite(crops: torch.Tensor) -> torch.Tensor:
        return torch.full((len(crops), 2), float("inf"))

    with pytest.raises(BonafaceError, match="no numbers; compute them in full precision"):
        keep_features(tmp_path, data, draws, infinite, batch=4)
    assert list(tmp_path.iterdir()) == []
