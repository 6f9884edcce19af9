"""Decide whether a picture or clip is a bona fide presentation or an attack, from a bundle, without torch."""

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonaface.core.errors import BonafaceError, InputError
from bonaface.core.paths import local_copy, to_path
from bonaface.core.records import Decision, Response, Verdict
from bonaface.face.crop import face_views
from bonaface.face.detect import Box, Detector, Face
from bonaface.face.find import FacePolicy, find_face
from bonaface.face.finder import FaceFinder
from bonaface.inference.bundle import DEFAULT_MODEL, DEFAULT_POINT, UNITS, Bundle
from bonaface.inference.preprocess import run_on_views
from bonaface.inference.runtime import OnnxRunner, Runner
from bonaface.media.decoder import Decoder
from bonaface.media.frames import Media
from bonaface.media.picture import PictureError, picture_array
from bonaface.media.source import MediaError
from bonaface.metrics.videos import video_scores

# What can be checked: a path or URL, a file's bytes, an open binary file, a picture.
Source = str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | NDArray[Any]


class Checker:
    """A detector ready for use.

    Args:
        model: a bundle, or a run's folder with one; None is the model that ships with Bonaface.
        output: the score output that decides; None takes the bundle's default.
        threshold: decides instead of the bundle's own: a score at or over it is bona fide. In [0, 1].
        operating_point: which of the bundle's thresholds decide, ``"eer"`` or as ``"bpcer=0.01"``.
        runner: runs the network; None means onnxruntime on the CPU.
        threads: threads of detector and network; None means one for each core.
        decoder: reads files; None means one of its own.

    Raises:
        ModelFileError: there is no bundle, or it was altered.
        UnknownNameError: the model has no such output or operating point.
        InputError: the threshold is out of range.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        output: str | None = None,
        threshold: float | None = None,
        operating_point: str = DEFAULT_POINT,
        runner: Runner | None = None,
        threads: int | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        self._decoder = decoder or Decoder()
        self.bundle = Bundle.open(DEFAULT_MODEL if model is None else model)
        card = self.bundle.card
        if threshold is not None and not 0 <= threshold <= 1:
            raise InputError(f"a threshold lies in [0, 1] as scores do, got {threshold}")
        self._output = card.output(output)
        self._thresholds = {
            unit: card.threshold(self._output, unit, operating_point) if threshold is None else threshold
            for unit in UNITS
        }
        self._runner = runner or OnnxRunner(self.bundle, threads)
        self._detector = Detector(card.face.longer_side, threads, card.face.min_score)
        self._policy = FacePolicy(card.face.min_side, card.face.similar)

    def check(self, source: Source, name: str = "") -> Verdict:
        """Return the verdict on a picture or a video.

        What can't be read is no error: the verdict has no score then, and says why. Files are read in another process,
        which may crash of them.

        Args:
            source: a path or a URL, a file's bytes, an open binary file, a picture of Pillow's, or an array
                (H, W, 3) uint8 RGB.
            name: what the verdict calls it; left out, the path, or the kind of thing that it is.

        Raises:
            InputError: there is no such file, it is a folder, or `source` is something else.
        """
        if isinstance(source, np.ndarray):
            return self._check_media(_one(_checked(source)), name or "array")
        if isinstance(source, Image.Image):
            name = name or "picture"
            try:
                return self._check_media(_one(picture_array(source, name)), name)
            except PictureError as error:
                return self._unreadable(name, str(error))
        if isinstance(source, (bytes, bytearray, memoryview)):
            return self._check_source(bytes(source), name or "bytes")
        if isinstance(source, (str, PathLike)):
            return self._check_path(source, name or str(source))
        if callable(read := getattr(source, "read", None)):
            data = read()
            if not isinstance(data, bytes):
                raise InputError("expected a file that is open in binary mode: open it with mode 'rb'")
            return self._check_source(data, name or str(getattr(source, "name", "file")))
        raise InputError(
            "expected one picture or video, as a path, bytes, an open binary file, a Pillow picture or an array "
            f"(H, W, 3) uint8 RGB, got a {type(source).__name__}; of several, check one after the other"
        )

    def _check_path(self, source: "str | PathLike[str]", name: str) -> Verdict:
        path = to_path(source if isinstance(source, str) else Path(source))
        with local_copy(path) as here:
            if here.is_dir():
                raise InputError(
                    f"{name}: expected a picture or a video, got a folder; check the files in it one after the other, "
                    f"or run: bonaface check {name}"
                )
            if not here.exists():
                raise InputError(f"{name}: no such file")
            return self._check_source(here, name)

    def _check_source(self, source: Path | bytes, name: str) -> Verdict:
        called = str(source) if isinstance(source, Path) else ""
        try:
            media = self._decoder.open(source, self.bundle.card.face.frames)
        except MediaError as error:
            return self._unreadable(name, _renamed(error, called, name))
        return self._check_media(media, name, called)

    def _check_media(self, media: Media, name: str, called: str = "") -> Verdict:
        scores: list[Mapping[str, float]] = []
        box: Box | None = None
        missed: list[Response] = []
        detail = ""
        unit = "video" if media.moving else "frame"
        finder = FaceFinder(self._detector)  # as in the crop store
        try:
            for _, picture in media.frames:
                found = finder.find(picture)
                face = find_face(found.faces, self._policy)
                if isinstance(face, Response):
                    missed.append(face)
                else:
                    box = found.box_before(face)
                    scores.append(self._scores(found.picture, face))
        except MediaError as error:
            detail = _renamed(error, called, name)
        frames = len(scores) + len(missed)
        if box is None:
            if not missed:
                return self._unreadable(name, detail, unit, frames if media.moving else 1)
            return self._no_response(name, max(missed, key=missed.count), unit, detail, frames)
        return self._verdict(name, scores, box, frames=frames, unit=unit, detail=detail)

    def _scores(self, picture: NDArray[np.uint8], face: Face) -> Mapping[str, float]:
        card = self.bundle.card
        views = face_views(picture, face, card.crop_specs, card.input_size, card.face.context)
        outputs = run_on_views(self._runner, card, [views])
        return {name: float(outputs[name][0]) for name in card.outputs}

    def _verdict(
        self,
        path: str,
        scores: list[Mapping[str, float]],
        box: Box,
        *,
        frames: int,
        unit: str,
        detail: str = "",
    ) -> Verdict:
        means = {
            name: float(video_scores([0] * len(scores), [row[name] for row in scores])[0])
            for name in self.bundle.card.outputs
        }
        score, threshold = means[self._output], self._thresholds[unit]
        return Verdict(
            path,
            Decision.BONA_FIDE if score >= threshold else Decision.ATTACK,
            score,
            threshold,
            detail=detail,
            box=box,
            frames=frames,
            frames_scored=len(scores),
            outputs=means,
        )

    def _unreadable(self, name: str, detail: str, unit: str = "frame", frames: int = 1) -> Verdict:
        return self._no_response(name, Response.UNREADABLE, unit, detail, frames)

    def _no_response(
        self, path: str, reason: Response, unit: str, detail: str = "", frames: int = 1
    ) -> Verdict:
        return Verdict(
            path,
            Decision.NO_RESPONSE,
            None,
            self._thresholds[unit],
            reason,
            detail or str(reason),
            frames=frames,
        )


def _one(picture: NDArray[np.uint8]) -> Media:
    return Media(False, iter([(0, picture)]))


def _checked(picture: NDArray[Any]) -> NDArray[np.uint8]:
    if picture.ndim == 3 and picture.shape[2] == 3 and picture.dtype == np.uint8 and picture.size:
        return np.ascontiguousarray(picture)
    hint = ""
    if picture.ndim == 4:
        hint = "; of several pictures, check one after the other"
    elif picture.ndim == 2:
        hint = "; repeat a grey picture for the three colours"
    elif picture.dtype.kind == "f":
        hint = "; scale it to 0 ... 255 and round it"
    raise InputError(f"expected an array (H, W, 3) uint8 RGB, got {picture.shape} {picture.dtype}{hint}")


def _renamed(error: MediaError, called: str, name: str) -> str:
    """Return the error's message with the name of the file as the caller gave it."""
    return str(error).replace(called, name) if called else str(error)


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """Return the exit code of `bonaface check`: 1 with an attack among them, else 3 with a non-response, else 0.

    Raises:
        BonafaceError: there is no verdict.
    """
    decisions = {verdict.decision for verdict in verdicts}
    if not decisions:
        raise BonafaceError("nothing was checked: expected at least one picture or video")
    if Decision.ATTACK in decisions:
        return 1
    return 3 if Decision.NO_RESPONSE in decisions else 0
