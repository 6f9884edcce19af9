"""`check --camera`, before a video that stands in for a camera."""

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bonaface.cli.camera import meter, summed_up, watch
from bonaface.core.records import Decision, Response
from bonaface.inference.checker import Checker, load
from bonaface.inference.verdict import Verdict
from bonaface.media.camera import Camera
from bonaface.media.source import MediaError
from bonaface.testing.clips import encode_clip
from bonaface.testing.portrait import drawn_portrait


@pytest.fixture(scope="module")
def checker(run: Path) -> Checker:
    return load(run, threads=1, preview=0)


def played(path: Path, picture: np.ndarray, frames: int = 15) -> str:
    path.write_bytes(encode_clip([picture] * frames, ".mp4"))
    return str(path)


def scored(score: float) -> Verdict:
    return Verdict("camera 0", Decision.BONA_FIDE, score, 0.5, frames_scored=1, face=(0, 0, 1, 1))


MISSED = Verdict("camera 0", Decision.NO_RESPONSE, None, 0.5, Response.NO_FACE, "no face")


def test_follows_the_frames_and_sums_them_up(checker: Checker, tmp_path: Path) -> None:
    shown: list[Verdict] = []
    device = played(tmp_path / "face.mp4", drawn_portrait(256, seed=3))
    found = watch(device, checker, shown.append)
    assert 1 <= len(shown) <= 15
    assert {each.path for each in shown} == {f"camera {device}"}
    scores = [each.score for each in shown if each.score is not None]
    assert found.score == pytest.approx(np.mean(scores))
    assert found.frames_scored == len(scores)
    assert found.threshold == checker.thresholds["video"]


def test_nobody_before_the_camera_is_no_response(checker: Checker, tmp_path: Path) -> None:
    found = watch(played(tmp_path / "wall.mp4", np.full((64, 64, 3), 90, np.uint8)), checker, None)
    assert (found.decision, found.response) == (Decision.NO_RESPONSE, "no face")


def test_ctrl_c_ends_it_with_the_verdict_so_far(checker: Checker, tmp_path: Path) -> None:
    def interrupt(_: Verdict) -> None:
        raise KeyboardInterrupt

    device = played(tmp_path / "face.mp4", drawn_portrait(256, seed=3), 300)
    assert watch(device, checker, interrupt).frames_scored == 1


@pytest.mark.parametrize("every_frame", [False, True])
def test_a_camera_that_fails_leaves_the_verdict_so_far(
    checker: Checker, tmp_path: Path, capsys: pytest.CaptureFixture[str], every_frame: bool
) -> None:
    device = played(tmp_path / "face.mp4", drawn_portrait(256, seed=3))
    shown: list[Verdict] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Camera, "frames", failing(Camera.frames, after=2))
        found = watch(device, checker, shown.append if every_frame else None)
        said = f"camera {device}: it was taken away; plug it in again"
        assert (found.frames_scored, found.reason) == (2, said)
        assert str(found).endswith("2 of 2 frames) (it was taken away; plug it in again)")
        assert capsys.readouterr().err == (f"bonaface: {said}\n" if every_frame else "")
        device = played(tmp_path / "wall.mp4", np.full((64, 64, 3), 90, np.uint8))
        found = watch(device, checker, None)
        assert str(found).endswith(": no response (it was taken away; plug it in again; no face)")
        patch.setattr(Camera, "frames", failing(Camera.frames, after=0))
        with pytest.raises(MediaError, match="taken away"):
            watch(device, checker, None)


def failing(
    frames: Callable[[Camera], Iterator[np.ndarray]], after: int
) -> Callable[[Camera], Iterator[np.ndarray]]:
    """`Camera.frames` of a camera that is taken away."""

    def until(camera: Camera) -> Iterator[np.ndarray]:
        yield from itertools.islice(frames(camera), after)
        raise MediaError(f"{camera.name}: it was taken away; plug it in again")

    return until


def test_the_newest_frames_decide(checker: Checker) -> None:
    recent = deque([scored(0.2), scored(0.4)])
    found = summed_up("camera 0", recent, MISSED, checker)
    assert found.score == pytest.approx(0.3)
    assert (found.decision is Decision.BONA_FIDE) is (found.score >= checker.thresholds["video"])
    nothing = summed_up("camera 0", deque(), None, checker)
    assert "not a single frame" in nothing.reason


def test_the_meter_shows_score_threshold_and_decision() -> None:
    line = meter(scored(0.5), scored(0.5), 12.3)
    assert line.startswith("█" * 20 + "|" + "░" * 20 + " ")
    assert line.endswith("0.50 bona fide, 1 frames, 12/s")
    assert meter(MISSED, scored(0.9), 5).startswith("░" * 20 + "|" + "░" * 20 + " no response (no face)")
