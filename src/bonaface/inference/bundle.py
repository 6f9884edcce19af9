"""The bundle: everything a trained detector needs to be used, in one folder.

``model.onnx`` and ``model.safetensors`` hold the network, ``bundle.json`` says how to use it: input size,
normalisation, face finding, crop, score outputs, thresholds with the data and rule they come from, provenance,
checksums. Nothing is pickled. A bundle whose files or description were altered is refused.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from bonaface.core.errors import ModelFileError, UnknownNameError
from bonaface.core.files import sha256, write_json
from bonaface.face.crop import CropSpec

FORMAT = 1
CARD = "bundle.json"
ONNX = "model.onnx"
WEIGHTS = "model.safetensors"
UNITS = ("frame", "video")


@dataclass(frozen=True, slots=True)
class FaceSettings:
    """How faces were found when the network was trained; `check` finds them the same way.

    `longer_side` and `min_score` are the detector's, `min_side` and `similar` the policy's (`bonaface.face`);
    `frames` is how many frames of a video are looked at.
    """

    longer_side: int
    min_score: float
    min_side: float
    similar: float
    frames: int


@dataclass(frozen=True, slots=True)
class ThresholdSource:
    """Where the thresholds come from: the rule, the data, and how much of it."""

    rule: str
    dataset: str
    protocol: str
    fold: str
    bona_fide: int
    attacks: int
    subjects: int


@dataclass(frozen=True)
class BundleCard:
    """The readable description of a bundle (``bundle.json``).

    `thresholds` maps every score output to its threshold per unit, ``{"score": {"frame": t, "video": t}}``.
    `options` are the keyword arguments that rebuild the network for the torch backend. `provenance` is free:
    settings of the run, digest of the data, versions.
    """

    model: str
    preset: str
    backbone: str
    options: Mapping[str, Any]
    input_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop: str
    face: FaceSettings
    outputs: tuple[str, ...]
    maps: tuple[str, ...]
    thresholds: Mapping[str, Mapping[str, float]]
    threshold_source: ThresholdSource
    provenance: Mapping[str, Any]
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def default_output(self) -> str:
        """The score output used where none is named."""
        return self.outputs[0]

    @property
    def crop_spec(self) -> CropSpec:
        """The crop that the network was trained on."""
        return CropSpec.parse(self.crop)

    def output(self, name: str | None) -> str:
        """`name`, or the default output for None. Raises UnknownNameError for an output the model lacks."""
        if name is None:
            return self.default_output
        if name not in self.outputs:
            raise UnknownNameError(f"score output of {self.model}", name, self.outputs)
        return name

    def threshold(self, output: str, unit: str) -> float:
        """The stored threshold of a score output for `unit`, ``frame`` or ``video``."""
        return self.thresholds[self.output(output)][unit]


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk, its files checked against their checksums when it was opened."""

    path: Path
    card: BundleCard

    @classmethod
    def open(cls, path: str | Path) -> "Bundle":
        """Open a bundle, or a run's folder that has one in ``bundle/``.

        Raises:
            ModelFileError: there is none, a file is missing, or one was altered.
        """
        folder = _bundle_folder(Path(path))
        card = read_card(folder / CARD)
        for name, expected in card.files.items():
            file = folder / name
            if not file.is_file():
                raise ModelFileError(
                    f"{file}: {CARD} lists this file, but it is missing; copy the bundle again, whole"
                )
            if sha256(file) != expected:
                raise ModelFileError(
                    f"{file}: the file was altered since the bundle was written (its SHA-256 differs from the "
                    f"one in {CARD}); take the bundle from where it was made again"
                )
        return cls(folder, card)

    @property
    def onnx(self) -> Path:
        """The network for onnxruntime: normalised images (B, 3, H, W) in, scores (B,) and maps out."""
        return self.path / ONNX

    @property
    def weights(self) -> Path:
        """The network's tensors, without parts that only training needs."""
        return self.path / WEIGHTS


def write_card(folder: Path, card: BundleCard) -> None:
    """Write ``bundle.json`` over the network's files in `folder`, with their checksums and its own."""
    files = {name: sha256(folder / name) for name in (ONNX, WEIGHTS)}
    values = {"format": FORMAT, **asdict(card), "files": files}
    write_json(folder / CARD, {**values, "checksum": _checksum(values)})


def read_card(path: Path) -> BundleCard:
    """Read and check a ``bundle.json``. Raises ModelFileError where it is not what `write_card` wrote."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError(
            f"{path}: not a readable bundle description ({error}); copy the bundle again, whole"
        ) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        found = values.get("format") if isinstance(values, dict) else type(values).__name__
        raise ModelFileError(
            f"{path}: expected a bundle of format {FORMAT}, got {found!r}; use the Bonaface version that wrote it"
        )
    checksum = values.pop("checksum", None)
    if checksum != _checksum(values):
        raise ModelFileError(
            f"{path}: the description was altered since the bundle was written (its checksum differs); "
            "pass another threshold on the command line instead of editing it"
        )
    return _card(path, values)


def _card(path: Path, values: dict[str, Any]) -> BundleCard:
    missing = [f.name for f in fields(BundleCard) if f.name not in values]
    if missing:
        raise ModelFileError(f"{path}: the description lacks {', '.join(missing)}")
    known = {f.name: values[f.name] for f in fields(BundleCard)}
    known["face"] = FaceSettings(**known["face"])
    known["threshold_source"] = ThresholdSource(**known["threshold_source"])
    for name in ("mean", "std", "outputs", "maps"):
        known[name] = tuple(known[name])
    card = BundleCard(**known)
    bad = [f"{o}/{u}" for o in card.outputs for u in UNITS if not _is_threshold(card.thresholds, o, u)]
    if bad:
        raise ModelFileError(f"{path}: no finite threshold for {', '.join(bad)}")
    return card


def _is_threshold(thresholds: Mapping[str, Mapping[str, float]], output: str, unit: str) -> bool:
    value = thresholds.get(output, {}).get(unit)
    return isinstance(value, int | float) and math.isfinite(value)


def _checksum(values: Mapping[str, Any]) -> str:
    # A NaN, which no bundle is written with, is an alteration like any other.
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _bundle_folder(path: Path) -> Path:
    for folder in (path, path / "bundle"):
        if (folder / CARD).is_file():
            return folder
    if (path / "run.json").is_file():
        raise ModelFileError(
            f"{path}: this run has no bundle yet; finish it with: bonaface train --resume --out {path}"
        )
    what = "is no bundle and no run with one" if path.exists() else "does not exist"
    raise ModelFileError(f"{path}: {what}; expected a folder that holds {CARD} or bundle/{CARD}")
