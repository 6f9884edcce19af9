"""Measure a central difference convolution as one convolution with a folded kernel against the two of its paper.

    python benchmarks/cdcn_speed.py

The network of `cdcn` as it is, and with every such convolution computed as the authors' code does (a 3 x 3 convolution,
and a 1 x 1 convolution with the kernel's sum, subtracted): forward alone, and a training step's forward and backward.
In turn, in the same process, medians of the rounds. The two give the same numbers, which is checked first.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from bonaface.models import create_model
from bonaface.models.cdcn import CentralDifferenceConv


class TwoConvolutions(nn.Module):
    """The same layer as two convolutions."""

    def __init__(self, folded: CentralDifferenceConv) -> None:
        super().__init__()
        self.weight, self.theta = folded.weight, folded.theta

    def forward(self, values: Tensor) -> Tensor:
        """Return (B, channels, H, W) of (B, in_channels, H, W)."""
        middle = self.weight.sum((2, 3), keepdim=True)
        return functional.conv2d(values, self.weight, padding=1) - self.theta * functional.conv2d(
            values, middle
        )


def unfolded(model: nn.Module) -> None:
    """Put two convolutions in the place of each folded one."""
    for parent in list(model.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, CentralDifferenceConv):
                setattr(parent, name, TwoConvolutions(layer))


def score(model: nn.Module, images: Tensor) -> Tensor:
    """Return the scores (B,)."""
    return model(images).scores["feature_map"]  # type: ignore[no-any-return]


def step(model: nn.Module, images: Tensor) -> None:
    """Go forwards and backwards once."""
    model.zero_grad()
    score(model, images).sum().backward()  # type: ignore[no-untyped-call]


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Print the medians and their ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    torch.manual_seed(0)
    one = create_model("cdcn", size=given.size)
    two = create_model("cdcn", size=given.size)
    two.load_state_dict(one.state_dict())
    unfolded(two)
    images = torch.randn(given.batch, 3, given.size, given.size)
    with torch.no_grad():
        difference = (score(one.eval(), images) - score(two.eval(), images)).abs().max().item()
    print(f"largest difference of the scores: {difference:.1e}")
    for name, train, work in (("forward", False, score), ("forward and backward", True, step)):
        models = {"one convolution": one.train(train), "two convolutions": two.train(train)}
        taken: dict[str, list[float]] = {key: [] for key in models}
        with torch.set_grad_enabled(train):
            for _ in range(given.rounds + 1):
                for key, model in models.items():
                    taken[key].append(seconds(partial(work, model, images)))
        medians = {key: statistics.median(values[1:]) for key, values in taken.items()}  # the first warms up
        for key, value in medians.items():
            print(f"{name}, {key}: {1000 * value / given.batch:.0f} ms a picture")
        print(f"{name}: {medians['two convolutions'] / medians['one convolution']:.2f} times as quick")


if __name__ == "__main__":
    main()
