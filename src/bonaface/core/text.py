"""Text from outside, such as a file's name, made fit to be shown."""


def printable(text: str) -> str:
    """Return `text` in one line that any terminal, page or file can hold.

    Control characters, marks that turn the direction of writing, and bytes of a name that is no UTF-8 become escapes
    (``\\x1b``), so that a name can neither move the cursor nor end the line.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )


def encodable(text: str) -> str:
    """Return `text` with the bytes of a name that is no UTF-8 as escapes (``\\udce9``), so that UTF-8 can hold it."""
    return text.encode("utf-8", "backslashreplace").decode()
