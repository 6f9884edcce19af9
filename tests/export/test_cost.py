from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy.stats import binom
from torch.utils.flop_counter import FlopCounterMode

from bonaface.export.cost import (
    StepCost,
    _left_out,
    in_turns,
    measure_costs,
    multiplications,
    parameters,
    random_images,
)
from bonaface.inference.bundle import CARD, Bundle


def network(path: Path, *nodes: onnx.NodeProto, **weights: np.ndarray) -> Path:
    """An ONNX file from "images" (N, 3, 8, 8) to "out" of any shape."""
    graph = helper.make_graph(
        nodes,
        "a",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    return path


def test_multiplications_and_parameters_by_hand(tmp_path: Path) -> None:
    path = network(
        tmp_path / "a.onnx",
        helper.make_node("Conv", ["images", "kernel", "bias"], ["maps"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Reshape", ["maps", "shape"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix"], ["two"]),
        helper.make_node("Gemm", ["two", "turned"], ["out"], transB=1),
        kernel=np.zeros((5, 3, 3, 3), np.float32),
        bias=np.zeros(5, np.float32),
        shape=np.array([-1, 80], np.int64),
        matrix=np.zeros((80, 2), np.float32),
        turned=np.zeros((7, 2), np.float32),
    )
    # 5 maps of 4 x 4, each value of 3 x 3 x 3; then 80 values to 2, and these to 7.
    assert multiplications(path, 1) == 5 * 4 * 4 * 27 + 80 * 2 + 2 * 7
    assert parameters(path) == 5 * 27 + 5 + 160 + 14


@pytest.mark.parametrize("kind", ["Relu", "ConvTranspose"])
def test_a_network_that_is_not_counted(kind: str, tmp_path: Path) -> None:
    weights = {"kernel": np.zeros((3, 3, 1, 1), np.float32)} if kind == "ConvTranspose" else {}
    path = network(tmp_path / "a.onnx", helper.make_node(kind, ["images", *weights], ["out"]), **weights)
    assert multiplications(path, 1) is None


def test_a_real_network_is_counted_as_torch_counts_it(run: Path) -> None:
    import torch

    from bonaface.models.registry import create_model

    bundle = Bundle.open(run / "bundle")
    model = create_model(
        "deep-pix-bis", backbone="random:efficientnet-lite0", size=64, pretrained=False
    ).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.zeros(1, 3, 64, 64))
    assert multiplications(bundle.onnx, 1) == counter.get_total_flops() // 2


def test_costs_are_those_of_the_bundle(run: Path) -> None:
    bundle = Bundle.open(run / "bundle")
    found = measure_costs({"a": bundle, "b": bundle}, threads=1, rounds=3)
    assert set(found) == {"a", "b"}
    sizes = [(run / "bundle" / name).stat().st_size for name in ("model.onnx", CARD)]
    assert found["a"].size == sum(sizes)
    assert found["a"].multiplications == multiplications(bundle.onnx, 1)
    assert min(found["a"].milliseconds, found["b"].milliseconds) > 0


def test_everyone_takes_a_turn_in_each_round() -> None:
    calls: list[str] = []
    work = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = in_turns(work, 3)
    assert {name: len(each) for name, each in times.items()} == {"a": 3, "b": 3}
    order = [one for one, before in zip(calls, ["", *calls], strict=False) if one != before]
    assert order == ["a", "b"] * 4  # once to warm up, then the rounds


def test_random_images_are_those_of_the_card(run: Path) -> None:
    card = Bundle.open(run / "bundle").card
    assert {name: value.shape for name, value in random_images(card, 2).items()} == {"images": (2, 3, 64, 64)}


@pytest.mark.parametrize("count", [1, 5, 6, 8, 9, 11, 25, 100])
def test_the_interval_of_a_median_leaves_out_what_it_may(count: int) -> None:
    expected = max([k for k in range(count // 2 + 1) if 2 * binom.cdf(k, count, 0.5) <= 0.05], default=0)
    assert _left_out(count) == expected


def test_a_ratio_is_taken_round_by_round() -> None:
    one = StepCost(1, 1, tuple(float(n) for n in range(10, 21)))
    two = StepCost(1, 1, tuple(2.0 * n for n in range(10, 21)))
    assert one.ratio(two) == (0.5, 0.5, 0.5)
    assert one.milliseconds == 15
    uneven = StepCost(1, 1, (100.0, *one.rounds[1:]))
    assert uneven.ratio(one) == (1, 1, 1)  # a single round that was held up does not move the ends
