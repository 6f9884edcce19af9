"""Make the papers' figures of a run, with their arrays, captions and what is measured on them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bonaface.drawing.heat_map import PixelMap, overlay
from bonaface.explain.figure import Figure
from bonaface.explain.run import TrainedRun
from bonaface.explain.samples import Sample
from bonaface.explain.sheet import Cell, ColourBar, coloured, sheet
from bonaface.explain.spectra import compare, log_spectrum
from bonaface.face.crop import ContextCrop, CropSpec, cut

CROPS = ("tight", "square-1.0")  # fig. 3 of paper 2
_MOUTH = slice(3, 5)  # of the five landmarks, the corners of the mouth


def caption_of(sample: Sample, run: TrainedRun, between: str = ": ") -> str:
    """Return sample, label, score, threshold and decision in words; `between` the sample and the rest."""
    kind = "bona fide" if sample.presentation.label else f"attack, {sample.presentation.species}"
    said = "bona fide" if sample.score >= run.threshold else "attack"
    score = f"score {sample.score:.3f}, threshold {run.threshold:.3f}, judged {said}"
    return f"{sample.presentation.sample_id}{between}{kind}; {score}"


def typical(samples: Sequence[Sample], label: int, count: int) -> list[Sample]:
    """Return at most `count` samples of a class, from low scores to high ones in even steps of rank."""
    own = sorted((one for one in samples if one.presentation.label == label), key=lambda one: one.score)
    if len(own) <= count:
        return own
    return [own[int((k + 0.5) * len(own) / count)] for k in range(count)]


def cell_of(sample: Sample, run: TrainedRun) -> Cell:
    """Return the crop with its caption, whose first line is the sample."""
    return Cell(sample.crop, caption_of(sample, run, "\n"))


def samples_figure(samples: Sequence[Sample], run: TrainedRun) -> Figure:
    """Return figure 1 of paper 1: bona fide presentations in the first row, attacks in the second."""
    rows = [typical(samples, label, 6) for label in (1, 0)]
    shown = [one for row in rows for one in row]
    cells = [[cell_of(one, run) for one in row] for row in rows if row]
    arrays = {
        "scores": np.array([one.score for one in samples]),
        "labels": np.array([one.presentation.label for one in samples]),
        "sample_ids": np.array([one.presentation.sample_id for one in samples]),
    }
    captions = tuple(caption_of(one, run) for one in shown)
    title = "Samples (paper 1, fig. 1): bona fide above, attacks below"
    return Figure("samples", title, sheet(cells), arrays, captions)


def attention_figure(samples: Sequence[Sample], run: TrainedRun) -> Figure | str:
    """Return the learned attention (paper 1, fig. 2 and eq. 16) over the mean crop, or why there is none."""
    learned = {name: weights.detach().numpy() for name, weights in run.network.learned_attention().items()}
    if not learned:
        return (
            f"{run.settings.preset.model} learns no attention over its map; a-deep-pix-bis does, and other pixel-wise "
            "networks do by --set attention=true"
        )
    mean = np.rint(np.mean([one.crop for one in samples], axis=0)).astype(np.uint8)
    side = float(mean.shape[0])
    times = {
        name: weights * weights.size for name, weights in learned.items()
    }  # 1 is every weight before training
    spread = max(max(float(np.abs(each - 1).max()) for each in times.values()), 1e-6)
    limits = (1 - spread, 1 + spread)
    rows = [
        [
            Cell(mean, f"the mean of {len(samples)} crops"),
            Cell(coloured(each, *limits), f"attention over {name}, position by position", smooth=False),
            Cell(
                overlay(mean, PixelMap(name, each, (0, 0, side, side)), limits),
                "attention over the mean crop",
            ),
        ]
        for name, each in times.items()
    ]
    found = tuple(_attention_finding(name, each) for name, each in times.items())
    title = "Learned attention (paper 1, fig. 2, eq. 16)"
    drawing = sheet(rows, bars=[ColourBar("times the even weight", *limits)])
    arrays = {
        ("attention" if len(learned) == 1 else f"attention_{name}"): each for name, each in learned.items()
    }
    return Figure("attention", title, drawing, {**arrays, "mean_crop": mean}, (), found)


def _attention_finding(name: str, times: NDArray[Any]) -> str:
    """Return between what the weights of a map lie, `times` (h, w) being them in even weights."""
    row, column = np.unravel_index(int(times.argmax()), times.shape)
    return (
        f"The weights of the {times.shape[0]} x {times.shape[1]} positions of {name} lie between {times.min():.4f} and "
        f"{times.max():.4f} times the even weight of 1/{times.size}; the highest is in row {row + 1}, column "
        f"{column + 1} (from the upper left)."
    )


def crops_figure(shown: Sequence[tuple[Sample, ContextCrop]], run: TrainedRun) -> Figure:
    """Return figure 3 of paper 2: the face's box in its picture, and what the ways of cropping make of it."""
    size = run.network.input_size
    specs = [CropSpec.parse(name) for name in dict.fromkeys((*CROPS, *run.settings.views))]
    rows, arrays = [], dict[str, NDArray[Any]]()
    for number, (sample, square) in enumerate(shown):
        boxed = Image.fromarray(square.image)
        ImageDraw.Draw(boxed).rectangle(square.box, outline=(230, 159, 0), width=max(1, boxed.width // 100))
        crops = {str(spec): cut(square, spec, size) for spec in specs}
        own = {name: f"{name}{', which the run reads' * (name in run.settings.views)}" for name in crops}
        rows.append(
            [
                Cell(np.array(boxed), caption_of(sample, run, "\n")),
                *(Cell(crop, own[name]) for name, crop in crops.items()),
            ]
        )
        arrays |= {f"{number}_{name}": crop for name, crop in crops.items()}
    captions = tuple(caption_of(sample, run) for sample, _ in shown)
    return Figure(
        "crops", "Crops (paper 2, fig. 3): the face's box, and each crop", sheet(rows), arrays, captions
    )


def spectra_figure(samples: Sequence[Sample], run: TrainedRun) -> Figure:
    """Return figure 5 of paper 2: Fourier spectra of bona fide and attacks, with the test of sec. 4.4's hypothesis."""
    deviations = np.array([log_spectrum(one.crop).std() for one in samples])
    labels = np.array([one.presentation.label for one in samples])
    shown = [*typical(samples, 1, 3), *typical(samples, 0, 3)]
    spectra = [log_spectrum(one.crop) for one in shown]
    low, high = 0.0, max(float(s.max()) for s in spectra)
    rows = [
        [cell_of(one, run) for one in shown],
        [
            Cell(coloured(spectrum, low, high), f"standard deviation {spectrum.std():.3f}")
            for spectrum in spectra
        ],
    ]
    found = compare(deviations, labels)
    findings = () if found is None else (f"Standard deviation of the log spectrum: {found}.",)
    arrays = {
        "spectra": np.stack(spectra).astype(np.float32),
        "standard_deviations": deviations,
        "labels": labels,
    }
    title = f"Fourier spectra (paper 2, fig. 5); the standard deviation over {len(samples)} presentations"
    drawing = sheet(rows, bars=[ColourBar("log(1 + |F|), frequency 0 in the middle", low, high)])
    return Figure("spectra", title, drawing, arrays, tuple(caption_of(one, run) for one in shown), findings)


def levels_figure(samples: Sequence[Sample], run: TrainedRun) -> Figure | str:
    """Return figure 9 of paper 2: the levels' heat maps, with the spectra that they draw; or why there is none."""
    if not samples[0].maps:
        return f"{run.settings.preset.model} has no map over the picture"
    shown = [*typical(samples, 1, 2), *typical(samples, 0, 2)]
    drawn = [
        picture for one in shown for picture in (*one.spectra.values(), one.spectrum) if picture is not None
    ]
    spectra = ColourBar("spectra", 0.0, float(max(map(np.max, drawn), default=1.0)))
    values = [pixels for one in shown for pixels in one.maps.values()]
    maps = ColourBar(
        f"heat maps: the probability of bona fide; the threshold is {run.threshold:.3f}",
        float(min(map(np.min, values))),
        float(max(map(np.max, values))),
    )
    kinds = "heat maps and drawn spectra" if drawn else "heat maps"
    arrays = {f"map_{name}": np.stack([one.maps[name] for one in samples]) for name in samples[0].maps}
    arrays |= {
        f"spectrum_{name}": np.stack([one.spectra[name] for one in samples]) for name in samples[0].spectra
    }
    arrays["labels"] = np.array([one.presentation.label for one in samples])
    return Figure(
        "levels",
        f"The levels' {kinds} (paper 2, fig. 9)",
        sheet(
            [_level_row(one, run, maps, spectra) for one in shown], 160, [maps, spectra] if drawn else [maps]
        ),
        arrays,
        tuple(caption_of(one, run) for one in shown),
        tuple(level_findings(samples, run.threshold)),
    )


def _level_row(one: Sample, run: TrainedRun, maps: ColourBar, spectra: ColourBar) -> list[Cell]:
    """Return the crop, the map of each level over it, the spectra that are drawn of it, and its own."""
    side = float(run.network.input_size)
    row = [cell_of(one, run)]
    for name, values in one.maps.items():
        over = overlay(one.views.get(name, one.crop), PixelMap(name, values, (0, 0, side, side)), maps.limits)
        row.append(Cell(over, f"{name}: mean {values.mean():.3f}"))
    for name, values in one.spectra.items():
        row.append(Cell(coloured(values, *spectra.limits), f"drawn by {name}", smooth=False))
    if one.spectrum is not None:
        row.append(Cell(coloured(one.spectrum, *spectra.limits), "the crop's own", smooth=False))
    return row


def level_findings(samples: Sequence[Sample], threshold: float) -> list[str]:
    """Return what sec. 5.4 of paper 2 says of figure 9, measured over all `samples`.

    How many pixels of each level lean to the wrong class ("P5 a bit unstable"), how much the spectra drawn for either
    class vary beside the crops' own ("almost solid" for attacks), and whether the mouth is special where bona fide is
    rejected.
    """
    labels = np.array([one.presentation.label for one in samples])
    found = []
    for name in samples[0].maps:
        wrong = np.array(
            [np.mean((one.maps[name] >= threshold) != one.presentation.label) for one in samples]
        )
        parts = [
            f"{100 * wrong[labels == label].mean():.1f} % of the pixels of {kind}"
            for label, kind in ((1, "bona fide"), (0, "attacks"))
            if (labels == label).any()
        ]
        found.append(f"{name}, at the threshold: {' and '.join(parts)} lean to the wrong class.")
    for name in samples[0].spectra:
        comparison = compare([_liveliness(one, name) for one in samples], labels)
        if comparison:
            found.append(
                f"Standard deviation of the spectrum drawn by {name}, over that of the crop's own (0 is solid): "
                f"{comparison}."
            )
    rejected, accepted = (
        [
            one
            for one in samples
            if one.presentation.label
            and (one.score < threshold) is below
            and np.isfinite(one.landmarks).all()
        ]
        for below in (True, False)
    )
    others = list(samples[0].views)[1:]  # the landmarks lie in the first crop
    on_first = [name for name in samples[0].maps if name not in others]
    for name in on_first if rejected else ():
        gaps = [mouth_gap(one.maps[name], one.landmarks, one.crop.shape[0]) for one in rejected]
        beside = [mouth_gap(one.maps[name], one.landmarks, one.crop.shape[0]) for one in accepted]
        also = f", over {len(accepted)} accepted ones {np.mean(beside):+.3f}" if accepted else ""
        found.append(
            f"{name}, over {len(rejected)} rejected bona fide presentations: the mouth's mean is "
            f"{np.mean(gaps):+.3f} from that of the whole map{also}."
        )
    return found


def _liveliness(sample: Sample, name: str) -> float:
    """Return the deviation of the spectrum that a level draws, over that of the crop's own."""
    assert sample.spectrum is not None, "a network that draws spectra has one to draw"
    return float(sample.spectra[name].std()) / max(float(sample.spectrum.std()), 1e-12)


def mouth_gap(values: NDArray[np.float32], landmarks: NDArray[np.float32], size: int) -> float:
    """Return the mean of a map (h, w) at the mouth (`mouth_mean`) less its mean."""
    return mouth_mean(values, landmarks, size) - float(values.mean())


def mouth_mean(values: NDArray[np.float32], landmarks: NDArray[np.float32], size: int) -> float:
    """Return the mean of a map (h, w) at the mouth.

    The mouth is the square as wide as the distance of its corners, around their middle; `landmarks` (5, 2) lie in
    pixels of a crop of `size`. At least the position nearest to the middle counts.
    """
    corners = landmarks[_MOUTH] * (values.shape[0] / size)
    (x, y), half = corners.mean(0), max(float(np.hypot(*(corners[1] - corners[0]))) / 2, 0.0)
    rows, columns = np.mgrid[: values.shape[0], : values.shape[1]] + 0.5
    far = np.maximum(np.abs(rows - y), np.abs(columns - x))
    return float(values[far <= max(half, float(far.min()))].mean())
