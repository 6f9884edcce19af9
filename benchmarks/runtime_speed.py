"""Time a bundle's network in each runtime: single crops against batches of 32, and the share of the processor's peak.

    python benchmarks/runtime_speed.py [MODEL ...] [--rounds 7] [--store STORE]

MODEL is a bundle, a run or a model's name (default: default). Every way of running takes its turn in each round of one
process, and medians over the rounds are compared, for a machine that others use too. The peak is that of single
precision: products of matrices (1536 x 1536) by numpy, timed in the same rounds. Multiplications are counted from the
network's shapes. With --store, int8 exports that are calibrated on it are timed beside the networks. torch runs the
same network, eagerly, with random weights: it is what the bundle was exported from.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from bonaface.core.machine import usable_cores
from bonaface.export.deploy import export_model
from bonaface.inference.bundle import Bundle, BundleCard
from bonaface.inference.runners import open_runner
from bonaface.inference.runtime import Runner
from bonaface.models.registry import create_model
from bonaface.store.crop_store import CropStore

BATCH = 32
_SIDE = 1536  # of the matrices


def multiplications(path: Path, views: int) -> int:
    """Return the multiplications of the network at `path` for one face: those of convolutions and matrices."""
    model = onnx.load(path)
    for given in model.graph.input:
        given.type.tensor_type.shape.dim[0].dim_value = 1
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in [*graph.input, *graph.value_info, *graph.output]
    }
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            made, kernel = shapes[node.output[0]], shapes[node.input[1]]
            # A free batch of views times faces is left as 0 by the inference.
            total += int(np.prod([max(made[0], views if made[0] < 1 else 1), *made[1:], *kernel[1:]]))
        elif node.op_type in ("Gemm", "MatMul"):
            left, right = shapes[node.input[0]], shapes[node.input[1]]
            total += int(np.prod([max(side, 1) for side in left])) * max(right[-1], 1)
    return total


def images(card: BundleCard, count: int) -> dict[str, np.ndarray]:
    """Return random inputs for `count` faces."""
    random, views, size = np.random.default_rng(0), len(card.views), card.input_size
    shape = (count, *([views] if views > 1 else []), 3, size, size)
    given = {"images": random.normal(size=shape).astype(np.float32)}
    return given | ({"shares": np.zeros((count, views), np.float32)} if views > 1 else {})


class TorchNetwork:
    """The network of a bundle in torch on the CPU, with random weights."""

    def __init__(self, card: BundleCard) -> None:
        network = create_model(
            card.model, backbone=card.backbone, size=card.input_size, pretrained=False, **card.options
        )
        self._module = network.eval().inference_module()

    @torch.inference_mode()
    def run(
        self, images: NDArray[np.float32], shares: NDArray[np.float32] | None = None
    ) -> Mapping[str, NDArray[np.float32]]:
        """See `bonaface.inference.runtime.Runner.run`."""
        given = [torch.from_numpy(array) for array in (images, shares) if array is not None]
        return {str(number): value.numpy() for number, value in enumerate(self._module(*given))}


def timed(work: Callable[[], object], least: float = 0.15) -> float:
    """Return the seconds of one call, over as many calls as take `least` seconds."""
    began, calls = time.perf_counter(), 0
    while time.perf_counter() - began < least:
        work()
        calls += 1
    return (time.perf_counter() - began) / calls


def peak() -> float:
    """Return the multiplications a second of a product of matrices in single precision."""
    left, right = (np.random.default_rng(n).normal(size=(_SIDE, _SIDE)).astype(np.float32) for n in range(2))
    return float(_SIDE**3 / timed(lambda: left @ right))


def measure(name: str, bundles: dict[str, Bundle], rounds: int) -> None:
    """Print the table of one model."""
    card = bundles["fp32"].card
    ways: dict[tuple[str, str], Runner] = {
        (runtime, precision): open_runner(bundle, runtime)
        for precision, bundle in bundles.items()
        for runtime in ("onnxruntime", "openvino")
    }
    ways["torch", "fp32"] = TorchNetwork(card)
    count = multiplications(bundles["fp32"].onnx, len(card.views))
    single, batch = images(card, 1), images(card, BATCH)
    times: dict[tuple[str, str, int], list[float]] = {}
    peaks = []
    for _ in range(rounds):
        peaks.append(peak())
        for way, runner in ways.items():
            for size, given in ((1, single), (BATCH, batch)):
                times.setdefault((*way, size), []).append(timed(lambda r=runner, g=given: r.run(**g)) / size)  # type: ignore[misc]
    best = statistics.median(peaks)
    print(
        f"{name}: {card.model}, {len(card.views)} view(s) of {card.input_size} px, {count / 1e9:.2f} GMAC a face"
    )
    print(f"peak of sgemm on {usable_cores()} core(s): {best / 1e9:.0f} GMAC/s\n")
    print(
        "| runtime | precision | single, ms | of 32, ms a face | single / of 32 | share of the peak, single | of 32 |"
    )
    print("|---|---|---:|---:|---:|---:|---:|")
    for runtime, precision in ways:
        one, many = (statistics.median(times[runtime, precision, size]) for size in (1, BATCH))
        ratio = statistics.median(
            a / b for a, b in zip(times[runtime, precision, 1], times[runtime, precision, BATCH], strict=True)
        )
        shares = [f"{100 * count / each / best:.0f} %" for each in (one, many)]
        print(
            f"| {runtime} | {precision} | {1e3 * one:.1f} | {1e3 * many:.1f} | {ratio:.2f} | {' | '.join(shares)} |"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=["default"], metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--store", type=Path)
    given = parser.parse_args()
    for model in given.models:
        with tempfile.TemporaryDirectory() as folder:
            bundles = {"fp32": Bundle.open(model)}
            if given.store:
                out = Path(folder) / "int8"
                export_model(bundles["fp32"], "onnx", "int8", out, CropStore.open(given.store), force=True)
                bundles["int8"] = Bundle.open(out)
            measure(model, bundles, given.rounds)


if __name__ == "__main__":
    main()
