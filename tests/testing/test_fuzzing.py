"""The fuzz targets on their seeds, on mutants of them that are the same in every run, and on what once broke them."""

from pathlib import Path

import numpy as np
import pytest

from bonaface.testing.fuzzing import TARGETS, seeds

CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus"
KEPT = [(path.parent.name, path.name) for path in sorted(CORPUS.glob("*/*"))]


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_are_read(target: str) -> None:
    for seed in seeds(target):
        TARGETS[target](seed)


@pytest.mark.parametrize(("target", "name"), KEPT)
def test_what_once_broke_a_reader_is_an_error(target: str, name: str) -> None:
    TARGETS[target]((CORPUS / target / name).read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_mutants_are_read_or_refused(target: str) -> None:
    rng = np.random.default_rng(3)
    for seed in seeds(target):
        for _ in range(10):
            TARGETS[target](mutant(seed, rng))


def mutant(seed: bytes, rng: np.random.Generator) -> bytes:
    """Return `seed` with flipped bits, with a part left out or twice, or cut off."""
    data = bytearray(seed)
    kind = rng.integers(4)
    first, last = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    if kind == 0:
        del data[first:]
    elif kind == 1:
        data[first:first] = data[first:last]
    elif kind == 2:
        del data[first:last]
    else:
        for place in rng.integers(0, len(data), rng.integers(1, 9)):
            data[place] ^= 1 << rng.integers(8)
    return bytes(data)
