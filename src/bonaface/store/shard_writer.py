"""From a shard's presentations to its face squares: what every worker of `prepare` does, wherever it runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import BonafaceError, InputError, UnknownNameError
from bonaface.core.paths import local_copy
from bonaface.core.records import Presentation, Response
from bonaface.datasets.registry import Box, Dataset, open_dataset
from bonaface.face.crop import context_crop
from bonaface.face.detect import Detector, Face
from bonaface.face.find import find_face
from bonaface.face.track import Tracker
from bonaface.face.upright import find_turn, turned
from bonaface.media.kinds import is_video
from bonaface.media.picture import read_picture
from bonaface.store import crop_store as layout
from bonaface.store.crop_store import FrameResult, PrepareSettings

_UNKNOWN = (np.nan, np.nan)  # a landmark's position
_NO_LANDMARKS = (_UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN)


@dataclass(frozen=True)
class Shard:
    """A run of presentations, the first of which is number `first` of the table."""

    number: int
    first: int
    rows: tuple[Presentation, ...]


def shards(rows: Sequence[Presentation], settings: PrepareSettings) -> list[Shard]:
    """Cut the table into runs of at least `settings.frames_per_shard` frames each, but for the last."""
    cut: list[Shard] = []
    first, planned = 0, 0
    for i, row in enumerate(rows):
        planned += settings.frames if is_video(row.path) else 1
        if planned >= settings.frames_per_shard or i == len(rows) - 1:
            cut.append(Shard(len(cut), first, tuple(rows[first : i + 1])))
            first, planned = i + 1, 0
    return cut


def source_of(dataset: str) -> Dataset | None:
    """The set that a table called `dataset` is of, which knows its boxes and whether its videos lie on their side."""
    try:
        return open_dataset(dataset)
    except UnknownNameError:  # a table of the caller's own
        return None


def frames_of(path: Path, n: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The frames of a file that are looked at, as (index, (H, W, 3) uint8 RGB): `n` of a video, a picture's
    only one.

    Raises:
        BonafaceError: the file cannot be read.
    """
    if is_video(path):
        from bonaface.media.video import read_frames  # PyAV, for those who need it

        yield from read_frames(path, n)
    else:
        yield 0, read_picture(path)


@dataclass(frozen=True)
class ShardWriter:
    """Makes shards of the set `dataset` below `root`, in whichever process and on whichever machine it is sent to."""

    root: Path
    store: Path
    settings: PrepareSettings
    dataset: str
    software: Mapping[str, str]

    def __call__(self, shard: Shard, tick: Callable[[int], None]) -> None:
        """Write `shard`; `tick` hears of every presentation that is done.

        Raises:
            BonafaceError: this process sees no `root`, or runs other software than the one that began the store.
        """
        self._check_here()
        layout.write_shard(self.store, shard.number, self._results(shard, tick))

    def _check_here(self) -> None:
        if not self.root.is_dir():
            raise BonafaceError(
                f"{self.root}: a worker process cannot see this folder; on a cluster the files must be where every "
                "machine finds them under the same path or URL, and memory:// needs --workers 1"
            )
        here = layout.software()
        if here != self.software:
            others = [f"{name} {here[name]}" for name in here if here[name] != self.software.get(name)]
            raise BonafaceError(
                f"a worker's machine has {', '.join(others)}, and this one has other versions; they would make another "
                "store: install the same on both"
            )

    def _results(self, shard: Shard, tick: Callable[[int], None]) -> Iterator[FrameResult]:
        source = source_of(self.dataset)
        detector = _detector(self.settings)
        for i, row in enumerate(shard.rows):
            boxes, problem = self._boxes(source, row)
            if problem:
                yield FrameResult(
                    shard.first + i, row.sample_id, 0, response=Response.UNREADABLE, detail=problem
                )
            else:
                turns = source is not None and source.find_turn and is_video(row.path)
                yield from self._look(shard.first + i, row, _FaceFinder(detector, turns, boxes))
            tick(i + 1)

    def _boxes(self, source: Dataset | None, row: Presentation) -> tuple[Mapping[int, Box] | None, str]:
        """The set's boxes of the row, None where the detector finds the face; and what is wrong with their file."""
        if not self.settings.boxes or source is None or source.boxes is None:
            return None, ""
        try:
            return source.boxes(self.root, row), ""
        except BonafaceError as error:
            return {}, str(error).replace(f"{self.root}/", "")

    def _look(self, number: int, row: Presentation, finder: "_FaceFinder") -> Iterator[FrameResult]:
        with local_copy(self.root / row.path) as path:
            for index, picture in _read(path, self.settings.frames):
                if isinstance(picture, str):
                    # where the data set lies is no part of what the store says
                    detail = picture.replace(str(path), row.path).removeprefix(f"{row.path}: ")
                    yield FrameResult(
                        number, row.sample_id, index, response=Response.UNREADABLE, detail=detail
                    )
                else:
                    yield self._find(number, row, index, finder.upright(picture), finder)

    def _find(
        self, number: int, row: Presentation, index: int, picture: NDArray[np.uint8], finder: "_FaceFinder"
    ) -> FrameResult:
        size, turn = (picture.shape[1], picture.shape[0]), finder.turn or 0
        faces, detail = finder.faces(index, picture)
        face = find_face(faces, self.settings.policy)
        if isinstance(face, Response):
            return FrameResult(number, row.sample_id, index, size, turn, response=face, detail=detail)
        try:
            square = context_crop(picture, face, self.settings.context)
        except InputError:  # a box of the set's own; the detector's are in the picture
            detail = "the set's face box lies outside the picture"
            return FrameResult(
                number, row.sample_id, index, size, turn, response=Response.NO_FACE, detail=detail
            )
        return FrameResult(number, row.sample_id, index, size, turn, face=face, square=square)


class _FaceFinder:
    """Finds the faces in the frames of one presentation, given in order.

    `turn` is by how many degrees counter-clockwise frames are turned for the face to stand, None as long as that is
    looked for: of a set whose videos may lie on their side, the first frame with a face that stands some way tells.
    """

    def __init__(self, detector: Detector, turns: bool, boxes: Mapping[int, Box] | None) -> None:
        self.turn: int | None = None if turns else 0
        self._detector = detector
        self._tracker = Tracker(detector)
        self._boxes = boxes

    def upright(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.turn is None:
            self.turn = find_turn(self._detector, picture)
        return turned(picture, self.turn or 0)

    def faces(self, index: int, picture: NDArray[np.uint8]) -> tuple[list[Face], str]:
        """The faces in the upright frame number `index`, and why there is none where that is known."""
        if self._boxes is None:
            return self._tracker.detect(picture), ""
        if index not in self._boxes:
            return [], "the set has no face box for this frame"
        return [Face(self._boxes[index], _NO_LANDMARKS, np.nan)], ""


_detectors: dict[tuple[int, float], Detector] = {}


def _detector(settings: PrepareSettings) -> Detector:
    """This process's detector: a session is made once, however many shards come."""
    key = settings.longer_side, settings.min_score
    if key not in _detectors:
        _detectors[key] = Detector(settings.longer_side, threads=1, min_score=settings.min_score)
    return _detectors[key]


def _read(path: Path, n: int) -> Iterator[tuple[int, NDArray[np.uint8] | str]]:
    """`frames_of`, but where reading fails it ends with the index that follows and what is wrong."""
    following = 0
    try:
        for index, picture in frames_of(path, n):
            following = index + 1
            yield index, picture
    except (BonafaceError, OSError) as error:
        yield following, str(error)
