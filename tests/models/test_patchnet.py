"""Patches: where they lie, the margin softmax by hand, and the crop that resizes nothing."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from bonaface.core.errors import InputError
from bonaface.face.crop import CropSpec, context_crop, crop_landmarks, cut, face_crop
from bonaface.face.detect import Face
from bonaface.models import create_model

TINY = "random:test_efficientnet"


def built(**options: Any) -> Any:
    torch.manual_seed(0)
    return create_model("patchnet", **{"backbone": TINY, "size": 96, "patch": 32, **options}).eval()


def test_a_picture_is_scored_by_nine_patches() -> None:
    model = built()
    picture = torch.randn(1, 3, 96, 96)
    whole = built(size=32, patch=32)
    whole.load_state_dict(model.state_dict())
    with torch.no_grad():
        output = model(picture)
        for row, y in enumerate((0, 32, 64)):
            for column, x in enumerate((0, 32, 64)):
                alone = whole(picture[:, :, y : y + 32, x : x + 32]).scores["patches"]
                torch.testing.assert_close(output.maps["map"][:, row, column], alone)
    torch.testing.assert_close(output.scores["patches"], output.maps["map"].mean((1, 2)))


def test_the_margin_softmax_by_hand() -> None:
    model = built(scale=10.0, bona_fide_margin=0.3, attack_margin=0.2, similarity_weight=2.0)
    pictures = torch.randn(3, 3, 96, 96)
    targets = {
        "label": torch.tensor([1, 0, 0]),
        "species": torch.tensor([0, 2, 11]),
        "domain": torch.tensor([5, 0, 9]),
    }
    with torch.no_grad():
        output = model(pictures)
        terms = model.loss(output, targets, pictures)
    # Bona fide: its device. Attacks: eight for each species, beyond the eighth from the beginning; device 9 is 1.
    truth, margins = [5, 8 * 2 + 0, 8 * 3 + 1], [0.3, 0.2, 0.2]
    losses = []
    for cosines, own, margin in zip(output.logits["patches"], truth, margins, strict=True):
        shifted = cosines.clone()
        shifted[:, own] -= margin
        losses.append(functional.cross_entropy(10 * shifted, torch.full((9,), own)))
    assert terms["class"].item() == pytest.approx(sum(losses).item() / 3, rel=1e-5)
    first, last = output.embeddings["patches"][:, 0], output.embeddings["patches"][:, -1]
    assert terms["similarity"].item() == pytest.approx((first - last).square().sum(1).mean().item(), rel=1e-5)
    assert terms["total"].item() == pytest.approx(terms["class"].item() + 2 * terms["similarity"].item())


def test_training_sees_two_patches() -> None:
    model = built().train()
    assert model(torch.randn(4, 3, 96, 96)).logits["patches"].shape[:2] == (4, 2)


def test_the_native_crop_resizes_nothing() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (300, 320, 3), dtype=np.uint8)
    points = ((130.0, 120.0), (170.0, 120.0), (150.0, 140.0), (135.0, 160.0), (165.0, 160.0))
    face, spec = Face((110, 90, 190, 200), points, 0.9), CropSpec.parse("native")
    square = context_crop(picture, face)
    crop = cut(square, spec, 100)
    np.testing.assert_array_equal(crop, picture[95:195, 100:200])
    np.testing.assert_array_equal(face_crop(picture, face, spec, 100), crop)
    np.testing.assert_allclose(crop_landmarks(square, spec, 100), np.array(points) - (100, 95))
    assert (str(spec), cut(square, spec, 400).shape) == (
        "native",
        (400, 400, 3),
    )  # mirrored beyond the context


def test_refuses_what_has_no_meaning() -> None:
    with pytest.raises(
        InputError, match="patch must be at most the input's 96 px, or 0 for half of them, got 97"
    ):
        built(patch=97)
    with pytest.raises(InputError, match="scale must be above 0"):
        built(scale=0.0)
    with pytest.raises(InputError, match="must be 0 or more"):
        built(attack_margin=-0.1)
    with pytest.raises(InputError, match="a native crop takes no scale"):
        CropSpec("native", 1.3)
