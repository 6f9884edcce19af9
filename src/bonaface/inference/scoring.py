"""Score a crop store by a network, as the rows of a score table."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bonaface.core.records import Presentation, Score
from bonaface.face.crop import Views, cut_views
from bonaface.inference.bundle import BundleCard
from bonaface.inference.preprocess import run_on_views
from bonaface.inference.runtime import Runner

if TYPE_CHECKING:  # a store needs pyarrow, and what imports this module may need none
    from bonaface.store.frames import Frame
    from bonaface.store.joined import Store

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ScoredSplit:
    """The rows of one split that are scored, and the names written beside their scores."""

    rows: Sequence[int]
    split: str
    protocol: str
    fold: str = ""


def score_part(
    store: "Store",
    part: ScoredSplit,
    card: BundleCard,
    runner: Runner,
    *,
    output: str | None = None,
    skip: int = 0,
    batch: int = 16,
    progress: Progress | None = None,
) -> Iterator[Score]:
    """Score every frame of the presentations `part.rows` (row numbers of the store's table), in order.

    Frames without a face come out with their response and no score, so that non-responses are counted.
    While the network runs, the next batch is read and cut.

    Args:
        output: the score output that fills `Score.score`; None means the bundle's default.
        skip: leave out that many frames at the beginning, which have been scored before.
        progress: called with (frames done, frames in all) after each batch.

    Raises:
        UnknownNameError: the model has no such output.
    """
    name = card.output(output)
    wanted = set(part.rows)
    numbers = [n for n, frame in enumerate(store.frames) if frame.presentation in wanted]
    chunks = [numbers[i : i + batch] for i in range(skip, len(numbers), batch)]
    done = skip
    with ThreadPoolExecutor(max_workers=1) as reader:
        for chunk, faces in _read_ahead(reader, store, chunks, card):
            outputs = run_on_views(runner, card, faces) if faces else {}
            yield from _rows(store, part, chunk, name, card.outputs, outputs)
            done += len(chunk)
            if progress:
                progress(done, len(numbers))


def _read_ahead(
    reader: ThreadPoolExecutor, store: "Store", chunks: list[list[int]], card: BundleCard
) -> Iterator[tuple[list[int], list[Views]]]:
    waiting = [reader.submit(_faces, store, chunk, card) for chunk in islice(chunks, 2)]
    for position, chunk in enumerate(chunks):
        faces = waiting.pop(0).result()
        if position + 2 < len(chunks):
            waiting.append(reader.submit(_faces, store, chunks[position + 2], card))
        yield chunk, faces


def _faces(store: "Store", chunk: list[int], card: BundleCard) -> list[Views]:
    return [
        cut_views(store.read(number), card.crop_specs, card.input_size)
        for number in chunk
        if not store.frames[number].response
    ]


def _rows(
    store: "Store",
    part: ScoredSplit,
    chunk: list[int],
    name: str,
    names: Sequence[str],
    outputs: Mapping[str, NDArray[np.float32]],
) -> Iterator[Score]:
    position = 0
    for number in chunk:
        frame = store.frames[number]
        presentation = store.presentations[frame.presentation]
        if frame.response:
            yield score_row(store, part, presentation, frame, {}, name)
        else:
            scores = {output: float(outputs[output][position]) for output in names}
            yield score_row(store, part, presentation, frame, scores, name)
            position += 1


def score_row(
    store: "Store",
    part: ScoredSplit,
    row: Presentation,
    frame: "Frame",
    scores: Mapping[str, float],
    name: str,
) -> Score:
    """Return the score table's row of a frame of presentation `row`: `scores` by output, empty without a response.

    The output `name` is the one that is judged.
    """
    return Score(
        sample_id=sample_id_of(row, frame.frame),
        video_id=row.sample_id,
        frame=frame.frame,
        subject=row.subject,
        label=row.label,
        species=row.species,
        split=part.split,
        score=scores.get(name, float("nan")),
        response=frame.response,
        outputs=scores,
        dataset=store.dataset,
        protocol=part.protocol,
        fold=part.fold,
        device=row.device,
        session=row.session,
    )


def sample_id_of(row: Presentation, frame: int) -> str:
    """Return the sample_id of the frame number `frame` of presentation `row` in a score table."""
    # A picture is a video of one frame; only a clip's frames need a number of their own.
    return row.sample_id if frame == 0 else f"{row.sample_id}#{frame}"
