"""Write a network to ``model.onnx`` and ``model.safetensors``, the files that a bundle runs."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.torch import save_file

from bonaface.core.errors import ModelFileError
from bonaface.core.files import make_folder, whole_file
from bonaface.inference.bundle import ONNX, WEIGHTS
from bonaface.inference.onnx_file import network_source
from bonaface.inference.runtime import IMAGES, MAP_PREFIX, SHARES
from bonaface.models.base import PadModel

PARITY = 1e-4


def export_network(network: PadModel, folder: Path) -> float:
    """Write the network's files into `folder` and compare onnxruntime with torch on random pictures.

    The ONNX graph takes ``images`` (B, 3, H, W), normalised, with free B, and gives every score output (B,) and every
    map ``map_NAME`` (B, h, w). That of a network with V views takes ``images`` (B, V, 3, H, W) and ``shares`` (B, V).
    Generators, margins and labels are not in it.

    Returns:
        The largest absolute difference between the two, over all outputs.

    Raises:
        ModelFileError: the difference is over 1e-4; the files are not to be used.
    """
    make_folder(folder)
    with whole_file(folder / WEIGHTS) as part:
        state = network.inference_state_dict()
        save_file({name: value.detach().cpu().contiguous() for name, value in state.items()}, part)
    module = network.inference_module().cpu()
    names = [*network.score_names, *(f"{MAP_PREFIX}{name}" for name in network.map_names)]
    examples = _examples(network)
    batch = torch.export.Dim("batch", min=1)
    with whole_file(folder / ONNX) as part, _quiet():
        torch.onnx.export(
            module,
            tuple(examples.values()),
            str(part),
            input_names=list(examples),
            output_names=names,
            dynamic_shapes=tuple({0: batch} for _ in examples),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        _drop_traces(part)
    three = {name: torch.cat([example, example[:1]]) for name, example in examples.items()}
    difference = _difference(module, folder / ONNX, three)
    if not difference <= PARITY:
        raise ModelFileError(
            f"{folder / ONNX}: onnxruntime and torch differ by {difference:.2g}, more than {PARITY:.0e}, on random "
            "pictures; the export can't be trusted"
        )
    return difference


def _examples(network: PadModel) -> dict[str, torch.Tensor]:
    """Return inputs of the network by name, for two pictures: torch.export would take a batch of one for a constant."""
    random, size, views = torch.Generator().manual_seed(0), network.input_size, len(network.views)
    if views <= 1:
        return {IMAGES: torch.randn(2, 3, size, size, generator=random)}
    shares = torch.rand(2, views, generator=random)
    shares[:, 0] = 0.0  # a face with nothing but mirrored crops is not meant
    return {IMAGES: torch.randn(2, views, 3, size, size, generator=random), SHARES: shares}


def _drop_traces(path: Path) -> None:
    """Remove what torch writes beside each node: the lines of code that it comes from, with this machine's paths."""
    model = onnx.load(path)
    for graph in (model.graph, *model.functions):
        for node in graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
        for value in graph.value_info:
            del value.metadata_props[:]
    onnx.save(model, path)


def _difference(module: torch.nn.Module, path: Path, inputs: Mapping[str, torch.Tensor]) -> float:
    session = onnxruntime.InferenceSession(network_source(path), providers=["CPUExecutionProvider"])
    exported = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    with torch.no_grad():
        expected = [value.numpy() for value in module(*inputs.values())]
    # np.max, for max() passes over a NaN.
    return float(np.max([np.abs(a - b).max() for a, b in zip(exported, expected, strict=True)]))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warnings and logs of torch's exporter about its own internals."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
