"""One random stream for each named thing, the same whatever the order or the number of workers.

A stream is Philox (Salmon et al., *Parallel random numbers: as easy as 1, 2, 3*, SC 2011) keyed by
`np.random.SeedSequence` over the seed and the names of the thing, so nothing depends on what was drawn before.
"""

from hashlib import blake2b

import numpy as np


def stream(seed: int, *keys: int | str) -> np.random.Generator:
    """Return the random generator of the thing named by `keys` (as ``"person", 7, "session", 2``) under `seed`.

    Raises:
        ValueError: the seed is negative.
    """
    words = [_word(key) for key in keys]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, len(words), *words])))


def _word(key: int | str) -> int:
    # Numbers and texts never collide: a text's word has its top bit set.
    if isinstance(key, str):
        return int.from_bytes(blake2b(key.encode(), digest_size=4).digest(), "little") | 1 << 32
    return int(key)


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number uniform in [low, high)."""
    return float(low + (high - low) * rng.random())


def by_ratio(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number in [low, high), above 0, whose logarithm is uniform."""
    return float(np.exp(between(rng, float(np.log(low)), float(np.log(high)))))


def chance(rng: np.random.Generator, share: float) -> bool:
    """Return True with probability `share`."""
    return bool(rng.random() < share)
