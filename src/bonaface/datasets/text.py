"""The text files of data sets, in any encoding and with any line ends that common tools write."""

import codecs
import re
import unicodedata
from pathlib import Path

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LINE_END = re.compile(r"\r*\n|\r")  # CRCRLF: a tool has turned the LF of CRLF into CRLF once more
_END_OF_FILE = "\x1a"  # DOS wrote it, and some tools still do


def read_text(path: Path) -> str:
    """Return what the text file at `path` says, in UTF-8, UTF-16 or UTF-32 with or without a mark, or Windows-1252.

    Raises:
        OSError: it cannot be read. ValueError: it is no text.
    """
    data = path.read_bytes()
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _plain(data[len(mark) :].decode(encoding))
    for encoding in (_unmarked_utf16(data), "utf-8", "cp1252"):
        try:
            return _plain(data.decode(encoding))
        except UnicodeDecodeError:
            continue
    return _plain(data.decode("latin-1"))


def read_lines(path: Path) -> list[str]:
    """Return the lines of the text file at `path`, ended by CR, LF, CRLF or CRCRLF, without the blanks around them.

    Raises:
        OSError: it cannot be read. ValueError: it is no text.
    """
    lines = _LINE_END.split(read_text(path))
    return [line.strip() for line in (lines if lines[-1] else lines[:-1])]


def one_spelling(name: str) -> str:
    """Return `name` as Unicode composes it (NFC): macOS takes an é apart, and the same person would be two."""
    return unicodedata.normalize("NFC", name)


def _unmarked_utf16(data: bytes) -> str:
    """Return the encoding of `data` without a mark: UTF-16 (Windows' "Unicode") if every other byte is 0, else
    UTF-8.
    """
    for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        half = data[start::2]
        if half and half.count(0) > 0.9 * len(half):
            return encoding
    return "utf-8"


def _plain(text: str) -> str:
    text = text.rstrip(_END_OF_FILE)
    if "\0" in text:
        raise ValueError("it holds bytes that no text has")
    return text
