"""Exports: the same scores in fp32, what fp16 and int8 do to scores and errors, and when that is refused."""

import json
import math
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from onnx import helper
from PIL import Image

from bonaface.core.errors import InputError, MissingExtraError, ModelFileError, UnknownNameError
from bonaface.export import deploy
from bonaface.export.deploy import EXAMPLE, PAGE, PARITY, export_model
from bonaface.export.format import Precision
from bonaface.export.graph import prune, quantise
from bonaface.export.parity import choose_frames, read_faces, score_faces
from bonaface.inference.bundle import (
    ONNX,
    OPENVINO,
    Bundle,
    OperatingPoint,
    ThresholdSource,
    UnitThresholds,
    write_card,
)
from bonaface.inference.runners import open_runner
from bonaface.inference.runtime import OnnxRunner
from bonaface.store.crop_store import CropStore
from bonaface.testing.networks import SIZE, brightness, gated_brightness, graph, write_bundle

SOURCE = ThresholdSource("folder", "split", "", 4, 4, 2)


@pytest.fixture(scope="module")
def faces(store: Path) -> CropStore:
    return CropStore.open(store)


@pytest.mark.parametrize("name", ["onnx", "openvino"])
@pytest.mark.parametrize(("precision", "moved"), [("fp32", 1e-5), ("fp16", 2e-3), ("int8", 0.15)])
def test_an_export_is_a_bundle_with_nearly_the_same_scores(
    bundle: Path, faces: CropStore, tmp_path: Path, name: str, precision: Precision, moved: float
) -> None:
    source = Bundle.open(bundle)
    parity = export_model(source, name, precision, tmp_path / "out", faces, max_loss=1.0)
    exported = Bundle.open(tmp_path / "out")
    assert exported.card.maps == ()
    assert exported.card.operating_points == source.card.operating_points
    assert exported.holds(ONNX if name == "onnx" else OPENVINO)
    assert not exported.holds("model.safetensors")
    numbers = [n for n, frame in enumerate(faces.frames) if not frame.response]
    crops = read_faces(faces, source.card, numbers)
    before = score_faces(OnnxRunner(source), source.card, crops)
    after = score_faces(open_runner(exported), exported.card, crops)
    for output in source.card.outputs:
        np.testing.assert_allclose(after[output], before[output], atol=moved)
        assert precision == "fp32" or np.abs(after[output] - before[output]).max() > 0  # it was rounded
    said = json.loads((tmp_path / "out" / PARITY).read_text())
    assert said == json.loads(json.dumps(asdict(parity)))
    assert said["crops"] == parity.outputs[0].points[0].changed.total
    assert exported.card.provenance["export"]["precision"] == precision


def test_files_of_fp16_have_half_the_size(bundle: Path, faces: CropStore, tmp_path: Path) -> None:
    for name, file in (("onnx", ONNX), ("openvino", "model.bin")):
        sizes = {}
        for precision in ("fp32", "fp16"):
            folder = tmp_path / name / precision
            export_model(Bundle.open(bundle), name, precision, folder, faces, max_loss=1.0)
            sizes[precision] = (folder / file).stat().st_size
        assert sizes["fp16"] < 0.6 * sizes["fp32"]


def test_int8_convolutions_compute_in_8_bits(bundle: Path, faces: CropStore, tmp_path: Path) -> None:
    export_model(Bundle.open(bundle), "onnx", "int8", tmp_path / "out", faces, max_loss=1.0)
    nodes = onnx.load(tmp_path / "out" / ONNX).graph.node
    made_by = {name: node.op_type for node in nodes for name in node.output}
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    assert len(convolutions) > 10
    exact = math.ceil(len(convolutions) / 6)  # the first ones see the fine structure
    in_8_bits = [
        {made_by.get(name) for name in node.input[:2]} == {"DequantizeLinear"} for node in convolutions
    ]
    assert in_8_bits == [False] * exact + [True] * (len(convolutions) - exact)


def test_calibrates_a_product_as_by_hand(tmp_path: Path) -> None:
    """y = x w: the input's range on the calibration pictures gives its scale, each column of w its own."""
    weight = np.array([[1.0, -0.2], [0.5, 0.3], [-2.0, 0.1]], np.float32)
    nodes = [
        brightness("images", "x", (2, 3)),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("ReduceMean", ["y"], ["score"], axes=[1], keepdims=0),
    ]
    onnx.save(graph(nodes, constants={"w": weight}), tmp_path / "a.onnx")
    images = np.zeros((2, 3, SIZE, SIZE), np.float32)
    images[0, 0], images[1, 1] = 1.0, 0.5
    quantise(tmp_path / "a.onnx", tmp_path / "b.onnx", [{"images": images}])
    constants = {
        each.name: onnx.numpy_helper.to_array(each)
        for each in onnx.load(tmp_path / "b.onnx").graph.initializer
    }
    scales = {name: value for name, value in constants.items() if name.endswith("_scale")}
    assert any(np.allclose(value, 1 / 255) for value in scales.values())  # x lies in [0, 1] there
    columns = np.abs(weight).max(0) / 127
    assert any(value.shape == (2,) and np.allclose(value, columns, rtol=0.01) for value in scales.values())


def test_prunes_what_no_score_needs(tmp_path: Path) -> None:
    nodes = [
        brightness(score="score"),
        helper.make_node("Mul", ["images", "large"], ["scaled"]),
        helper.make_node("ReduceMean", ["scaled"], ["map_m"], axes=[1], keepdims=0),
    ]
    network = graph(
        nodes,
        outputs={"score": ("B",), "map_m": ("B", SIZE, SIZE)},
        constants={"large": np.ones((3, SIZE, SIZE), np.float32)},
    )
    onnx.save(network, tmp_path / "all.onnx")
    prune(tmp_path / "all.onnx", tmp_path / "few.onnx", ["score"])
    pruned = onnx.load(tmp_path / "few.onnx").graph
    assert [node.op_type for node in pruned.node] == ["ReduceMean"]
    assert [output.name for output in pruned.output] == ["score"]
    assert not pruned.initializer
    with pytest.raises(ModelFileError, match="lacks the outputs other"):
        prune(tmp_path / "all.onnx", tmp_path / "x.onnx", ["other"])


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_the_pages_example_gives_the_score(bundle: Path, faces: CropStore, tmp_path: Path, name: str) -> None:
    check_example(bundle, faces, tmp_path, name)


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_the_example_of_a_network_of_two_views(faces: CropStore, tmp_path: Path, name: str) -> None:
    folder = write_bundle(tmp_path / "two", gated_brightness(2, 0.5), views=("tight", "square-1.3"))
    check_example(folder, faces, tmp_path, name)


def check_example(bundle: Path, faces: CropStore, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "out"
    export_model(Bundle.open(bundle), name, "fp32", folder, faces)
    exported = Bundle.open(folder)
    number = next(n for n, frame in enumerate(faces.frames) if not frame.response)
    (views,) = read_faces(faces, exported.card, [number])
    pictures = []
    for view, crop in zip(exported.card.views, views.crops, strict=True):
        pictures.append(f"{view}.png")
        Image.fromarray(crop).save(folder / pictures[-1])
    program = (folder / EXAMPLE).read_text()
    lines = [line for line in program.splitlines() if line and not line.startswith(("#", "import", "from"))]
    assert len(lines) <= 10
    assert program.rstrip("\n") in (folder / PAGE).read_text()
    done = subprocess.run(
        [sys.executable, EXAMPLE, *pictures], cwd=folder, capture_output=True, text=True, check=True
    )
    decision, score = done.stdout.rsplit(maxsplit=1)
    output = exported.card.default_output
    expected = float(score_faces(open_runner(exported), exported.card, [views])[output][0])
    assert float(score) == pytest.approx(expected, abs=1e-5)
    accepted = expected >= exported.card.threshold(output, "frame")
    assert decision == ("bona fide" if accepted else "attack")


def with_threshold(bundle: Path, threshold: float) -> Bundle:
    opened = Bundle.open(bundle)
    points = {"eer": OperatingPoint({"score": UnitThresholds(threshold, threshold)}, SOURCE)}
    write_card(bundle, replace(opened.card, operating_points=points, files=None))
    return Bundle.open(bundle)


def test_counts_decisions_and_errors_and_refuses_a_loss(
    faces: CropStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exported network gives every score 0.02 lower: what lay just over the threshold is rejected then."""
    opened = with_threshold(write_bundle(tmp_path / "bundle"), 0.5)
    numbers = choose_frames(faces, opened.card, 0, 1000)[1]
    labels = np.array([faces.presentations[faces.frames[n].presentation].label for n in numbers])
    scores = score_faces(OnnxRunner(opened), opened.card, read_faces(faces, opened.card, numbers))["score"]
    threshold = float(np.sort(scores[labels == 1])[1])  # the lowest bona fide is rejected before
    opened = with_threshold(tmp_path / "bundle", threshold)

    def darker(source: Path, path: Path, outputs: list[str]) -> None:
        nodes = [brightness(score="mean"), helper.make_node("Sub", ["mean", "less"], ["score"])]
        onnx.save(graph(nodes, constants={"less": np.float32(0.02)}), path)

    monkeypatch.setattr(deploy, "prune", darker)
    after = scores - np.float32(0.02)
    total = int((labels == 1).sum())
    wrong = int((after[labels == 1] < threshold).sum())
    message = f"BPCER from 1 to {wrong} of {total}: .* at most 1.00 are allowed.*--force"
    with pytest.raises(ModelFileError, match=message):
        export_model(opened, "onnx", "fp32", tmp_path / "out", faces)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))
    parity = export_model(opened, "onnx", "fp32", tmp_path / "out", faces, force=True)
    point = parity.outputs[0].points[0]
    assert (point.bpcer[0].errors, point.bpcer[1].errors, point.bpcer[0].total) == (1, wrong, total)
    accepted = [int((each[labels == 0] >= threshold).sum()) for each in (scores, after)]
    assert [rate.errors for rate in point.apcer] == accepted
    assert point.changed.errors == int(((scores >= threshold) != (after >= threshold)).sum())
    assert parity.outputs[0].mean == pytest.approx(0.02, abs=1e-6)


def test_without_a_store_only_fp32_and_that_on_random_pictures(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Bundle.open(bundle)
    assert export_model(opened, "onnx", "fp32", tmp_path / "out") is None
    assert not (tmp_path / "out" / PARITY).exists()
    assert "Errors were not compared" in (tmp_path / "out" / PAGE).read_text()
    with pytest.raises(InputError, match=r"int8 moves scores.*--data"):
        export_model(opened, "onnx", "int8", tmp_path / "other")

    def other(source: Path, path: Path, outputs: list[str]) -> None:
        network = onnx.load(source)
        for tensor in network.graph.initializer:
            if len(tensor.dims) == 4:
                tensor.CopyFrom(
                    onnx.numpy_helper.from_array(1.5 * onnx.numpy_helper.to_array(tensor), tensor.name)
                )
        onnx.save(network, path)

    monkeypatch.setattr(deploy, "prune", other)
    with pytest.raises(ModelFileError, match="on random pictures a score moves by"):
        export_model(opened, "onnx", "fp32", tmp_path / "other")


def test_calibrates_and_judges_on_different_people(bundle: Path, faces: CropStore, tmp_path: Path) -> None:
    trained = Bundle.open(bundle).card
    for card in (trained, replace(trained, provenance={})):
        one, two = choose_frames(faces, card, 1000, 1000)
        people = [
            {faces.presentations[faces.frames[n].presentation].subject for n in part} for part in (one, two)
        ]
        assert all(people)
        assert not people[0] & people[1]
    assert len(choose_frames(faces, trained, 6, 4)[0]) == 6
    assert len(choose_frames(faces, trained, 6, 4)[1]) == 4


def test_refuses_before_it_works(
    bundle: Path, faces: CropStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Bundle.open(bundle)
    with pytest.raises(UnknownNameError, match="precision 'fp8'"):
        export_model(opened, "onnx", "fp8", tmp_path / "out", faces)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="export format 'tflite'"):
        export_model(opened, "tflite", "fp32", tmp_path / "out", faces)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(InputError, match="expected a new or empty folder"):
        export_model(opened, "onnx", "fp32", tmp_path / "full", faces)
    (tmp_path / "here").mkdir()
    with monkeypatch.context() as there:
        there.chdir(tmp_path / "here")
        with pytest.raises(InputError, match="name a new folder in it"):
            export_model(opened, "onnx", "fp32", Path(), faces)
    (tmp_path / "here").rmdir()
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"bonaface\[openvino\]"):
        export_model(opened, "openvino", "fp32", tmp_path / "out", faces)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]
