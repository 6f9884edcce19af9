import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from bonaface.drawing.text import text_width
from bonaface.drawing.vector import Dot, Drawing, Line, Picture, Text

SVG = "{http://www.w3.org/2000/svg}"


def gradient(side: int) -> np.ndarray:
    values = np.linspace(0, 255, side).astype(np.uint8)
    return np.stack(
        [np.tile(values, (side, 1)), np.tile(values[:, None], (1, side)), np.zeros((side, side), np.uint8)], 2
    )


def test_both_ways_put_everything_at_the_same_place() -> None:
    pixels = gradient(20)
    drawing = Drawing(
        100,
        80,
        [
            Picture(pixels, 10, 20, 40, 40, smooth=False),
            Line([(60, 10), (60, 70)], "#00ff00"),
            Dot(80, 40, "#ff0000", "one <sample>", radius=5),
        ],
    )
    painted = np.asarray(drawing.png(scale=2))
    assert painted.shape == (160, 200, 3)
    assert (painted[40:120:4, 20:100:4] == pixels).all()  # each pixel is 4 x 4 large, at twice the place
    assert painted[100, 119:122].tolist().count([0, 255, 0]) == 2
    assert painted[80, 160].tolist() == [255, 0, 0]
    red = 1 - painted[70:90, 140:180, 1] / 255
    assert red.sum() == pytest.approx(np.pi * 10**2, rel=0.02)  # a disc of radius 5 at twice the size
    tree = ElementTree.fromstring(drawing.svg("a & b"))
    assert tree.attrib["viewBox"] == "0 0 100 80"
    assert tree.find(f"{SVG}title").text == "a & b"
    image, dot = tree.find(f"{SVG}image"), tree.find(f"{SVG}circle")
    assert [image.attrib[name] for name in ("x", "y", "width", "height")] == ["10", "20", "40", "40"]
    assert image.attrib["style"] == "image-rendering:pixelated"
    data = base64.b64decode(image.attrib["href"].removeprefix("data:image/png;base64,"))
    assert (np.asarray(Image.open(io.BytesIO(data))) == pixels).all()
    assert (dot.attrib["cx"], dot.attrib["cy"], dot.attrib["r"]) == ("80.00", "40.00", "5")
    assert dot.find(f"{SVG}title").text == "one <sample>"
    assert tree.find(f"{SVG}polyline").attrib["points"] == "60,10 60,70"


@pytest.mark.parametrize(("anchor", "left"), [("start", 0.0), ("middle", 0.5), ("end", 1.0)])
def test_text_is_anchored_and_as_wide_as_measured(anchor: str, left: float) -> None:
    drawing = Drawing(200, 40, [Text("score 0.5 <é>", 100, 10, anchor)])
    painted = np.asarray(drawing.png(scale=1))[..., 0] < 128
    columns = np.flatnonzero(painted.any(0))
    width = text_width("score 0.5 <e>")
    start = 100 - left * width
    assert columns[0] == pytest.approx(start, abs=4)
    assert columns[-1] == pytest.approx(start + width, abs=4)
    assert np.flatnonzero(painted.any(1))[0] >= 10
    element = ElementTree.fromstring(drawing.svg("")).find(f"{SVG}text")
    assert element.text == "score 0.5 <e>"
    assert element.attrib["text-anchor"] == anchor
    assert float(element.attrib["textLength"]) == pytest.approx(width, abs=0.1)


def test_large_pictures_are_made_smaller_in_the_svg() -> None:
    svg = Drawing(60, 60, [Picture(gradient(400), 0, 0, 50, 50)]).svg("")
    data = base64.b64decode(re.search(r"base64,([^\"]*)", svg)[1])
    assert Image.open(io.BytesIO(data)).size == (100, 100)
