"""Networks that read several crops of one face."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bonaface import load
from bonaface.core.errors import InputError, ModelFileError
from bonaface.datasets.registry import open_dataset
from bonaface.face.crop import CropSpec, context_crop, cut, padded_share
from bonaface.face.detect import Face
from bonaface.inference.bundle import Bundle, FaceSettings
from bonaface.inference.runtime import OnnxRunner
from bonaface.inference.scoring import ScoredSplit, score_part
from bonaface.store.crop_store import CropStore, PrepareSettings
from bonaface.store.prepare import prepare
from bonaface.testing.networks import SIZE, brightness, gated_brightness, graph, write_bundle

VIEWS = ("tight", "square-3.5", "box-1.4")
FACE = FaceSettings(640, 0.8, 48.0, 0.6, 20, context=4.0)


@pytest.fixture(scope="module")
def wide_store(faces_root: Path, tmp_path_factory: pytest.TempPathFactory) -> CropStore:
    path = tmp_path_factory.mktemp("stores") / "wide"
    table = open_dataset("folder").read(faces_root)
    prepare(table, faces_root, path, settings=PrepareSettings(context=4.0), workers=0)
    return CropStore.open(path)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = gated_brightness(len(VIEWS), limit=0.25)
    return write_bundle(tmp_path_factory.mktemp("bundles"), network, views=VIEWS, face=FACE)


def test_a_store_keeps_the_context_that_it_was_asked_for(wide_store: CropStore, faces_root: Path) -> None:
    assert wide_store.settings.context == 4.0
    frame = wide_store.frames[0]
    picture = np.asarray(Image.open(faces_root / wide_store.presentations[0].path).convert("RGB"))
    face = Face(frame.face, ((0.0, 0.0),) * 5, 1.0)
    square, kept = context_crop(picture, face, 4.0), wide_store.read(0)
    np.testing.assert_array_equal(kept.image, square.image)
    assert (kept.box, kept.valid, kept.picture) == (square.box, square.valid, square.picture)


def test_check_and_evaluate_give_a_network_the_same_views(
    wide_store: CropStore, bundle: Path, faces_root: Path
) -> None:
    opened = Bundle.open(bundle)
    part = ScoredSplit(range(len(wide_store.presentations)), "test", "test")
    rows = list(score_part(wide_store, part, opened.card, OnnxRunner(opened, threads=1), batch=7))
    checker = load(bundle, threads=1)
    assert len(rows) == 41
    for number, row in enumerate(rows):
        found = checker(faces_root / row.video_id)
        if row.response:
            assert found.response == row.response
            continue
        assert found.score == row.score
        # Much of the wide view is mirrored border in these portraits: the network leaves it out.
        square = wide_store.read(number)
        assert padded_share(square, CropSpec("square", 3.5)) > 0.25
        crops = [cut(square, CropSpec.parse(view), SIZE) for view in ("tight", "box-1.4")]
        assert row.score == pytest.approx(np.mean(crops) / 255, abs=1e-5)


def test_a_network_may_take_several_views_without_their_shares(tmp_path: Path) -> None:
    inputs = {"images": ("B", 2, 3, SIZE, SIZE)}
    network = graph([brightness(axes=(1, 2, 3, 4))], inputs=inputs)
    opened = Bundle.open(write_bundle(tmp_path / "b", network, views=("tight", "square-1.3")))
    images = np.stack([np.full((1, 3, SIZE, SIZE), value, np.float32) for value in (0.2, 0.4)], axis=1)
    found = OnnxRunner(opened, threads=1).run(images, np.zeros((1, 2), np.float32))
    assert found["score"] == pytest.approx(0.3, abs=1e-5)


def test_rejects_missing_shares(bundle: Path) -> None:
    images = np.zeros((1, 3, 3, SIZE, SIZE), np.float32)
    with pytest.raises(ModelFileError, match="needs the mirrored share of each crop"):
        OnnxRunner(Bundle.open(bundle), threads=1).run(images)


@pytest.mark.parametrize("views", [("tight",), ("tight", "square-1.3"), (*VIEWS, "square-1.3")])
def test_rejects_another_number_of_views(tmp_path: Path, views: tuple[str, ...]) -> None:
    opened = Bundle.open(write_bundle(tmp_path / "b", gated_brightness(3, 0.5), views=views, face=FACE))
    with pytest.raises(ModelFileError, match=r"but it takes images \(B, 3, 3, 32, 32\) and shares \(B, 3\)"):
        OnnxRunner(opened, threads=1)


def test_rejects_a_store_with_too_little_context(store: Path, bundle: Path) -> None:
    opened, narrow = Bundle.open(bundle), CropStore.open(store)
    with pytest.raises(InputError, match=r"square-3\.5 reaches over .* prepare --context"):
        list(score_part(narrow, ScoredSplit([0], "test", "test"), opened.card, OnnxRunner(opened)))


@pytest.mark.parametrize("context", [0.5, 4.5, float("nan")])
def test_rejects_a_context_out_of_range(context: float) -> None:
    with pytest.raises(InputError, match="context must be between 1 and 4"):
        PrepareSettings(context=context)
