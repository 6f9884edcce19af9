from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bonaface.core.errors import ModelFileError
from bonaface.training.weights import check_seal, load_weights, save_weights, seal

TENSORS = {
    "head.weight": torch.arange(12, dtype=torch.float32).reshape(3, 4),
    "norm.num_batches_tracked": torch.tensor(7),
    "half": torch.ones(5, dtype=torch.float16),
    "empty": torch.zeros(0),
}


def flips(data: bytes, count: int) -> list[bytes]:
    changed = []
    for bit in np.random.default_rng(0).integers(0, 8 * len(data), count).tolist():
        copy = bytearray(data)
        copy[bit // 8] ^= 1 << bit % 8
        changed.append(bytes(copy))
    return changed


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


def test_weights_round_trip(tmp_path: Path) -> None:
    save_weights(TENSORS, tmp_path / "w.safetensors")
    assert same(load_weights(tmp_path / "w.safetensors"), TENSORS)
    assert same(load_file(tmp_path / "w.safetensors"), TENSORS)  # it is a plain safetensors file


def test_rejects_any_flipped_bit_of_weights_that_matters(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(TENSORS, path)
    refused = 0
    for data in flips(path.read_bytes(), 400):
        path.write_bytes(data)
        try:
            assert same(load_weights(path), TENSORS)
        except ModelFileError:
            refused += 1
    assert refused > 300


def test_weights_of_version_01_are_read(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "w.safetensors")
    assert same(load_weights(tmp_path / "w.safetensors"), TENSORS)


def test_rejects_missing_or_truncated_weights_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(ModelFileError, match=r"missing or damaged: .*; delete the run's folder checkpoints"):
        load_weights(path)
    save_weights(TENSORS, path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ModelFileError, match="missing or damaged"):
        load_weights(path)


def test_rejects_any_flipped_bit_of_a_checkpoint_that_matters(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": TENSORS, "epoch": 3}, path)
    seal(path)
    check_seal(path)
    size = path.stat().st_size
    refused = 0
    for data in flips(path.read_bytes(), 400):
        path.write_bytes(data)
        try:
            check_seal(path)
        except ModelFileError as error:
            refused += 1
            assert "the checkpoint is damaged" in str(error)  # noqa: PT017 - or it is not refused at all
        else:
            assert same(torch.load(path, weights_only=True)["state_dict"], TENSORS)
    assert refused / 400 > 1 - 3 * 8 / size  # all but a flip in the eight letters before the checksum


def test_a_checkpoint_of_version_01_is_read(tmp_path: Path) -> None:
    torch.save({"state_dict": TENSORS}, tmp_path / "last.ckpt")
    check_seal(tmp_path / "last.ckpt")
