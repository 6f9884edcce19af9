"""Explain a run: every figure of the papers that its network has the parts for."""

from collections.abc import Callable
from pathlib import Path

from bonaface.core.errors import InputError
from bonaface.evaluation.operating_point import caution
from bonaface.explain.figures import (
    attention_figure,
    crops_figure,
    levels_figure,
    samples_figure,
    spectra_figure,
    typical,
)
from bonaface.explain.no_face import no_face_figure
from bonaface.explain.page import write_page
from bonaface.explain.run import TrainedRun
from bonaface.explain.samples import choose, examine, presentations_of
from bonaface.store.crop_store import CropStore


def explain(
    run: TrainedRun,
    store: CropStore,
    folder: Path,
    *,
    samples: int = 200,
    root: Path | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[Path]:
    """Write the figures of `run` on `store` into `folder` and return their paths.

    Args:
        run: a finished run.
        store: the crops to look at; the run's test presentations if it is the set that the run was trained on.
        folder: made if it is not there.
        samples: how many presentations are looked at, at most.
        root: the set's own folder, from which the presentations without a face are shown.
        progress: called with (frames done, frames in all).

    Raises:
        InputError: fewer than 2 samples were asked for, or no presentation has a face.
    """
    if samples < 2:
        raise InputError(f"--samples must be at least 2, one of each class, got {samples}")
    rows, named = presentations_of(store, run)
    found = examine(run, store, choose(store, rows, samples), progress)
    if not found:
        raise InputError(f"{store.path}: there is no face in {named}, so there is nothing to explain")
    few = [(one, store.read(one.index)) for label in (1, 0) for one in typical(found, label, 2)]
    figures = [
        samples_figure(found, run),
        attention_figure(found, run),
        crops_figure(few, run),
        spectra_figure(found, run),
        levels_figure(found, run),
        no_face_figure(store, rows, root) if root else None,
    ]
    preset = run.settings.preset
    heading = (
        f"Run {run.path}: {preset.model}, preset {preset.name}, {preset.backbone or 'no backbone'}, {preset.size} px; "
        "its best checkpoint.",
        f"Data: {len(found)} presentations of {named}, one frame of each, evenly chosen.",
        f"A score of {run.threshold:.4g} or more is judged bona fide (the run's own threshold, for single frames). "
        f"Score: {run.card.default_output}.",
    )
    return write_page(
        [one for one in figures if one], folder, heading, caution(store.dataset, from_test=False)
    )
