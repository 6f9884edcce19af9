"""The runtimes by name: OpenVINO gives the scores of onnxruntime, from its own files or from the ONNX network."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
import pytest
from onnx import helper

from bonaface.core.errors import InputError, MissingExtraError, ModelFileError, UnknownNameError
from bonaface.inference.bundle import ONNX, OPENVINO, OPENVINO_WEIGHTS, Bundle, write_card
from bonaface.inference.openvino_runner import OpenVinoRunner
from bonaface.inference.runners import open_runner
from bonaface.inference.runtime import OnnxRunner
from bonaface.testing.networks import SIZE, brightness, card, gated_brightness, graph, write_bundle

IMAGES = np.random.default_rng(0).uniform(size=(5, 3, SIZE, SIZE)).astype(np.float32)


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    """A bundle in OpenVINO's format alone."""
    source = write_bundle(tmp_path / "source")
    folder = tmp_path / "converted"
    folder.mkdir()
    openvino.save_model(openvino.Core().read_model(source / ONNX), folder / OPENVINO, compress_to_fp16=False)
    write_card(folder, card())
    return folder


def test_openvino_gives_the_scores_of_onnxruntime(bundle: Path) -> None:
    opened, images = Bundle.open(bundle), np.random.default_rng(0).normal(size=(3, 3, 64, 64)).astype("f4")
    expected, found = OnnxRunner(opened, 1).run(images), OpenVinoRunner(opened, 1).run(images)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5)


def test_openvino_takes_several_views_and_their_shares(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "two", gated_brightness(2, 0.5), views=("tight", "square-1.3"))
    images = np.random.default_rng(1).uniform(size=(3, 2, 3, SIZE, SIZE)).astype(np.float32)
    shares = np.array([[0, 0], [0, 0.9], [0.9, 0]], np.float32)
    score = OpenVinoRunner(Bundle.open(folder)).run(images, shares)["score"]
    means = images.mean((2, 3, 4))
    np.testing.assert_allclose(score, [means[0].mean(), means[1, 0], means[2, 1]], rtol=1e-5)
    with pytest.raises(ModelFileError, match="mirrored share"):
        OpenVinoRunner(Bundle.open(folder)).run(images)


def test_a_bundle_for_openvino_alone_runs_by_itself(converted: Path) -> None:
    bundle = Bundle.open(converted)
    runner = open_runner(bundle)
    assert isinstance(runner, OpenVinoRunner)
    for count in (5, 1, 3):  # any number of pictures, one run after the other
        np.testing.assert_allclose(
            runner.run(IMAGES[:count])["score"], IMAGES[:count].mean((1, 2, 3)), rtol=1e-5
        )
    with pytest.raises(
        ModelFileError, match=r"lacks model\.onnx, the network for onnxruntime; take another --runtime"
    ):
        open_runner(bundle, "onnxruntime")


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_bundle_may_lie_in_a_folder_whose_name_is_no_utf_8(
    converted: Path, tmp_path: Path, runtime: str
) -> None:
    source = tmp_path / "source" if runtime == "onnxruntime" else converted
    odd = source.rename(tmp_path / "caf\udce9")
    assert open_runner(Bundle.open(odd), runtime, 1).run(IMAGES)["score"].shape == (5,)


@pytest.mark.parametrize("name", [OPENVINO, OPENVINO_WEIGHTS])
def test_files_of_openvino_are_held_to_their_checksums(converted: Path, name: str) -> None:
    data = bytearray((converted / name).read_bytes())
    data[len(data) // 2] ^= 1
    (converted / name).write_bytes(data)
    with pytest.raises(ModelFileError, match="altered"):
        Bundle.open(converted)
    (converted / name).unlink()
    with pytest.raises(ModelFileError, match="missing"):
        Bundle.open(converted)


def test_what_openvino_can_not_read_is_refused(converted: Path) -> None:
    (converted / OPENVINO).write_text("nothing")
    write_card(converted, card())
    with pytest.raises(ModelFileError, match="OpenVINO can't load this network") as error:
        open_runner(Bundle.open(converted))
    assert "\n" not in str(error.value)


def test_half_of_openvinos_files_is_no_bundle(converted: Path) -> None:
    (converted / OPENVINO_WEIGHTS).unlink()
    with pytest.raises(InputError, match="belong together"):
        write_card(converted, card())
    assert Bundle.open(converted.parent / "source").holds(ONNX)
    (converted / OPENVINO).unlink()
    with pytest.raises(InputError, match="expected a network"):
        write_card(converted, card())


def test_loops_are_refused_by_openvino(tmp_path: Path) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["again"]), helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("n", 7, []),
            helper.make_tensor_value_info("go", 9, []),
            helper.make_tensor_value_info("x", 1, None),
        ],
        [helper.make_tensor_value_info("again", 9, []), helper.make_tensor_value_info("y", 1, None)],
    )
    nodes = [
        brightness(score="mean"),
        helper.make_node("Loop", ["many", "yes", "mean"], ["score"], body=body),
    ]
    network = graph(nodes, constants={"many": np.int64(1 << 60), "yes": np.bool_(True)})
    folder = write_bundle(tmp_path / "loop", network)
    with pytest.raises(ModelFileError, match="without loops"):
        OpenVinoRunner(Bundle.open(folder))


@pytest.mark.slow
def test_a_slow_network_is_stopped(tmp_path: Path) -> None:
    """Of many large convolutions each takes a moment, and between two of them OpenVINO can be stopped."""
    count, kernel = 60, np.full((64, 64, 9, 9), 1e-4, np.float32)
    sizes = {"size": np.array([1, 1, 3, 3], np.int64)}
    nodes = [
        helper.make_node("Conv", ["images", "first"], ["x0"], pads=[1, 1, 1, 1]),
        helper.make_node("Tile", ["x0", "size"], ["c0"]),
        *(
            helper.make_node("Conv", [f"c{n}", "kernel"], [f"c{n + 1}"], pads=[4, 4, 4, 4])
            for n in range(count)
        ),
        brightness(f"c{count}", "mean"),
        helper.make_node("Sigmoid", ["mean"], ["score"]),
    ]
    constants = {"first": np.full((64, 3, 3, 3), 0.1, np.float32), "kernel": kernel, **sizes}
    folder = write_bundle(tmp_path / "slow", graph(nodes, constants=constants))
    whole = OpenVinoRunner(Bundle.open(folder), threads=1)
    began = time.process_time()
    whole.run(IMAGES[:1])
    full = time.process_time() - began  # of this process alone, on a busy machine
    runner = OpenVinoRunner(Bundle.open(folder), threads=1, seconds=0.1)
    began = time.process_time()
    with pytest.raises(ModelFileError, match=r"was stopped after 0\.1 s for 1 picture"):
        runner.run(IMAGES[:1])
    assert time.process_time() - began < full / 2
    assert len(whole.run(IMAGES[:1])["score"]) == 1  # another one, and the next run, are not stopped


@pytest.mark.slow
def test_threads_of_a_program_share_one_runner(converted: Path) -> None:
    runner, found = open_runner(Bundle.open(converted), threads=1), {}

    def work(number: int) -> None:
        found[number] = [float(runner.run(IMAGES[number : number + 1])["score"][0]) for _ in range(50)]

    workers = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for number, values in found.items():
        np.testing.assert_allclose(values, IMAGES[number].mean(), rtol=1e-5)


@pytest.mark.parametrize(
    ("runtime", "kind", "message"),
    [
        ("tpu", UnknownNameError, "unknown runtime 'tpu'.*onnxruntime, openvino"),
        ("onnxruntime:xpu", UnknownNameError, "device of onnxruntime 'xpu'.*coreml, cpu, cuda, tensorrt"),
        ("onnxruntime:cuda", InputError, "without CUDAExecutionProvider; install a build.*onnxruntime-gpu"),
        ("openvino:gpu.9", InputError, "OpenVINO has no device 'gpu.9' here; it has"),
    ],
)
def test_what_is_not_there_is_said(
    bundle: Path, runtime: str, kind: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(kind, match=message):
        open_runner(Bundle.open(bundle), runtime)


def test_a_provider_that_does_not_start_is_no_silent_cpu(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """onnxruntime goes on with the CPU where CUDA is built in and can't be loaded."""
    real: Callable[..., object] = onnxruntime.InferenceSession
    asked: list[list[str]] = []

    def on_the_cpu(path: str, options: object, providers: list[str]) -> object:
        asked.append(providers)
        return real(path, options, providers=["CPUExecutionProvider"])

    offered = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    monkeypatch.setattr(onnxruntime, "InferenceSession", on_the_cpu)
    with pytest.raises(InputError, match="can't start its device cuda here"):
        open_runner(Bundle.open(bundle), "onnxruntime:cuda")
    assert asked == [offered]


def test_without_openvino_the_extra_is_named(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r'pip install "bonaface\[openvino\]"'):
        open_runner(Bundle.open(bundle), "openvino")


def test_check_runs_by_openvino(bundle: Path, faces_root: Path) -> None:
    command = [sys.executable, "-m", "bonaface.cli.main", "check", "--model", str(bundle), "--json"]
    picture = str(faces_root / "bonafide/person-1/0.png")
    one, two = (
        subprocess.run(
            [*command, picture, "--runtime", name], capture_output=True, text=True, check=False
        ).stdout
        for name in ("onnxruntime", "openvino")
    )
    assert one
    np.testing.assert_allclose(_score(two), _score(one), atol=1e-5)


def _score(line: str) -> float:
    import json

    return float(json.loads(line)["score"])
