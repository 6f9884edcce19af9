"""The page that goes with an exported model."""

import re
from typing import get_args, get_type_hints

import numpy as np
import pytest
from PIL import Image, ImageFilter

from bonaface.export.page import page_text
from bonaface.export.registry import find_format
from bonaface.face.align import TEMPLATE
from bonaface.face.crop import CropSpec, face_crop
from bonaface.face.detect import Face
from bonaface.inference.bundle import BundleCard, OperatingPoint, ThresholdSource, UnitThresholds
from bonaface.testing.networks import SIZE, card

KINDS = get_args(get_type_hints(CropSpec)["kind"])


def page(about: BundleCard) -> str:
    return page_text(about, find_format("onnx"), "fp32", None)


@pytest.mark.parametrize("kind", KINDS)
def test_says_of_every_crop_how_it_is_cut(kind: str) -> None:
    view = str(CropSpec(kind))  # type: ignore[arg-type]
    (line,) = [line for line in page(card(views=(view,))).splitlines() if line.startswith(f"   - `{view}`: ")]
    assert len(line) > 50
    assert not re.search(r"[{}]", line)


def test_an_aligned_crop_can_be_cut_by_the_page_alone() -> None:
    """By a least-squares solver of numpy's and the points that the page names."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    picture = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(4)))
    turn = np.array([[0.9, -0.3], [0.3, 0.9]])
    marks = (TEMPLATE - 0.5) @ turn.T * 60 + (200, 150)
    face = Face((170, 115, 230, 185), tuple(map(tuple, marks.tolist())), 0.99)  # type: ignore[arg-type]
    (line,) = re.findall(r"`aligned-1.3`: .*", page(card(views=("aligned-1.3",))))
    points = np.array(re.findall(r"\((\d+\.\d+), (\d+\.\d+)\)", line), float)
    assert points.shape == (5, 2)
    # (a, b, tx, ty) with x' = a x - b y + tx and y' = b x + a y + ty, from the crop to the picture
    x, y = points.T
    one, none = np.ones(5), np.zeros(5)
    rows = np.concatenate([np.stack([x, -y, one, none], 1), np.stack([y, x, none, one], 1)])
    a, b, tx, ty = np.linalg.lstsq(rows, marks.T.ravel(), rcond=None)[0]
    side = np.hypot(a, b)  # pixels of the picture for one of the crop
    small = Image.fromarray(picture).resize((round(400 / side), round(300 / side)), Image.Resampling.BILINEAR)
    matrix = np.array([a, -b, tx, b, a, ty]) / side
    by_hand = small.transform(
        (SIZE, SIZE), Image.Transform.AFFINE, matrix.tolist(), Image.Resampling.BILINEAR
    )
    ours = face_crop(picture, face, CropSpec.parse("aligned-1.3"), SIZE)
    assert np.abs(np.asarray(by_hand).astype(int) - ours).mean() < 2
    assert np.abs(np.asarray(by_hand)[:, ::-1].astype(int) - ours).mean() > 4  # it would see another crop


def test_names_the_point_that_decides_and_what_each_was_set_on() -> None:
    trained, own = (
        ThresholdSource("folder", "split", "", 4, 5, 2),
        ThresholdSource("mine", "own", "", 60, 0, 30),
    )
    points = {
        name: OperatingPoint({"score": UnitThresholds(value, value)}, source)
        for name, value, source in (
            ("eer", 0.5, trained),
            ("bpcer=0.1", 0.4, trained),
            ("bpcer=0.05", 0.3, own),
        )
    }
    text = page(card(operating_points=points, default_point="bpcer=0.05"))
    assert "`bpcer=0.05` decides where no other is asked for, as in the example." in text
    assert (
        "`eer` and `bpcer=0.1`: set on 4 bona fide presentations and 5 attacks of 2 subjects (folder/split)."
        in text
    )
    assert "`bpcer=0.05`: set on 60 bona fide presentations and 0 attacks of 30 subjects (mine/own)." in text
    assert "score >= 0.3 " in text
