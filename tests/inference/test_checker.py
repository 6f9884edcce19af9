from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bonaface import Checker
from bonaface.core.errors import BonafaceError, InputError, UnknownNameError
from bonaface.core.records import Decision, Response, Verdict
from bonaface.datasets.registry import open_dataset
from bonaface.inference import checker as checking
from bonaface.inference.bundle import Bundle
from bonaface.inference.checker import exit_code
from bonaface.inference.runtime import OnnxRunner
from bonaface.inference.scoring import ScoredSplit, score_part
from bonaface.media.video import read_frames
from bonaface.store.crop_store import CropStore
from bonaface.store.prepare import prepare
from bonaface.testing.clips import encode_clip
from bonaface.testing.portrait import drawn_portrait


@pytest.fixture(scope="module")
def checker(run: Path) -> Checker:
    return Checker(run)


def verdict(decision: Decision) -> Verdict:
    return Verdict("x", decision, None, 0.5)


def test_check_and_evaluate_give_the_same_scores(
    checker: Checker, run: Path, faces_root: Path, store: Path
) -> None:
    opened = CropStore.open(store)
    card = Bundle.open(run).card
    rows = list(
        score_part(
            opened,
            ScoredSplit(range(len(opened.presentations)), "test", "test"),
            card,
            OnnxRunner(Bundle.open(run)),
        )
    )
    assert len(rows) == len(opened.presentations) == 41
    for row in rows:
        found = checker.check(faces_root / row.video_id)
        if row.response:
            assert (found.score, found.response) == (None, row.response)
        else:
            assert found.score == pytest.approx(row.score, abs=1e-6)
            assert found.outputs["binary"] == pytest.approx(row.outputs["binary"], abs=1e-6)


def test_a_score_is_bona_fide_from_the_threshold_on(run: Path, faces_root: Path) -> None:
    picture = faces_root / "bonafide/person-0/0.png"
    score = Checker(run).check(picture).score
    assert score is not None
    assert Checker(run, threshold=score).check(picture).decision is Decision.BONA_FIDE
    assert Checker(run, threshold=float(np.nextafter(score, 1))).check(picture).decision is Decision.ATTACK


def test_another_output_decides_by_its_own_threshold(run: Path, faces_root: Path) -> None:
    found = Checker(run, output="binary").check(faces_root / "bonafide/person-0/0.png")
    assert found.score == found.outputs["binary"]
    assert found.threshold == Bundle.open(run).card.threshold("binary", "frame")


def test_no_face_and_unreadable_are_non_responses(checker: Checker, faces_root: Path, tmp_path: Path) -> None:
    nobody = checker.check(faces_root / "bonafide/person-0/nobody.png")
    assert (nobody.decision, nobody.score, nobody.response) == (Decision.NO_RESPONSE, None, "no face")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff nothing more")
    found = checker.check(broken)
    assert (found.decision, found.response) == (Decision.NO_RESPONSE, "unreadable")
    assert "broken.jpg" in found.detail


def test_a_clip_is_scored_by_the_mean_of_its_frames(checker: Checker, run: Path, tmp_path: Path) -> None:
    """Ten frames without a face and thirty with one: those that responded decide, at the video's threshold."""
    nobody = np.full((256, 256, 3), (90, 120, 90), np.uint8)
    pictures = [nobody] * 10 + [drawn_portrait(256, 3)] * 30
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(encode_clip(pictures, ".mp4"))
    found = checker.check(clip)
    frames = [checker.check_picture(picture).score for _, picture in read_frames(clip, 20)]
    scores = [score for score in frames if score is not None]
    assert (found.frames, found.frames_scored) == (20, len(scores)) == (20, 15)
    assert found.score == pytest.approx(np.mean(scores))
    assert found.threshold == Bundle.open(run).card.threshold("feature_map", "video")


def test_check_and_evaluate_give_a_clip_the_same_score(checker: Checker, run: Path, tmp_path: Path) -> None:
    """A small face that moves: the crop store looks for it near its last place, and so does `check`."""
    root, wall = tmp_path / "set", np.full((480, 640, 3), 150, np.uint8)
    frames = []
    for i in range(8):
        frames.append(wall.copy())
        frames[-1][100 : 100 + 200, 120 + 20 * i : 120 + 20 * i + 200] = drawn_portrait(200, 3)
    clip = root / "bonafide" / "clip.mp4"
    clip.parent.mkdir(parents=True)
    clip.write_bytes(encode_clip(frames, ".mp4"))
    prepare(open_dataset("folder").read(root), root, tmp_path / "store", workers=1)
    bundle = Bundle.open(run)
    opened = CropStore.open(tmp_path / "store")
    rows = list(score_part(opened, ScoredSplit(range(1), "test", "test"), bundle.card, OnnxRunner(bundle)))
    assert len(rows) == 8
    found = checker.check(clip)
    assert found.frames_scored == 8
    assert found.score == pytest.approx(np.mean([row.score for row in rows]), abs=1e-6)


def test_a_clip_without_a_face_or_without_frames_is_a_non_response(checker: Checker, tmp_path: Path) -> None:
    empty, broken = tmp_path / "empty.mp4", tmp_path / "broken.mp4"
    empty.write_bytes(encode_clip([np.zeros((64, 64, 3), np.uint8)] * 3, ".mp4"))
    broken.write_bytes(b"")
    assert checker.check(empty).response == "no face"
    found = checker.check(broken)
    assert (found.score, found.response) == (None, "unreadable")
    assert "broken.mp4" in found.detail


@pytest.mark.parametrize("turned", [False, True])
def test_of_equally_frequent_reasons_a_clip_gets_the_first(
    turned: bool, checker: Checker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not the one that this process's hash seed puts first."""
    reasons = [Response.FACE_TOO_SMALL, Response.NO_FACE][:: -1 if turned else 1]
    answers = iter(reasons * 2)
    monkeypatch.setattr(checking, "find_face", lambda *_: next(answers))
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(encode_clip([np.zeros((64, 64, 3), np.uint8)] * 4, ".mp4"))
    assert checker.check(clip).response == reasons[0]


def test_the_box_is_where_the_face_is(checker: Checker, faces_root: Path) -> None:
    picture = np.asarray(Image.open(faces_root / "bonafide/person-1/0.png"))
    beside = np.pad(picture, ((0, 0), (256, 0), (0, 0)), mode="edge")
    alone, moved = checker.check_picture(picture), checker.check_picture(beside)
    assert alone.box is not None
    assert moved.box is not None
    np.testing.assert_allclose(np.subtract(moved.box, alone.box), (256, 0, 256, 0), atol=8)


def test_wrong_arguments_are_refused(run: Path) -> None:
    with pytest.raises(InputError, match=r"threshold lies in \[0, 1\]"):
        Checker(run, threshold=1.5)
    with pytest.raises(UnknownNameError, match="feature_map"):
        Checker(run, output="nonsense")


@pytest.mark.parametrize(
    ("decisions", "code"),
    [
        ([Decision.BONA_FIDE, Decision.BONA_FIDE], 0),
        ([Decision.BONA_FIDE, Decision.ATTACK, Decision.NO_RESPONSE], 1),
        ([Decision.BONA_FIDE, Decision.NO_RESPONSE], 3),
    ],
)
def test_exit_codes(decisions: list[Decision], code: int) -> None:
    assert exit_code(verdict(decision) for decision in decisions) == code


def test_nothing_checked_is_misuse() -> None:
    with pytest.raises(BonafaceError, match="nothing was checked"):
        exit_code([])
