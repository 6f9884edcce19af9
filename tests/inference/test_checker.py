import io
import os
import resource
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import fsspec
import numpy as np
import pytest
from PIL import ExifTags, Image

import bonaface
from bonaface import Checker, load
from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.records import Decision, Response
from bonaface.datasets.registry import dataset_names, open_dataset
from bonaface.datasets.table import PresentationTable
from bonaface.face.crop import view_places
from bonaface.inference import checker as checking
from bonaface.inference.bundle import Bundle
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
    return load(run)


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
        found = checker(faces_root / row.video_id)
        if row.response:
            assert (found.score, found.response) == (None, row.response)
        else:
            assert found.score == pytest.approx(row.score, abs=1e-6)
            assert found.outputs["binary"] == pytest.approx(row.outputs["binary"], abs=1e-6)


def test_score_at_the_threshold_is_bona_fide(run: Path, faces_root: Path) -> None:
    picture = faces_root / "bonafide/person-0/0.png"
    score = load(run)(picture).score
    assert score is not None
    assert load(run, threshold=score)(picture).decision is Decision.BONA_FIDE
    assert load(run, threshold=float(np.nextafter(score, 1)))(picture).decision is Decision.ATTACK


def test_another_operating_point_uses_its_thresholds(run: Path, faces_root: Path) -> None:
    found = load(run, operating_point="bpcer=0.01")(faces_root / "bonafide/person-0/0.png")
    assert found.threshold == Bundle.open(run).card.threshold("feature_map", "frame", "bpcer=0.01")
    with pytest.raises(UnknownNameError, match=r"operating point .*'bpcer=0\.1'.* Known: bpcer=0\.01, eer"):
        load(run, operating_point="bpcer=0.1")


def test_another_output_uses_its_own_threshold(run: Path, faces_root: Path) -> None:
    found = load(run, output="binary")(faces_root / "bonafide/person-0/0.png")
    assert found.score == found.outputs["binary"]
    assert found.threshold == Bundle.open(run).card.threshold("binary", "frame")


def test_no_face_and_unreadable_are_non_responses(checker: Checker, faces_root: Path, tmp_path: Path) -> None:
    nobody = checker(faces_root / "bonafide/person-0/nobody.png")
    assert (nobody.decision, nobody.score, nobody.response) == (Decision.NO_RESPONSE, None, "no face")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff nothing more")
    found = checker(broken)
    assert (found.decision, found.response) == (Decision.NO_RESPONSE, "unreadable")
    assert "broken.jpg" in found.reason


def test_score_of_a_clip_is_the_mean_of_its_frames(checker: Checker, run: Path, tmp_path: Path) -> None:
    """Ten frames without a face and thirty with one: those that responded decide, at the video's threshold."""
    nobody = np.full((256, 256, 3), (90, 120, 90), np.uint8)
    pictures = [nobody] * 10 + [drawn_portrait(256, 3)] * 30
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(encode_clip(pictures, ".mp4"))
    found = checker(clip)
    frames = [checker(picture).score for _, picture in read_frames(clip, 20)]
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
    found = checker(clip)
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
        found = checker(root / presentation.path)
        scores = [row.score for row in rows if not row.response]
        assert found.frames == len(rows), presentation.path
        assert found.frames_scored == len(scores), presentation.path
        if scores:
            assert found.score == pytest.approx(np.mean(scores), abs=1e-6), presentation.path
        else:
            assert found.response in {row.response for row in rows}
    assert any(not frame.response for frame in store.frames)


def written() -> Any:
    return Path(os.devnull).open("ab")


def closed() -> io.BytesIO:
    file = io.BytesIO(b"closed")
    file.close()
    return file


class TestSources:
    """What `check` takes in Python."""

    def test_all_kinds_of_source_give_the_same_verdict(self, checker: Checker, faces_root: Path) -> None:
        path = faces_root / "bonafide/person-1/0.png"
        wanted = checker(path)
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
                assert checker(source) == replace(wanted, path=name)
            for source in (bytearray(data), memoryview(data), io.BytesIO(data)):
                assert checker(source, name="mine") == replace(wanted, path="mine")
            assert checker(file) == wanted
            assert checker(image) == replace(wanted, path="picture")

    def test_pillow_image_is_rotated_like_its_file(self, checker: Checker, faces_root: Path) -> None:
        upright = Image.open(faces_root / "bonafide/person-1/0.png")
        file = io.BytesIO()
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 3
        upright.transpose(Image.Transpose.ROTATE_180).save(file, "PNG", exif=exif)
        assert checker(Image.open(file)).score == checker(upright).score

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            (np.zeros((9, 9, 3)), r"got \(9, 9, 3\) float64; scale it to 0 \.\.\. 255"),
            (np.full((9, 9, 3), np.nan), "float64; it holds NaN; scale it"),
            (np.zeros((9, 9, 3), np.int64), r"int64; .* array\.astype\(np\.uint8\)"),
            (np.zeros((9, 9, 3), bool), r"got \(9, 9, 3\) bool$"),
            (np.zeros((9, 9), np.uint8), r"got \(9, 9\) uint8; repeat a grey picture"),
            (np.zeros((2, 9, 9, 3), np.uint8), r"give several pictures as a list: list\(array\)"),
            (
                np.zeros((9, 9, 4), np.uint8),
                r"expected an array \(H, W, 3\) uint8 RGB, .* array\[\.\.\., :3\]",
            ),
            (np.zeros((3, 9, 9), np.uint8), r"channels last: array\.transpose\(1, 2, 0\)"),
            (np.zeros((0, 9, 3), np.uint8), r"expected an array \(H, W, 3\) uint8 RGB, .* no pixels"),
            ({"a.jpg"}, "or a list of them, got a set"),
            ([], "got an empty list"),
            (["a.jpg", 3], "number 1 of the list: expected a picture or a video, .* got a int"),
            ([np.zeros((9, 9), np.uint8)], "number 0 of the list: .* repeat a grey picture"),
            (None, "expected a picture or a video, as a path, bytes, .*, got a NoneType"),
            (3, "got a int"),
            (io.StringIO("text"), "open it with mode 'rb'"),
            (closed(), "the file is closed"),
            (
                ["a.jpg", io.StringIO("text")],
                "number 1 of the list: file: .* got one of text; open it with mode 'rb'",
            ),
            (["a.jpg", written()], "number 1 of the list: /dev/null: .* only written; open it"),
            ("nowhere/face.jpg", "^nowhere/face.jpg: no such file$"),
            (Path("nowhere.mp4"), "^nowhere.mp4: no such file$"),
            (Path("/"), "expected a picture or a video, got a folder"),
            ("gopher://host/face.jpg", "gopher://host/face.jpg: expected a path or a URL"),
        ],
    )
    def test_rejects_other_kinds_of_source(self, source: object, says: str, checker: Checker) -> None:
        with pytest.raises(InputError, match=says) as caught:
            checker(cast(Any, source))
        assert "\n" not in str(caught.value)

    def test_a_tensor_is_told_how_to_become_an_array(self, checker: Checker) -> None:
        import torch

        with pytest.raises(InputError, match=r"got a Tensor; .* tensor\.numpy\(\)"):
            checker(cast(Any, torch.zeros(9, 9, 3)))

    def test_a_file_that_was_read_or_a_closed_picture_is_unreadable(
        self, checker: Checker, faces_root: Path
    ) -> None:
        path = faces_root / "bonafide/person-1/0.png"
        with path.open("rb") as file:
            file.read()
            assert checker(file).response == Response.UNREADABLE
        image = Image.open(path)
        image.close()
        assert checker(image).response == Response.UNREADABLE
        with (
            Path(os.devnull).open("wb") as file,
            pytest.raises(InputError, match=r"cannot be read, .* mode 'rb'"),
        ):
            checker(cast(Any, file))

    def test_arrays_of_opencv_are_blue_first(self, checker: Checker, faces_root: Path) -> None:
        path = faces_root / "bonafide/person-1/0.png"
        picture = np.asarray(Image.open(path))
        wanted = checker(path)
        assert checker(picture[..., ::-1], bgr=True) == replace(wanted, path="array")
        assert checker(picture[..., ::-1]).score != wanted.score
        with pytest.raises(
            InputError, match="bgr=True says how an array's colours are ordered, and a str tells"
        ):
            checker("face.jpg", bgr=True)

    def test_url_is_fetched_and_named_as_given(self, checker: Checker, faces_root: Path) -> None:
        path = faces_root / "bonafide/person-1/0.png"
        memory = fsspec.filesystem("memory")
        memory.pipe("/faces/a.png", path.read_bytes())
        memory.pipe("/faces/b.png", b"nothing")
        assert checker("memory://faces/a.png") == replace(checker(path), path="memory://faces/a.png")
        assert checker("memory://faces/b.png").reason.startswith("memory://faces/b.png: expected a picture")
        with pytest.raises(InputError, match=r"^memory://faces/c\.png: no such file$"):
            checker("memory://faces/c.png")
        memory.rm("/faces", recursive=True)


class TestLists:
    """Several sources at once."""

    def test_a_list_gets_the_verdicts_of_its_members(self, checker: Checker, faces_root: Path) -> None:
        paths = sorted(faces_root.rglob("*.png"))[-20:]
        paths[3] = faces_root / "bonafide/person-0/nobody.png"
        clip = encode_clip([np.asarray(Image.open(paths[0]))] * 9, ".mp4")
        sources: list[Any] = [*paths[:10], clip, *paths[10:]]
        together, apart = checker(sources), [checker(source) for source in sources]
        assert [found.path for found in together] == [
            *map(str, paths[:10]),
            "bytes 10",
            *map(str, paths[10:]),
        ]
        for found, wanted in zip(together, apart, strict=True):
            assert found.score == pytest.approx(wanted.score, abs=1e-5)
            assert replace(found, path="", score=None, outputs={}, frame_scores=()) == replace(
                wanted, path="", score=None, outputs={}, frame_scores=()
            )
        assert {found.response for found in together} == {"", "no face"}

    def test_faces_go_through_the_network_together(self, run: Path, faces_root: Path) -> None:
        bundle = Bundle.open(run)
        sizes: list[int] = []

        class Counting(OnnxRunner):
            def run(self, images: Any, shares: Any = None) -> Any:
                sizes.append(len(images))
                return super().run(images, shares)

        checker = Checker(bundle, Counting(bundle))
        checker([np.asarray(Image.open(path)) for path in sorted(faces_root.glob("bonafide/*/0.png"))])
        assert sum(sizes) == 10
        assert max(sizes) > 1

    def test_a_missing_or_broken_member_costs_the_others_nothing(
        self, checker: Checker, faces_root: Path, tmp_path: Path
    ) -> None:
        face, broken = faces_root / "bonafide/person-1/0.png", tmp_path / "broken.jpg"
        broken.write_bytes(b"nothing")
        found = checker([face, tmp_path / "gone.jpg", broken, tmp_path, "memory://gone/a.jpg", face])
        assert [each.response for each in found] == ["", *["unreadable"] * 4, ""]
        assert found[1].reason == f"{tmp_path}/gone.jpg: no such file"
        assert str(found[1]) == f"{tmp_path}/gone.jpg: no response (no such file)"

    def test_what_may_not_be_looked_at_costs_the_others_nothing(
        self, checker: Checker, faces_root: Path, tmp_path: Path
    ) -> None:
        face = faces_root / "bonafide/person-1/0.png"
        (tmp_path / "long.jpg").symlink_to("a" * 300)
        (tmp_path / "loop.jpg").symlink_to("loop.jpg")
        odd: list[Any] = [
            tmp_path / "long.jpg",
            tmp_path / "loop.jpg",
            "b" * 300,
            "ftp://127.0.0.1:9/x.jpg",
            "xyz://a/b.jpg",
        ]
        found = checker([*odd, face])
        assert [each.response for each in found] == [*["unreadable"] * 5, ""]
        for each, source in zip(found, odd, strict=False):
            assert str(each).startswith(f"{source}: no response (")
        assert "File name too long" in found[0].reason
        assert "cannot be reached ([Errno 111] Connection refused)" in found[3].reason
        with pytest.raises(InputError, match=r"^ftp://127.0.0.1:9/x.jpg: cannot be reached"):
            checker("ftp://127.0.0.1:9/x.jpg")

    def test_a_short_name_is_put_at_the_beginning_of_a_message_alone(
        self, checker: Checker, faces_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        cut = (faces_root / "bonafide/person-1/0.png").read_bytes()[:2000]
        for content, said in ((b"nothing", "expected a picture ("), (cut, "a PNG picture that is damaged")):
            Path("e").write_bytes(content)
            reason = checker("e").reason
            assert reason.startswith(f"e: {said}")
            assert checker("./e").reason == f"./{reason}"

    def test_a_stream_takes_little_ahead(self, checker: Checker, faces_root: Path) -> None:
        paths, taken = sorted(faces_root.glob("bonafide/*/0.png")) * 20, []

        def sources() -> Iterator[Path]:
            for path in paths:
                taken.append(path)
                yield path

        verdicts = checker.stream(sources())
        for number in range(len(paths)):
            next(verdicts)
            assert len(taken) <= number + 9
        assert next(verdicts, None) is None

    @pytest.mark.parametrize("one", ["a.jpg", Path("a.jpg"), b"bytes", io.BytesIO(b"a\nb")])
    def test_a_stream_is_of_several(self, checker: Checker, one: Any) -> None:
        """A path is no sequence of letters, each a file that is not there, nor is a file one of lines."""
        with pytest.raises(
            InputError, match=r"expected several pictures or videos, got one .*put it into a list"
        ):
            next(checker.stream(one))

    def test_one_name_is_not_for_a_list(self, checker: Checker) -> None:
        with pytest.raises(InputError, match="one name is for one picture"):
            checker(cast(Any, ["a.jpg"]), name="mine")


@pytest.mark.slow
def test_memory_is_flat_over_ten_thousand_pictures(run: Path, faces_root: Path) -> None:
    """This process and the one that reads the files, after 1,000 pictures and after 10,000."""
    checker = load(run, threads=1)
    paths = sorted(faces_root.rglob("*.png"))

    def memory() -> int:
        reader = checker._decoder._idle[os.getpid()][-1]._child.pid
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in (os.getpid(), reader)]
        return sum(pages) * resource.getpagesize()

    early = 0
    for number, _ in enumerate(checker.stream(paths[n % len(paths)] for n in range(10_000))):
        if number == 1000:
            early = memory()
    assert number == 9999
    assert memory() < 1.03 * early


class TestThreads:
    def test_threads_get_the_verdicts_of_one(self, run: Path, faces_root: Path) -> None:
        fresh = load(run, threads=1)  # nothing is started yet: threads race for the detector and the decoders
        paths = sorted(faces_root.rglob("*.png")) * 2
        clip = encode_clip([np.asarray(Image.open(paths[0]))] * 4, ".mp4")
        sources: list[Any] = [*paths, *[clip] * 6]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(fresh, sources))
        wanted = [fresh(source) for source in sources]
        assert found == wanted
        assert len({each.score for each in wanted}) > 20


def test_package_lists_what_it_offers() -> None:
    assert {"Checker", "Verdict", "load", "__version__"} <= set(dir(bonaface))
    assert isinstance(bonaface.load, type(load))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = bonaface.nonsense


def test_maps_lie_on_the_views_they_are_of(bundle: Path, faces_root: Path) -> None:
    """Turned pictures too: what is drawn is upright, what is told is in the picture's own pixels."""
    checker = load(bundle)
    picture = np.asarray(Image.open(faces_root / "bonafide/person-1/0.png"))
    (spec,) = checker.bundle.card.crop_specs
    upright, lying = checker(picture), checker(np.ascontiguousarray(np.rot90(picture, 3)))
    for found in (upright, lying):
        (drawn,) = found.preview.maps
        (face,) = checker._detector.detect(picture)
        (place,) = view_places(face, 256, 256, [spec])
        np.testing.assert_allclose(drawn.place, place, atol=6)
        assert found.maps[drawn.name].shape == drawn.values.shape
        assert ((drawn.values >= 0) & (drawn.values <= 1)).all()
    x, y = upright.landmarks[0]
    np.testing.assert_allclose(lying.landmarks[0], (256 - y, x), atol=6)
    assert load(bundle, preview=0)(picture).heatmap is None


def test_a_large_picture_is_kept_small(run: Path) -> None:
    picture = np.asarray(Image.fromarray(drawn_portrait(256, seed=1)).resize((3000, 2000)))
    found = load(run, preview=200)(picture)
    assert found.preview.picture.shape == (133, 200, 3)
    assert len(found.preview.jpeg) < 40_000
    x0, _, x1, _ = found.preview.maps[0].place
    assert found.face[0] / 15 - 20 < x0 < x1 < found.face[2] / 15 + 20


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
    fresh, bomb = load(run), tmp_path / "bomb.mp4"
    bomb.write_bytes(encode_clip([np.zeros((64, 64, 3), np.uint8)] * 3, ".mp4"))
    found = fresh(bomb)
    assert (found.decision, found.response) == (Decision.NO_RESPONSE, "unreadable")
    assert found.reason == f"{bomb}: the decoder crashed over it (SIGABRT); it is damaged, or made to do so"
    assert fresh(faces_root / "bonafide/person-1/0.png").score is not None


def test_a_clip_without_a_face_or_without_frames_is_a_non_response(checker: Checker, tmp_path: Path) -> None:
    empty, broken = tmp_path / "empty.mp4", tmp_path / "broken.mp4"
    empty.write_bytes(encode_clip([np.zeros((64, 64, 3), np.uint8)] * 3, ".mp4"))
    broken.write_bytes(b"")
    assert checker(empty).response == "no face"
    found = checker(broken)
    assert (found.score, found.response) == (None, "unreadable")
    assert "broken.mp4" in found.reason


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
    assert checker(clip).response == reasons[0]


def test_the_box_is_where_the_face_is(checker: Checker, faces_root: Path) -> None:
    picture = np.asarray(Image.open(faces_root / "bonafide/person-1/0.png"))
    beside = np.pad(picture, ((0, 0), (256, 0), (0, 0)), mode="edge")
    alone, moved = checker(picture), checker(beside)
    assert alone.face is not None
    assert moved.face is not None
    np.testing.assert_allclose(np.subtract(moved.face, alone.face), (256, 0, 256, 0), atol=8)


def test_rejects_wrong_arguments(run: Path) -> None:
    with pytest.raises(InputError, match=r"threshold lies in \[0, 1\]"):
        load(run, threshold=1.5)
    with pytest.raises(InputError, match="at least 0 pixels"):
        load(run, preview=-1)
    with pytest.raises(UnknownNameError, match="feature_map"):
        load(run, output="nonsense")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("model", 5, "model must be a path or a model's name, got a int: 5"),
        ("output", b"eer", "output must be a score output's name, got a bytes"),
        ("threshold", "0.5", r"threshold must be a number in \[0, 1\], got a str: '0.5'"),
        ("operating_point", 0.01, "operating_point must be a text, as 'bpcer=0.01', got a float"),
        ("threads", 1.5, "threads must be a whole number, got a float"),
        ("preview", True, "preview must be a whole number of pixels, got a bool"),
    ],
)
def test_rejects_arguments_of_other_types(name: str, value: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        load(**{name: value})


def test_numbers_may_be_numpys() -> None:
    assert load(threshold=np.float32(0.5), threads=np.int64(1)).thresholds["frame"] == 0.5  # type: ignore[arg-type]
