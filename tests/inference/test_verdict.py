"""How a verdict shows itself."""

import base64
import html
import io
import json
import re
from multiprocessing import Pipe

import numpy as np
import pytest
from PIL import Image

from bonaface.core.errors import BonafaceError
from bonaface.core.records import Decision, Response
from bonaface.drawing.heat_map import PixelMap
from bonaface.inference.verdict import FrameScore, Preview, Verdict, exit_code

POINTS = ((1.0, 2.0), (3.0, 2.0), (2.0, 3.0), (1.0, 4.0), (3.0, 4.0))
PICTURE = np.full((80, 60, 3), 90, np.uint8)
MAP = PixelMap("map", np.eye(3, dtype=np.float32), (10, 10, 50, 50))
SCORED = Verdict(
    "faces/a.jpg",
    Decision.BONA_FIDE,
    0.75,
    0.5,
    face=(0, 1, 2.5, 3),
    landmarks=POINTS,
    frames=3,
    frames_scored=1,
    outputs={"binary": 0.75},
    frame_scores=(FrameScore(0, 0.75), FrameScore(4, None, Response.NO_FACE)),
    preview=Preview.of(PICTURE, 320).with_maps([MAP]),
)
MISSED = Verdict("b.jpg", Decision.NO_RESPONSE, None, 0.5, Response.UNREADABLE, "b.jpg: it is cut off")


def test_prints_as_one_line() -> None:
    assert str(SCORED) == "faces/a.jpg: bona fide, score 0.7500 (threshold 0.5000, 1 of 3 frames)"
    assert str(MISSED) == "b.jpg: no response (it is cut off)"
    attack = Verdict("c.mp4", Decision.ATTACK, 0.25, 0.5, reason="c.mp4: it ends early", frames_scored=1)
    assert str(attack) == "c.mp4: attack, score 0.2500 (threshold 0.5000) (it ends early)"
    assert repr([MISSED]) == "[<Verdict b.jpg: no response (it is cut off)>]"


def test_a_name_cannot_break_the_line() -> None:
    wicked = Verdict("a\n\x1b[2Jb.jpg", Decision.NO_RESPONSE, None, 0.5, Response.UNREADABLE, "c\rd")
    assert str(wicked) == r"a\n\x1b[2Jb.jpg: no response (c\rd)"
    assert "\n" not in wicked._repr_html_()


@pytest.mark.parametrize("verdict", [SCORED, MISSED])
@pytest.mark.parametrize("frames", [False, True])
def test_goes_through_json_and_back(verdict: Verdict, frames: bool) -> None:
    text = json.dumps(verdict.as_dict(frames), allow_nan=False)
    back = Verdict.from_dict(json.loads(text))
    assert back.as_dict(frames) == verdict.as_dict(frames)
    assert type(back.decision) is Decision
    assert (back == verdict) is (frames or not verdict.frame_scores)


def test_json_names_everything() -> None:
    values = SCORED.as_dict(frames=True)
    assert values["face"] == [0, 1, 2.5, 3]
    assert values["landmarks"][1] == [3.0, 2.0]
    assert (values["decision"], values["response"], values["reason"]) == ("bona fide", "", "")
    assert values["frame_scores"][1] == {"frame": 4, "score": None, "response": "no face"}
    assert "frame_scores" not in SCORED.as_dict()


def test_heat_map_shows_the_picture_the_map_and_the_line() -> None:
    drawn = SCORED.heatmap
    assert drawn is not None
    pixels = np.asarray(drawn)
    assert pixels.shape[0] > 80
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50, "colours"
    assert MISSED.heatmap is None
    np.testing.assert_array_equal(SCORED.maps["map"], np.eye(3))
    assert MISSED.maps == {}


def test_preview_scales_picture_and_maps_alike() -> None:
    preview = Preview.of(np.zeros((400, 1000, 3), np.uint8), 100).with_maps(
        [PixelMap("map", np.eye(2), (100, 200, 500, 600))]
    )
    assert preview.picture.shape == (40, 100, 3)
    np.testing.assert_allclose(preview.maps[0].place, (10, 20, 50, 60))
    assert Preview.of(np.zeros((4, 5, 3), np.uint8), 100).picture.shape == (4, 5, 3), "never enlarged"
    assert Preview.of(np.zeros((1, 9000, 3), np.uint8), 100).picture.shape == (1, 100, 3)


class TestCard:
    """The card in a notebook."""

    def test_needs_nothing_from_anywhere(self) -> None:
        card = SCORED._repr_html_()
        assert re.findall(r"(?:src|href|url)\W+(\w+):", card) == ["data"]
        assert not re.search(r"https?:|//|<script|<link|@import", re.sub(r"base64,[^\"]*", "", card))
        (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', card)
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            image.load()
            assert image.size == SCORED.heatmap.size

    def test_says_the_same_as_the_line(self) -> None:
        words = html.unescape(re.sub(r"<[^>]*>", " ", SCORED._repr_html_()))
        assert "faces/a.jpg" in words
        assert "✓ bona fide, score 0.7500 (threshold 0.5000, 1 of 3 frames)" in words
        assert "<img" not in MISSED._repr_html_()
        assert "no response (it is cut off)" in MISSED._repr_html_()

    def test_escapes_what_comes_from_outside(self) -> None:
        wicked = "<script>alert('1')</script>\"&.jpg"
        card = Verdict(
            wicked, Decision.NO_RESPONSE, None, 0.5, Response.UNREADABLE, "<b onload=x>"
        )._repr_html_()
        assert "<script" not in card
        assert "<b " not in card
        assert html.escape(wicked) in card
        named = Verdict(
            wicked, Decision.ATTACK, 0.1, 0.5, preview=Preview.of(PICTURE, 320).with_maps([MAP])
        )._repr_html_()
        assert "<script" not in named
        assert named.count('"') % 2 == 0


def test_is_no_truth_value() -> None:
    with pytest.raises(TypeError, match=r"ask for verdict\.is_bona_fide"):
        bool(SCORED)
    assert SCORED.is_bona_fide
    assert not MISSED.is_bona_fide


def test_lists_what_it_has_and_can_be_sent() -> None:
    wanted = {
        "is_bona_fide",
        "decision",
        "score",
        "threshold",
        "face",
        "landmarks",
        "heatmap",
        "reason",
        "maps",
    }
    assert wanted <= set(dir(SCORED))
    here, there = Pipe()  # as between the processes of a pool
    there.send(SCORED)
    back = here.recv()
    assert back == SCORED
    np.testing.assert_array_equal(back.maps["map"], SCORED.maps["map"])


@pytest.mark.parametrize(
    ("decisions", "code"),
    [
        ([Decision.BONA_FIDE, Decision.BONA_FIDE], 0),
        ([Decision.BONA_FIDE, Decision.ATTACK, Decision.NO_RESPONSE], 1),
        ([Decision.BONA_FIDE, Decision.NO_RESPONSE], 3),
    ],
)
def test_exit_codes(decisions: list[Decision], code: int) -> None:
    assert exit_code(decisions) == code


def test_rejects_an_exit_code_of_nothing_checked() -> None:
    with pytest.raises(BonafaceError, match="nothing was checked"):
        exit_code([])
