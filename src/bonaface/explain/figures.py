"""Make the papers' figures of a run, with their arrays, captions and what is measured on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bonaface.drawing.heat_map import PixelMap, heat_map, overlay
from bonaface.explain.run import TrainedRun
from bonaface.explain.samples import Sample
from bonaface.explain.sheet import coloured, sheet
from bonaface.explain.spectra import compare, log_spectrum
from bonaface.face.crop import ContextCrop, CropSpec, cut
from bonaface.models.a_deep_pix_bis import ADeepPixBiS

CROPS = ("tight", "square-1.0")  # fig. 3 of paper 2
_MOUTH = slice(3, 5)  # of the five landmarks, the corners of the mouth


@dataclass(frozen=True)
class Figure:
    """A picture with its arrays; `findings` are sentences on what was measured, `captions` name the samples."""

    name: str
    title: str
    image: Image.Image
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    captions: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


def caption_of(sample: Sample, run: TrainedRun) -> str:
    """Return sample, label, score, threshold and decision in words."""
    kind = "bona fide" if sample.presentation.label else f"attack, {sample.presentation.species}"
    said = "bona fide" if sample.score >= run.threshold else "attack"
    score = f"score {sample.score:.3f}, threshold {run.threshold:.3f}, judged {said}"
    return f"{sample.presentation.sample_id}: {kind}; {score}"


def typical(samples: Sequence[Sample], label: int, count: int) -> list[Sample]:
    """Return at most `count` samples of a class, from the lowest score to the highest in even steps of rank."""
    own = sorted((one for one in samples if one.presentation.label == label), key=lambda one: one.score)
    if len(own) <= count:
        return own
    return [own[round(place)] for place in np.linspace(0, len(own) - 1, count + 2)[1:-1]]


def samples_figure(samples: Sequence[Sample], run: TrainedRun) -> Figure:
    """Return figure 1 of paper 1: bona fide presentations in the first row, attacks in the second."""
    rows = [typical(samples, label, 6) for label in (1, 0)]
    shown = [one for row in rows for one in row]
    cells = [[(one.crop, caption_of(one, run)) for one in row] for row in rows if row]
    arrays = {
        "scores": np.array([one.score for one in samples]),
        "labels": np.array([one.presentation.label for one in samples]),
        "sample_ids": np.array([one.presentation.sample_id for one in samples]),
    }
    captions = tuple(caption_of(one, run) for one in shown)
    title = "Samples (paper 1, fig. 1): bona fide above, attacks below"
    return Figure("samples", title, sheet(cells), arrays, captions)


def attention_figure(samples: Sequence[Sample], run: TrainedRun) -> Figure | None:
    """Return the learned attention (paper 1, fig. 2 and eq. 16) over the mean crop; None where a network has none."""
    network = run.network
    if not isinstance(network, ADeepPixBiS) or network.attention is None:
        return None
    weights = network.attention_weights().detach().numpy()
    mean = np.rint(np.mean([one.crop for one in samples], axis=0)).astype(np.uint8)
    side = float(mean.shape[0])
    times = weights * weights.size  # 1 is the weight of every position before training
    spread = max(float(np.abs(times - 1).max()), 1e-6)
    image = heat_map(
        mean,
        [PixelMap("attention", times, (0, 0, side, side))],
        "",
        "times the even weight",
        (1 - spread, 1 + spread),
    )
    row, column = np.unravel_index(int(weights.argmax()), weights.shape)
    found = (
        f"The weights of the {weights.shape[0]} x {weights.shape[1]} positions lie between {times.min():.4f} and "
        f"{times.max():.4f} times the even weight of 1/{weights.size}; the highest is in row {row + 1}, column "
        f"{column + 1} (from the upper left).",
    )
    title = f"Learned attention (paper 1, fig. 2, eq. 16) over the mean of {len(samples)} crops"
    return Figure("attention", title, image, {"attention": weights, "mean_crop": mean}, (), found)


def crops_figure(shown: Sequence[tuple[Sample, ContextCrop]], run: TrainedRun) -> Figure:
    """Return figure 3 of paper 2: the face's box in its picture, and what the ways of cropping make of it."""
    size = run.network.input_size
    specs = [CropSpec.parse(name) for name in dict.fromkeys((*CROPS, *run.settings.views))]
    rows, arrays = [], dict[str, NDArray[Any]]()
    for number, (sample, square) in enumerate(shown):
        boxed = Image.fromarray(square.image)
        ImageDraw.Draw(boxed).rectangle(square.box, outline=(230, 159, 0), width=max(1, boxed.width // 100))
        crops = {str(spec): cut(square, spec, size) for spec in specs}
        rows.append(
            [(np.array(boxed), caption_of(sample, run)), *((crop, name) for name, crop in crops.items())]
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
    low, high = min(s.min() for s in spectra), max(s.max() for s in spectra)
    rows = [
        [(one.crop, caption_of(one, run)) for one in shown],
        [
            (
                coloured(spectrum, low, high),
                f"standard deviation {spectrum.std():.3f}, {low:.1f} to {high:.1f}",
            )
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
    return Figure(
        "spectra", title, sheet(rows), arrays, tuple(caption_of(one, run) for one in shown), findings
    )


def levels_figure(samples: Sequence[Sample], run: TrainedRun) -> Figure | None:
    """Return figure 9 of paper 2: the heat maps of the levels, with the spectra that they draw; None without maps."""
    if not samples or not samples[0].maps:
        return None
    shown = [*typical(samples, 1, 2), *typical(samples, 0, 2)]
    side = float(run.network.input_size)
    drawn = [
        picture for one in shown for picture in (*one.spectra.values(), one.spectrum) if picture is not None
    ]
    low, high = (min(p.min() for p in drawn), max(p.max() for p in drawn)) if drawn else (0.0, 1.0)
    rows = []
    for one in shown:
        row = [(one.crop, caption_of(one, run))]
        for name, values in one.maps.items():
            over = overlay(one.views.get(name, one.crop), PixelMap(name, values, (0, 0, side, side)))
            row.append((over, f"{name}: mean {values.mean():.3f}, 0 to 1"))
        for name, values in one.spectra.items():
            row.append((coloured(values, low, high), f"drawn by {name}, {low:.2f} to {high:.2f}"))
        if one.spectrum is not None:
            row.append((coloured(one.spectrum, low, high), "the crop's own spectrum"))
        rows.append(row)
    kinds = "heat maps and drawn spectra" if drawn else "heat maps"
    title = f"The levels' {kinds} (paper 2, fig. 9); yellow is bona fide"
    arrays = {f"map_{name}": np.stack([one.maps[name] for one in samples]) for name in samples[0].maps}
    arrays |= {
        f"spectrum_{name}": np.stack([one.spectra[name] for one in samples]) for name in samples[0].spectra
    }
    arrays["labels"] = np.array([one.presentation.label for one in samples])
    captions = tuple(caption_of(one, run) for one in shown)
    return Figure(
        "levels", title, sheet(rows, 160), arrays, captions, tuple(level_findings(samples, run.threshold))
    )


def level_findings(samples: Sequence[Sample], threshold: float) -> list[str]:
    """Return what sec. 5.4 of paper 2 says of figure 9, measured over all `samples`.

    How many pixels of each level lean to the wrong class ("P5 a bit unstable"), how much the spectra drawn for either
    class vary ("almost solid" for attacks), and whether the mouth is special where bona fide is rejected.
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
        comparison = compare([one.spectra[name].std() for one in samples], labels)
        if comparison:
            found.append(f"Standard deviation of the spectrum drawn by {name}: {comparison}.")
    rejected = [one for one in samples if one.presentation.label and one.score < threshold]
    others = list(samples[0].views)[1:]  # the landmarks lie in the first crop
    on_first = [name for name in samples[0].maps if name not in others]
    for name in on_first if rejected else ():
        gaps = [mouth_gap(one.maps[name], one.landmarks, one.crop.shape[0]) for one in rejected]
        found.append(
            f"{name}, over {len(rejected)} rejected bona fide presentations: the mouth's mean is "
            f"{np.mean(gaps):+.3f} from that of the whole map."
        )
    return found


def mouth_gap(values: NDArray[np.float32], landmarks: NDArray[np.float32], size: int) -> float:
    """Return the mean of a map (h, w) at the mouth less its mean.

    The mouth is the square as wide as the distance of its corners, around their middle; `landmarks` (5, 2) lie in
    pixels of a crop of `size`. At least the position nearest to the middle counts.
    """
    corners = landmarks[_MOUTH] * (values.shape[0] / size)
    (x, y), half = corners.mean(0), max(float(np.hypot(*(corners[1] - corners[0]))) / 2, 0.0)
    rows, columns = np.mgrid[: values.shape[0], : values.shape[1]] + 0.5
    far = np.maximum(np.abs(rows - y), np.abs(columns - x))
    return float(values[far <= max(half, float(far.min()))].mean() - values.mean())
