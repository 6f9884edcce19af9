"""CSV with the line ends of this project: a line feed alone, whatever is in the cells."""

from typing import TextIO


class CsvLines:
    r"""Take a line of the csv module, which ends in carriage return and line feed, and write it with the latter alone.

    With ``lineterminator="\n"`` Python 3.11 would not quote a carriage return in a cell: nobody could read the file.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        """Write `line` to the file."""
        return self._file.write(line.removesuffix("\r\n") + "\n")
