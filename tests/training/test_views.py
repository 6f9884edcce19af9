"""Training, bundle, evaluate and check of a network that reads several crops of one face."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bonaface import load
from bonaface.core.errors import InputError
from bonaface.export.torch_runner import TorchRunner
from bonaface.face.crop import CropSpec, cut_views
from bonaface.inference.bundle import Bundle
from bonaface.inference.runtime import OnnxRunner
from bonaface.inference.scoring import ScoredSplit, score_part
from bonaface.models import registry
from bonaface.models.base import Features, GradientModel, Targets
from bonaface.models.preset import Preset
from bonaface.models.record import Output
from bonaface.store.crop_store import CropStore
from bonaface.training.batches import Augmentation, CropBatches, Draw
from bonaface.training.fit import train
from bonaface.training.settings import RunSettings, choose_preset

VIEWS = ("tight", "square-1.0", "square-2.0")


class SeveralViews(GradientModel):
    """A line through the mean colour of each view; views that are mirrored by half and more are left out."""

    name = "several-views"
    score_names = ("sum",)
    map_names = ()

    def __init__(
        self, backbone: str, size: int, pretrained: bool = True, *, views: tuple[str, ...] = VIEWS
    ) -> None:
        super().__init__(backbone, size, pretrained)
        self.views = tuple(views)
        self.line = nn.Linear(3, 1)

    def forward_features(self, images: Tensor) -> Features:
        return {"means": images.mean((3, 4))}  # (B, V, 3)

    def forward_head(self, features: Features) -> Output:
        used = (features["shares"] < 0.5).float()
        logit = (self.line(features["means"]).squeeze(2) * used).sum(1)
        return Output({"sum": torch.sigmoid(logit)}, {}, {"sum": logit}, {})

    def loss(self, output: Output, targets: Targets, images: Tensor) -> dict[str, Tensor]:
        logit, label = output.logits["sum"], targets["label"]
        return {"total": nn.functional.binary_cross_entropy_with_logits(logit, label)}


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    preset = Preset("plain", SeveralViews.name, "", 32, "tight", lr=0.1, epochs=2, batch=8, bn_batches=0)
    registry.register(SeveralViews, paper="", link="", presets=(preset,))
    yield
    del registry._entries[SeveralViews.name]


@pytest.fixture(scope="module")
def trained(registered: None, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = RunSettings(
        choose_preset(SeveralViews.name, None, {}), str(store), "split", micro_batch=4, workers=0
    )
    path = tmp_path_factory.mktemp("runs") / "views"
    train(settings, path)
    return path


def batches(store: Path, **changes: Any) -> CropBatches:
    opened = CropStore.open(store)
    augmentation = Augmentation(0.5, (0.2, 0.2, 0.2, 0.02), **changes)
    return CropBatches(opened, range(41), [CropSpec.parse(view) for view in VIEWS], 32, augmentation)


def test_a_batch_holds_each_view_and_its_mirrored_share(store: Path) -> None:
    data, opened = batches(store), CropStore.open(store)
    batch = data[[Draw(3, None), Draw(5, None)]]
    assert (batch.crops.shape, batch.shares.shape) == ((2, 3, 32, 32, 3), (2, 3))
    for number, position in enumerate((3, 5)):
        expected = cut_views(opened.read(data.frames[position]), data._views, 32)
        np.testing.assert_array_equal(batch.crops[number], expected.crops)
        np.testing.assert_array_equal(batch.shares[number], expected.shares)
    assert batch.shares[1, 2] > batch.shares[1, 1]  # the wide view reaches over the second portrait


def test_shares_are_known_without_reading_a_picture(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = batches(store)
    draws = [Draw(position, None) for position in range(len(data))]
    expected = data[draws].shares.numpy()
    monkeypatch.setattr(CropStore, "read", None)
    np.testing.assert_allclose(data.shares(draws), expected, atol=1e-6)


@pytest.mark.parametrize("shares", [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)])
def test_views_of_a_face_are_augmented_alike(store: Path, shares: tuple[float, float, float]) -> None:
    """Two equal views are equal after flip, jitter, colour transfer, another exposure and another camera."""
    opened, view = CropStore.open(store), CropSpec.parse("tight")
    augmentation = Augmentation(0.5, (0.4, 0.4, 0.4, 0.1), (), *shares)
    data = CropBatches(opened, range(41), [view, view], 32, augmentation)
    draws = [Draw(position, (0, 0, position)) for position in range(12)]
    crops = data[draws].crops
    plain = data[[draw._replace(key=None) for draw in draws]].crops
    assert torch.equal(crops[:, 0], crops[:, 1])
    assert not torch.equal(crops, plain)


def test_its_bundle_says_which_views_and_runs_as_torch_does(trained: Path) -> None:
    bundle = Bundle.open(trained)
    assert bundle.card.views == VIEWS
    images = np.random.default_rng(0).normal(size=(5, 3, 3, 32, 32)).astype(np.float32)
    shares = np.array([[0, 0, 0], [0, 0.6, 0], [0, 0, 0.6], [0, 0.6, 0.6], [0.6] * 3], np.float32)
    found = OnnxRunner(bundle, threads=1).run(images, shares)["sum"]
    np.testing.assert_allclose(TorchRunner(bundle, "cpu").run(images, shares)["sum"], found, atol=1e-5)
    assert found[4] == 0.5  # nothing is left of its sum
    without = OnnxRunner(bundle, threads=1).run(images, np.zeros_like(shares))["sum"]
    assert without[0] == found[0]
    assert (np.abs(without - found)[1:] > 1e-6).all()


def test_check_and_evaluate_give_the_same_scores(trained: Path, store: Path, faces_root: Path) -> None:
    opened, bundle, checker = CropStore.open(store), Bundle.open(trained), load(trained)
    part = ScoredSplit(range(8), "test", "test")
    for row in score_part(opened, part, bundle.card, OnnxRunner(bundle)):
        found = checker(faces_root / row.video_id)
        assert found.score == (None if row.response else pytest.approx(row.score, abs=1e-6))


def test_its_dev_threshold_is_that_of_its_scores(trained: Path, store: Path) -> None:
    history = (trained / "history.csv").read_text().splitlines()
    assert len(history) == 3
    assert 0 <= Bundle.open(trained).card.threshold("sum", "video") <= 1


def test_rejects_images_or_shares_of_wrong_shape() -> None:
    model = SeveralViews("", 32)
    with pytest.raises(InputError, match=r"built for images \(B, 3, 3, 32, 32\)"):
        model(torch.zeros(2, 3, 32, 32))
    with pytest.raises(InputError, match="needs the mirrored share of each"):
        model(torch.zeros(2, 3, 3, 32, 32))


def test_rejects_drawn_crops_with_several_views(store: Path) -> None:
    preset = choose_preset(SeveralViews.name, None, {"augment.crops": ["tight"]})
    with pytest.raises(InputError, match="reads 3 together; leave it empty"):
        RunSettings(preset, str(store), "split", micro_batch=4)


def test_rejects_an_unknown_view(store: Path) -> None:
    preset = choose_preset(SeveralViews.name, None, {"views": ["tight", "round-1"]})
    with pytest.raises(InputError, match="crop must be"):
        RunSettings(preset, str(store), "split", micro_batch=4)


def test_each_view_takes_the_colours_of_its_own_counterpart(store: Path) -> None:
    """A crop and a wider one of the same face have other means, so a mean over both would give them away."""
    views = [CropSpec.parse("tight"), CropSpec.parse("square-2.0")]
    augmentation = Augmentation(0.0, (0.0, 0.0, 0.0, 0.0), color_transfer=1.0)
    data = CropBatches(CropStore.open(store), range(41), views, 32, augmentation)
    draws = [Draw(position, (0, 0, position)) for position in range(12)]
    plain = data[[draw._replace(key=None) for draw in draws]].crops.numpy().astype(float)
    shown = data[draws].crops.numpy().astype(float)
    wanted, found = plain.mean((2, 3)), shown.mean((2, 3))  # (N, 2, 3)
    donors = np.abs(found[:, None] - wanted[None]).max((2, 3)).argmin(1)
    assert np.abs(found - wanted[donors]).max() < 6.0  # clipping moves a mean a little
    assert (donors != np.arange(len(draws))).any()
