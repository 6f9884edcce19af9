from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from bonaface.core.errors import ModelFileError
from bonaface.export import onnx as exporting
from bonaface.export.onnx import export_network
from bonaface.inference.bundle import DEFAULT_MODEL, ONNX
from bonaface.models.base import PadModel
from bonaface.models.registry import create_model, default_preset, model_names


def small(name: str, **options: Any) -> PadModel:
    torch.manual_seed(1)
    backbone = "random:efficientnet-lite0" if default_preset(name).backbone else None
    return create_model(name, backbone=backbone, size=64, **options)


def exported(name: str, folder: Path, **options: Any) -> tuple[PadModel, Path]:
    network = small(name, **options)
    with torch.no_grad():
        network.train()(
            torch.randn(4, 3, 64, 64)
        )  # so that batch normalisation's statistics are not the initial ones
    assert export_network(network.eval(), folder) <= 1e-4
    return network, folder


@pytest.fixture(scope="module")
def generators(tmp_path_factory: pytest.TempPathFactory) -> tuple[PadModel, Path]:
    """`bi-fas-s`, exported once: the pyramid takes the exporter long."""
    return exported("bi-fas-s", tmp_path_factory.mktemp("bi-fas-s"))


# What bi-fas exports is what bi-fas-s does, so one of the twins is left to `make test-slow`.
SLOW = {"bi-fas": [pytest.mark.slow]}


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW.get(name, [])) for name in model_names()])
def test_every_model_runs_in_onnxruntime_as_in_torch(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    network, folder = (
        request.getfixturevalue("generators") if name == "bi-fas-s" else exported(name, tmp_path)
    )
    assert_same_in_onnxruntime(network, folder)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("deep-pix-bis", {}),
        ("cdcn-pp", {"pixel_loss": "a-bce", "width": 0.125}),
        # The others have the same two heads.
        pytest.param("a-deep-pix-bis", {}, marks=pytest.mark.slow),
        pytest.param("cdcn", {"pixel_loss": "bce", "width": 0.125}, marks=pytest.mark.slow),
        pytest.param("bi-fas", {"levels": (1,)}, marks=pytest.mark.slow),
        pytest.param("bi-fas-s", {"pixel_loss": "a-bce"}, marks=pytest.mark.slow),
    ],
)
def test_mean_and_spread_are_the_same_in_onnxruntime(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    assert_same_in_onnxruntime(*exported(name, tmp_path, pooling="mean-spread", **options))


def assert_same_in_onnxruntime(network: PadModel, folder: Path) -> None:
    """Hold scores and maps of five pictures to torch's."""
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(5).normal(size=(5, 3, 64, 64)).astype(np.float32)
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"images": images}), strict=True))
    with torch.no_grad():
        expected = network(torch.from_numpy(images))
    for score, values in expected.scores.items():
        np.testing.assert_allclose(found[score], values.numpy(), atol=1e-4)
    for name, values in expected.maps.items():
        np.testing.assert_allclose(found[f"map_{name}"], values.numpy(), atol=1e-4)
    assert names == [*network.score_names, *(f"map_{name}" for name in network.map_names)]


def test_the_graph_names_no_file_of_the_machine_that_made_it(generators: tuple[PadModel, Path]) -> None:
    for path in (generators[1] / ONNX, DEFAULT_MODEL / ONNX):
        written = path.read_bytes()
        assert [trace for trace in (b".py", b"site-packages", b"stack_trace") if trace in written] == []


def test_the_graph_takes_pictures_alone_and_holds_no_generator(generators: tuple[PadModel, Path]) -> None:
    _, folder = generators
    graph = onnx.load(folder / "model.onnx").graph
    assert [value.name for value in graph.input] == ["images"]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param
    assert not [value.name for value in graph.initializer if "generator" in value.name]
    assert not [name for name in load_file(folder / "model.safetensors") if "generator" in name]


def test_rejects_nan_in_any_output(
    generators: tuple[PadModel, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, folder = generators
    module = network.inference_module()
    forward = module.forward
    monkeypatch.setattr(module, "forward", lambda images: (*forward(images)[:-1], torch.tensor([np.nan])))
    assert np.isnan(
        exporting._difference(module, folder / "model.onnx", {"images": torch.zeros(2, 3, 64, 64)})
    )


def test_rejects_a_difference_over_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PARITY", -1.0)
    with pytest.raises(ModelFileError, match="onnxruntime and torch differ by"):
        export_network(small("deep-pix-bis").eval(), tmp_path)
