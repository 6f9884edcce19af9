"""Explain a run: every figure of the papers that its network has the parts for."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import bonaface
from bonaface.core.errors import InputError
from bonaface.core.files import checksum_of
from bonaface.evaluation.operating_point import caution
from bonaface.explain.figure import Figure
from bonaface.explain.figures import (
    attention_figure,
    crops_figure,
    levels_figure,
    samples_figure,
    spectra_figure,
    typical,
)
from bonaface.explain.grad_cam import grad_cam_figure
from bonaface.explain.kept import Entry, Kept
from bonaface.explain.no_face import no_face_figure
from bonaface.explain.page import write_page
from bonaface.explain.run import TrainedRun
from bonaface.explain.samples import Sample, choose, examine, presentations_of
from bonaface.explain.tsne import tsne_figure
from bonaface.store.crop_store import CropStore


def explain(
    run: TrainedRun,
    store: CropStore,
    folder: Path,
    *,
    samples: int = 200,
    layer: str | None = None,
    versus: TrainedRun | None = None,
    root: Path | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[Entry]:
    """Write the figures of `run` on `store` into `folder` and return what was written, and what was left out.

    It may be killed at any moment and goes on where it was: a figure that is there and was made of the same run, store
    and settings is not made again.

    Args:
        run: a finished run.
        store: the crops to look at; the run's test presentations if it is the set that the run was trained on.
        folder: made if it is not there.
        samples: how many presentations are looked at, at most.
        layer: of Grad-CAM, a feature level or a module of the network; None: its first level.
        versus: a run with which this one is compared, by t-SNE of what it got wrong.
        root: the set's own folder, from which the presentations without a face are shown.
        progress: called with (frames done, frames in all).

    Raises:
        InputError: fewer than 2 samples were asked for, no presentation has a face, or there is no such layer.
    """
    if samples < 2:
        raise InputError(f"--samples must be at least 2, one of each class, got {samples}")
    rows, named = presentations_of(store, run)
    indices = choose(store, rows, samples)
    if not indices:
        raise InputError(f"{store.path}: there is no face in {named}, so there is nothing to explain")
    kept = Kept(folder)
    looked = _Looked(run, versus, store, indices, kept, _Counter(progress))
    entries = []
    for name, make, settings in _figures(looked, rows, layer, root):
        key = checksum_of([bonaface.__version__, looked.digest(run), name, settings])
        entries.append(kept.find(name, key) or kept.put(name, key, make()))
    preset = run.settings.preset
    heading = (
        f"Run {run.path}: {preset.model}, preset {preset.name}, {preset.backbone or 'no backbone'}, {preset.size} px; "
        "its best checkpoint.",
        f"Data: {len(indices)} presentations of {named}, one frame of each, evenly chosen.",
        f"A score of {run.threshold:.4g} or more is judged bona fide (the run's own threshold, for single frames). "
        f"Score: {run.card.default_output}.",
    )
    write_page(entries, folder, heading, caution(store.dataset, from_test=False))
    kept.finish()
    return entries


class _Counter:
    """How many frames are done, of how many that are known so far."""

    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self._progress = progress
        self._done = self._total = 0

    def more(self, done: int, to_come: int) -> None:
        self._done, self._total = self._done + done, self._total + to_come
        self._progress(self._done, self._total)


class _Looked:
    """What the networks make of the samples, computed when the first figure needs it."""

    def __init__(
        self,
        run: TrainedRun,
        versus: TrainedRun | None,
        store: CropStore,
        indices: Sequence[int],
        kept: Kept,
        counter: _Counter,
    ) -> None:
        self.run, self.versus, self.store = run, versus, store
        self.counter = counter
        self._indices, self._kept = indices, kept

    def digest(self, run: TrainedRun) -> str:
        """Return the checksum of what decides the samples of a run."""
        return checksum_of([run.digest, self.store.digest, list(self._indices)])

    @cached_property
    def samples(self) -> list[Sample]:
        """Return the samples as the run sees them."""
        return self._of(self.run)

    @cached_property
    def others(self) -> list[Sample]:
        """Return the samples as the other run sees them."""
        assert self.versus is not None, "only the figure of two runs needs them"
        return self._of(self.versus)

    def _of(self, run: TrainedRun) -> list[Sample]:
        self.counter.more(0, len(self._indices))
        outputs = self._kept.outputs(self.digest(run))
        return examine(run, self.store, self._indices, outputs, lambda done: self.counter.more(done, 0))


def _figures(
    looked: _Looked, rows: Sequence[int], layer: str | None, root: Path | None
) -> list[tuple[str, Callable[[], Figure | str], Any]]:
    """Return each figure's name, how it is made, and what beside run, store and samples decides it."""
    run, store, versus = looked.run, looked.store, looked.versus

    def crops() -> Figure:
        few = [one for label in (1, 0) for one in typical(looked.samples, label, 2)]
        return crops_figure([(one, store.read(one.index)) for one in few], run)

    def tsne() -> Figure | str:
        if versus is None:
            return "no other run was given (--versus)"
        return tsne_figure(looked.samples, run, looked.others, versus)

    def no_face() -> Figure | str:
        return no_face_figure(store, rows, root) if root else "the set's own folder was not given (--root)"

    return [
        ("samples", lambda: samples_figure(looked.samples, run), None),
        ("attention", lambda: attention_figure(looked.samples, run), None),
        ("crops", crops, None),
        ("spectra", lambda: spectra_figure(looked.samples, run), None),
        ("levels", lambda: levels_figure(looked.samples, run), None),
        ("grad-cam", lambda: grad_cam_figure(looked.samples, run, layer, looked.counter.more), layer),
        ("t-sne", tsne, versus and versus.digest),
        ("no-face", no_face, root and str(root)),
    ]
