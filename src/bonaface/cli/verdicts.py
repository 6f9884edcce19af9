"""How `bonaface check` prints verdicts: lines of text, JSON or CSV."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bonaface.core.csv_lines import CsvLines
from bonaface.core.errors import InputError
from bonaface.core.text import encodable

if TYPE_CHECKING:
    from bonaface.inference.verdict import Verdict

_COLUMNS = ("path", "decision", "score", "threshold", "response", "reason", "frames", "frames_scored")
_FACE = ("x0", "y0", "x1", "y1")
_FRAME_COLUMNS = ("path", "frame", "score", "response", "decision", "threshold")

Print = Callable[["Verdict"], None]


def printer(as_json: bool, as_csv: bool, frames: bool) -> Print:
    """Return the function that prints a verdict; `frames` adds the scores of its frames.

    Raises:
        InputError: two forms are asked for at once.
    """
    if as_json and as_csv:
        raise InputError("--json and --csv both say how verdicts are printed; give one of them")
    if as_json:
        return lambda verdict: _write(json.dumps(verdict.as_dict(frames), allow_nan=False) + "\n")
    if as_csv:
        _write(_row(_FRAME_COLUMNS if frames else (*_COLUMNS, *_FACE)))
        return _print_frame_rows if frames else _print_row
    return _print_with_frames if frames else lambda verdict: _write(f"{verdict}\n")


def _print_row(verdict: "Verdict") -> None:
    values = verdict.as_dict()
    face = values["face"] or [""] * len(_FACE)
    _write(_row([*(values[name] for name in _COLUMNS), *face]))


def _print_frame_rows(verdict: "Verdict") -> None:
    for frame, score, response in verdict.frame_scores:
        _write(_row([verdict.path, frame, score, response, verdict.decision, verdict.threshold]))
    if not verdict.frame_scores:
        _write(_row([verdict.path, "", None, verdict.response, verdict.decision, verdict.threshold]))


def _print_with_frames(verdict: "Verdict") -> None:
    _write(f"{verdict}\n" + "".join(_frame_lines(verdict)))


def _frame_lines(verdict: "Verdict") -> Iterator[str]:
    for frame, score, response in verdict.frame_scores:
        yield f"  frame {frame}: {f'no response ({response})' if score is None else f'score {score:.4f}'}\n"


def _row(values: "tuple[str, ...] | list[object]") -> str:
    text = io.StringIO()
    csv.writer(CsvLines(text)).writerow(values)
    return text.getvalue()


def _write(text: str) -> None:
    # A name that is no UTF-8 has letters that cannot be written; everything else goes out as it is.
    sys.stdout.write(encodable(text))
    sys.stdout.flush()
