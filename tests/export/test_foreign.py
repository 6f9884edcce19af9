"""Networks from outside: their bundles score as the networks run by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from bonaface.cli.main import app
from bonaface.core.errors import InputError, ModelFileError
from bonaface.export.foreign import ForeignInput, ScoreRule, import_network
from bonaface.face.crop import Views
from bonaface.inference.bundle import Bundle
from bonaface.inference.preprocess import run_on_views
from bonaface.inference.runtime import OnnxRunner

SIZE = 8
FACES = np.random.default_rng(3).integers(0, 256, (5, 2, SIZE, SIZE, 3), np.uint8)  # (B, V, H, W, 3) RGB


def network(
    path: Path,
    inputs: int = 1,
    shape: tuple[Any, ...] = ("n", 3, SIZE, SIZE),
    classes: int = 3,
    seed: int = 0,
    spread: float = 0.02,
) -> Path:
    """Write a network that gives each class a weighted sum of all pixels, with a bias; nothing in it is symmetric."""
    random, nodes, constants, sums = np.random.default_rng(seed), [], {}, []
    for number in range(inputs):
        weight = random.normal(0, spread, (3 * SIZE * SIZE, classes)).astype(np.float32)
        constants[f"w{number}"] = weight
        nodes += [
            helper.make_node("Flatten", [f"in{number}"], [f"flat{number}"], axis=1),
            helper.make_node("MatMul", [f"flat{number}", f"w{number}"], [f"sum{number}"]),
        ]
        sums.append(f"sum{number}")
    nodes.append(helper.make_node("Sum", sums, ["logits"]))
    graph = helper.make_graph(
        nodes,
        "theirs",
        [helper.make_tensor_value_info(f"in{n}", TensorProto.FLOAT, shape) for n in range(inputs)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (shape[0], classes))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def scores(bundle: Bundle, views: int = 1) -> np.ndarray:
    faces = [Views(face[:views], np.zeros(views, np.float32)) for face in FACES]
    return run_on_views(OnnxRunner(bundle), bundle.card, faces)["score"]


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def run(path: Path, *images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return session.run(
        None, {name: image.astype(np.float32) for name, image in zip(names, images, strict=True)}
    )[0]


def test_bgr_in_0_to_255(tmp_path: Path) -> None:
    theirs = network(tmp_path / "a.onnx", spread=0.0005)
    taken = ForeignInput(SIZE, ("box-2.7",), "bgr", 255.0)
    bundle = import_network([theirs], tmp_path / "out", taken, ScoreRule.parse("softmax:1"))
    expected = softmax(run(theirs, FACES[:, 0, :, :, ::-1].transpose(0, 3, 1, 2)))[:, 1]
    np.testing.assert_allclose(scores(bundle), expected, atol=1e-6)
    assert expected.std() > 0.05
    card = bundle.card
    assert (card.model, card.views, card.face.context) == ("a", ("box-2.7",), 2.7)
    assert card.threshold("score", "frame") == 0.5
    assert json.loads(json.dumps(card.provenance))["imported"]["input"]["order"] == "bgr"


def test_mean_and_std_are_in_the_networks_order_and_scale(tmp_path: Path) -> None:
    theirs = network(tmp_path / "a.onnx", classes=1)
    mean, std = (104.0, 117.0, 123.0), (57.0, 58.0, 59.0)
    taken = ForeignInput(SIZE, ("square-1.3",), "bgr", 255.0, mean, std)
    bundle = import_network([theirs], tmp_path / "out", taken, ScoreRule.parse("sigmoid"), threshold=0.3)
    pixels = (FACES[:, 0, :, :, ::-1].astype(np.float64) - mean) / std
    expected = 1 / (1 + np.exp(-run(theirs, pixels.transpose(0, 3, 1, 2))[:, 0]))
    np.testing.assert_allclose(scores(bundle), expected, atol=1e-5)
    assert bundle.card.threshold("score", "video") == 0.3


def test_rows_of_pixels_and_a_score_of_attacks(tmp_path: Path) -> None:
    theirs = network(tmp_path / "a.onnx", shape=("n", SIZE, SIZE, 3), classes=2)
    taken = ForeignInput(SIZE, ("tight",), layout="nhwc")
    bundle = import_network([theirs], tmp_path / "out", taken, ScoreRule.parse("-softmax:0"))
    expected = 1 - softmax(run(theirs, FACES[:, 0] / 255))[:, 0]
    np.testing.assert_allclose(scores(bundle), expected, atol=1e-6)


def test_one_network_with_two_views(tmp_path: Path) -> None:
    theirs = network(tmp_path / "a.onnx", inputs=2)
    taken = ForeignInput(SIZE, ("tight", "box-4.0"))
    bundle = import_network([theirs], tmp_path / "out", taken, ScoreRule.parse("softmax:2"), name="two")
    near, far = (FACES[:, view].transpose(0, 3, 1, 2) / 255 for view in range(2))
    expected = softmax(run(theirs, near, far))[:, 2]
    np.testing.assert_allclose(scores(bundle, 2), expected, atol=1e-6)
    assert np.abs(softmax(run(theirs, far, near))[:, 2] - expected).max() > 0.01  # the order matters
    assert (bundle.card.model, bundle.card.views) == ("two", ("tight", "box-4.0"))


def test_two_networks_are_averaged(tmp_path: Path) -> None:
    """As Silent-Face-Anti-Spoofing does with its two."""
    files = [network(tmp_path / f"{seed}.onnx", seed=seed, spread=0.0005) for seed in (1, 2)]
    taken = ForeignInput(SIZE, ("box-2.7", "box-4.0"), "bgr", 255.0)
    bundle = import_network(files, tmp_path / "out", taken, ScoreRule.parse("softmax:1"))
    alone = [
        softmax(run(path, FACES[:, view, :, :, ::-1].transpose(0, 3, 1, 2)))[:, 1]
        for view, path in enumerate(files)
    ]
    np.testing.assert_allclose(scores(bundle, 2), np.mean(alone, axis=0), atol=1e-6)


def test_a_fixed_batch_that_is_only_written_down_is_freed(tmp_path: Path) -> None:
    theirs = network(tmp_path / "a.onnx", shape=(1, 3, SIZE, SIZE))
    bundle = import_network(
        [theirs], tmp_path / "out", ForeignInput(SIZE, ("tight",)), ScoreRule.parse("softmax:1")
    )
    expected = [softmax(run(theirs, face[:1].transpose(0, 3, 1, 2) / 255))[0, 1] for face in FACES]
    np.testing.assert_allclose(scores(bundle), expected, atol=1e-6)


def test_a_network_of_one_face_at_a_time_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    constants = {"shape": np.array([1, 3 * SIZE * SIZE]), "w": np.ones((3 * SIZE * SIZE, 1), np.float32)}
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, SIZE, SIZE))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 1))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    path = tmp_path / "one.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with pytest.raises(ModelFileError, match="does not take three faces at once"):
        import_network([path], tmp_path / "out", ForeignInput(SIZE, ("tight",)), ScoreRule.parse("sigmoid"))
    assert not (tmp_path / "out").exists()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another size": ({"size": 9}, "does not take"),
    "a class too many": ({"score": "softmax:3"}, "no class or column 3, for it gives 3"),
    "two crops for one input": ({"crops": ("tight", "box-2.0")}, "2 crop.s. do not fit 1 file"),
    "the same crop twice": ({"crops": ("tight", "tight")}, "several different ones"),
    "a crop that is none": ({"crops": ("round",)}, "round"),
    "an order that is none": ({"order": "grb"}, "order must be rgb or bgr"),
    "a scale that is none": ({"scale": 0.0}, "above 0"),
    "softmax of no class": ({"score": "softmax"}, "softmax:CLASS"),
    "a rule that is none": ({"score": "tanh:1"}, "softmax:CLASS"),
    "a sigmoid of several columns": ({"score": "-sigmoid"}, "gives 3 columns; .* sigmoid:COLUMN"),
    "an output that is none": ({"output": "map"}, "no output 'map'; it has logits"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_said(tmp_path: Path, name: str) -> None:
    change, message = WRONG[name]
    theirs = network(tmp_path / "a.onnx")
    values: dict[str, Any] = {"size": SIZE, "crops": ("tight",), **change}
    output, score = values.pop("output", None), values.pop("score", "softmax:1")
    with pytest.raises((InputError, ModelFileError), match=message):
        import_network(
            [theirs], tmp_path / "out", ForeignInput(**values), ScoreRule.parse(score), output=output
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("spread", [0.02, float("nan")])
def test_values_outside_0_to_1_are_no_scores(tmp_path: Path, spread: float) -> None:
    theirs = network(tmp_path / "a.onnx", spread=spread)
    with pytest.raises(ModelFileError, match=r"a score of .* but scores lie in \[0, 1\]; compare --score"):
        import_network(
            [theirs],
            tmp_path / "out",
            ForeignInput(SIZE, ("tight",), scale=255.0),
            ScoreRule.parse("value:0"),
        )
    assert not (tmp_path / "out").exists()


def test_files_that_are_no_network(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("nothing")
    taken, rule = ForeignInput(SIZE, ("tight",)), ScoreRule.parse("softmax:1")
    with pytest.raises(ModelFileError, match="no network that onnxruntime runs"):
        import_network([tmp_path / "text.onnx"], tmp_path / "out", taken, rule)
    with pytest.raises(InputError, match="no such file"):
        import_network([tmp_path / "none.onnx"], tmp_path / "out", taken, rule)
    model = onnx.load(network(tmp_path / "a.onnx"))
    onnx.save(model, tmp_path / "b.onnx", save_as_external_data=True, location="b.data", size_threshold=0)
    with pytest.raises(ModelFileError, match="weights lie in other files"):
        import_network([tmp_path / "b.onnx"], tmp_path / "out", taken, rule)


def test_the_current_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match="name a new folder in it"):
        import_network(
            [network(tmp_path / "a.onnx")], Path(), ForeignInput(SIZE, ("tight",)), ScoreRule("softmax", 1)
        )


def test_the_bundle_is_named_after_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network(tmp_path / "theirs.onnx", spread=0.0005)
    monkeypatch.chdir(tmp_path)
    options = ["--order", "bgr", "--scale", "255", "--crop", "box-2.7", "--score", "softmax:1"]
    done = CliRunner().invoke(app, ["import", "theirs.onnx", "--input-size", str(SIZE), *options])
    assert done.exit_code == 0, done.output
    assert "written: theirs-bundle" in done.output
    assert Bundle.open(tmp_path / "theirs-bundle").card.model == "theirs"


def test_evaluate_and_check_judge_it(store: Path, faces_root: Path, tmp_path: Path) -> None:
    theirs, out = network(tmp_path / "theirs.onnx"), tmp_path / "imported"
    options = [
        "--input-size",
        SIZE,
        "--order",
        "bgr",
        "--crop",
        "square-1.3",
        "--score",
        "softmax:1",
        "--out",
        out,
    ]
    program = CliRunner()
    done = program.invoke(app, ["import", str(theirs), *map(str, options)])
    assert done.exit_code == 0, done.output
    judged = program.invoke(
        app,
        [
            "evaluate",
            str(out),
            "--data",
            str(store),
            "--protocol",
            "test",
            "--out",
            str(tmp_path / "results"),
        ],
    )
    assert judged.exit_code == 0, judged.output
    assert json.loads((tmp_path / "results" / "report.json").read_text())["system"] == "theirs"
    checked = program.invoke(
        app, ["check", str(faces_root / "bonafide/person-1/0.png"), "--model", str(out), "--json"]
    )
    assert checked.exit_code in (0, 1), checked.output
    assert 0 <= json.loads(checked.output)["score"] <= 1
    again = program.invoke(app, ["import", str(theirs), *map(str, options)])
    assert again.exit_code != 0
