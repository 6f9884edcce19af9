"""`check`: is this picture or clip a bona fide presentation or an attack? From a bundle, without torch."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import BonafaceError, InputError
from bonaface.core.records import Decision, Response, Verdict
from bonaface.face.crop import face_views
from bonaface.face.detect import Detector, Face
from bonaface.face.find import FacePolicy, find_face
from bonaface.face.track import Tracker
from bonaface.inference.bundle import DEFAULT_POINT, UNITS, Bundle
from bonaface.inference.preprocess import run_on_views
from bonaface.inference.runtime import OnnxRunner, Runner
from bonaface.media.kinds import is_video
from bonaface.media.picture import PictureError, read_picture
from bonaface.metrics.videos import video_scores


class Checker:
    """A detector ready for use.

    Args:
        model: a bundle, or a run's folder with one.
        output: the score output that decides; None takes the bundle's default.
        threshold: decides instead of the bundle's own: a score at or over it is bona fide. In [0, 1].
        operating_point: which of the bundle's thresholds decide, ``"eer"`` or as ``"bpcer=0.01"``.
        runner: runs the network; None means onnxruntime on the CPU.
        threads: threads of detector and network; None means one for each core.

    Raises:
        ModelFileError: there is no bundle, or it was altered.
        UnknownNameError: the model has no such output or operating point.
        InputError: the threshold is out of range.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        output: str | None = None,
        threshold: float | None = None,
        operating_point: str = DEFAULT_POINT,
        runner: Runner | None = None,
        threads: int | None = None,
    ) -> None:
        self.bundle = Bundle.open(model)
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

    def check(self, path: str | Path) -> Verdict:
        """The verdict on the picture or video at `path`.

        What can't be read is no error: the verdict has no score then, and says why.
        """
        path = Path(path)
        return self._check_video(path) if is_video(path) else self._check_file(path)

    def check_picture(self, picture: NDArray[np.uint8], name: str = "picture") -> Verdict:
        """The verdict on a picture (H, W, 3) uint8 RGB; `name` is its `Verdict.path`."""
        face = find_face(self._detector.detect(picture), self._policy)
        if isinstance(face, Response):
            return self._no_response(name, face, "frame")
        scores = self._scores(picture, face)
        return self._verdict(name, [scores], face, frames=1, unit="frame")

    def _check_file(self, path: Path) -> Verdict:
        try:
            picture = read_picture(path)
        except PictureError as error:
            return self._no_response(str(path), Response.UNREADABLE, "frame", str(error))
        return self.check_picture(picture, str(path))

    def _check_video(self, path: Path) -> Verdict:
        # PyAV takes a tenth of a second to import, which a picture does not need.
        from bonaface.media.video import VideoError, read_frames

        scores: list[Mapping[str, float]] = []
        found: Face | None = None
        missed: list[Response] = []
        detail = ""
        tracker = Tracker(self._detector)  # as in the crop store
        try:
            for _, picture in read_frames(path, self.bundle.card.face.frames):
                face = find_face(tracker.detect(picture), self._policy)
                if isinstance(face, Response):
                    missed.append(face)
                else:
                    found = face
                    scores.append(self._scores(picture, face))
        except VideoError as error:
            detail = str(error)
        frames = len(scores) + len(missed)
        if found is None:
            reason = max(missed, key=missed.count) if missed else Response.UNREADABLE
            return self._no_response(str(path), reason, "video", detail, frames)
        return self._verdict(str(path), scores, found, frames=frames, unit="video", detail=detail)

    def _scores(self, picture: NDArray[np.uint8], face: Face) -> Mapping[str, float]:
        card = self.bundle.card
        views = face_views(picture, face, card.crop_specs, card.input_size, card.face.context)
        outputs = run_on_views(self._runner, card, [views])
        return {name: float(outputs[name][0]) for name in card.outputs}

    def _verdict(
        self,
        path: str,
        scores: list[Mapping[str, float]],
        face: Face,
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
            box=face.box,
            frames=frames,
            frames_scored=len(scores),
            outputs=means,
        )

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


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """What `bonaface check` exits with: 1 with an attack among them, else 3 with a non-response, else 0.

    Raises:
        BonafaceError: there is no verdict.
    """
    decisions = {verdict.decision for verdict in verdicts}
    if not decisions:
        raise BonafaceError("nothing was checked: expected at least one picture or video")
    if Decision.ATTACK in decisions:
        return 1
    return 3 if Decision.NO_RESPONSE in decisions else 0
