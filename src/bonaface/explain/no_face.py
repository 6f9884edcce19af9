"""The presentations in which no face was found (paper 2, fig. 10)."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bonaface.explain.figure import Figure
from bonaface.explain.sheet import Cell, sheet
from bonaface.media.frames import open_media
from bonaface.media.source import MediaError
from bonaface.store.crop_store import CropStore
from bonaface.store.frames import Frame

_SHOWN = 12
_ROW = 4
_NOTHING = np.full((120, 160, 3), 230, np.uint8)  # where the picture itself cannot be read


def no_face_figure(store: CropStore, rows: Sequence[int], root: Path) -> Figure | str:
    """Return figure 10 of paper 2: frames of the presentations `rows` without response, or that all have one.

    The store keeps no picture of them, so they are read from the set's folder `root`.
    """
    wanted = set(rows)
    missing = [frame for frame in store.frames if frame.presentation in wanted and frame.response]
    if not missing:
        return "a face was found in every frame"
    cells = [_cell(store, frame, root) for frame in missing[:_SHOWN]]
    counts = Counter(frame.response for frame in missing)
    found = ", ".join(f"{count} {response}" for response, count in sorted(counts.items()))
    arrays = {
        "sample_ids": np.array([store.presentations[frame.presentation].sample_id for frame in missing]),
        "frames": np.array([frame.frame for frame in missing]),
        "responses": np.array([frame.response for frame in missing]),
    }
    lines = [cells[start : start + _ROW] for start in range(0, len(cells), _ROW)]
    findings = (f"Frames without response: {found}.",)
    captions = tuple(cell.caption.replace("\n", ", ") for cell in cells)
    return Figure(
        "no-face", "Frames without response (paper 2, fig. 10)", sheet(lines), arrays, captions, findings
    )


def _cell(store: CropStore, frame: Frame, root: Path) -> Cell:
    row = store.presentations[frame.presentation]
    kind = "bona fide" if row.label else f"attack, {row.species}"
    caption = f"{row.sample_id}\nframe {frame.frame}: {kind}; {frame.response}"
    try:
        for number, picture in open_media(root / row.path, store.frames_per_video).frames:
            if number == frame.frame:
                return Cell(picture, caption)
    except MediaError as error:
        return Cell(_NOTHING, f"{caption}; {error}")
    return Cell(_NOTHING, f"{caption}; this frame is not in the file")
