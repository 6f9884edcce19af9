"""Text in pictures, in the font that comes with Pillow (Aileron, CC0), so that every machine draws the same.

The font has the letters of English and little more. Accents are left out (`é` becomes `e`), and any other letter that
it lacks is written as its number (`張` becomes `\\u5f35`), so that a file's name can still be told from others.
"""

import unicodedata
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from bonaface.core.errors import BonafaceError

SIZE = 14  # pixels
_ELLIPSIS = "…"
_MISSING = "\uffff"  # no font has a letter of this number


@cache
def font(size: int = SIZE) -> ImageFont.FreeTypeFont:
    """Return the font at `size` pixels.

    Raises:
        BonafaceError: this Pillow was built without FreeType.
    """
    loaded = ImageFont.load_default(size)
    if not isinstance(loaded, ImageFont.FreeTypeFont):
        raise BonafaceError(
            "drawing text needs a Pillow that was built with FreeType; install Pillow's own wheel with: "
            "pip install --force-reinstall pillow"
        )
    return loaded


def drawable(text: str) -> str:
    """Return `text` in letters that the font has, in one line."""
    return "".join(map(_letters, text))


def shortened(text: str, width: float, size: int = SIZE) -> str:
    """Return `text`, `drawable`, or as much of its end as fits into `width` pixels behind an ellipsis.

    The end of a path tells more than its beginning.
    """
    text = drawable(text)
    chosen = font(size)
    if chosen.getlength(text) <= width:
        return text
    while text and chosen.getlength(_ELLIPSIS + text) > width:
        text = text[1:]
    return _ELLIPSIS + text


def wrapped(text: str, width: float, size: int = SIZE) -> list[str]:
    """Return the lines of `text`, `drawable`, none of them wider than `width` pixels unless a single letter is."""
    chosen = font(size)
    lines = [""]
    for word in drawable(text).split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if chosen.getlength(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and chosen.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def text_width(text: str, size: int = SIZE) -> float:
    """Return how many pixels a line of `drawable` text is wide."""
    return font(size).getlength(drawable(text))


def line_height(size: int = SIZE) -> int:
    """Return how many pixels lie between two lines."""
    ascent, descent = font(size).getmetrics()
    return ascent + descent


def write(image: Image.Image, text: str, place: tuple[float, float], size: int = SIZE) -> None:
    """Write a line of `drawable` text in black into `image`, with its upper left corner at `place`."""
    ImageDraw.Draw(image).text(place, drawable(text), fill="black", font=font(size))


@cache
def _letters(letter: str) -> str:
    """Return `letter`, or what stands for it where the font lacks it."""
    if letter.isspace():
        return " "
    if _has(letter):
        return letter
    plain = "".join(
        part for part in unicodedata.normalize("NFKD", letter) if unicodedata.category(part) != "Mn"
    )
    if plain and all(map(_has, plain)):
        return plain
    return letter.encode("unicode_escape").decode()


@cache
def _has(letter: str) -> bool:
    """Return whether the font draws `letter` as something else than a letter that does not exist."""
    if not letter.isprintable():
        return False
    drawn, missing = (font().getmask(each) for each in (letter, _MISSING))
    return (drawn.size, bytes(drawn)) != (missing.size, bytes(missing))
