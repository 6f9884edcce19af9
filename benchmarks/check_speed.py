"""Time `check` of one 12-megapixel JPEG, warm, against decoding + detector + network measured apart.

    python benchmarks/check_speed.py [--run RUN] [--rounds 15]

Without a run, a bundle of `bi-fas` at 512 px with random weights is exported first. Also: `bonaface --help` against
importing typer and rich in a fresh process. Medians over the rounds, in turns.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from bonaface import load
from bonaface.face.detect import Detector
from bonaface.inference.bundle import (
    Bundle,
    BundleCard,
    FaceSettings,
    OperatingPoint,
    ThresholdSource,
    UnitThresholds,
    write_card,
)
from bonaface.inference.runtime import OnnxRunner
from bonaface.media.picture import read_picture
from bonaface.testing.portrait import drawn_portrait


def random_bundle(folder: Path) -> Path:
    """Return a bundle with random weights: it runs as fast as a trained one."""
    from bonaface.export.onnx import export_network
    from bonaface.models.registry import create_model

    network = create_model("bi-fas", backbone="random:efficientnet_b0", size=512)
    export_network(network.eval(), folder)
    card = BundleCard(
        model="bi-fas",
        preset="paper",
        backbone="random:efficientnet_b0",
        options={},
        input_size=512,
        mean=network.mean,
        std=network.std,
        views=("square-1.0",),
        face=FaceSettings(longer_side=640, min_score=0.8, min_side=48, similar=0.6, frames=20),
        outputs=network.score_names,
        maps=tuple(network.map_names),
        operating_points={
            "eer": OperatingPoint(
                {name: UnitThresholds(0.5, 0.5) for name in network.score_names},
                ThresholdSource("none", "none", "", 0, 0, 0),
            )
        },
        provenance={},
    )
    write_card(folder, card)
    return folder


def milliseconds(work: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


def measure_check(model: Path, rounds: int, folder: Path) -> None:
    """Print the ratio of the whole to its parts."""
    path = folder / "phone.jpg"
    portrait = Image.fromarray(drawn_portrait(3000, seed=1)).resize((3000, 4000))
    portrait.save(path, quality=92)
    checker, bundle = load(model), Bundle.open(model)
    detector = Detector(bundle.card.face.longer_side, None, bundle.card.face.min_score)
    runner, picture = OnnxRunner(bundle), read_picture(path)
    image = np.zeros((1, 3, bundle.card.input_size, bundle.card.input_size), np.float32)
    parts: dict[str, Callable[[], object]] = {
        "decode": lambda: read_picture(path),
        "detect": lambda: detector.detect(picture),
        "network": lambda: runner.run(image),
        "check": lambda: checker(path),
    }
    times: dict[str, list[float]] = {name: [] for name in parts}
    for number in range(rounds + 2):
        for name, work in parts.items():
            taken = milliseconds(work)
            if number >= 2:
                times[name].append(taken)
    medians = {name: statistics.median(values) for name, values in times.items()}
    apart = medians["decode"] + medians["detect"] + medians["network"]
    print(", ".join(f"{name} {value:.1f} ms" for name, value in medians.items()))
    print(f"check of a 12-megapixel JPEG: {medians['check'] / apart:.2f} times decode + detect + network")


def measure_start(rounds: int) -> None:
    """Print what `bonaface --help` costs over importing typer and rich."""
    program = [sys.executable, "-m", "bonaface.cli.main", "--help"]
    imports = [sys.executable, "-c", "import typer, rich.console, rich.table, rich.panel, typer.rich_utils"]
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(milliseconds(lambda: subprocess.run(imports, check=True, capture_output=True)))
        ours.append(milliseconds(lambda: subprocess.run(program, check=True, capture_output=True)))
    over = statistics.median(ours) - statistics.median(theirs)
    print(f"bonaface --help: {statistics.median(ours):.0f} ms, {over:.0f} ms over importing typer and rich")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = given.run or random_bundle(Path(folder) / "bundle")
        measure_check(model, given.rounds, Path(folder))
    measure_start(given.rounds)


if __name__ == "__main__":
    main()
