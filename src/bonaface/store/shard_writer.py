"""The work of every process of `prepare`: to make a shard's context crops from its presentations."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import BonafaceError, InputError, UnknownNameError
from bonaface.core.files import write_json
from bonaface.core.paths import is_remote, local_copy
from bonaface.core.records import Presentation, Response
from bonaface.datasets.registry import Box, Dataset, open_dataset
from bonaface.face.crop import context_crop
from bonaface.face.detect import Detector, Face
from bonaface.face.find import find_face
from bonaface.face.finder import FaceFinder, Found
from bonaface.face.upright import find_turn, turned
from bonaface.media.decoder import Decoder
from bonaface.media.kinds import is_video
from bonaface.store import crop_store as layout
from bonaface.store.crop_store import FrameResult, PrepareSettings

KILLS = "a worker process died over it"
_UNKNOWN = (np.nan, np.nan)  # a landmark's position
_NO_LANDMARKS = (_UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN)


@dataclass(frozen=True)
class Shard:
    """A run of presentations, the first of which is number `first` of the table."""

    number: int
    first: int
    rows: tuple[Presentation, ...]


def shards(rows: Sequence[Presentation], settings: PrepareSettings) -> list[Shard]:
    """Cut the table into runs of at least `settings.frames_per_shard` frames each, except for the last."""
    cut: list[Shard] = []
    first, planned = 0, 0
    for i, row in enumerate(rows):
        planned += settings.frames if is_video(row.path) else 1
        if planned >= settings.frames_per_shard or i == len(rows) - 1:
            cut.append(Shard(len(cut), first, tuple(rows[first : i + 1])))
            first, planned = i + 1, 0
    return cut


def folder_of(row: Presentation) -> str:
    """Return the folder of a row's file, relative to the set's."""
    return str(PurePosixPath(row.path).parent)


def is_bare(folder: Path) -> bool:
    """Return whether `folder` is not there, cannot be looked at, or is empty, as where nothing is mounted."""
    try:
        return next(folder.iterdir(), None) is None
    except OSError:
        return True


def source_of(dataset: str) -> Dataset | None:
    """Return the data set of a table called `dataset`, which knows its boxes and whether its videos are turned."""
    try:
        return open_dataset(dataset)
    except UnknownNameError:  # a table of the caller's own
        return None


@dataclass(frozen=True)
class ShardWriter:
    """Makes shards of the set `dataset` below `root`, in any process and on any machine that it is sent to.

    `absent` are the folders of rows, relative to `root`, that were not there when the work began.
    """

    root: Path
    store: Path
    settings: PrepareSettings
    dataset: str
    software: Mapping[str, str]
    absent: frozenset[str] = frozenset()

    def __call__(self, shard: Shard, progress: Callable[[int], None]) -> None:
        """Write `shard`, and call `progress` with the number of presentations that are done.

        Raises:
            BonafaceError: this process sees no `root`, or runs other software than the one that began the store.
        """
        self._check_here()
        layout.write_shard(self.store, shard.number, self._results(shard, progress))
        self._left_out_path(shard).unlink(missing_ok=True)

    def at(self, shard: Shard, done: int | None) -> str:
        """Name the presentation that comes after `done` of the shard's, or all of them."""
        if done is None:
            return f"one of the presentations {shard.rows[0].path} to {shard.rows[-1].path}"
        return f"the presentation {shard.rows[min(done, len(shard.rows) - 1)].path}"

    def leave_out(self, shard: Shard, done: int) -> bool:
        """Make the presentation that comes after `done` of the shard's an unreadable one, as it kills whoever reads it.

        A file beside the shard says so until the shard is written; in there the presentation's row does. Return False
        where all presentations are done, or this one is left out already.
        """
        known = self._left_out(shard)
        if done >= len(shard.rows) or done in known:
            return False
        write_json(self._left_out_path(shard), sorted([*known, done]))
        return True

    def _left_out(self, shard: Shard) -> list[int]:
        path = self._left_out_path(shard)
        if not path.is_file():
            return []
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if not isinstance(found, list) or not all(type(i) is int for i in found):
            raise InputError(f"{path}: expected a list of whole numbers; delete it and run the same again")
        return found

    def _left_out_path(self, shard: Shard) -> Path:
        return layout.shard_path(self.store, shard.number, "left-out.json")

    def _check_here(self) -> None:
        if not self.root.is_dir():
            raise BonafaceError(
                f"{self.root}: a worker process cannot see this folder; on a cluster the files must be where every "
                "machine finds them under the same path or URL, and memory:// needs workers=0"
            )
        here = layout.software()
        if here != self.software:
            others = [f"{name} {here[name]}" for name in here if here[name] != self.software.get(name)]
            raise BonafaceError(
                f"a worker's machine has {', '.join(others)}, and this one has other versions; they would make another "
                "store: install the same on both"
            )

    def _results(self, shard: Shard, progress: Callable[[int], None]) -> Iterator[FrameResult]:
        source = source_of(self.dataset)
        detector = _detector(self.settings)
        left_out = self._left_out(shard)
        progress(0)  # a process that dies before did not die of a presentation
        for i, row in enumerate(shard.rows):
            boxes, problem = (None, KILLS) if i in left_out else self._boxes(source, row)
            if problem:
                yield FrameResult(
                    shard.first + i, row.sample_id, 0, response=Response.UNREADABLE, detail=problem
                )
            else:
                finder = FaceFinder(detector) if boxes is None else _BoxReader(detector, source, boxes)
                yield from self._look(shard.first + i, row, finder)
            progress(i + 1)

    def _boxes(self, source: Dataset | None, row: Presentation) -> tuple[Mapping[int, Box] | None, str]:
        """Return the set's boxes of the row, None if the detector is to find the face, and what is wrong with their
        file.
        """
        if not self.settings.boxes or source is None or source.boxes is None:
            return None, ""
        try:
            return source.boxes(self.root, row), ""
        except BonafaceError as error:
            return {}, str(error).replace(f"{self.root}/", "")

    def _look(
        self, number: int, row: Presentation, finder: "FaceFinder | _BoxReader"
    ) -> Iterator[FrameResult]:
        with local_copy(self.root / row.path) as path:
            if isinstance(finder, _BoxReader):
                finder.find_turn(picture for _, picture in _read(path, self.settings.frames))
            for index, picture in _read(path, self.settings.frames):
                if isinstance(picture, str):
                    self._check_there(row)
                    # the store must not depend on the data set's folder
                    detail = picture.replace(str(path), row.path).removeprefix(f"{row.path}: ")
                    yield FrameResult(
                        number, row.sample_id, index, response=Response.UNREADABLE, detail=detail
                    )
                elif isinstance(finder, FaceFinder):
                    yield self._judged(number, row, index, finder.find(picture))
                else:
                    found, detail = finder.find(index, picture)
                    yield self._judged(number, row, index, found, detail)

    def _check_there(self, row: Presentation) -> None:
        """Raise BonafaceError where the folder of a row, which was there, is gone: a disk or a share went away."""
        folder = folder_of(row)
        if not is_remote(self.root) and folder not in self.absent and is_bare(self.root / folder):
            raise BonafaceError(
                f"{self.root / folder}: the files of this folder were there and are not any more; see that it can be "
                "reached, and run the same again: it goes on where it was"
            )

    def reads(self, row: Presentation) -> bool:
        """Return whether all that is to be read of a presentation can be read now."""
        _, problem = self._boxes(source_of(self.dataset), row)
        try:
            with local_copy(self.root / row.path) as path:
                pictures = _read(path, self.settings.frames)
                return not problem and not any(isinstance(picture, str) for _, picture in pictures)
        except BonafaceError:  # of a URL that cannot be reached
            return False

    def _judged(
        self, number: int, row: Presentation, index: int, found: Found, detail: str = ""
    ) -> FrameResult:
        """Return the face of a frame and its context crop, or why there is none, of which `detail` says more."""
        size, turn = (found.picture.shape[1], found.picture.shape[0]), found.turn
        face = find_face(found.faces, self.settings.policy)
        if isinstance(face, Response):
            return FrameResult(number, row.sample_id, index, size, turn, response=face, detail=detail)
        try:
            square = context_crop(found.picture, face, self.settings.context)
        except InputError:  # a box of the set's own; the detector's are in the picture
            detail = "the set's face box lies outside the picture"
            return FrameResult(
                number, row.sample_id, index, size, turn, response=Response.NO_FACE, detail=detail
            )
        return FrameResult(number, row.sample_id, index, size, turn, face=face, square=square)


class _BoxReader:
    """Gives the set's own boxes of one presentation."""

    def __init__(self, detector: Detector, source: Dataset | None, boxes: Mapping[int, Box]) -> None:
        self._may_be_turned = source is not None and source.find_turn
        self._turn = 0
        self._detector = detector
        self._boxes = boxes

    def find_turn(self, pictures: Iterable[NDArray[np.uint8] | str]) -> None:
        """Look how the video must be turned, before its boxes are asked for, which are of upright frames.

        In a set whose videos may be turned, the first frame with an upright face after some turn decides for them all.
        """
        if self._may_be_turned:
            turns = (
                find_turn(self._detector, picture) for picture in pictures if not isinstance(picture, str)
            )
            self._turn = next((turn for turn in turns if turn is not None), 0)

    def find(self, index: int, picture: NDArray[np.uint8]) -> tuple[Found, str]:
        """Return the box in frame number `index`, and why there is none."""
        turn = self._turn
        if index not in self._boxes:
            return Found(turned(picture, turn), [], turn), "the set has no face box for this frame"
        return Found(turned(picture, turn), [Face(self._boxes[index], _NO_LANDMARKS, np.nan)], turn), ""


_detectors: dict[tuple[int, float], Detector] = {}
_decoder = Decoder()  # its processes are used for all shards


def _detector(settings: PrepareSettings) -> Detector:
    """Return this process's detector, which is made once for all shards."""
    key = settings.longer_side, settings.min_score
    if key not in _detectors:
        _detectors[key] = Detector(settings.longer_side, threads=1, min_score=settings.min_score)
    return _detectors[key]


def _read(path: Path, n: int) -> Iterator[tuple[int, NDArray[np.uint8] | str]]:
    """Yield `n` frames of a moving file, or the picture, each with its number.

    If reading fails, the last item is the following number and what is wrong.
    """
    following = 0
    try:
        for index, picture in _decoder.open(path, n).frames:
            following = index + 1
            yield index, picture
    except (BonafaceError, OSError) as error:
        yield following, str(error)
