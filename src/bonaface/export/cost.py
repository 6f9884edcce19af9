"""What a network costs: parameters, multiplications, milliseconds a picture, and the size of its bundle.

Only counting needs the package `onnx`; no torch.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bonaface.inference.bundle import CARD, Bundle, BundleCard
from bonaface.inference.runtime import Runner

# Nodes whose multiplications are counted, and those that have some which are not.
_PRODUCTS = ("Gemm", "MatMul")
_UNCOUNTED = frozenset(("ConvTranspose", "Einsum", "DFT", "If", "Loop", "Scan", "LSTM", "GRU", "RNN"))
_UNCOUNTED_8_BIT = frozenset(("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"))
_LEAST = 0.05  # seconds of one measurement


class Cost(Struct, frozen=True):
    """What one picture costs a network that decides: `multiplications` is None where they can't be counted.

    `milliseconds` are of one crop alone; finding the face comes on top and is the same for every network. `size` is
    that of the bundle's ONNX file and its description, in bytes.
    """

    parameters: int
    multiplications: int | None
    milliseconds: float
    size: int


class StepCost(Struct, frozen=True):
    """What a step in training costs: all parameters, and forwards and backwards for one picture.

    `rounds` are the milliseconds a picture of each round.
    """

    parameters: int
    multiplications: int
    rounds: tuple[float, ...]

    @property
    def milliseconds(self) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.rounds)

    def ratio(self, other: "StepCost") -> tuple[float, float, float]:
        """Return the low end, the median and the high end of this time over `other`'s, round by round.

        The ends are order statistics, between which the true median lies with a probability of 95 % or more whatever
        the distribution (Thompson 1936); with fewer than 6 rounds they are the least and the greatest.
        """
        ratios = sorted(a / b for a, b in zip(self.rounds, other.rounds, strict=True))
        left_out = _left_out(len(ratios))
        return ratios[left_out], statistics.median(ratios), ratios[-1 - left_out]


def measure_costs(
    bundles: Mapping[str, Bundle], threads: int | None = None, rounds: int = 7
) -> dict[str, Cost]:
    """Return what each network costs; they take turns, so that ratios hold on a machine that others use too.

    Args:
        bundles: by name.
        threads: for one network; None means one for each core.
        rounds: turns, over which the median is taken.
    """
    from bonaface.inference.runners import open_runner

    work = {
        name: _one_picture(open_runner(bundle, None, threads), bundle.card)
        for name, bundle in bundles.items()
    }
    times = in_turns(work, rounds)
    return {
        name: Cost(
            parameters(bundle.onnx),
            multiplications(bundle.onnx, len(bundle.card.views)),
            1000 * statistics.median(times[name]),
            bundle.onnx.stat().st_size + (bundle.onnx.parent / CARD).stat().st_size,
        )
        for name, bundle in bundles.items()
    }


def in_turns(work: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of one call of each of `work` in each of `rounds`, in which each takes its turn."""
    for call in work.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, call in work.items():
            times[name].append(seconds(call, _LEAST))
    return times


def seconds(work: Callable[[], object], least: float) -> float:
    """Return the seconds of one call, over as many calls as take `least` seconds."""
    began, calls = time.perf_counter(), 0
    while time.perf_counter() - began < least:
        work()
        calls += 1
    return (time.perf_counter() - began) / calls


def random_images(card: BundleCard, count: int) -> dict[str, NDArray[np.float32]]:
    """Return random inputs of the bundle's network for `count` faces."""
    random, views, size = np.random.default_rng(0), len(card.views), card.input_size
    shape = (count, *([views] if views > 1 else []), 3, size, size)
    given = {"images": random.normal(size=shape).astype(np.float32)}
    return given | ({"shares": np.zeros((count, views), np.float32)} if views > 1 else {})


def parameters(path: Path) -> int:
    """Return how many weights the network at `path` has, fixed ones such as the matrices of a DFT among them."""
    import onnx

    kinds = {onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL}
    return sum(prod(each.dims) for each in onnx.load(path).graph.initializer if each.data_type not in kinds)


def multiplications(path: Path, views: int) -> int | None:
    """Return the multiplications of the network at `path` for one face: those of convolutions and matrix products.

    None where there are none of these, or others that are not counted, or shapes that only a run would tell.
    """
    import onnx

    model = onnx.load(path)
    for given in model.graph.input:
        given.type.tensor_type.shape.dim[0].dim_value = 1
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    if any(node.op_type in _UNCOUNTED | _UNCOUNTED_8_BIT for node in graph.node):
        return None
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in [*graph.input, *graph.value_info, *graph.output]
    }
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    total = 0
    for node in graph.node:
        if node.op_type != "Conv" and node.op_type not in _PRODUCTS:
            continue
        if any(name not in shapes for name in (*node.input[:2], node.output[0])):
            return None
        if node.op_type == "Conv":
            made, kernel = shapes[node.output[0]], shapes[node.input[1]]
            # A free batch of views times faces is left as 0 by the inference.
            total += prod([max(made[0], views if made[0] < 1 else 1), *made[1:], *kernel[1:]])
        else:
            left, turned = (
                shapes[node.input[0]],
                any(each.name == "transA" and each.i for each in node.attribute),
            )
            total += prod(max(side, 1) for side in (*shapes[node.output[0]], left[0 if turned else -1]))
    return total or None


def _one_picture(runner: Runner, card: BundleCard) -> Callable[[], object]:
    given = random_images(card, 1)
    return lambda: runner.run(**given)


def _left_out(count: int) -> int:
    """Return how many order statistics of `count` can be left out at each end for a 95 % interval of the median."""
    term = below = 0.5**count  # P(no value lies below the median)
    left_out = 0
    while 2 * (below + term * (count - left_out) / (left_out + 1)) <= 0.05:
        term *= (count - left_out) / (left_out + 1)
        below += term
        left_out += 1
    return left_out
