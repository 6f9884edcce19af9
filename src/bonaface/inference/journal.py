"""Write scores as they are computed to a file from which a stopped evaluation is resumed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bonaface.core.files import sealed, unsealed, write_text
from bonaface.core.records import Score


class Journal:
    """A file of JSON lines: first the work that is scored, then a line a row.

    Each line begins with its CRC-32. A line that a kill cut short is dropped, and so is a damaged one with all that
    follow, and a journal of other work (another model, store or protocol).

    Args:
        path: the file.
        work: names what is being scored, so that no other work's rows are taken for it.
    """

    def __init__(self, path: Path, work: Mapping[str, str]) -> None:
        self._path = path
        self._head = json.dumps({"work": dict(work)}, sort_keys=True)
        self.rows: list[Score] = []
        whole = self._read()
        # What can't be used is cut off now, so that new lines follow whole ones.
        write_text(path, "".join(map(sealed, [self._head, *whole])))
        self.rows = [Score(**json.loads(line)) for line in whole]

    def add(self, rows: Iterable[Score]) -> None:
        """Append `rows` and hand them to the system, so that a kill loses at most the line being written."""
        new = list(rows)
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(sealed(json.dumps(_plain(row))) for row in new)
        self.rows += new

    def _read(self) -> list[str]:
        if not self._path.is_file():
            return []
        # What follows the last line's end is empty, or half a line.
        lines = self._path.read_bytes().decode(errors="replace").split("\n")[:-1]
        texts: list[str] = []
        for line in lines:
            text = unsealed(line)
            if text is None:
                break
            texts.append(text)
        return texts[1:] if texts and texts[0] == self._head else []


def _plain(row: Score) -> dict[str, Any]:
    # json writes NaN and reads it back; the file is Bonaface's own.
    return {**asdict(row), "response": str(row.response)}
