"""Compute features of crops once, and keep them in a run's folder in chunks that are written whole.

    RUN/features/train/00000.npz   of 256 crops or a few more: `values` (n, ...) float32 and `seconds`, what they took
    RUN/features/dev/00000.npz

A zip file's checksums reveal a damaged chunk, which is computed again. A kill at any moment costs one chunk. A resumed
run gives the same features, because a chunk always consists of the same batches.
"""

import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.utils.data import DataLoader

from bonaface.core.errors import BonafaceError
from bonaface.core.files import whole_file
from bonaface.training.batches import CropBatches, Draw

CHUNK = 256  # crops


class _Chunk(NamedTuple):
    values: NDArray[np.float32]
    seconds: float


def keep_features(
    folder: Path,
    data: CropBatches,
    draws: Sequence[Draw],
    compute: Callable[[Tensor], Tensor],
    *,
    batch: int,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[np.float32], float]:
    """Compute the features of `draws` that `folder` does not hold yet, and return all of them.

    Args:
        folder: where the chunks are kept.
        data: gives the crops.
        draws: what is shown, in order.
        compute: crops (B, ...) uint8 -> features (B, ...).
        batch: crops that are computed together.
        workers: processes that read crops.
        progress: called with (crops done, crops in all).

    Returns:
        The features (N, ...) float32 in the order of `draws`, and the seconds that they took, over all starts.

    Raises:
        BonafaceError: a feature is no number.
    """
    size = -(-CHUNK // batch) * batch
    parts = [draws[first : first + size] for first in range(0, len(draws), size)]
    paths = [folder / f"{number:05d}.npz" for number in range(len(parts))]
    chunks = [_read(path, len(part)) for path, part in zip(paths, parts, strict=True)]
    missing = [number for number, chunk in enumerate(chunks) if chunk is None]
    batches = [_batches(parts[number], batch) for number in missing]
    order = [indices for chunk in batches for indices in chunk]
    loader = iter(
        DataLoader(data, batch_size=None, sampler=order, num_workers=workers, generator=Generator())
    )
    done = sum(len(chunk.values) for chunk in chunks if chunk is not None)
    report = progress or (lambda *_: None)
    report(done, len(draws))
    for number, chunk_batches in zip(missing, batches, strict=True):
        began, found = time.monotonic(), []
        for indices in chunk_batches:
            found.append(compute(next(loader).crops).float().cpu().numpy())
            done += len(indices)
            report(done, len(draws))
        chunk = _Chunk(np.concatenate(found), time.monotonic() - began)
        if not np.isfinite(chunk.values).all():
            raise BonafaceError(
                "the features hold values that are no numbers; compute them in full precision (--precision 32-true)"
            )
        _write(paths[number], chunk)
        chunks[number] = chunk
    kept = [chunk for chunk in chunks if chunk is not None]
    return np.concatenate([chunk.values for chunk in kept]), sum(chunk.seconds for chunk in kept)


def _batches(draws: Sequence[Draw], batch: int) -> list[Sequence[Draw]]:
    return [draws[first : first + batch] for first in range(0, len(draws), batch)]


def _write(path: Path, chunk: _Chunk) -> None:
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(file, values=chunk.values, seconds=np.float64(chunk.seconds))


def _read(path: Path, count: int) -> _Chunk | None:
    """Return the chunk at `path`; None where there is none, or one that is damaged or of another size."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            chunk = _Chunk(arrays["values"], float(arrays["seconds"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return chunk if len(chunk.values) == count else None
