"""Make small bundles around ONNX graphs, also hostile ones."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bonaface.inference.bundle import (
    CARD,
    ONNX,
    BundleCard,
    FaceSettings,
    OperatingPoint,
    ThresholdSource,
    UnitThresholds,
    write_card,
)

SIZE = 32


def card(views: Sequence[str] = ("tight",), **changes: Any) -> BundleCard:
    """Return a description of a network whose one score output is called ``score``."""
    values: dict[str, Any] = {
        "model": "mine",
        "preset": "paper",
        "backbone": "none",
        "options": {},
        "input_size": SIZE,
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "views": tuple(views),
        "face": FaceSettings(640, 0.8, 48.0, 0.6, 20),
        "outputs": ("score",),
        "maps": (),
        "operating_points": {
            "eer": OperatingPoint(
                {"score": UnitThresholds(0.25, 0.5)}, ThresholdSource("folder", "split", "", 4, 4, 2)
            )
        },
        "provenance": {},
    }
    return BundleCard(**values | changes)


def graph(
    nodes: Sequence[onnx.NodeProto],
    *,
    inputs: Mapping[str, Sequence[Any]] | None = None,
    outputs: Mapping[str, Sequence[Any]] | None = None,
    constants: Mapping[str, Any] | None = None,
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """Return a network of `nodes`, by default ``images`` (B, 3, 32, 32) -> ``score`` (B,); sides may be names."""
    given = inputs or {"images": ("B", 3, SIZE, SIZE)}
    found = outputs or {"score": ("B",)}
    made = helper.make_graph(
        list(nodes),
        "network",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in given.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in found.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def brightness(
    images: str = "images", score: str = "score", axes: Sequence[int] = (1, 2, 3)
) -> onnx.NodeProto:
    """Return the node of the mean of the pixels of each picture, which lies in [0, 1] where they do."""
    return helper.make_node("ReduceMean", [images], [score], axes=list(axes), keepdims=0)


def write_bundle(folder: Path, network: onnx.ModelProto | None = None, **changes: Any) -> Path:
    """Write a bundle of `network` (None: `brightness`) whose description has `changes`, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(network or graph([brightness()]), folder / ONNX)
    write_card(folder, card(**changes))
    return folder


def rewrite(folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Change the description of the bundle in `folder` and give it a fresh checksum, as an attacker can."""
    values = json.loads((folder / CARD).read_text())
    del values["checksum"]
    replaced = change(values)
    return sign(folder, values if replaced is None else replaced)


def sign(folder: Path, values: Any) -> Path:
    """Write `values` as the description of the bundle in `folder`, with the checksum that they ask for."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    checksum = hashlib.sha256(text.encode()).hexdigest()
    signed = {**values, "checksum": checksum} if isinstance(values, dict) else values
    (folder / CARD).write_text(json.dumps(signed))
    return folder


def gated_brightness(views: int, limit: float) -> onnx.ModelProto:
    """Return a network of the mean brightness of those of `views` crops whose mirrored share is below `limit`."""
    nodes = [
        brightness(score="means", axes=(2, 3, 4)),  # (B, V)
        helper.make_node("Less", ["shares", "limit"], ["real"]),
        helper.make_node("Cast", ["real"], ["weights"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["means", "weights"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "axis"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["weights", "axis"], ["count"], keepdims=0),
        helper.make_node("Div", ["sum", "count"], ["score"]),
    ]
    return graph(
        nodes,
        inputs={"images": ("B", views, 3, SIZE, SIZE), "shares": ("B", views)},
        constants={"limit": np.float32(limit), "axis": np.array([1])},
    )
