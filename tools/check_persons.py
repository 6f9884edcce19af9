"""Measure how far the synthetic persons are from each other and from the portraits of the model.

    python tools/learn_persons.py PORTRAITS --study-out coefficients.npy
    python tools/check_persons.py coefficients.npy

Two measures: the distance of the model's coefficients, in which every mode counts the same, and the root mean square
difference of the faces' brightness in the mean shape, in codes of 255, which is nearer to what one sees. A
synthetic person is no near-copy if its nearest original, mirrored or not, is as far away as the originals' nearest
others are.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from bonaface.simulate.persons import open_model

Floats = NDArray[np.floating[Any]]


def distances(a: Floats, b: Floats, metric: Floats) -> Floats:
    """Return the distances between the rows of a (N, K) and b (M, K) under a metric (K, K): (N, M)."""
    gap = a[:, None] - b[None]
    result: Floats = np.sqrt(np.einsum("ijk,kl,ijl->ij", gap, metric, gap))
    return result


def report(name: str, everyone: Floats, synthetic: Floats, metric: Floats) -> None:
    """Print the distances' percentiles. `everyone` is the originals and, as many again, their mirror images."""
    originals = everyone[: len(everyone) // 2]
    typer.echo(f"\n{name}: least, 5 %, median, 95 %")
    for title, group in (("between originals", originals), ("between synthetic persons", synthetic)):
        between = distances(group, group, metric)
        _line(title, between[np.triu_indices(len(group), 1)])
        np.fill_diagonal(between, np.inf)
        _line("  to the nearest other", between.min(1))
    _line("synthetic to the nearest original", distances(synthetic, everyone, metric).min(1))


def _line(title: str, values: Floats) -> None:
    typer.echo(f"{title:36s}" + "".join(f"{v:8.2f}" for v in np.percentile(values, [0, 5, 50, 95])))


def main(
    coefficients: Annotated[Path, typer.Argument(help="what learn_persons.py --study-out wrote")],
    persons: Annotated[int, typer.Option(help="how many synthetic persons")] = 55,
    seed: Annotated[int, typer.Option(help="of the persons")] = 0,
) -> None:
    """Print both measures."""
    model = open_model()
    originals = np.load(coefficients).astype(np.float64)
    synthetic = np.stack([model.draw(seed, number) for number in range(1, persons + 1)]).astype(np.float64)
    report("coefficients", originals, synthetic, np.eye(model.count))
    report("brightness, codes of 255", originals, synthetic, model.luma_metric())


if __name__ == "__main__":
    typer.run(main)
