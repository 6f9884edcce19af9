"""What a checker says of a picture or clip, as a record that shows itself: a line, JSON, a heat map, a card.

It lies here and not in `core` because it draws.
"""

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonaface.core.errors import BonafaceError
from bonaface.core.records import Decision, Response
from bonaface.core.text import printable
from bonaface.drawing.heat_map import PixelMap, heat_map
from bonaface.face.detect import Box, Landmarks

_QUALITY = 90  # of the small picture's JPEG
_SIGNS = {
    Decision.BONA_FIDE: "✓",
    Decision.ATTACK: "✗",
    Decision.NO_RESPONSE: "?",
}  # for all who see no colours
_COLOURS = {Decision.BONA_FIDE: "#1b7a3d", Decision.ATTACK: "#b3261e", Decision.NO_RESPONSE: "#5f6368"}


class FrameScore(NamedTuple):
    """A frame of a picture or video: its number, from 0, and its score, or None and the response that says why."""

    frame: int
    score: float | None
    response: Response = Response.SCORED


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """A small copy of the upright picture as JPEG, and the network's maps in its pixels.

    `scale` is (across, down): the small copy's size over the picture's.
    """

    jpeg: bytes
    scale: tuple[float, float]
    maps: tuple[PixelMap, ...] = ()

    @classmethod
    def of(cls, picture: NDArray[np.uint8], longer_side: int) -> Self:
        """Return the copy of `picture`, (H, W, 3) uint8 RGB, scaled down to at most `longer_side` pixels."""
        height, width = picture.shape[:2]
        step = max(
            1, max(height, width) // (2 * longer_side)
        )  # for looking at: whole pixels are left out first
        image = Image.fromarray(np.ascontiguousarray(picture[::step, ::step]))
        image.thumbnail((longer_side, longer_side), Image.Resampling.BILINEAR, reducing_gap=1.0)
        file = io.BytesIO()
        image.save(file, "JPEG", quality=_QUALITY, subsampling=0)
        return cls(file.getvalue(), (image.width / width, image.height / height))

    def with_maps(self, maps: Iterable[PixelMap]) -> Self:
        """Return this preview with `maps`, whose places are in the picture's own pixels."""
        across, down = self.scale

        def scaled(each: PixelMap) -> PixelMap:
            x0, y0, x1, y1 = each.place
            return PixelMap(each.name, each.values, (x0 * across, y0 * down, x1 * across, y1 * down))

        return replace(self, maps=tuple(map(scaled, maps)))

    @property
    def picture(self) -> NDArray[np.uint8]:
        """Return the small picture, (h, w, 3) uint8 RGB."""
        with Image.open(io.BytesIO(self.jpeg)) as image:
            return np.array(image)


@dataclass(frozen=True, slots=True, repr=False)
class Verdict:
    """What was found in one picture or clip.

    `path` is its name. `score` in [0, 1] is higher for bona fide, and bona fide from `threshold` on; it is None where
    nothing could be scored. Then `response` says why in a word and `reason` in a sentence; with a score `reason` is
    empty, or says what is wrong with the file. `face` is the face's box (x0, y0, x1, y1) in the picture's pixels,
    `landmarks` are (x, y) of the subject's right eye, left eye, nose, right and left corner of the mouth; both are of a
    clip's last frame with a score. `frames` counts the frames looked at, `frames_scored` those with a
    score, and `frame_scores` lists them. `outputs` has every score output of the model by name.

    A verdict prints as one line, and is a card in a notebook.
    """

    path: str
    decision: Decision
    score: float | None
    threshold: float
    response: Response = Response.SCORED
    reason: str = ""
    face: Box | None = None
    landmarks: Landmarks | None = None
    frames: int = 1
    frames_scored: int = 0
    outputs: Mapping[str, float] = field(default_factory=dict)
    frame_scores: tuple[FrameScore, ...] = ()
    preview: Preview | None = field(default=None, compare=False)

    @property
    def is_bona_fide(self) -> bool:
        """Return whether the decision is bona fide; a non-response is not."""
        return self.decision is Decision.BONA_FIDE

    @property
    def maps(self) -> dict[str, NDArray[np.float32]]:
        """Return the network's pixel maps by name, (h, w) float32 in [0, 1], higher for bona fide.

        Empty where there is no score, where the model has no map, and where the checker keeps none.
        """
        return {each.name: each.values for each in self.preview.maps} if self.preview else {}

    @property
    def heatmap(self) -> Image.Image | None:
        """Return the pixel maps over the picture, with a scale and this verdict as caption; None where `maps` is empty.

        The picture is small, as `Checker` says, and upright.
        """
        if not self.preview or not self.preview.maps:
            return None
        return heat_map(self.preview.picture, self.preview.maps, str(self))

    def as_dict(self, frames: bool = False) -> dict[str, Any]:
        """Return the verdict as plain JSON values, with `frame_scores` if `frames` is True."""
        values: dict[str, Any] = {
            "path": self.path,
            "decision": str(self.decision),
            "score": self.score,
            "threshold": self.threshold,
            "response": str(self.response),
            "reason": self.reason,
            "face": _listed(self.face),
            "landmarks": None if self.landmarks is None else [list(point) for point in self.landmarks],
            "frames": self.frames,
            "frames_scored": self.frames_scored,
            "outputs": dict(self.outputs),
        }
        if frames:
            values["frame_scores"] = [
                {"frame": frame, "score": score, "response": str(response)}
                for frame, score, response in self.frame_scores
            ]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the verdict that `as_dict` turned into `values`; it has no maps."""
        points = values["landmarks"]
        rows = (
            FrameScore(row["frame"], row["score"], Response(row["response"]))
            for row in values.get("frame_scores", ())
        )
        changed = {
            "decision": Decision(values["decision"]),
            "response": Response(values["response"]),
            "face": None if values["face"] is None else tuple(values["face"]),
            "landmarks": None if points is None else tuple((x, y) for x, y in points),
            "frame_scores": tuple(rows),
        }
        return cls(**{**values, **changed})

    def __str__(self) -> str:
        """Return the verdict in one line, as `bonaface check` prints it."""
        return f"{printable(self.path)}: {self._said()}"

    def __repr__(self) -> str:
        return f"<Verdict {self}>"

    def __bool__(self) -> bool:
        """Raise TypeError: a verdict is no yes or no, and `if verdict` would hold for attacks too."""
        raise TypeError(
            "a verdict is neither true nor false: ask for verdict.is_bona_fide, or verdict.decision"
        )

    def _said(self) -> str:
        if self.score is None:
            return f"no response ({self._why()})"
        frames = f", {self.frames_scored} of {self.frames} frames" if self.frames > 1 else ""
        note = f" ({self._why()})" if self.reason else ""
        return f"{self.decision}, score {self.score:.4f} (threshold {self.threshold:.4f}{frames}){note}"

    def _why(self) -> str:
        return printable(self.reason.removeprefix(f"{self.path}: "))

    def _repr_html_(self) -> str:
        """Return the verdict as a card that needs nothing from anywhere: for Jupyter."""
        name, said = escape(printable(self.path)), escape(self._said())
        drawn = self.heatmap
        image = ""
        if drawn is not None:
            image = (
                f'<img alt="heat map of {name}" src="{_data_url(drawn)}" '
                'style="display:block;max-width:100%;margin-top:.5em">'
            )
        return (
            '<div style="display:inline-block;max-width:100%;border:1px solid #ccc;border-radius:6px;padding:.6em 1em;'
            'background:#fff;color:#111;font-family:sans-serif">'
            f'<div style="overflow-wrap:anywhere">{name}</div>'
            f'<div style="font-weight:bold;color:{_COLOURS[self.decision]}">{_SIGNS[self.decision]} {said}</div>'
            f"{image}</div>"
        )


def _listed(values: Iterable[float] | None) -> list[float] | None:
    return None if values is None else list(values)


def _data_url(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def exit_code(decisions: Iterable[Decision]) -> int:
    """Return the exit code of `bonaface check`: 1 with an attack among them, else 3 with a non-response, else 0.

    Raises:
        BonafaceError: nothing was decided.
    """
    found = set(decisions)
    if not found:
        raise BonafaceError("nothing was checked: expected at least one picture or video")
    if Decision.ATTACK in found:
        return 1
    return 3 if Decision.NO_RESPONSE in found else 0
