import shutil
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from bonaface.core.errors import ModelFileError
from bonaface.inference.bundle import Bundle, OperatingPoint, UnitThresholds
from bonaface.inference.runtime import OnnxRunner

IMAGES = np.random.default_rng(0).normal(size=(3, 3, 64, 64)).astype(np.float32)


def test_outputs_are_named_and_independent_of_the_batch(bundle: Path) -> None:
    runner = OnnxRunner(Bundle.open(bundle), threads=1)
    together = runner.run(IMAGES)
    assert {name: value.shape for name, value in together.items()} == {
        "feature_map": (3,),
        "binary": (3,),
        "map_map": (3, 4, 4),
    }
    alone = runner.run(IMAGES[1:2])
    for name, value in together.items():
        np.testing.assert_allclose(alone[name][0], value[1], atol=1e-5)
    np.testing.assert_allclose(together["map_map"].mean((1, 2)), together["feature_map"], atol=1e-6)


def test_waiting_threads_sleep(bundle: Path) -> None:
    """Those of several processes would take the cores from each other."""
    options = OnnxRunner(Bundle.open(bundle))._session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_torch_gives_the_same_scores(bundle: Path, tmp_path: Path) -> None:
    from bonaface.export.torch_runner import TorchRunner

    opened = Bundle.open(shutil.copytree(bundle, tmp_path / "caf\udce9"))  # whatever the folder is called
    expected, found = OnnxRunner(opened).run(IMAGES), TorchRunner(opened, "cpu").run(IMAGES)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-4)


def test_rejects_an_invalid_network(bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    opened = Bundle.open(copy)
    (copy / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match="onnxruntime can't load this network"):
        OnnxRunner(opened)


def test_names_an_output_that_the_graph_lacks(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    thresholds = {"depth": UnitThresholds(0.5, 0.5)}
    points = {"eer": OperatingPoint(thresholds, opened.card.source)}
    card = replace(opened.card, outputs=("depth",), operating_points=points)
    with pytest.raises(ModelFileError, match="lacks the outputs depth"):
        OnnxRunner(Bundle(opened.path, card))
