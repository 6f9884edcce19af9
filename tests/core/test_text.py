import pytest

from bonaface.core.text import encodable, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoë/張.jpg", "Zoë/張.jpg"),
        ("a\nb\x1b[2J.jpg", r"a\nb\x1b[2J.jpg"),
        ("\udcff.jpg", r"\udcff.jpg"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("", ""),
    ],
)
def test_one_line_that_can_be_shown(text: str, shown: str) -> None:
    assert printable(text) == shown
    printable(text).encode()


def test_what_utf_8_cannot_hold_becomes_an_escape() -> None:
    assert encodable("Zoë\n\udce9/張.jpg") == "Zoë\n\\udce9/張.jpg"
