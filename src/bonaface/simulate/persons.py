"""Synthetic persons: faces drawn from an active appearance model.

Cootes, Edwards & Taylor, *Active appearance models*, PAMI 23 (2001): a face is the mean plus a sum of modes of
shape and shape-free texture under one set of coefficients. `tools/learn_persons.py` learned the modes;
`persons.json` says from what, under which licences. `figure` adds the hair, the clothes and the rest.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import ModelFileError
from bonaface.core.files import sha256
from bonaface.simulate.light import clouds, resize, size_of
from bonaface.simulate.seeds import stream
from bonaface.simulate.warp import Points

Floats = NDArray[np.floating[Any]]

LIMIT = 2.5  # standard deviations, beyond which a face looks like a caricature
SPREAD = 0.95  # a little less than the originals', whose mirror images are in the model too


@dataclass(frozen=True)
class PortraitFrame:
    """The picture of the mean shape: its size, the distance of the pupils and their row, in pixels."""

    width: int
    height: int
    eyes: float
    eye_row: float

    def ring(self) -> Points:
        """Return points around the frame (20, 2) that stay fixed while the landmarks move."""
        x, y = np.linspace(-40, self.width + 40, 6), np.linspace(40, self.height - 40, 4)
        rows = [[a, b] for a in x for b in (-60, self.height + 60)]
        return np.array(rows + [[a, b] for b in y for a in (-80, self.width + 80)])


@dataclass(frozen=True)
class Window:
    """The part of the frame that the texture covers."""

    left: int
    top: int
    width: int
    height: int


FRAME = PortraitFrame(416, 544, 88.0, 236.0)
TEXTURE = Window(80, 120, 256, 384)


@dataclass(frozen=True)
class PersonFace:
    """One synthetic face in the mean shape's frame (416 x 544)."""

    shape: Points  # (189, 2) landmarks of this face, frame pixels
    skin: Floats  # (3, 544, 416) sRGB in [0, 1], bald
    outline: Floats  # (68, 52) signed distance to the outline of head and hair, frame pixels, positive inside
    hair: Floats  # (3,) sRGB in [0, 1]


class PersonModel:
    """The modes as they lie in `persons.npz`. `open_model` reads them once."""

    def __init__(self, arrays: dict[str, NDArray[np.generic]]) -> None:
        def floats(name: str) -> Floats:
            return arrays[name].astype(np.float32)

        self.count = len(arrays["luma"])
        self.mean_shape = floats("mean_shape").astype(np.float64)
        self._mean = {name: floats(f"mean_{name}") for name in ("luma", "tint", "outline", "hair")}
        self._modes = {name: arrays[name] for name in ("shape", "luma", "tint", "outline", "hair")}
        self._steps = {name: floats(f"{name}_steps") for name in ("luma", "tint")}
        self._grain = floats("grain")
        self._smile_shape, self._smile_luma = floats("smile_shape"), floats("smile_luma")

    def draw(self, seed: int, number: int) -> Floats:
        """Draw the coefficients (K,) of person `number` under `seed`, in standard deviations of the originals."""
        rng = stream(seed, "person", number, "face")
        drawn = rng.standard_normal(self.count, np.float32) * np.float32(SPREAD)
        result: Floats = np.clip(drawn, -LIMIT, LIMIT)
        return result

    def face(self, coefficients: Floats, rng: np.random.Generator, smile: float = 0.0) -> PersonFace:
        """Return the face of `coefficients` (K,), with a smile from 0 (neutral) to 1; `rng` makes its pores."""
        shape = self.mean_shape + self._sum("shape", coefficients) + smile * self._smile_shape
        luma = self._mean["luma"] + self._sum("luma", coefficients) + smile * self._smile_luma
        luma += _pores(luma.shape, rng) * resize(self._grain, (TEXTURE.width, TEXTURE.height))
        tint = self._mean["tint"] + self._sum("tint", coefficients)
        outline = self._mean["outline"] + self._sum("outline", coefficients)
        hair = np.clip(self._mean["hair"] + self._sum("hair", coefficients), 0.04, 0.85)
        return PersonFace(shape, _framed(_coloured(luma, tint)), outline, hair.astype(np.float32))

    def luma_metric(self) -> Floats:
        """Return the metric (K, K) of the mean square difference of brightness between the faces of two
        coefficients.
        """
        modes = self._modes["luma"].reshape(self.count, -1).astype(np.float64) * self._steps["luma"][:, None]
        metric: Floats = modes @ modes.T / modes.shape[1]
        return metric

    def _sum(self, name: str, coefficients: Floats) -> Floats:
        modes = self._modes[name].reshape(self.count, -1).astype(np.float32)
        weights = coefficients * self._steps[name] if name in self._steps else coefficients
        return (weights @ modes).reshape(self._modes[name].shape[1:])


def _pores(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    # The modes leave out fine detail, which differs at random between faces; noise replaces it.
    height, width = shape
    return 0.5 * clouds((height, width), 2.5, rng, octaves=2)


def _coloured(luma: Floats, tint: Floats) -> Floats:
    """Convert luma (h, w) and colour differences red and blue (2, h / 4, w / 4), in codes, to (3, h, w) sRGB in [0,
    1].
    """
    red, blue = resize(tint, size_of(luma)) + luma
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    return np.clip(np.stack([red, green, blue]) / 255, 0.0, 1.0)


def _framed(window: Floats) -> Floats:
    """Return the texture's window in the whole frame, with its border repeated outwards."""
    below = FRAME.height - TEXTURE.top - TEXTURE.height
    right = FRAME.width - TEXTURE.left - TEXTURE.width
    return np.pad(window, ((0, 0), (TEXTURE.top, below), (TEXTURE.left, right)), mode="edge")


@cache
def open_model() -> PersonModel:
    """Return the model that the package contains; it is read once.

    Raises:
        ModelFileError: a file is missing, or is not the one that its card describes.
    """
    return read_model(Path(str(files("bonaface.simulate"))))


def read_model(folder: Path) -> PersonModel:
    """Read the model in `folder`: `persons.npz`, and its card `persons.json`, whose checksum is verified.

    Raises:
        ModelFileError: a file is missing, or is not the one that its card describes.
    """
    path, card = folder / "persons.npz", folder / "persons.json"
    if not (path.is_file() and card.is_file()):
        raise ModelFileError(f"the person model ({path}) or its card is missing; re-install bonaface")
    found, wanted = sha256(path), json.loads(card.read_text())["sha256"]
    if found != wanted:
        raise ModelFileError(f"{path} has the checksum {found}, its card says {wanted}; re-install bonaface")
    with np.load(path, allow_pickle=False) as arrays:
        return PersonModel(dict(arrays))
