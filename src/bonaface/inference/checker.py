"""Decide whether a picture or clip is a bona fide presentation or an attack, from a bundle, without torch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from time import monotonic
from typing import overload

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import InputError
from bonaface.core.records import Decision, Response
from bonaface.drawing.heat_map import PixelMap
from bonaface.face.crop import Views, face_views, view_places
from bonaface.face.detect import Box, Detector, Landmarks
from bonaface.face.find import FacePolicy, find_face
from bonaface.face.finder import FaceFinder, Found
from bonaface.inference.bundle import DEFAULT_MODEL, UNITS, Bundle
from bonaface.inference.preprocess import run_on_views
from bonaface.inference.runners import open_runner
from bonaface.inference.runtime import MAP_PREFIX, Runner
from bonaface.inference.sources import NoFileError, Source, UnreadableError, name_of, opened, refuse
from bonaface.inference.verdict import FrameScore, Preview, Verdict
from bonaface.media.decoder import Decoder
from bonaface.media.source import MediaError
from bonaface.metrics.videos import video_scores

PREVIEW = 320  # pixels

_BATCH = 4  # faces that go through the network together: more take memory, and no less time on a processor
_PATIENCE = 0.5  # seconds that a source waits for others to share its batch


def load(
    model: str | Path | None = None,
    *,
    output: str | None = None,
    threshold: float | None = None,
    operating_point: str | None = None,
    threads: int | None = None,
    preview: int = PREVIEW,
    runner: Runner | None = None,
    decoder: Decoder | None = None,
) -> "Checker":
    """Return a checker, ready for use: ``bonaface.load()("selfie.jpg")``.

    Args:
        model: a bundle, a run's folder with one, or a model's name; None is the model that ships with Bonaface.
        output: the score output that decides; None takes the bundle's default.
        threshold: decides instead of the bundle's own: a score at or over it is bona fide. In [0, 1].
        operating_point: which of the bundle's thresholds decide, ``"eer"`` or as ``"bpcer=0.01"``; None takes the one
            that the bundle names, which is ``"eer"`` unless it was calibrated.
        threads: threads of detector and network; None means one for each core.
        preview: longer side in pixels of the small picture that each verdict keeps for its heat map; 0 keeps none.
        runner: runs the network; None means the bundle's own runtime, onnxruntime unless it was exported for another.
        decoder: reads files; None means one of its own.

    Raises:
        ModelFileError: there is no bundle, or it was altered.
        UnknownNameError: the model has no such output or operating point.
        InputError: an argument is out of range, or of another type.
    """
    arguments: tuple[tuple[str, object, tuple[type, ...], str], ...] = (
        ("model", model, (str, PathLike), "a path or a model's name"),
        ("output", output, (str,), "a score output's name"),
        ("threshold", threshold, (Real,), "a number in [0, 1]"),
        ("operating_point", operating_point, (str,), "a text, as 'bpcer=0.01'"),
        ("threads", threads, (Integral,), "a whole number"),
        ("preview", preview, (Integral,), "a whole number of pixels"),
    )
    for name, value, kinds, expected in arguments:
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
            raise InputError(f"load: {name} must be {expected}, got a {type(value).__name__}: {value!r}")
    bundle = Bundle.open(DEFAULT_MODEL if model is None else model)
    return Checker(
        bundle,
        runner or open_runner(bundle, threads=threads),
        output=output,
        threshold=threshold,
        operating_point=operating_point,
        threads=threads,
        preview=preview,
        decoder=decoder,
    )


class Checker:
    """A model ready for use, as `load` makes it: call it with a picture or video, or with a list of them.

    Several threads may call it at the same time.

    Attributes:
        bundle: the model's bundle.
        thresholds: the score from which on it is bona fide, of a ``frame`` and of a ``video``.
    """

    def __init__(
        self,
        bundle: Bundle,
        runner: Runner,
        *,
        output: str | None = None,
        threshold: float | None = None,
        operating_point: str | None = None,
        threads: int | None = None,
        preview: int = PREVIEW,
        decoder: Decoder | None = None,
    ) -> None:
        self.bundle = bundle
        card = bundle.card
        if threshold is not None and not 0 <= threshold <= 1:
            raise InputError(f"a threshold lies in [0, 1] as scores do, got {threshold}")
        if preview < 0:
            raise InputError(f"the preview's longer side must be at least 0 pixels, got {preview}")
        self._output = card.output(output)
        self.thresholds = {
            unit: card.threshold(self._output, unit, operating_point) if threshold is None else threshold
            for unit in UNITS
        }
        self._preview = preview
        self._runner = runner
        self._decoder = decoder or Decoder()
        self._detector = Detector(card.face.longer_side, threads, card.face.min_score)
        self._policy = FacePolicy(card.face.min_side, card.face.similar)

    # A str is a sequence of str, too; it is a path.
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, source: Source, *, name: str = "", bgr: bool = False
    ) -> Verdict: ...

    @overload
    def __call__(self, source: Sequence[Source], *, bgr: bool = False) -> list[Verdict]: ...

    def __call__(
        self, source: Source | Sequence[Source], *, name: str = "", bgr: bool = False
    ) -> Verdict | list[Verdict]:
        """Return the verdict on a picture or video, or the verdicts on a list of them, in its order.

        What cannot be read is no error: the verdict has no score then, and says why. Files are read in another process,
        which may crash of them. In a list, that holds for files that are not there, too: one costs the others nothing.

        Args:
            source: a path or a URL, a file's bytes, an open binary file, a picture of Pillow's, an array (H, W, 3)
                uint8 RGB, or a list or tuple of these.
            name: what the verdict calls it; left out, the path, or the kind of thing that it is.
            bgr: an array's colours are ordered as OpenCV does, blue first.

        Raises:
            InputError: there is no such file, it is a folder, or `source` is something else; of a list, before any of
                it is checked.
        """
        if not isinstance(source, (list, tuple)):
            refuse(source, bgr)
            return self._verdicts([self._looked(source, name or name_of(source), bgr)])[0]  # type: ignore[arg-type]
        if not source:
            raise InputError("expected at least one picture or video, got an empty list")
        if name:
            raise InputError("one name is for one picture or video; of a list, each has its own")
        for number, each in enumerate(source):
            try:
                refuse(each, bgr)
            except InputError as error:
                raise InputError(f"number {number} of the list: {error}") from error
        return list(self.stream(source, bgr=bgr))

    def stream(self, sources: Iterable[Source], *, bgr: bool = False) -> Iterator[Verdict]:
        """Yield the verdicts on `sources`, as a call with a list returns them, in memory that does not grow.

        A few sources are taken ahead, and their faces go through the network together.

        Raises:
            InputError: a source is neither picture nor video nor a name, or `sources` is one itself.
        """
        one = isinstance(sources, (str, PathLike, bytes, bytearray, memoryview)) or hasattr(sources, "read")
        if one:
            raise InputError(
                f"expected several pictures or videos, got one {type(sources).__name__}; call the checker with it, or "
                "put it into a list"
            )
        waiting: list[_Look] = []
        since = 0.0
        for number, source in enumerate(sources):
            refuse(source, bgr)
            since = since if waiting else monotonic()
            waiting.append(self._looked_or_missed(source, name_of(source, number), bgr))
            if sum(len(look.views) for look in waiting) >= _BATCH or monotonic() - since > _PATIENCE:
                yield from self._verdicts(waiting)
                waiting = []
        yield from self._verdicts(waiting)

    def _looked_or_missed(self, source: Source, name: str, bgr: bool) -> "_Look":
        try:
            return self._looked(source, name, bgr)
        except NoFileError as error:
            return _Look(name, reason=str(error))

    def _looked(self, source: Source, name: str, bgr: bool) -> "_Look":
        """Return what is in a source, up to the crops that the network is to see."""
        look, card = _Look(name), self.bundle.card
        try:
            with opened(source, name, bgr, self._decoder, card.face.frames) as file:
                look.moving = file.media.moving
                finder = FaceFinder(self._detector)  # as in the crop store
                try:
                    for number, picture in file.media.frames:
                        self._take_in(look, number, finder.find(picture))
                except MediaError as error:
                    look.reason = file.told(error)
        except UnreadableError as error:
            look.reason = str(error)
        if look.picture is not None and self._preview and card.maps:
            look.preview = Preview.of(look.picture, self._preview)
        look.picture = None  # others may wait long for their turn in the network
        return look

    def _take_in(self, look: "_Look", number: int, found: Found) -> None:
        face = find_face(found.faces, self._policy)
        if isinstance(face, Response):
            look.frames.append((number, face))
            return
        card = self.bundle.card
        look.frames.append((number, Response.SCORED))
        look.views.append(
            face_views(found.picture, face, card.crop_specs, card.input_size, card.face.context)
        )
        height, width = found.picture.shape[:2]
        look.face = found.box_before(face), found.landmarks_before(face)
        look.places = view_places(face, width, height, card.crop_specs)
        look.picture = found.picture

    def _verdicts(self, looks: "Sequence[_Look]") -> list[Verdict]:
        """Return the verdicts on what was seen; all faces go through the network in batches."""
        rows = self._run([views for look in looks for views in look.views])
        return [self._verdict(look, [next(rows) for _ in look.views]) for look in looks]

    def _run(self, faces: Sequence[Views]) -> "Iterator[Mapping[str, NDArray[np.float32]]]":
        """Yield the network's outputs for each face."""
        for start in range(0, len(faces), _BATCH):
            batch = faces[start : start + _BATCH]
            outputs = run_on_views(self._runner, self.bundle.card, batch)
            for number in range(len(batch)):
                yield {name: values[number] for name, values in outputs.items()}

    def _verdict(self, look: "_Look", rows: Sequence[Mapping[str, NDArray[np.float32]]]) -> Verdict:
        threshold = self.thresholds["video" if look.moving else "frame"]
        frames = len(look.frames) if look.moving or look.frames else 1
        scores = iter(float(row[self._output]) for row in rows)
        frame_scores = tuple(
            FrameScore(number, next(scores) if response is Response.SCORED else None, response)
            for number, response in look.frames
        )
        if look.face is None:
            response = look.response
            return Verdict(
                look.name,
                Decision.NO_RESPONSE,
                None,
                threshold,
                response,
                look.reason or str(response),
                frames=frames,
                frame_scores=frame_scores,
            )
        means = {
            name: float(video_scores([0] * len(rows), [float(row[name]) for row in rows])[0])
            for name in self.bundle.card.outputs
        }
        score = means[self._output]
        box, landmarks = look.face
        return Verdict(
            look.name,
            Decision.BONA_FIDE if score >= threshold else Decision.ATTACK,
            score,
            threshold,
            reason=look.reason,
            face=box,
            landmarks=landmarks,
            frames=frames,
            frames_scored=len(rows),
            outputs=means,
            frame_scores=frame_scores,
            preview=look.preview and look.preview.with_maps(self._maps(look.places, rows[-1])),
        )

    def _maps(self, places: Sequence[Box], row: Mapping[str, NDArray[np.float32]]) -> list[PixelMap]:
        """Return the network's maps of a face; one with a view's name lies on that view, any other on the first."""
        card = self.bundle.card
        of_view = dict(zip(card.views, places, strict=True))
        return [
            PixelMap(name, row[f"{MAP_PREFIX}{name}"], of_view.get(name, places[0])) for name in card.maps
        ]


@dataclass
class _Look:
    """What was seen in one source before the network runs.

    `frames` are the frames looked at, each with its response; `views` the crops of those that are to be scored. Of the
    last of these: `face`, its box and landmarks; `places`, where its crops lie in the upright `picture`. `reason` says
    what is wrong with the file.
    """

    name: str
    moving: bool = False
    frames: list[tuple[int, Response]] = field(default_factory=list)
    views: list[Views] = field(default_factory=list)
    face: tuple[Box, Landmarks] | None = None
    places: list[Box] = field(default_factory=list)
    picture: NDArray[np.uint8] | None = None
    preview: Preview | None = None
    reason: str = ""

    @property
    def response(self) -> Response:
        """Return why there is no score: what is most frequent among the frames, else that nothing can be read."""
        missed = [response for _, response in self.frames]
        return max(missed, key=missed.count) if missed else Response.UNREADABLE
