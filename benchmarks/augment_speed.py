"""Flip and colour jitter of one crop, (224, 224, 3) uint8 RGB: Bonaface's own against torchvision.transforms.v2.

    python benchmarks/augment_speed.py

One thread, as each worker of a loader has; the same strengths; best mean of five rounds of 200 crops.
"""

import timeit
from collections.abc import Callable

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import v2

from bonaface.face.crop import RESAMPLING
from bonaface.training.augment import flip_and_jitter

_CROPS = 200


def main() -> None:
    """Print the milliseconds that one crop takes."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    patches = Image.fromarray(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8))
    crop: NDArray[np.uint8] = np.array(patches.resize((224, 224), RESAMPLING))
    theirs = v2.Compose([v2.RandomHorizontalFlip(0.5), v2.ColorJitter(0.2, 0.2, 0.2, 0.02)])
    ways: dict[str, Callable[[], object]] = {
        "bonaface": lambda: flip_and_jitter(crop, rng),
        "torchvision, PIL": lambda: np.asarray(theirs(Image.fromarray(crop))),
        "torchvision, tensor": lambda: (
            theirs(torch.from_numpy(crop).permute(2, 0, 1)).permute(1, 2, 0).numpy()
        ),
    }
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}")
    for name, way in ways.items():
        way()
        seconds = min(timeit.repeat(way, number=_CROPS, repeat=5)) / _CROPS
        print(f"{name:20} {1000 * seconds:.2f} ms")


if __name__ == "__main__":
    main()
