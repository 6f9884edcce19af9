"""Weights in half precision: the rounded weights, and the network's outputs, against numpy."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from bonaface.core.errors import ModelFileError
from bonaface.export.half import halve_weights


def line(folder: Path, weight: np.ndarray) -> Path:
    """Write y = x @ weight + bias, and return its path."""
    bias = np.arange(weight.shape[1], dtype=np.float32) / 3
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "weight"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["y"]),
        ],
        "line",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", weight.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", weight.shape[1]])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    path = folder / "line.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def run(path: Path, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, {"x": x})[0]
    return result


def test_large_weights_are_rounded_and_small_ones_are_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weight, x = rng.normal(size=(300, 40)).astype(np.float32), rng.normal(size=(5, 300)).astype(np.float32)
    source = line(tmp_path, weight)
    assert halve_weights(source, tmp_path / "half.onnx") == 1
    rounded = weight.astype(np.float16).astype(np.float32)
    expected = x @ rounded + np.arange(40, dtype=np.float32) / 3
    np.testing.assert_allclose(run(tmp_path / "half.onnx", x), expected, rtol=1e-5, atol=1e-4)
    assert (rounded != weight).any()
    assert (tmp_path / "half.onnx").stat().st_size < 0.6 * source.stat().st_size


def test_refuses_a_weight_that_half_precision_cannot_hold(tmp_path: Path) -> None:
    weight = np.full((40, 40), 70_000.0, np.float32)
    with pytest.raises(ModelFileError, match=r"the weight weight reaches 70000, more than float16 holds"):
        halve_weights(line(tmp_path, weight), tmp_path / "half.onnx")
    assert not (tmp_path / "half.onnx").exists()
