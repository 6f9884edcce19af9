import numpy as np
import pytest
from PIL import Image

from bonaface.drawing.text import drawable, font, line_height, shortened, text_width, wrapped, write


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("selfie.jpg", "selfie.jpg"),
        ("Zoë Ångström.png", "Zoe Angstrom.png"),
        ("張.jpg", r"\u5f35.jpg"),
        ("a😀b", r"a\U0001f600b"),
        ("№ 5", "No 5"),
        ("a\tb\nc", "a b c"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\udcff.jpg", r"\udcff.jpg"),  # a name that is no UTF-8
        ("\u202eexe.jpg", r"\u202eexe.jpg"),  # would turn the direction of what follows
    ],
)
def test_writes_what_the_font_has(text: str, drawn: str) -> None:
    assert drawable(text) == drawn


def test_two_names_that_the_font_lacks_stay_two() -> None:
    assert drawable("張.jpg") != drawable("王.jpg")


def test_shortens_from_the_front() -> None:
    text = "a/long/way/to/the/picture.jpg"
    found = shortened(text, 100)
    assert found.startswith("…")
    assert text.endswith(found[1:])
    assert 60 < font().getlength(found) <= 100
    assert shortened(text, 1000) == text
    assert shortened(text, 0) == "…"


def test_wraps_between_words_and_inside_long_ones() -> None:
    lines = wrapped("two words and-one-that-is-longer-than-the-whole-line end", 90)
    assert lines[0] == "two words"
    assert all(text_width(line) <= 90 for line in lines)
    assert "".join(lines).replace(" ", "") == "twowordsand-one-that-is-longer-than-the-whole-lineend"
    assert wrapped("abc", 1) == ["a", "b", "c"]


def test_writes_into_the_picture_where_it_is_told() -> None:
    image = Image.new("RGB", (100, 3 * line_height()), "white")
    write(image, "Xx", (20, line_height()))
    dark = np.argwhere(np.asarray(image)[..., 0] < 128)
    assert len(dark) > 10
    assert line_height() <= dark[:, 0].min()
    assert dark[:, 0].max() < 2 * line_height()
    assert dark[:, 1].min() >= 20
