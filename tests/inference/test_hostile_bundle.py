"""Bundles that a stranger wrote: whatever they say, they run as described or are refused in one sentence."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from bonaface.core.errors import InputError, ModelFileError, UnknownNameError
from bonaface.inference.bundle import CARD, ONNX, Bundle, UnitThresholds, write_card
from bonaface.inference.runtime import OnnxRunner
from bonaface.testing.networks import SIZE, brightness, card, graph, rewrite, sign, write_bundle

IMAGES = np.full((2, 3, SIZE, SIZE), 0.25, np.float32)


def one_sentence(error: pytest.ExceptionInfo[Any]) -> str:
    text = str(error.value)
    assert "\n" not in text.strip()
    assert "Traceback" not in text
    return text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


def test_an_honest_small_bundle_runs(folder: Path) -> None:
    bundle = Bundle.open(folder)
    np.testing.assert_allclose(OnnxRunner(bundle, threads=1).run(IMAGES)["score"], [0.25, 0.25])
    assert bundle.card == card(files=bundle.card.files)
    assert (bundle.card.threshold("score", "frame"), bundle.card.threshold("score", "video")) == (0.25, 0.5)


def point(values: dict[str, Any]) -> dict[str, Any]:
    return dict(values["operating_points"]["eer"])


DESCRIPTIONS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no file is listed": (
        lambda v: v.update(files={}),
        r"files: expected a network, model\.onnx or model\.xml, got neither",
    ),
    "files are left out": (lambda v: v.pop("files") and None, "lacks files"),
    "files are null": (lambda v: v.update(files=None), "lacks files"),
    "a file outside the folder": (
        lambda v: v["files"].update({"../secret": "0" * 64}),
        r"files: unknown key '\.\./secret'",
    ),
    "a file by an absolute path": (
        lambda v: v["files"].update({"/etc/passwd": "0" * 64}),
        "files: unknown key '/etc/passwd'. Known: model.bin, model.onnx, model.safetensors, model.xml",
    ),
    "a checksum that is none": (
        lambda v: v["files"].update({"model.onnx": "../x"}),
        r"files\.model\.onnx|files",
    ),
    "a threshold below 0": (
        lambda v: v["operating_points"]["eer"]["thresholds"]["score"].update(frame=-5),
        r"frame: expected float >= 0",
    ),
    "a threshold above 1": (
        lambda v: v["operating_points"]["eer"]["thresholds"]["score"].update(video=1e308),
        r"video: expected float <= 1",
    ),
    "a threshold that is true": (
        lambda v: v["operating_points"]["eer"]["thresholds"]["score"].update(frame=True),
        "frame: expected float, got bool",
    ),
    "a threshold that is text": (
        lambda v: v["operating_points"]["eer"]["thresholds"]["score"].update(frame="0.5"),
        "frame: expected float, got str",
    ),
    "no threshold for a unit": (
        lambda v: v["operating_points"]["eer"]["thresholds"]["score"].pop("video") and None,
        "lacks video",
    ),
    "thresholds of another output": (
        lambda v: v["operating_points"]["eer"].update(thresholds={}),
        r"operating_points\.eer: expected thresholds of score, got those of no output",
    ),
    "no operating point": (lambda v: v.update(operating_points={}), "operating_points: lacks eer"),
    "an output twice": (lambda v: v.update(outputs=["score", "score"]), "outputs: expected each once"),
    "no output": (lambda v: v.update(outputs=[]), "outputs: expected array of length >= 1"),
    "an output named as a map": (
        lambda v: v.update(outputs=["Score of mine"]),
        r"outputs\[0\]: expected str",
    ),
    "a list for a dict": (lambda v: v.update(face=[640, 0.8]), "face: expected object, got array"),
    "a dict for a list": (lambda v: v.update(outputs={"score": 1}), "outputs: expected array, got object"),
    "lists in lists": (
        lambda v: v.update(mean=[[0.5], [0.5], [0.5]]),
        r"mean\[0\]: expected float, got array",
    ),
    "two channels": (lambda v: v.update(mean=[0.5, 0.5]), "mean: expected array of length 3, got 2"),
    "a spread of 0": (lambda v: v.update(std=[0.5, 0, 0.5]), r"std\[1\]: expected float >= 0\.001, got 0"),
    "an enormous input": (
        lambda v: v.update(input_size=10**9),
        "input_size: expected int <= 2048, got 1000000000",
    ),
    "half a pixel": (lambda v: v.update(input_size=32.5), "input_size: expected int, got float"),
    "a number beyond all": (lambda v: v.update(input_size=10**40), "input_size: expected int"),
    "no views": (lambda v: v.update(views=[]), "views: expected array of length >= 1"),
    "too many views": (lambda v: v.update(views=[f"square-1.{i}" for i in range(9)]), "length <= 8"),
    "a view that is none": (
        lambda v: v.update(views=["round-1"]),
        "crop must be .tight., .native., .square-S., .box-S. or .aligned-S.",
    ),
    "a view wider than what is kept": (lambda v: v.update(views=["square-3.0"]), "wider than the context"),
    "frames without end": (lambda v: v["face"].update(frames=10**9), r"face\.frames: expected int <= 10000"),
    "an unknown key": (lambda v: v.update(pickle="gASVKAAAAA"), "unknown key 'pickle'"),
    "a name that writes over the terminal": (lambda v: v.update(model="\x1b[2Jfine"), "model: expected str"),
    "a name that ends its line": (lambda v: v.update(model="fine\n"), "model: expected str"),
    "an output that ends its line": (lambda v: v.update(outputs=["score\n"]), r"outputs\[0\]: expected str"),
    "an endless name": (lambda v: v.update(model="x" * 201), "model: expected str of length <= 200"),
    "format true": (lambda v: v.update(format=True), "expected a bundle of format 1 to 2, got True"),
    "a later format": (lambda v: v.update(format=3), "got 3; use the Bonaface version that wrote it"),
    "no format": (lambda v: v.pop("format") and None, "expected a bundle of format 1 to 2, got None"),
    "a list": (lambda _: [1, 2], "expected a bundle of format 1 to 2, got 'list'"),
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_rejects_a_rewritten_description(folder: Path, name: str) -> None:
    change, said = DESCRIPTIONS[name]
    with pytest.raises(ModelFileError, match=said) as error:
        Bundle.open(rewrite(folder, change))
    assert one_sentence(error).startswith(str(folder / CARD))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"format": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', "null", '"x"', "7"]
)
def test_rejects_an_invalid_description(folder: Path, text: str) -> None:
    (folder / CARD).write_text(text)
    with pytest.raises(ModelFileError, match=CARD) as error:
        Bundle.open(folder)
    one_sentence(error)


def test_rejects_deeply_nested_lists(folder: Path) -> None:
    deep = "[" * 900 + "]" * 900
    text = (folder / CARD).read_text().replace('"provenance": {}', f'"provenance": {{"a": {deep}}}')
    (folder / CARD).write_text(text)
    with pytest.raises(ModelFileError, match=CARD) as error:
        Bundle.open(folder)
    one_sentence(error)


def test_rejects_an_endless_description(folder: Path) -> None:
    with (folder / CARD).open("ab") as file:
        file.truncate(2 << 20)
    with pytest.raises(ModelFileError, match="at most 1 MiB"):
        Bundle.open(folder)


WRONG: list[Any] = [None, True, -1, 10**30, 0.5, 1e300, "", "../x", [], [[]], {}, {"a": {}}, [None], ["a", 1]]


def test_values_of_another_type_raise_no_other_error(folder: Path) -> None:
    """Each value of the description, at any depth, replaced by each of those above: refused, or read as it is."""
    honest = json.loads((folder / CARD).read_text())
    del honest["checksum"]

    def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        inner = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        return [path, *(deeper for key, item in inner for deeper in paths(item, (*path, key)))]

    refused = 0
    for path in paths(honest)[1:]:
        for wrong in WRONG:
            values = json.loads(json.dumps(honest))
            target = values
            for step in path[:-1]:
                target = target[step]
            target[path[-1]] = wrong
            with suppress(ModelFileError):
                OnnxRunner(Bundle.open(sign(folder, values)), threads=1)
                continue
            refused += 1
    assert refused > 0.75 * len(WRONG) * len(paths(honest))


def identity(name: str) -> onnx.NodeProto:
    return helper.make_node("Identity", [name], ["score"])


NETWORKS: dict[str, tuple[onnx.ModelProto, str]] = {
    "another input name": (
        graph([brightness("pixels")], inputs={"pixels": ("B", 3, SIZE, SIZE)}),
        r"takes images \(B, 3, 32, 32\), .* but it takes pixels \(B, 3, 32, 32\)",
    ),
    "a fixed batch": (
        graph([brightness()], inputs={"images": (1, 3, SIZE, SIZE)}, outputs={"score": (1,)}),
        r"but it takes images \(1, 3, 32, 32\)",
    ),
    "another size": (
        graph([brightness()], inputs={"images": ("B", 3, 64, 64)}),
        r"but it takes images \(B, 3, 64, 64\)",
    ),
    "channels last": (
        graph([brightness()], inputs={"images": ("B", SIZE, SIZE, 3)}),
        r"but it takes images \(B, 32, 32, 3\)",
    ),
    "a second input": (
        graph([brightness()], inputs={"images": ("B", 3, SIZE, SIZE), "more": ("B",)}),
        "and more",
    ),
    "several views unsaid": (
        graph([brightness(axes=(1, 2, 3, 4))], inputs={"images": ("B", 2, 3, SIZE, SIZE)}),
        r"but it takes images \(B, 2, 3, 32, 32\)",
    ),
    "another output name": (
        graph([brightness(score="other")], outputs={"other": ("B",)}),
        "lacks the outputs score",
    ),
    "a map in place of a score": (
        graph([brightness(axes=(1,))], outputs={"score": ("B", SIZE, SIZE)}),
        r"output score is float32 with 1 dimension",
    ),
    "whole numbers for scores": (
        graph(
            [brightness(score="mean"), helper.make_node("Cast", ["mean"], ["score"], to=TensorProto.INT64)],
            kind=TensorProto.INT64,
        ),
        r"got tensor\(int64\)",
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_rejects_a_network_that_differs_from_its_description(tmp_path: Path, name: str) -> None:
    network, said = NETWORKS[name]
    with pytest.raises(ModelFileError, match=said) as error:
        OnnxRunner(Bundle.open(write_bundle(tmp_path / "bundle", network)), threads=1)
    one_sentence(error)


def scaled(factor: float) -> onnx.ModelProto:
    nodes = [brightness(score="mean"), helper.make_node("Mul", ["mean", "factor"], ["score"])]
    return graph(nodes, constants={"factor": np.float32(factor)})


RUNNING: dict[str, tuple[onnx.ModelProto, str]] = {
    "a score of a million": (scaled(4e6), r"gave score = 1e\+06, but scores and maps lie in \[0, 1\]"),
    "a negative score": (scaled(-1), r"gave score = -0\.25"),
    "a score that is no number": (scaled(float("nan")), "gave score = nan"),
    "an infinite score": (scaled(float("inf")), "gave score = inf"),
    "fewer scores than pictures": (
        graph(
            [
                brightness(score="all"),
                helper.make_node("Slice", ["all", "zero", "one"], ["score"]),
            ],
            outputs={"score": ("any",)},
            constants={"zero": np.array([0]), "one": np.array([1])},
        ),
        r"output score must be float32 with 1 dimension\(s\), the first of 2, got float32 \(1,\)",
    ),
    "a network that fails": (
        graph(
            [
                brightness(score="all"),
                helper.make_node("NonZero", ["all"], ["found"]),
                helper.make_node("Add", ["found", "hundred"], ["far"]),
                helper.make_node("Squeeze", ["far", "first"], ["beyond"]),
                helper.make_node("Gather", ["all", "beyond"], ["score"]),
            ],
            constants={"hundred": np.array([100]), "first": np.array([0])},
            outputs={"score": ("n",)},
        ),
        r"the network failed \(",
    ),
    "a network that wants more memory than there is": (
        graph(
            [
                helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
                helper.make_node("ReduceMean", ["zeros"], ["zero"], keepdims=0),
                brightness(score="mean"),
                helper.make_node("Add", ["mean", "zero"], ["score"]),
            ],
            constants={"shape": np.array([10**13])},
        ),
        r"the network failed \(",
    ),
}


@pytest.mark.parametrize("name", RUNNING)
def test_rejects_outputs_that_are_no_scores(tmp_path: Path, name: str) -> None:
    network, said = RUNNING[name]
    runner = OnnxRunner(Bundle.open(write_bundle(tmp_path / "bundle", network)), threads=1)
    with pytest.raises(ModelFileError, match=said) as error:
        runner.run(IMAGES)
    one_sentence(error)


def test_clips_a_score_that_rounding_left_over_1(tmp_path: Path) -> None:
    bundle = Bundle.open(write_bundle(tmp_path / "bundle", scaled(4.000001)))
    assert OnnxRunner(bundle, threads=1).run(IMAGES)["score"].tolist() == [1.0, 1.0]


def endless(constant: bool) -> onnx.ModelProto:
    """A loop that always goes on; with `constant` over a number that is known when the network is loaded."""
    shape = (1,) if constant else ("B",)
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["on"], ["still"]),
            helper.make_node("Mul", ["value", "value"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, ()),
            helper.make_tensor_value_info("on", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, shape),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, shape),
        ],
    )
    constants = {"yes": np.array(True), "one": np.ones(1, np.float32)}
    if constant:
        loop = helper.make_node("Loop", ["", "yes", "one"], ["factor"], body=body)
        nodes = [loop, brightness(score="mean"), helper.make_node("Mul", ["mean", "factor"], ["score"])]
        return graph(nodes, constants=constants)
    loop = helper.make_node("Loop", ["", "yes", "mean"], ["score"], body=body)
    return graph([brightness(score="mean"), loop], constants=constants)


@pytest.mark.parametrize("constant", [False, True])
def test_stops_an_endless_network(tmp_path: Path, constant: bool) -> None:
    begun = time.monotonic()
    bundle = Bundle.open(write_bundle(tmp_path / "bundle", endless(constant)))
    runner = OnnxRunner(bundle, threads=1, seconds=0.2)
    with pytest.raises(ModelFileError, match=r"was stopped after 0\.4 s for 2 picture\(s\)"):
        runner.run(IMAGES)
    assert time.monotonic() - begun < 5


def external(folder: Path, location: str, nested: bool = False) -> None:
    """Give the network of `folder` a factor of 1 that lies in another file, in an initialiser or in a node."""
    network = scaled(1.0)
    tensor = network.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "4")):
        tensor.external_data.add(key=key, value=value)
    if nested:
        constant = helper.make_node("Constant", [], ["factor"], value=tensor)
        del network.graph.initializer[:]
        network.graph.node.insert(0, constant)
    (folder / ONNX).write_bytes(network.SerializeToString())
    write_card(folder, card())


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", CARD])
def test_rejects_weights_in_an_unlisted_file(tmp_path: Path, location: str, nested: bool) -> None:
    folder = write_bundle(tmp_path / "bundle")
    if location != CARD:
        (folder / location).write_bytes(np.float32(1).tobytes())
    external(folder, location, nested)
    with pytest.raises(ModelFileError, match="its weights lie in others"):
        OnnxRunner(Bundle.open(folder), threads=1)


def test_accepts_a_tensor_that_is_named_location(tmp_path: Path) -> None:
    nodes = [brightness(score="location"), identity("location")]
    runner = OnnxRunner(Bundle.open(write_bundle(tmp_path / "bundle", graph(nodes))), threads=1)
    np.testing.assert_allclose(runner.run(IMAGES)["score"], 0.25)


@pytest.mark.parametrize(
    "data", [b"", b"nothing", b"location", b"\xff" * 40 + b"location", b"\x3a\x7flocation"]
)
def test_rejects_an_invalid_onnx_file(tmp_path: Path, data: bytes) -> None:
    folder = write_bundle(tmp_path / "bundle")
    (folder / ONNX).write_bytes(data)
    write_card(folder, card())
    with pytest.raises(ModelFileError, match=ONNX):
        OnnxRunner(Bundle.open(folder), threads=1)


def test_rejects_writing_an_unreadable_description(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle")
    wrong = {"eer": point_of(1.5)}
    with pytest.raises(InputError, match=r"frame: expected float <= 1\.0"):
        write_card(folder, card(operating_points=wrong))
    assert Bundle.open(folder).card.threshold("score", "frame") == 0.25


def point_of(frame: float) -> Any:
    from msgspec.structs import replace

    return replace(card().operating_points["eer"], thresholds={"score": UnitThresholds(frame, 0.5)})


def test_reads_a_bundle_of_version_0_1(folder: Path) -> None:
    new = json.loads((folder / CARD).read_text())
    old = {
        key: value
        for key, value in new.items()
        if key not in ("views", "operating_points", "seed", "checksum")
    }
    del old["face"]["context"]
    old |= {
        "format": 1,
        "crop": "square-1.3",
        "thresholds": {"score": {"frame": 0.4, "video": 0.6}},
        "threshold_source": {"rule": "eer", "dataset": "oulu-npu", "protocol": "3", "fold": "2"}
        | {"bona_fide": 10, "attacks": 40, "subjects": 5},
        "provenance": {"settings": {"seed": 7}},
    }
    found = Bundle.open(sign(folder, old)).card
    assert (found.views, found.seed, found.face.context) == (("square-1.3",), 7, 2.0)
    assert (found.threshold("score", "frame"), found.threshold("score", "video")) == (0.4, 0.6)
    assert (found.source.dataset, found.source.protocol, found.source.fold) == ("oulu-npu", "3", "2")
    assert found.source.subjects == 5
    with pytest.raises(UnknownNameError, match=r"operating point .* Known: eer"):
        found.threshold("score", "frame", "bpcer=0.01")
    for threshold in (-5, 1e308, True, "0.5", None, [0.5]):
        old["thresholds"]["score"]["frame"] = threshold
        with pytest.raises(ModelFileError, match="frame: expected"):
            Bundle.open(sign(folder, old))


@pytest.mark.parametrize(
    ("dataset", "before", "after"),
    [
        ("casia-fasd", "low-quality", "normal-quality"),
        ("simulated-casia-fasd", "normal-quality", "low-quality"),
        ("casia-fasd", "overall", "overall"),
        ("mine", "low-quality", "low-quality"),
    ],
)
def test_a_bundle_of_version_0_1_gets_the_right_name_of_casias_cameras(
    folder: Path, dataset: str, before: str, after: str
) -> None:
    """Version 0.1 took the two for each other: its low-quality is the normal quality of today."""
    new = json.loads((folder / CARD).read_text())
    old = {k: v for k, v in new.items() if k not in ("views", "operating_points", "seed", "checksum")}
    source = {
        "rule": "eer",
        "dataset": dataset,
        "protocol": before,
        "fold": "",
        "bona_fide": 10,
        "attacks": 40,
    }
    old |= {"format": 1, "crop": "square-1.3", "thresholds": {"score": {"frame": 0.4, "video": 0.6}}}
    card = Bundle.open(sign(folder, old | {"threshold_source": source | {"subjects": 5}})).card
    assert (card.source.dataset, card.source.protocol) == (dataset, after)


def test_reports_missing_weights_for_torch(folder: Path) -> None:
    with pytest.raises(
        ModelFileError, match=r"lacks model\.safetensors, the network for torch; take another --runtime"
    ):
        _ = Bundle.open(folder).weights
