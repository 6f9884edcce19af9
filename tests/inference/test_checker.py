import io
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import fsspec
import numpy as np
import pytest
from PIL import ExifTags, Image

import bonaface
from bonaface import Checker
from bonaface.core.errors import BonafaceError, InputError, UnknownNameError
from bonaface.core.records import Decision, Response, Verdict
from bonaface.datasets.registry import dataset_names, open_dataset
from bonaface.datasets.table import PresentationTable
from bonaface.inference import checker as checking
from bonaface.inference.bundle import Bundle
from bonaface.inference.checker import exit_code
from bonaface.inference.runtime import OnnxRunner
from bonaface.inference.scoring import ScoredSplit, score_part
from bonaface.media import decoder as decoding
from bonaface.media.info import evenly_spaced
from bonaface.media.video import read_frames
from bonaface.store.crop_store import CropStore
from bonaface.store.prepare import prepare
from bonaface.testing import make_layout
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


def test_score_at_the_threshold_is_bona_fide(run: Path, faces_root: Path) -> None:
    picture = faces_root / "bonafide/person-0/0.png"
    score = Checker(run).check(picture).score
    assert score is not None
    assert Checker(run, threshold=score).check(picture).decision is Decision.BONA_FIDE
    assert Checker(run, threshold=float(np.nextafter(score, 1))).check(picture).decision is Decision.ATTACK


def test_another_operating_point_uses_its_thresholds(run: Path, faces_root: Path) -> None:
    found = Checker(run, operating_point="bpcer=0.01").check(faces_root / "bonafide/person-0/0.png")
    assert found.threshold == Bundle.open(run).card.threshold("feature_map", "frame", "bpcer=0.01")
    with pytest.raises(UnknownNameError, match=r"operating point .*'bpcer=0\.1'.* Known: bpcer=0\.01, eer"):
        Checker(run, operating_point="bpcer=0.1")


def test_another_output_uses_its_own_threshold(run: Path, faces_root: Path) -> None:
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


def test_score_of_a_clip_is_the_mean_of_its_frames(checker: Checker, run: Path, tmp_path: Path) -> None:
    """Ten frames without a face and thirty with one: those that responded decide, at the video's threshold."""
    nobody = np.full((256, 256, 3), (90, 120, 90), np.uint8)
    pictures = [nobody] * 10 + [drawn_portrait(256, 3)] * 30
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(encode_clip(pictures, ".mp4"))
    found = checker.check(clip)
    frames = [checker.check(picture).score for _, picture in read_frames(clip, 20)]
    scores = [score for score in frames if score is not None]
    assert (found.frames, found.frames_scored) == (20, len(scores)) == (20, 15)
    assert found.score == pytest.approx(np.mean(scores))
    assert found.threshold == Bundle.open(run).card.threshold("feature_map", "video")


def test_check_and_evaluate_give_a_clip_the_same_score(checker: Checker, run: Path, tmp_path: Path) -> None:
    """A small face that moves: the crop store looks for it near its last position, and so does `check`."""
    root, wall = tmp_path / "set", np.full((480, 640, 3), 150, np.uint8)
    frames = []
    for i in range(8):
        frames.append(wall.copy())
        frames[-1][100 : 100 + 200, 120 + 20 * i : 120 + 20 * i + 200] = drawn_portrait(200, 3)
    clip = root / "bonafide" / "clip.mp4"
    clip.parent.mkdir(parents=True)
    clip.write_bytes(encode_clip(frames, ".mp4"))
    prepare(open_dataset("folder").read(root), root, tmp_path / "store", workers=0)
    bundle = Bundle.open(run)
    opened = CropStore.open(tmp_path / "store")
    rows = list(score_part(opened, ScoredSplit(range(1), "test", "test"), bundle.card, OnnxRunner(bundle)))
    assert len(rows) == 8
    found = checker.check(clip)
    assert found.frames_scored == 8
    assert found.score == pytest.approx(np.mean([row.score for row in rows]), abs=1e-6)


def lying(root: Path, lies: int) -> None:
    """Files whose pictures lie on their side or head, in every container that says so and in those that cannot."""
    folder = root / "bonafide" / f"person-{lies}"
    folder.mkdir(parents=True)
    wall = np.full((320, 256, 3), 150, np.uint8)
    wall[20:276] = drawn_portrait(256, 3)
    stored = np.ascontiguousarray(np.rot90(wall, lies // 90))
    image = Image.fromarray(stored)
    image.save(folder / "untold.png")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = {0: 1, 90: 6, 180: 3, 270: 8}[lies]
    for suffix in (".jpg", ".png", ".webp", ".tiff", ".avif"):
        image.save(folder / f"told{suffix}", exif=exif)
    image.save(
        folder / "moving.gif", save_all=True, append_images=[image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    )
    for suffix in (".avi", ".mkv", ".mov", ".mp4", ".webm"):
        (folder / f"untold{suffix}").write_bytes(encode_clip([stored] * 2, suffix))
    for suffix in (".mov", ".mp4"):
        (folder / f"told{suffix}").write_bytes(encode_clip([wall] * 2, suffix, rotation=lies))


@pytest.mark.parametrize("lies", [0, 90, 180, 270])
def test_check_and_evaluate_see_the_same_pixels(
    lies: int, checker: Checker, run: Path, tmp_path: Path
) -> None:
    lying(tmp_path / "set", lies)
    compare(
        open_dataset("folder").read(tmp_path / "set"), tmp_path / "set", tmp_path / "store", checker, run, 14
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in dataset_names() if name != "folder"])
def test_check_and_evaluate_see_the_same_pixels_of_every_set(
    name: str, checker: Checker, run: Path, tmp_path: Path
) -> None:
    root = make_layout(name, tmp_path / name)
    table = open_dataset(name).read(root)
    rows = tuple(table.rows[i] for i in evenly_spaced(len(table), 42))
    compare(PresentationTable(name, rows), root, tmp_path / "store", checker, run, len(rows))


def compare(
    table: PresentationTable, root: Path, path: Path, checker: Checker, run: Path, expected: int
) -> None:
    """Every file gets the mean of its rows' scores from `check`, or the same response."""
    prepare(table, root, path, workers=0)
    store, bundle = CropStore.open(path), Bundle.open(run)
    split = ScoredSplit(range(len(table)), "test", "test")
    by_file = defaultdict(list)
    for row in score_part(store, split, bundle.card, OnnxRunner(bundle)):
        by_file[row.video_id].append(row)
    assert len(by_file) == expected
    for presentation in table.rows:
        rows = by_file[presentation.sample_id]
        found = checker.check(root / presentation.path)
        scores = [row.score for row in rows if not row.response]
        assert found.frames == len(rows), presentation.path
        assert found.frames_scored == len(scores), presentation.path
        if scores:
            assert found.score == pytest.approx(np.mean(scores), abs=1e-6), presentation.path
        else:
            assert found.response in {row.response for row in rows}
    assert any(not frame.response for frame in store.frames)


class TestSources:
    """What `check` takes in Python."""

    def test_all_kinds_of_source_give_the_same_verdict(self, checker: Checker, faces_root: Path) -> None:
        path = faces_root / "bonafide/person-1/0.png"
        wanted = checker.check(path)
        assert wanted.path == str(path)
        data = path.read_bytes()
        with Image.open(path) as image, path.open("rb") as file:
            cases: dict[str, Any] = {
                str(path): str(path),
                "bytes": data,
                "array": np.asarray(image),
                "picture": image.copy(),
            }
            for name, source in cases.items():
                assert checker.check(source) == replace(wanted, path=name)
            for source in (bytearray(data), memoryview(data), io.BytesIO(data)):
                assert checker.check(source, "mine") == replace(wanted, path="mine")
            assert checker.check(file) == wanted
            assert checker.check(image) == replace(wanted, path="picture")

    def test_pillow_image_is_rotated_like_its_file(self, checker: Checker, faces_root: Path) -> None:
        upright = Image.open(faces_root / "bonafide/person-1/0.png")
        file = io.BytesIO()
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 3
        upright.transpose(Image.Transpose.ROTATE_180).save(file, "PNG", exif=exif)
        assert checker.check(Image.open(file)).score == checker.check(upright).score

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            (np.zeros((9, 9, 3)), r"got \(9, 9, 3\) float64; scale it to 0 \.\.\. 255"),
            (np.zeros((9, 9), np.uint8), r"got \(9, 9\) uint8; repeat a grey picture"),
            (np.zeros((2, 9, 9, 3), np.uint8), "of several pictures, check one after the other"),
            (np.zeros((9, 9, 4), np.uint8), r"expected an array \(H, W, 3\) uint8 RGB"),
            (np.zeros((0, 9, 3), np.uint8), r"expected an array \(H, W, 3\) uint8 RGB"),
            (["a.jpg"], "got a list; of several, check one after the other"),
            (None, "expected one picture or video, as a path, bytes, .*, got a NoneType"),
            (3, "got a int"),
            (io.StringIO("text"), "open it with mode 'rb'"),
            ("nowhere/face.jpg", "^nowhere/face.jpg: no such file$"),
            (Path("nowhere.mp4"), "^nowhere.mp4: no such file$"),
            (Path("/"), "expected a picture or a video, got a folder"),
            ("gopher://host/face.jpg", "gopher://host/face.jpg: expected a path or a URL"),
        ],
    )
    def test_rejects_other_kinds_of_source(self, source: object, says: str, checker: Checker) -> None:
        with pytest.raises(InputError, match=says):
            checker.check(cast(Any, source))

    def test_url_is_fetched_and_named_as_given(self, checker: Checker, faces_root: Path) -> None:
        path = faces_root / "bonafide/person-1/0.png"
        memory = fsspec.filesystem("memory")
        memory.pipe("/faces/a.png", path.read_bytes())
        memory.pipe("/faces/b.png", b"nothing")
        assert checker.check("memory://faces/a.png") == replace(
            checker.check(path), path="memory://faces/a.png"
        )
        assert checker.check("memory://faces/b.png").detail.startswith(
            "memory://faces/b.png: expected a picture"
        )
        with pytest.raises(InputError, match=r"^memory://faces/c\.png: no such file$"):
            checker.check("memory://faces/c.png")
        memory.rm("/faces", recursive=True)

    def test_rejects_a_verdict_as_a_truth_value(self, checker: Checker, faces_root: Path) -> None:
        found = checker.check(faces_root / "bonafide/person-1/0.png")
        with pytest.raises(TypeError, match=r"ask for verdict\.is_bona_fide"):
            bool(found)
        assert found.is_bona_fide is (found.decision is Decision.BONA_FIDE)
        assert not verdict(Decision.ATTACK).is_bona_fide
        assert not verdict(Decision.NO_RESPONSE).is_bona_fide

    def test_package_exports_the_checker(self) -> None:
        assert "Checker" in dir(bonaface)


def test_clip_that_crashes_the_decoder_is_a_non_response(
    run: Path, faces_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "import os, sys; sys.path[:] = {path!r}\n"
        "from bonaface.media import decoder, frames\n"
        "decoder.open_media = lambda p, n: os.abort() if p.name == 'bomb.mp4' else frames.open_media(p, n)\n"
        "decoder.serve()\n"
    )
    monkeypatch.setattr(decoding, "_START", script)
    fresh, bomb = Checker(run), tmp_path / "bomb.mp4"
    bomb.write_bytes(encode_clip([np.zeros((64, 64, 3), np.uint8)] * 3, ".mp4"))
    found = fresh.check(bomb)
    assert (found.decision, found.response) == (Decision.NO_RESPONSE, "unreadable")
    assert found.detail == f"{bomb}: the decoder crashed over it (SIGABRT); it is damaged, or made to do so"
    assert fresh.check(faces_root / "bonafide/person-1/0.png").score is not None


def test_a_clip_without_a_face_or_without_frames_is_a_non_response(checker: Checker, tmp_path: Path) -> None:
    empty, broken = tmp_path / "empty.mp4", tmp_path / "broken.mp4"
    empty.write_bytes(encode_clip([np.zeros((64, 64, 3), np.uint8)] * 3, ".mp4"))
    broken.write_bytes(b"")
    assert checker.check(empty).response == "no face"
    found = checker.check(broken)
    assert (found.score, found.response) == (None, "unreadable")
    assert "broken.mp4" in found.detail


@pytest.mark.parametrize("turned", [False, True])
def test_ties_between_reasons_of_a_clip_go_to_the_first(
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
    alone, moved = checker.check(picture), checker.check(beside)
    assert alone.box is not None
    assert moved.box is not None
    np.testing.assert_allclose(np.subtract(moved.box, alone.box), (256, 0, 256, 0), atol=8)


def test_rejects_wrong_arguments(run: Path) -> None:
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


def test_rejects_an_exit_code_of_nothing_checked() -> None:
    with pytest.raises(BonafaceError, match="nothing was checked"):
        exit_code([])
