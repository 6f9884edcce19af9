"""The page of a finished run, ``RUN/index.html``: how it learned, its dev scores, its pictures and its settings.

The page is one file that needs nothing else, as a report's. It is made of what the run's folder and the store hold, so
that it can be made again at any time.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bonaface.core.files import write_text
from bonaface.evaluation.aggregate import to_unit
from bonaface.evaluation.curves import histogram_of
from bonaface.evaluation.operating_point import caution
from bonaface.evaluation.render.html import figures, page, photo, table
from bonaface.evaluation.render.svg import histogram_svg
from bonaface.evaluation.render.tables import Grid
from bonaface.evaluation.score_table import ScoreTable
from bonaface.inference.bundle import Bundle
from bonaface.inference.gallery import crops_of, png_of
from bonaface.models.preset import Preset
from bonaface.models.registry import describe
from bonaface.store.joined import Store
from bonaface.training.batches import Augmentation, CropBatches, Draw
from bonaface.training.bundling import DEV_SCORES
from bonaface.training.checkpoint_saver import HISTORY, LOSSES
from bonaface.training.curves import Row, acer_svg, best_epoch, loss_svg
from bonaface.training.data import PadData, augmentation_of, with_set
from bonaface.training.progress import duration
from bonaface.training.settings import RunSettings, flat

PAGE = "index.html"
_SIDE = 144  # pixels of a picture on the page, as wide as the page's gallery shows it
_EXTREMES = 6  # pictures of each kind
_AUGMENTED = 3  # pictures of each class
_PLAIN = Augmentation(0.0, (0.0, 0.0, 0.0, 0.0))


def write_page(run: Path, settings: RunSettings, store: Store, data: PadData) -> Path:
    """Write the page of `run`, whole, and return its path.

    What the run does not hold is left out: a run that began with version 0.1 has no losses of its steps.
    """
    preset = settings.preset
    rows = [{name: float(cell) for name, cell in row.items() if cell} for row in _read(run / HISTORY)]
    about = (
        f"Model {preset.model}, preset {preset.name}, {preset.backbone or 'no backbone'}, {preset.size} px; trained on "
        f"{'/'.join(filter(None, (with_set(settings.protocol, store), settings.fold)))} with seed {settings.seed}.",
        f"The page holds pictures of people from the crop store ({', '.join(settings.stores)}): give it to nobody who "
        "may not see that.",
    )
    parts = [
        *(f"<p>{escape(line)}</p>" for line in about),
        *_learning(run, rows, solved=describe(preset.model).fitted_by_solver),
        *_dev(run, store),
        *_augmentations(settings, data.train),
        table(Grid("Settings", ("setting", "value"), _setting_rows(settings))),
    ]
    warning = caution(store.dataset, from_test=False)
    write_text(run / PAGE, page(f"Run {run.resolve().name}", warning, parts))
    return run / PAGE


def _learning(run: Path, rows: Sequence[Row], solved: bool) -> Iterator[str]:
    if not rows:
        return
    kept = rows[best_epoch(rows) - 1]
    what = (
        "Fitted by a solver, in one go,"
        if solved
        else f"Epoch {best_epoch(rows)} of {len(rows)} is kept. It all"
    )
    yield "<h2>Learning</h2>"
    yield (
        f"<p>{what} took {duration(rows[-1]['seconds'])}. On dev: ACER {100 * kept['dev/acer']:.2f} % at the EER "
        f"threshold, loss {kept['dev/loss']:.4g}.</p>"
    )
    if solved:
        return
    losses = [(int(row["step"]), float(row["loss"])) for row in _read(run / LOSSES)]
    told = "Loss. In training it is that of augmented pictures, and of parts of the network that dev does without"
    drawn = [(told, loss_svg(losses, rows)), ("ACER on dev, by which the epoch is chosen", acer_svg(rows))]
    yield f'<div class="plots">{figures(drawn)}</div>'


def _dev(run: Path, store: Store) -> Iterator[str]:
    """Return the histogram of dev's scores, and the crops with the highest and the lowest of each class."""
    if not (run / DEV_SCORES).is_file():
        return
    scores, card = ScoreTable.read(run / DEV_SCORES), Bundle.open(run).card
    samples, threshold = to_unit(scores, "video"), card.threshold(card.default_output, "video")
    histogram = histogram_of(samples)
    assert histogram is not None, "a dev part without a face ends the training before it begins"
    told = f"{len(samples)} presentations of dev, and the EER threshold {threshold:.4g}; score: {card.default_output}"
    yield f'<h2>Dev scores</h2><div class="plots">{figures([(told, histogram_svg(histogram, threshold))])}</div>'
    crops = crops_of(store, card.crop_specs, card.input_size, _SIDE)
    at, order = card.threshold(card.default_output, "frame"), _by_score(scores)
    kinds = (
        ("Bona fide, highest scores", order[1][::-1]),
        ("Bona fide, lowest scores", order[1]),
        ("Attacks, lowest scores", order[0]),
        ("Attacks, highest scores", order[0][::-1]),
    )
    for title, chosen in kinds:
        shown = []
        for number in _one_a_video(scores, chosen)[:_EXTREMES]:
            name, species = scores.text("sample_id")[number], scores.text("species")[number] or "bona fide"
            score = float(scores.numbers("score")[number])
            wrong = (score >= at) != (species == "bona fide")
            caption = f"{name}: {species}, score {score:.4g}{', wrong' if wrong else ''}"
            if png := crops(name):
                shown.append(photo(caption, png))
        yield f'<h3>{title}</h3><div class="gallery">{"".join(shown)}</div>'
    yield (
        f'<p class="note">One frame of each presentation, as the network sees it. Wrong: on the other side of the '
        f"EER threshold for frames, {at:.4g}.</p>"
    )


def _by_score(scores: ScoreTable) -> list[NDArray[np.intp]]:
    """Return the rows of attacks and of bona fide that have a score, the lowest first."""
    values, labels = scores.numbers("score"), scores.numbers("label")
    order = np.argsort(values, kind="stable")  # NaN comes last
    order = order[: int(np.isfinite(values).sum())]
    return [order[labels[order] == label] for label in (0, 1)]


def _one_a_video(scores: ScoreTable, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the first of `rows` of each video, in their order."""
    _, first = np.unique(scores.codes("video_id")[rows], return_index=True)
    return rows[np.sort(first)]


def _augmentations(settings: RunSettings, train: CropBatches) -> Iterator[str]:
    """Return what each augmentation makes of six training pictures, alone and with all others."""
    preset = settings.preset
    yield "<h2>Augmentation</h2>"
    if describe(preset.model).fitted_by_solver and preset.epochs == 1:
        yield "<p>None: the solver sees the pictures as they are, once.</p>"
        return
    yield (
        "<p>Training pictures, three of each class: as they are, with each augmentation of the preset alone, and with "
        "all of them. What is drawn follows from the seed.</p>"
    )
    chosen = [position for label in (1, 0) for position in _spread(np.flatnonzero(train.labels == label))]
    for example in examples(preset):
        keys = [(settings.seed, 0, number) for number in range(len(chosen))]
        draws = [
            Draw(position, key if example.augmentation else None, example.simulated)
            for position, key in zip(chosen, keys, strict=True)
            if train.labels[position] or not example.simulated
        ]
        crops = train.with_augmentation(example.augmentation or _PLAIN)[draws].crops.numpy()
        firsts = crops if crops.ndim == 4 else crops[:, 0]  # of several views the first
        shown = [
            photo("bona fide" if train.labels[draw.position] else "attack", png_of(crop, _SIDE))
            for draw, crop in zip(draws, firsts, strict=True)
        ]
        yield f'<h3>{escape(example.title)}</h3><div class="gallery">{"".join(shown)}</div>'


def _spread(positions: NDArray[np.intp]) -> list[int]:
    """Return at most `_AUGMENTED` of `positions`, evenly spaced."""
    places = np.linspace(0, len(positions) - 1, min(_AUGMENTED, len(positions)))
    return [int(positions[int(place)]) for place in places]


@dataclass(frozen=True)
class Example:
    """An augmentation that the page shows: None is none, and `simulated` pictures are bona fide, shown as attacks."""

    title: str
    augmentation: Augmentation | None
    simulated: bool = False


def examples(preset: Preset) -> list[Example]:
    """Return the augmentations that `preset` uses, each alone, and all together at the end."""
    whole = augmentation_of(preset)
    found = [Example("As they are", None)]
    if whole.flip:
        found.append(Example(f"Flip: a share of {whole.flip:g} of the pictures", replace(_PLAIN, flip=1.0)))
    for number, name in enumerate(("Brightness", "Contrast", "Saturation", "Hue")):
        strength = whole.jitter[number]
        if strength:
            low, high = max(0.0, 1 - strength), 1 + strength
            how = (
                f"times {low:g} to {high:g}"
                if name != "Hue"
                else f"turned by up to {strength:g} of the circle"
            )
            first, second, third, fourth = (strength if each == number else 0.0 for each in range(4))
            jitter = first, second, third, fourth
            found.append(Example(f"{name}: {how}", replace(_PLAIN, jitter=jitter)))
    if whole.crops:
        named = ", ".join(preset.augment.crops)
        found.append(Example(f"Crop: one of {named}", replace(_PLAIN, crops=whole.crops)))
    if whole.exposure:
        share = f"a share of {whole.exposure:g} of the pictures"
        found.append(Example(f"Exposed anew, here one of these: {share}", replace(_PLAIN, exposure=1.0)))
    if whole.camera:
        share = f"a share of {whole.camera:g} of the pictures"
        found.append(
            Example(f"Taken again by a worse camera, here all: {share}", replace(_PLAIN, camera=1.0))
        )
    if whole.color_transfer:
        share = f"a share of {whole.color_transfer:g} of the pictures"
        title = f"Colours of another picture of the batch, here one of these: {share}"
        found.append(Example(title, replace(_PLAIN, color_transfer=1.0)))
    if preset.augment.simulate:
        share = f"a share of {preset.augment.simulate:g} of the bona fide pictures"
        found.append(Example(f"Shown once more as a simulated attack: {share}", _PLAIN, simulated=True))
    return [*found, Example("All together, but simulated attacks", whole)]


def _setting_rows(settings: RunSettings) -> tuple[tuple[str, str], ...]:
    return tuple((name, json.dumps(value)) for name, value in flat(settings.as_dict()).items())


def _read(path: Path) -> list[dict[str, str]]:
    """Return the lines of a CSV of the run; none where it is not there."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
