"""The check of a data set's copy, before any long work starts."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import BonafaceError, InputError
from bonaface.core.machine import usable_cores
from bonaface.core.records import Presentation
from bonaface.datasets.protocols import Protocol, split_rows
from bonaface.datasets.registry import Box, Dataset, planned_presentations
from bonaface.datasets.table import PresentationTable, name_some
from bonaface.face.detect import Detector
from bonaface.face.upright import find_turn, turned
from bonaface.media.decoder import Decoder
from bonaface.media.info import evenly_spaced

Progress = Callable[[int, int], None]

_SAME_FACE = 0.3  # intersection over union below which two boxes are of two faces
_BATCH = 1000  # files
_PROPORTION = 0.05  # by how much width over height may differ from the published
_decoder = Decoder()


@dataclass(frozen=True)
class Problem:
    """A problem of a data set's copy, with all the files or rows that it concerns."""

    text: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.text}: {name_some(self.names)}" if self.names else self.text


@dataclass(frozen=True)
class SplitCounts:
    """The presentations of one published split (`""` where a set has none)."""

    split: str
    bona_fide: int
    attacks: int
    subjects: int


@dataclass(frozen=True)
class Files:
    """A summary of the files of one device.

    `frames` are the fewest, the median and the most of a video. `shapes` counts codec, upright size and the rotation
    that the file asks for: ``h264 720 x 1280, turned 90``.
    """

    device: str
    readable: int
    frames: tuple[int, int, int]
    shapes: Mapping[str, int]


@dataclass(frozen=True)
class Detections:
    """The detector's result on some frames, one per file.

    `turns` counts by device how the picture must be turned for the face to stand (degrees counter-clockwise, -1
    where there is no face). `agreement` is the median intersection over union with the set's own box in the
    `compared` files that have one, None where there are none.
    """

    looked_at: int
    turns: Mapping[str, Mapping[int, int]]
    compared: int
    agreement: float | None


@dataclass(frozen=True)
class DoctorReport:
    """The result of `examine`.

    `findings` is empty if nothing is wrong; `notes` report what is as it should be. `missing` are the paths of the
    complete set that are not there, where the complete set is known. `files` is empty if no file was opened,
    `with_boxes` (files that have face boxes) None if the set comes with none, `detections` None if none were asked for.
    """

    dataset: str
    root: str
    parts: tuple[SplitCounts, ...]
    missing: tuple[str, ...]
    files: tuple[Files, ...]
    with_boxes: int | None
    detections: Detections | None
    findings: tuple[Problem, ...]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return asdict(self)


def examine(
    dataset: Dataset,
    root: Path,
    *,
    open_files: bool = True,
    detect: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> DoctorReport:
    """Check a copy of `dataset` below `root` for what is missing, unexpected or broken.

    Args:
        open_files: read every file and its boxes; pictures are decoded, of videos the packets are read and a
            frame is decoded.
        detect: in how many files, evenly spaced over the set, to look for the face; one frame each.
        workers: threads; None is one for each core.
        progress: called with (files done, files in all).

    Raises:
        InputError: there is nothing of the set below `root`, or one of its lists is wrong.
    """
    table = dataset.read(root)
    base = root if root.is_dir() else root.parent
    # The one note of a complete simulated set says that it is simulated and complete.
    planned = planned_presentations(root)
    fine = len(table) == planned
    findings = [*(() if fine else map(Problem, table.notes)), *_protocols(dataset, table, not fine)]
    checks: list[_FileCheck] = []
    with_boxes = None
    if open_files:
        checks = _check_files(base, table.rows, workers, progress)
        findings += _broken(checks)
        findings += _of_another_shape(checks, dataset)
    if open_files and dataset.boxes:
        boxes = _boxes(dataset, base, table.rows, findings)
        with_boxes = sum(map(bool, boxes))
        findings += _misplaced(checks, boxes, dataset.find_turn)
    return DoctorReport(
        dataset=dataset.name,
        root=str(root),
        parts=_parts(table),
        missing=_missing(dataset, root, table) if planned is None else (),  # a plan is not the original's
        files=_files(checks),
        with_boxes=with_boxes,
        detections=_detect(dataset, base, table.rows, detect, findings, open_files) if detect else None,
        findings=tuple(findings),
        notes=table.notes if fine else (),
    )


@dataclass(frozen=True)
class _FileCheck:
    """The check of one file: its frames and upright size in pixels, or what is wrong with it."""

    row: Presentation
    problem: str = ""
    frames: int = 0
    size: tuple[int, int] = (0, 0)
    shape: str = ""


def _missing(dataset: Dataset, root: Path, table: PresentationTable) -> tuple[str, ...]:
    there = {row.path for row in table.rows}
    return tuple(path for path in (dataset.expected(root) if dataset.expected else ()) if path not in there)


def _protocols(dataset: Dataset, table: PresentationTable, complete: bool) -> Iterator[Problem]:
    """Yield what is wrong with the splits; the published counts are those of a `complete` set."""
    stated = any(row.split for row in table.rows)
    for protocol in dataset.protocols:
        if protocol.splits_are_stated and not stated:
            continue  # nobody has stated any
        texts = list(
            dict.fromkeys(
                text for fold in protocol.folds for text in _differences(table, protocol, fold, complete)
            )
        )
        if texts:
            more = f" (and {len(texts) - 1} more like it)" if len(texts) > 1 else ""
            yield Problem(f"{texts[0]}{more}")


def _differences(table: PresentationTable, protocol: Protocol, fold: str, complete: bool) -> Iterator[str]:
    where = f"{table.dataset}/{protocol.name}" + (f", fold {fold}" if fold else "")
    try:
        split = split_rows(table, protocol, fold)
    except InputError as error:  # a subject in two splits, or a split without rows
        yield str(error)
        return
    counts = protocol.counts
    # where dev is set aside from train, the published counts are those of both together
    train = split.train if counts.dev else split.train + split.dev
    for name, rows, published in (
        ("train", train, counts.train),
        ("dev", split.dev, counts.dev),
        ("test", split.test, counts.test),
    ):
        here = table.counts(rows)
        if complete and published and here != published:
            yield (
                f"{where}: {name} has {here[0]} bona fide and {here[1]} attack presentations, and "
                f"{published[0]} and {published[1]} are published"
            )


def _check_files(
    base: Path, rows: Sequence[Presentation], workers: int | None, progress: Progress | None
) -> list[_FileCheck]:
    checks: list[_FileCheck] = []
    with ThreadPoolExecutor(workers or usable_cores()) as pool:
        while len(checks) < len(rows):  # in batches, as the pool queues all that it is given at once
            for check in pool.map(partial(_check_file, base), rows[len(checks) : len(checks) + _BATCH]):
                checks.append(check)
                if progress:
                    progress(len(checks), len(rows))
    return checks


def _check_file(base: Path, row: Presentation) -> _FileCheck:
    path = base / row.path
    try:
        info = _decoder.probe(path)
    except (BonafaceError, OSError) as error:
        return _FileCheck(row, str(error).removeprefix(f"{path}: "))
    turn = f", turned {info.rotation}" if info.rotation else ""
    shape = f"{info.codec} {info.width} x {info.height}{turn}{', mirrored' * info.mirrored}"
    return _FileCheck(row, info.damage, info.frames, (info.width, info.height), shape)


def _broken(checks: Iterable[_FileCheck]) -> Iterator[Problem]:
    by_problem: dict[str, list[str]] = defaultdict(list)
    for check in checks:
        if check.problem:
            by_problem[check.problem].append(check.row.path)
    for problem, paths in sorted(by_problem.items()):
        yield Problem(problem, tuple(paths))


def _of_another_shape(checks: Iterable[_FileCheck], dataset: Dataset) -> Iterator[Problem]:
    """Yield the files whose sides have another proportion than those of the camera that their name gives.

    The proportion is compared and not the size, as a picture that was scaled down is still of that camera.
    """
    others: dict[str, list[str]] = defaultdict(list)
    for check in checks:
        if not (check.frames and dataset.size):
            continue
        (width, height), (across, down) = check.size, dataset.size(check.row)
        if abs(width * down / (height * across) - 1) > _PROPORTION:
            others[f"{check.row.device}: {across} x {down}"].append(f"{check.row.path} ({width} x {height})")
    for camera, files in sorted(others.items()):
        yield Problem(f"not in the proportion of the camera that the name says ({camera})", tuple(files))


def _boxes(
    dataset: Dataset, base: Path, rows: Iterable[Presentation], findings: list[Problem]
) -> list[Mapping[int, Box]]:
    """Return the boxes of each row, and append the problems of their files to `findings`."""
    found = []
    without = []
    for row in rows:
        boxes, problem = _own_boxes(dataset, base, row)
        found.append(boxes)
        if problem:
            findings.append(Problem(problem))
        if not boxes:
            without.append(row.path)
    if without and len(without) < len(
        found
    ):  # boxes are often given out apart, and may be left out altogether
        findings.append(Problem("without face boxes", tuple(without)))
    return found


def _own_boxes(dataset: Dataset, base: Path, row: Presentation) -> tuple[Mapping[int, Box], str]:
    """Return the set's boxes of a row, and what is wrong with their file."""
    try:
        return (dataset.boxes(base, row) if dataset.boxes else {}), ""
    except (BonafaceError, OSError) as error:
        return {}, str(error)


def _misplaced(
    checks: Iterable[_FileCheck], boxes: Iterable[Mapping[int, Box]], find_turn: bool
) -> Iterator[Problem]:
    """Yield the boxes that lie more outside the picture than in it, or belong to frames that the video does not
    have.
    """
    outside, beyond = [], []
    for check, own in zip(checks, boxes, strict=False):
        if check.frames and own:
            width, height = check.size
            sizes = [(width, height), (height, width)] if find_turn else [(width, height)]
            if all(any(_share_inside(box, size) < 0.5 for box in own.values()) for size in sizes):
                outside.append(check.row.path)
            if max(own) >= check.frames:
                beyond.append(check.row.path)
    if outside:
        yield Problem("face boxes outside the picture", tuple(outside))
    if beyond:
        yield Problem("face boxes of more frames than the video has", tuple(beyond))


def _share_inside(box: Box, size: tuple[int, int]) -> float:
    whole = (box[2] - box[0]) * (box[3] - box[1])
    return _common(box, (0, 0, *size)) / whole if whole > 0 else 0.0


def _common(one: Box, other: Box) -> float:
    """Return the area that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)


def _overlap(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes."""
    common = _common(one, other)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return common / (sum(areas) - common)


def _detect(
    dataset: Dataset,
    base: Path,
    rows: Sequence[Presentation],
    n: int,
    findings: list[Problem],
    opened: bool,
) -> Detections:
    """Look for faces in `n` files; those that can't be read are findings, unless all files were `opened` before."""
    detector = Detector()
    turns: dict[str, Counter[int]] = defaultdict(Counter)
    overlaps: dict[str, float] = {}
    nobody: list[str] = []
    broken: list[str] = []
    for number in evenly_spaced(len(rows), n):
        row = rows[number]
        try:
            frame, picture = _frame(base / row.path)
        except (BonafaceError, OSError):
            broken.append(row.path)
            continue
        turn = find_turn(detector, picture)
        turns[row.device][-1 if turn is None else turn] += 1
        if turn is None:
            nobody.append(row.path)
            continue
        own = _own_boxes(dataset, base, row)[0].get(frame)
        if own:
            faces = detector.detect(turned(picture, turn))
            overlaps[row.path] = max(_overlap(own, face.box) for face in faces)
    if broken and not opened:
        findings.append(Problem("files that can't be read", tuple(broken)))
    findings += _disagreements(dataset, nobody, turns, overlaps)
    return Detections(
        looked_at=sum(count.total() for count in turns.values()),
        turns={device: dict(sorted(count.items())) for device, count in sorted(turns.items())},
        compared=len(overlaps),
        agreement=median(overlaps.values()) if overlaps else None,
    )


def _frame(path: Path) -> tuple[int, NDArray[np.uint8]]:
    """Return the frame in the middle of a video, with its number, or the picture."""
    return next(_decoder.open(path, 1).frames)


def _disagreements(
    dataset: Dataset, nobody: list[str], turns: Mapping[str, Counter[int]], overlaps: Mapping[str, float]
) -> Iterator[Problem]:
    if nobody:
        yield Problem("no face was found", tuple(nobody))
    lying = Counter({turn: sum(count[turn] for count in turns.values()) for turn in (90, 180, 270)})
    if lying.total() and dataset.boxes and not dataset.find_turn:
        yield Problem(
            f"the face lies in {lying.total()} of the files looked at, and the set's face boxes are taken as of files "
            "that stand"
        )
    elsewhere = tuple(path for path, overlap in overlaps.items() if overlap < _SAME_FACE)
    if elsewhere:
        yield Problem("the set's face box is not where the detector finds the face", elsewhere)


def _parts(table: PresentationTable) -> tuple[SplitCounts, ...]:
    rows: dict[str, list[int]] = {"train": [], "dev": [], "test": []}
    for number, row in enumerate(table.rows):
        rows.setdefault(row.split, []).append(number)
    return tuple(
        SplitCounts(split, *table.counts(part), len({table.rows[number].subject for number in part} - {""}))
        for split, part in rows.items()
        if part
    )


def _files(checks: Iterable[_FileCheck]) -> tuple[Files, ...]:
    by_device: dict[str, list[_FileCheck]] = defaultdict(list)
    for check in checks:
        if check.frames:
            by_device[check.row.device].append(check)
    return tuple(_file_group(device, group) for device, group in sorted(by_device.items()))


def _file_group(device: str, checks: Sequence[_FileCheck]) -> Files:
    counts = sorted(check.frames for check in checks)
    shapes = Counter(check.shape for check in checks)
    return Files(
        device, len(checks), (counts[0], round(median(counts)), counts[-1]), dict(shapes.most_common())
    )
