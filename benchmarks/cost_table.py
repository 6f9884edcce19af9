"""Write what the systems of a page cost between the marks of its table.

The bundle of an untrained network serves as well as a trained one: weights change neither work nor size.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bonaface.benchmark.costs import COLUMNS, NOTE, cost_cells
from bonaface.core.errors import InputError
from bonaface.core.files import write_text
from bonaface.core.machine import usable_cores
from bonaface.export.cost import Cost, measure_costs
from bonaface.export.onnx import export_network
from bonaface.inference.bundle import Bundle, OperatingPoint, UnitThresholds, write_card
from bonaface.models.preset import Preset
from bonaface.models.registry import create_model
from bonaface.testing.networks import card

BEGIN, END = "<!-- cost -->\n", "<!-- end of cost -->"


def untrained(preset: Preset, folder: Path) -> Bundle:
    """Write the network of `preset` with random weights into `folder` and return it as a bundle.

    Raises:
        InputError: training decides how large the network is.
    """
    network = create_model(
        preset.model, backbone=preset.backbone, size=preset.size, pretrained=False, **preset.options
    ).eval()
    if network.sized_tensors:
        raise InputError(
            f"{preset.model}: its support vectors are counted after training; pass the runs that have its bundle"
        )
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():  # equal ones, such as the zeros of biases, would be written once
                tensor.add_(0.01 * torch.rand_like(tensor))
    export_network(network, folder)
    example = card()
    source = example.operating_points["eer"].source
    thresholds = dict.fromkeys(network.score_names, UnitThresholds(0.5, 0.5))
    values: dict[str, Any] = {
        "model": preset.model,
        "preset": preset.name,
        "backbone": preset.backbone,
        "options": dict(preset.options),
        "input_size": network.input_size,
        "mean": network.mean,
        "std": network.std,
        "outputs": tuple(network.score_names),
        "maps": tuple(network.map_names),
        "operating_points": {"eer": OperatingPoint(thresholds, source)},
    }
    write_card(folder, card(network.views or (preset.crop,), **values))
    return Bundle.open(folder)


def cost_table(bundles: Mapping[str, Bundle], threads: int | None = None) -> str:
    """Measure `bundles` in turns and return their costs as Markdown, the quickest first, with a note below.

    Args:
        bundles: by name.
        threads: of one network; None means one for each core.
    """
    threads = threads or usable_cores()
    costs = measure_costs(bundles, threads)
    header = ("system", "crops", *COLUMNS)
    lines = [f"| {' | '.join(header)} |", f"|---|---|{'---:|' * len(COLUMNS)}"]
    for name, cost in sorted(costs.items(), key=_milliseconds):
        about = bundles[name].card
        cells = (name, f"{len(about.views)} of {about.input_size} px", *cost_cells(cost))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", NOTE.format(threads=threads)])


def _milliseconds(item: tuple[str, Cost]) -> float:
    return item[1].milliseconds


def write_cost(text: str, page: Path) -> None:
    """Put `text` between the marks of the page's table of costs."""
    write_between(text, page, BEGIN, END)


def write_between(text: str, page: Path, begin: str, end: str) -> None:
    """Put `text` between two marks of the page; it is refused where they are missing."""
    before, first, rest = page.read_text().partition(begin)
    _, last, after = rest.partition(end)
    if not (first and last):
        raise SystemExit(f"{page}: expected the marks {begin.strip()} and {end} around the table")
    write_text(page, f"{before}{begin}{text}\n{end}{after}")
