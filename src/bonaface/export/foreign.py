"""Make a bundle of somebody else's ONNX network, so that it is judged and used like our own."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper

from bonaface.core.errors import InputError, ModelFileError
from bonaface.core.files import new_folder, sha256, whole_folder
from bonaface.face.crop import CONTEXT, MAX_SCALE, CropSpec, Views
from bonaface.inference.bundle import (
    DEFAULT_POINT,
    ONNX,
    Bundle,
    BundleCard,
    FaceSettings,
    OperatingPoint,
    ThresholdSource,
    UnitThresholds,
    write_card,
)
from bonaface.inference.onnx_file import has_external_data, network_source
from bonaface.inference.preprocess import run_on_views
from bonaface.inference.runtime import IMAGES, OnnxRunner, first_line

SCORE = "score"
UNKNOWN, IMPORTED = "unknown", "imported"  # the data set and protocol that it was trained on, for reports

_SAME = 1e-4  # between the bundle and the network run by hand
_FACE = FaceSettings(longer_side=640, min_score=0.8, min_side=48.0, similar=0.6, frames=20)

Order = Literal["rgb", "bgr"]
Layout = Literal["nchw", "nhwc"]


@dataclass(frozen=True, slots=True)
class ScoreRule:
    """How a network's output (B,), (B, C) or (B, C, 1, 1) becomes a score in [0, 1] that is higher for bona fide.

    `kind` is ``softmax``, ``sigmoid`` or ``value``, `number` the class or column that is taken, from 0 on; None where
    there is only one. `attack` says that it tells attacks: the score is 1 less it.
    """

    kind: Literal["softmax", "sigmoid", "value"]
    number: int | None = None
    attack: bool = False

    @property
    def column(self) -> int:
        """Return the class or column that is taken."""
        return self.number or 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``softmax:1``, ``sigmoid``, ``value:0``, and with a minus before it where higher means attack.

        Raises:
            InputError: another text.
        """
        kind, colon, number = text.removeprefix("-").partition(":")
        known = kind in ("softmax", "sigmoid", "value") and (number.isdecimal() or not colon)
        if not known or (kind == "softmax" and not colon):
            raise InputError(
                "expected how the score is read: softmax:CLASS, sigmoid[:COLUMN] or value[:COLUMN] of bona "
                "fide, or the same "
                f"of attacks with a minus before it, got {text!r}"
            )
        return cls(kind, int(number) if number else None, text.startswith("-"))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class ForeignInput:
    """What a network takes: crops of `size` pixels, of the channels `order`, in `layout`.

    A pixel's channel c in [0, 1] becomes (c * `scale` - `mean`) / `std`, with `mean` and `std` by channel in `order`.

    Raises:
        InputError: a number that no network is given.
    """

    size: int
    crops: tuple[str, ...]
    order: Order = "rgb"
    scale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    layout: Layout = "nchw"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("order", self.order, ("rgb", "bgr")),
            ("layout", self.layout, ("nchw", "nhwc")),
        ):
            if value not in known:
                raise InputError(f"{name} must be {' or '.join(known)}, got {value!r}")
        for crop in self.crops:
            CropSpec.parse(crop)
        if not self.crops or len(set(self.crops)) < len(self.crops):
            raise InputError(
                f"expected one crop or several different ones, got {', '.join(self.crops) or 'none'}"
            )
        if not self.scale > 0 or min(self.std) <= 0:
            raise InputError("scale and std must be above 0")

    def normalisation(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """Return mean and std of a bundle: in R, G, B, in units of [0, 1]."""
        (a, b, c), (d, e, f) = (
            [value / self.scale for value in (values if self.order == "rgb" else values[::-1])]
            for values in (self.mean, self.std)
        )
        return (a, b, c), (d, e, f)

    def by_hand(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the network is given for crops (B, H, W, 3) uint8 RGB, computed as its makers would."""
        given = crops[..., ::-1] if self.order == "bgr" else crops
        values = (given.astype(np.float64) / 255 * self.scale - self.mean) / self.std
        turned = values if self.layout == "nhwc" else values.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(turned, np.float32)


def import_network(
    files: Sequence[Path],
    folder: Path,
    taken: ForeignInput,
    score: ScoreRule,
    *,
    output: str | None = None,
    threshold: float = 0.5,
    name: str = "",
) -> Bundle:
    """Write a bundle of the ONNX networks `files` into `folder`, and compare it with the networks run by hand.

    One file reads all crops, with an input for each, in their order; or there are as many files as crops, each reads
    one, and their scores are averaged.

    Args:
        taken: what the networks take.
        score: how a network's output becomes a score.
        output: the output that is read; None where there is only one.
        threshold: of the bundle's operating point; what the maker of the network recommends.
        name: what the model is called; left out, after the first file.

    Raises:
        InputError: files and crops do not fit together, or the folder holds files or cannot be replaced (`new_folder`).
        ModelFileError: a network can't be loaded, takes or gives something else, or can't take several faces at once.
    """
    full = new_folder(folder)
    parts = [_Part.load(path, output) for path in files]
    _check_together(parts, taken)
    for part in parts:
        part.probe(taken)
    network = _network(parts, taken, score)
    card = _card(files, taken, score, threshold, name or files[0].stem)
    with whole_folder(full) as made:
        onnx.save(network, made / ONNX)
        write_card(made, card)
        difference = _difference(Bundle.open(made), parts, taken, score)
        if not difference <= _SAME:
            raise ModelFileError(
                f"{files[0]}: the bundle's scores differ from the network's by {difference:.2g} on random "
                "pictures; it can't "
                "be imported"
            )
    return Bundle.open(folder)


@dataclass(slots=True)
class _Part:
    """One network: its graph, a session to run it by hand, its image inputs in order, and the output that is read."""

    path: Path
    model: onnx.ModelProto
    session: Any
    inputs: list[str]
    output: str
    rank: int = 0

    @classmethod
    def load(cls, path: Path, output: str | None) -> "_Part":
        if not path.is_file():
            raise InputError(f"{path}: there is no such file; expected an ONNX network")
        if has_external_data(path):
            raise ModelFileError(
                f"{path}: its weights lie in other files, which are not followed; save it as one file (onnx.save does)"
            )
        try:
            session: Any = onnxruntime.InferenceSession(
                network_source(path), providers=["CPUExecutionProvider"]
            )
            model = onnx.load(path)
        except Exception as error:  # neither onnxruntime's errors nor protobuf's share a narrower base
            raise ModelFileError(
                f"{path}: this is no network that onnxruntime runs ({first_line(error)})"
            ) from error
        names = [each.name for each in session.get_outputs()]
        if output is None and len(names) > 1:
            raise InputError(
                f"{path}: the network has {len(names)} outputs; say which is read with --output: {', '.join(names)}"
            )
        chosen = output or names[0]
        if chosen not in names:
            raise InputError(f"{path}: the network has no output {chosen!r}; it has {', '.join(names)}")
        return cls(path, model, session, [each.name for each in session.get_inputs()], chosen)

    def run(self, images: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the output that is read for one array of images an input, each (B, ...)."""
        given = dict(zip(self.inputs, images, strict=True))
        try:
            return np.asarray(self.session.run([self.output], given)[0])
        except Exception as error:
            shapes = " and ".join(str(image.shape) for image in images)
            raise ModelFileError(
                f"{self.path}: the network does not take {shapes} ({first_line(error)})"
            ) from error

    def probe(self, taken: ForeignInput) -> None:
        """Run it for one face, and note how many dimensions its output has."""
        pixels = np.zeros((1, taken.size, taken.size, 3), np.uint8)
        found = self.run([taken.by_hand(pixels)] * len(self.inputs))
        flat = (
            found.size == found.shape[0] * (found.shape[1] if found.ndim > 1 else 1) if found.ndim else False
        )
        if not flat or found.dtype != np.float32 or found.shape[0] != 1:
            raise ModelFileError(
                f"{self.path}: expected {self.output} as (B,), (B, C) or (B, C, 1, 1) float32 for B faces, got "
                f"{found.shape} "
                f"{found.dtype} for one"
            )
        self.rank = found.ndim


def _check_together(parts: Sequence[_Part], taken: ForeignInput) -> None:
    crops, inputs = len(taken.crops), [len(part.inputs) for part in parts]
    if (len(parts) == 1 and inputs[0] == crops) or (len(parts) == crops and set(inputs) == {1}):
        return
    raise InputError(
        f"{crops} crop(s) do not fit {len(parts)} file(s) with {' and '.join(map(str, inputs))} input(s): give as many "
        "--crop as the network has inputs, in their order, or as many files as crops"
    )


def _network(parts: Sequence[_Part], taken: ForeignInput, score: ScoreRule) -> onnx.ModelProto:
    """Return one network from normalised images to the score, around those of `parts`."""
    version = max(_opset(part.model) for part in parts)
    views, nodes, constants = len(taken.crops), [], {}
    side = taken.size
    shape = ["B", *([views] if views > 1 else []), 3, side, side]
    crops = [IMAGES] if views == 1 else [f"crop{v}" for v in range(views)]
    if views > 1:
        for v, crop in enumerate(crops):
            constants[f"view{v}"] = np.array(v, np.int64)
            nodes.append(helper.make_node("Gather", [IMAGES, f"view{v}"], [crop], axis=1))
    if taken.order == "bgr":
        constants["turned"] = np.array([2, 1, 0], np.int64)
        nodes += [helper.make_node("Gather", [crop, "turned"], [f"{crop}_bgr"], axis=1) for crop in crops]
        crops = [f"{crop}_bgr" for crop in crops]
    if taken.layout == "nhwc":
        nodes += [
            helper.make_node("Transpose", [crop], [f"{crop}_nhwc"], perm=[0, 2, 3, 1]) for crop in crops
        ]
        crops = [f"{crop}_nhwc" for crop in crops]
    inner, scores, functions, imports = [], [], [], {"": version}
    for number, part in enumerate(parts):
        prefix = f"net{number}_"
        model = (
            compose.add_prefix(onnx.version_converter.convert_version(part.model, version), prefix)
            if (_opset(part.model) != version)
            else compose.add_prefix(part.model, prefix)
        )
        given = crops if len(parts) == 1 else [crops[number]]
        nodes += [
            helper.make_node("Identity", [crop], [f"{prefix}{name}"])
            for crop, name in zip(given, part.inputs, strict=True)
        ]
        nodes += model.graph.node
        inner += model.graph.initializer
        functions += model.functions
        imports |= {
            each.domain: each.version for each in model.opset_import if each.domain not in ("", "ai.onnx")
        }
        scores.append(_score_nodes(nodes, constants, f"{prefix}{part.output}", part.rank, score, prefix))
    nodes.append(helper.make_node("Mean", scores, [SCORE]))
    graph = helper.make_graph(
        nodes,
        IMPORTED,
        [helper.make_tensor_value_info(IMAGES, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(SCORE, TensorProto.FLOAT, ["B"])],
        [*inner, *(numpy_helper.from_array(value, name) for name, value in constants.items())],
    )
    return helper.make_model(
        graph,
        functions=functions,
        opset_imports=[helper.make_opsetid(domain, number) for domain, number in imports.items()],
        ir_version=max(part.model.ir_version for part in parts),
    )


def _score_nodes(
    nodes: list[Any],
    constants: dict[str, NDArray[Any]],
    output: str,
    rank: int,
    score: ScoreRule,
    prefix: str,
) -> str:
    """Add the nodes from a network's output to its score (B,), and return the score's name."""
    value = output
    if rank > 1:
        nodes.append(helper.make_node("Flatten", [value], [f"{prefix}flat"], axis=1))
        value = f"{prefix}flat"
    if score.kind != "value":
        kind, axis = ("Softmax", {"axis": 1}) if score.kind == "softmax" else ("Sigmoid", {})
        nodes.append(helper.make_node(kind, [value], [f"{prefix}even"], **axis))
        value = f"{prefix}even"
    if rank > 1:
        constants[f"{prefix}column"] = np.array(score.column, np.int64)
        nodes.append(helper.make_node("Gather", [value, f"{prefix}column"], [f"{prefix}taken"], axis=1))
        value = f"{prefix}taken"
    if score.attack:
        constants[f"{prefix}one"] = np.array(1, np.float32)
        nodes.append(helper.make_node("Sub", [f"{prefix}one", value], [f"{prefix}genuine"]))
        value = f"{prefix}genuine"
    return value


def _opset(model: onnx.ModelProto) -> int:
    return max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=13)


def _by_hand(output: NDArray[np.float32], score: ScoreRule) -> NDArray[np.float64]:
    """Return the scores (B,) of a network's output, in numpy."""
    flat = output.astype(np.float64).reshape(len(output), -1)
    if score.kind == "softmax":
        powers = np.exp(flat - flat.max(1, keepdims=True))
        flat = powers / powers.sum(1, keepdims=True)
    elif score.kind == "sigmoid":
        flat = 1 / (1 + np.exp(-flat))
    value: NDArray[np.float64] = flat[:, score.column]
    return 1 - value if score.attack else value


def _difference(bundle: Bundle, parts: Sequence[_Part], taken: ForeignInput, score: ScoreRule) -> float:
    """Return the largest difference between the bundle, for three faces at once, and the networks for one by one.

    Raises:
        InputError: the network gives several columns, and the rule names none.
        ModelFileError: a network can't take three faces at once, has not so many classes, or gives no score.
    """
    shape = (3, len(taken.crops), taken.size, taken.size, 3)
    crops = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    expected = []
    for face in crops:
        images = [taken.by_hand(crop[None]) for crop in face]
        given = [images] if len(parts) == 1 else [[image] for image in images]
        outputs = [part.run(each) for part, each in zip(parts, given, strict=True)]
        alone = [_score_alone(part, output, score) for part, output in zip(parts, outputs, strict=True)]
        expected.append(float(np.mean(alone)))
    shares = np.zeros(len(taken.crops), np.float32)
    faces = [Views(face, shares) for face in crops]
    try:
        found: Mapping[str, NDArray[np.float32]] = run_on_views(OnnxRunner(bundle), bundle.card, faces)
    except ModelFileError as error:
        raise ModelFileError(
            f"{parts[0].path}: the network does not take three faces at once ({error}); export it with a free batch "
            "(dynamic_shapes or dynamic_axes in torch.onnx.export)"
        ) from error
    return float(np.max(np.abs(found[SCORE] - np.array(expected))))


def _score_alone(part: _Part, output: NDArray[np.float32], score: ScoreRule) -> float:
    """Return the score of one network for one face, once it is sure to be one."""
    if score.number is None and output.size > 1:
        raise InputError(
            f"{part.path}: the network gives {output.size} columns; say which one is read: "
            f"{score.kind}:COLUMN, from 0 on"
        )
    if score.column >= output.size:
        raise ModelFileError(
            f"{part.path}: there is no class or column {score.column}, for it gives {output.size}"
        )
    value = float(_by_hand(output, score)[0])
    if not -_SAME <= value <= 1 + _SAME:  # NaN, too
        raise ModelFileError(
            f"{part.path}: the network gives a score of {value:.4g} for a random picture, but scores lie in [0, 1]; "
            "compare --score, --scale, --mean and --std with what its makers say"
        )
    return value


def _card(
    files: Sequence[Path], taken: ForeignInput, score: ScoreRule, threshold: float, name: str
) -> BundleCard:
    mean, std = taken.normalisation()
    widest = max(CropSpec.parse(crop).scale for crop in taken.crops)
    face = FaceSettings(
        **{
            **{key: getattr(_FACE, key) for key in _FACE.__struct_fields__},
            "context": min(MAX_SCALE, max(CONTEXT, widest)),
        }
    )
    source = ThresholdSource(UNKNOWN, IMPORTED, "", 0, 0, 0)
    told = {
        "files": {path.name: sha256(path) for path in files},
        "input": asdict(taken),
        "score": asdict(score),
        "threshold": threshold,
    }
    return BundleCard(
        model=name,
        preset=IMPORTED,
        backbone="",
        options={},
        input_size=taken.size,
        mean=mean,
        std=std,
        views=tuple(str(CropSpec.parse(crop)) for crop in taken.crops),
        face=face,
        outputs=(SCORE,),
        maps=(),
        operating_points={
            DEFAULT_POINT: OperatingPoint({SCORE: UnitThresholds(threshold, threshold)}, source)
        },
        provenance={IMPORTED: told},
    )
