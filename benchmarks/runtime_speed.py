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
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bonaface.core.machine import usable_cores
from bonaface.export.cost import multiplications, random_images, seconds
from bonaface.export.deploy import export_model
from bonaface.inference.bundle import Bundle, BundleCard
from bonaface.inference.runners import open_runner
from bonaface.inference.runtime import Runner
from bonaface.models.registry import create_model
from bonaface.store.crop_store import CropStore

BATCH = 32
_SIDE = 1536  # of the matrices
_LEAST = 0.15  # seconds of one measurement


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


def peak() -> float:
    """Return the multiplications a second of a product of matrices in single precision."""
    left, right = (np.random.default_rng(n).normal(size=(_SIDE, _SIDE)).astype(np.float32) for n in range(2))
    return float(_SIDE**3 / seconds(lambda: left @ right, _LEAST))


def measure(name: str, bundles: dict[str, Bundle], rounds: int) -> None:
    """Print the table of one model."""
    card = bundles["fp32"].card
    ways: dict[tuple[str, str], Runner] = {
        (runtime, precision): open_runner(bundle, runtime)
        for precision, bundle in bundles.items()
        for runtime in ("onnxruntime", "openvino")
    }
    ways["torch", "fp32"] = TorchNetwork(card)
    count = multiplications(bundles["fp32"].onnx, len(card.views)) or 0
    single, batch = random_images(card, 1), random_images(card, BATCH)
    times: dict[tuple[str, str, int], list[float]] = {}
    peaks = []
    for _ in range(rounds):
        peaks.append(peak())
        for way, runner in ways.items():
            for size, given in ((1, single), (BATCH, batch)):
                took = seconds(lambda r=runner, g=given: r.run(**g), _LEAST)  # type: ignore[misc]
                times.setdefault((*way, size), []).append(took / size)
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
