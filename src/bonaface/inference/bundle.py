"""The bundle: everything a trained detector needs to be used, in one folder.

``model.onnx``, or ``model.xml`` and ``model.bin`` for OpenVINO, and ``model.safetensors`` hold the network;
``bundle.json`` says how to use it: input size, normalisation, face finding, crops, score outputs, thresholds with the
data they come from, provenance, checksums. Nothing is pickled. A bundle whose files or description were altered is
refused, and so is a description with a fresh checksum that says what no description can: a bundle may come from
anybody.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta, Struct

from bonaface.core.convert import convert
from bonaface.core.errors import InputError, ModelFileError, UnknownNameError
from bonaface.core.files import checksum_of, sha256, write_json
from bonaface.core.records import SIMULATED
from bonaface.face.crop import CONTEXT, MAX_SCALE, CropSpec
from bonaface.inference.cache import SHIPPED, model_by_name

FORMAT = 2
CARD = "bundle.json"
ONNX = "model.onnx"
WEIGHTS = "model.safetensors"
OPENVINO, OPENVINO_WEIGHTS = "model.xml", "model.bin"
UNITS = ("frame", "video")
DEFAULT_POINT = "eer"

DEFAULT_MODEL = Path(__file__).parents[1] / "default_model"  # the bundle that ships with the package
EXAMPLES = DEFAULT_MODEL / "examples"  # two simulated pictures

# Version 0.1 took these protocols of CASIA-FASD for each other.
_EXCHANGED = {"low-quality": "normal-quality", "normal-quality": "low-quality"}

_CARD_BYTES = 1 << 20
_FILE_BYTES = 2 << 30  # an ONNX file can't be larger

# Text is shown in terminals and tables: no control characters.
_Text = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)")]
_Name = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9._-]{0,63}$(?!\n)")]
_Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
_Count = Annotated[int, Meta(ge=0)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Deviation = Annotated[float, Meta(ge=0.001, le=1000)]


class FaceSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The face finding that the network was trained with; `check` finds faces in the same way.

    `longer_side` and `min_score` are the detector's, `min_side` and `similar` the policy's (`bonaface.face`);
    `frames` is how many frames of a video are looked at, `context` the side of what the crop store kept around a face
    over its box's longer side.
    """

    longer_side: Annotated[int, Meta(ge=32, le=8192)]
    min_score: Annotated[float, Meta(gt=0, le=1)]
    min_side: Annotated[float, Meta(ge=1, le=1e6)]
    similar: Annotated[float, Meta(gt=0, le=1)]
    frames: Annotated[int, Meta(ge=1, le=10_000)]
    context: Annotated[float, Meta(ge=1, le=MAX_SCALE)] = CONTEXT


class ThresholdSource(Struct, frozen=True, forbid_unknown_fields=True):
    """The scores that thresholds were set on: the dev rows of a data set's protocol and fold, by their counts.

    Where several sets were joined, `dataset` and `protocol` have a name for each of them, in order and with `` + ``
    between, and `fold` the folds of those protocols that have several.
    """

    dataset: _Text
    protocol: _Text
    fold: _Text
    bona_fide: _Count
    attacks: _Count
    subjects: _Count


class UnitThresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """The thresholds of one score output: for a frame's score, and for a video's."""

    frame: _Share
    video: _Share


class OperatingPoint(Struct, frozen=True, forbid_unknown_fields=True):
    """The thresholds that one rule gave, by score output, and the scores that it was given."""

    thresholds: dict[_Name, UnitThresholds]
    source: ThresholdSource


_FILES = {"onnx": ONNX, "weights": WEIGHTS, "openvino": OPENVINO, "openvino_weights": OPENVINO_WEIGHTS}


class BundleFiles(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename=_FILES):
    """The SHA-256 of the bundle's files: a network for onnxruntime or for OpenVINO; that for torch may be left out."""

    onnx: _Sha256 | None = None
    weights: _Sha256 | None = None
    openvino: _Sha256 | None = None
    openvino_weights: _Sha256 | None = None

    def __post_init__(self) -> None:
        if (self.openvino is None) != (self.openvino_weights is None):
            raise ValueError(
                f"files: {OPENVINO} and {OPENVINO_WEIGHTS} belong together, and one of them is missing"
            )
        if self.onnx is None and self.openvino is None:
            raise ValueError(f"files: expected a network, {ONNX} or {OPENVINO}, got neither")


class BundleCard(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The readable description of a bundle (``bundle.json``).

    `views` names the crops of a face that the network reads together, in order (`bonaface.face.crop.CropSpec`).
    `operating_points` maps rules to thresholds: ``eer``, where the errors are equal, is always there;
    ``bpcer=0.01`` keeps BPCER at 1 %; `default_point` names the one that decides where none is asked for. `options`
    are the keyword arguments that rebuild the network in torch. `seed` drew the run's dev subjects. `provenance` is
    free: settings of the run, digest of the data, versions.
    """

    model: _Text
    preset: _Text
    backbone: _Text
    options: dict[str, Any]
    input_size: Annotated[int, Meta(ge=1, le=2048)]
    mean: tuple[_Share, _Share, _Share]
    std: tuple[_Deviation, _Deviation, _Deviation]
    views: Annotated[tuple[_Text, ...], Meta(min_length=1, max_length=8)]
    face: FaceSettings
    outputs: Annotated[tuple[_Name, ...], Meta(min_length=1, max_length=16)]
    maps: Annotated[tuple[_Name, ...], Meta(max_length=64)]
    operating_points: Annotated[dict[_Text, OperatingPoint], Meta(max_length=16)]
    provenance: dict[str, Any]
    seed: _Count = 0
    default_point: _Text = DEFAULT_POINT
    files: BundleFiles | None = None

    def __post_init__(self) -> None:
        for name in ("views", "outputs", "maps"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise ValueError(f"{name}: expected each once, got {', '.join(given)}")
        for spec in self.crop_specs:
            if spec.kind == "square" and spec.scale > self.face.context:
                raise ValueError(f"views: {spec} is wider than the context of {self.face.context} face boxes")
        if DEFAULT_POINT not in self.operating_points:
            raise ValueError(f"operating_points: lacks {DEFAULT_POINT}")
        if self.default_point not in self.operating_points:
            raise ValueError(f"default_point: expected one of operating_points, got {self.default_point}")
        for name, point in self.operating_points.items():
            if point.thresholds.keys() != set(self.outputs):
                raise ValueError(
                    f"operating_points.{name}: expected thresholds of {', '.join(self.outputs)}, got those of "
                    f"{', '.join(point.thresholds) or 'no output'}"
                )

    @property
    def default_output(self) -> str:
        """Return the score output used where none is named."""
        return self.outputs[0]

    @property
    def crop_specs(self) -> tuple[CropSpec, ...]:
        """Return the crops that the network reads, in order."""
        return tuple(map(CropSpec.parse, self.views))

    @property
    def source(self) -> ThresholdSource:
        """Return the data that the operating point ``eer`` was set on: the dev set of the training."""
        return self.operating_points[DEFAULT_POINT].source

    def output(self, name: str | None) -> str:
        """Return `name`, or the default output for None. Raises UnknownNameError for an output the model lacks."""
        if name is None:
            return self.default_output
        if name not in self.outputs:
            raise UnknownNameError(f"score output of {self.model}", name, self.outputs)
        return name

    def point(self, name: str) -> OperatingPoint:
        """Return the operating point `name`. Raises UnknownNameError for one that the bundle lacks."""
        if name not in self.operating_points:
            raise UnknownNameError(f"operating point of {self.model}", name, self.operating_points)
        return self.operating_points[name]

    def threshold(self, output: str, unit: str, point: str | None = None) -> float:
        """Return the threshold of a score output for `unit`, ``frame`` or ``video``, at an operating point.

        None is the bundle's default point.
        """
        thresholds = self.point(point or self.default_point).thresholds[self.output(output)]
        return thresholds.video if unit == "video" else thresholds.frame


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk, its files checked against their checksums when it was opened."""

    path: Path
    card: BundleCard

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a bundle, a run's folder that has one in ``bundle/``, or a model by its name.

        Names are ``default``, the model that ships, and those that `bonaface models --remote` has fetched.

        Raises:
            ModelFileError: there is no bundle, or a file of it is missing, altered or invalid.
        """
        folder = _bundle_folder(Path(path))
        card = read_card(folder / CARD)
        for field, name in _FILES.items():
            expected = getattr(card.files, field)
            if expected is not None:
                _check_file(folder / name, expected)
        return cls(folder, card)

    @property
    def files(self) -> tuple[str, ...]:
        """Return the names of the bundle's own files beside its description."""
        return tuple(name for field, name in _FILES.items() if getattr(self.card.files, field, None))

    def holds(self, name: str) -> bool:
        """Return whether the file `name` is one of the bundle's own."""
        return name in self.files

    @property
    def onnx(self) -> Path:
        """Return the network for onnxruntime: normalised images in, scores (B,) and maps out.

        Raises:
            ModelFileError: the bundle was made without it.
        """
        return self._file(ONNX, "onnxruntime")

    @property
    def openvino(self) -> Path:
        """Return the network for OpenVINO, whose weights lie beside it.

        Raises:
            ModelFileError: the bundle was made without it.
        """
        return self._file(OPENVINO, "OpenVINO")

    @property
    def weights(self) -> Path:
        """Return the network's tensors for torch, without parts that only training needs.

        Raises:
            ModelFileError: the bundle was made without them.
        """
        return self._file(WEIGHTS, "torch")

    def _file(self, name: str, runtime: str) -> Path:
        # A card that was just made has no list of files yet.
        if self.card.files is not None and not self.holds(name):
            raise ModelFileError(
                f"{self.path}: this bundle lacks {name}, the network for {runtime}; take another --runtime"
            )
        return self.path / name


def write_card(folder: Path, card: BundleCard) -> None:
    """Write ``bundle.json`` over the network's files in `folder`, with their checksums and its own.

    Raises:
        InputError: `read_card` would refuse `card`.
    """
    there = {name: sha256(folder / name) for name in _FILES.values() if (folder / name).is_file()}
    values = {**msgspec.to_builtins(card), "files": there}
    # Bytes of a path that is no UTF-8 become "?": strict readers of JSON, ours too, refuse the escapes for them.
    values = json.loads(json.dumps(values, ensure_ascii=False).encode(errors="replace"))
    convert(values, BundleCard)
    values = {"format": FORMAT, **values}
    write_json(folder / CARD, {**values, "checksum": checksum_of(values)})


def read_card(path: Path) -> BundleCard:
    """Read and check a ``bundle.json``; one of version 0.1 becomes what this version would have written.

    Raises:
        ModelFileError: it is not what `write_card` wrote.
    """
    try:
        if path.stat().st_size > _CARD_BYTES:
            raise ModelFileError(
                f"{path}: expected a description of at most 1 MiB; this file was not made by Bonaface"
            )
        values = msgspec.json.decode(path.read_bytes())
        checked = _checked(path, values)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelFileError(
            f"{path}: not a readable bundle description ({error}); copy the bundle again, whole"
        ) from error
    try:
        card = convert(checked, BundleCard)
    except InputError as error:
        raise ModelFileError(f"{path}: {error}; this is no description that Bonaface writes") from error
    if card.files is None:
        raise ModelFileError(f"{path}: lacks files; this is no description that Bonaface writes")
    return card


def _checked(path: Path, values: Any) -> dict[str, Any]:
    """Return the values of a card of this version, from those of any that is read, once the checksum agrees."""
    found = values.pop("format", None) if isinstance(values, dict) else type(values).__name__
    if type(found) is not int or not 1 <= found <= FORMAT:
        raise ModelFileError(
            f"{path}: expected a bundle of format 1 to {FORMAT}, got {found!r:.60}; use the Bonaface version that "
            "wrote it"
        )
    checksum = values.pop("checksum", None)
    if checksum != checksum_of({"format": found, **values}):
        raise ModelFileError(
            f"{path}: the description was altered since the bundle was written (its checksum differs); "
            "pass another threshold on the command line instead of editing it"
        )
    return _of_version_0_1(values) if found == 1 else values


def _of_version_0_1(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a card of version 0.1, which had one crop and one operating point, as they are today."""
    new = {
        key: value for key, value in values.items() if key not in ("crop", "thresholds", "threshold_source")
    }
    source, provenance = values.get("threshold_source"), values.get("provenance")
    if isinstance(source, dict):
        source = {key: value for key, value in source.items() if key != "rule"}
        if str(source.get("dataset")).removeprefix(SIMULATED) == "casia-fasd":
            protocol = source.get("protocol")
            source["protocol"] = _EXCHANGED.get(protocol, protocol) if isinstance(protocol, str) else protocol
    settings = provenance.get("settings") if isinstance(provenance, dict) else None
    if isinstance(settings, dict) and "seed" in settings:
        new["seed"] = settings["seed"]
    new["views"] = [values.get("crop")]
    new["operating_points"] = {DEFAULT_POINT: {"thresholds": values.get("thresholds"), "source": source}}
    return new


def _check_file(file: Path, expected: str) -> None:
    if not file.is_file():
        raise ModelFileError(
            f"{file}: {CARD} lists this file, but it is missing; copy the bundle again, whole"
        )
    if file.stat().st_size > _FILE_BYTES:
        raise ModelFileError(f"{file}: expected a file of at most 2 GiB; this is no network of Bonaface's")
    if sha256(file) != expected:
        raise ModelFileError(
            f"{file}: the file was altered since the bundle was written (its SHA-256 differs from the "
            f"one in {CARD}); take the bundle from where it was made again"
        )


def _bundle_folder(path: Path) -> Path:
    for folder in (path, path / "bundle"):
        if (folder / CARD).is_file():
            return folder
    named = model_by_name(str(path))
    if named:
        return named
    if (path / "run.json").is_file():
        raise ModelFileError(
            f"{path}: this run has no bundle yet; finish it with: bonaface train --resume --out {path}"
        )
    what = "is no bundle and no run with one" if path.exists() else "does not exist"
    raise ModelFileError(
        f"{path}: {what}; expected a folder that holds {CARD} or bundle/{CARD}, or a "
        f"model's name ({SHIPPED}, or one that bonaface models --remote has fetched)"
    )
