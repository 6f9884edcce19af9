"""Save and load the files that a run reads again, and refuse those that were damaged."""

import hashlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bonaface.core.errors import ModelFileError

_OWN = "sha256"
_SEAL = b"\nsha256 "
_SEALED = len(_SEAL) + 64
_END = 22  # bytes of the record with which an archive ends


def save_weights(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write `tensors`, contiguous and on the CPU, to the safetensors file `path`, with their checksum."""
    save_file(dict(tensors), path, metadata={_OWN: _checksum(tensors)})


def load_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors that `save_weights` has written; those of version 0.1 have no checksum.

    Raises:
        ModelFileError: the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            own = (file.metadata() or {}).get(_OWN)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelFileError(f"{path}: the weights are missing or damaged: {error}; {_ANEW}") from error
    if own is not None and own != _checksum(tensors):
        raise ModelFileError(f"{path}: the weights are damaged: their checksum differs; {_ANEW}")
    return tensors


def seal(path: Path) -> None:
    """Add the SHA-256 of the file at `path` to its end, which `torch.load` passes over as any reader of archives.

    `torch.save` writes a CRC-32 of each part, at which `torch.load` does not look.
    """
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256")
        file.write(_SEAL + digest.hexdigest().encode())
        file.flush()
        os.fsync(file.fileno())  # before it takes the place of the last one


def check_seal(path: Path) -> None:
    """Raise ModelFileError where the file at `path` is not the one that `seal` has sealed.

    What has no seal is a checkpoint of version 0.1, or one that was cut short.
    """
    data = memoryview(path.read_bytes())
    content, mark, digest = data[:-_SEALED], data[-_SEALED:-64], data[-64:]
    if mark == _SEAL and hashlib.sha256(content).hexdigest().encode() != digest:
        raise ModelFileError(f"{path}: the checkpoint is damaged: its checksum differs; {_ANEW}")
    # The directory of an archive is at its end.
    if mark != _SEAL and (not zipfile.is_zipfile(path) or bytes(data[-_END : -_END + 4]) != b"PK\x05\x06"):
        raise ModelFileError(f"{path}: the checkpoint is damaged: its end is missing; {_ANEW}")


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    whole = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        whole.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


_ANEW = "delete the run's folder checkpoints and go on with bonaface train --resume: it begins anew"
