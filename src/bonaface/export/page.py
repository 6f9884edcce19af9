"""The page that goes with an exported model, for whoever builds it into a program."""

from bonaface.export.format import ExportFormat, Precision
from bonaface.export.parity import Parity
from bonaface.face.align import template
from bonaface.face.crop import LONGEST, CropSpec
from bonaface.inference.bundle import BundleCard, ThresholdSource
from bonaface.inference.provenance import protocols_of
from bonaface.metrics.rates import Rate

_CROPS = {
    "tight": "the face's box, each side by itself resized to {size}",
    "square": "the square around the middle of the face's box with {scale:g} times its longer side; where it reaches "
    "over the picture's border it is filled with the picture's mirror image",
    "box": "the face's box, {scale:g} times as wide and as high around its middle (less, where the picture holds no "
    "more), shifted inside the picture",
    "aligned": "turned, scaled and shifted in one (least squares, no mirroring) so that the five landmarks lie nearest "
    "to {points} of the crop's {size} x {size} pixels: first the whole picture resized to the crop's scale, where that "
    "is smaller, then `transform(AFFINE)`; {beyond}",
    "native": "the {size} x {size} pixels around the middle of the face's box, its left and upper border rounded to "
    "whole pixels; nothing is resized, but where {context:g} times the box's longer side is more than {longest} "
    "pixels, the picture is first reduced until it is no more; {beyond}",
}
_BEYOND = (
    "what lies beyond the picture, or beyond the square around the middle of the face's box with {context:g} times its "
    "longer side, is filled with the mirror image"
)


def example_text(card: BundleCard, about: ExportFormat) -> str:
    """Return a program of about ten lines that scores the crops of a face without Bonaface."""
    views, mean, std = len(card.views), tuple(card.mean), tuple(card.std)
    load, run = (text.replace("OUTPUT", f'"{card.default_output}"') for text in (about.load, about.run))
    names = " ".join(f"{view}.png" for view in card.views)
    threshold = card.threshold(card.default_output, "frame")
    package, _, rest = load.partition("\n\n")
    inputs = '{"images": images[None], "shares": shares[None]}' if views > 1 else '{"images": images}'
    several = f"shares = np.zeros({views}, np.float32)  # of each crop, how much of it is mirror image\n"
    return (
        f"# python example.py {names}: the crops of one face, {card.input_size} x {card.input_size} pixels\n"
        f"import sys\n\nimport numpy as np\n{package}\nfrom PIL import Image\n\n{rest}\n"
        "crops = [np.asarray(Image.open(path).convert('RGB'), np.float32) for path in sys.argv[1:]]\n".replace(
            "'", '"'
        )
        + f"pixels = (np.stack(crops) / 255 - {mean}) / {std}  # RGB\n"
        "images = pixels.transpose(0, 3, 1, 2).astype(np.float32)\n"
        f"{several if views > 1 else ''}inputs = {inputs}\nscore = {run}\n"
        f'print("bona fide" if score >= {threshold!r} else "attack", float(score))\n'
    )


def page_text(card: BundleCard, about: ExportFormat, precision: Precision, parity: Parity | None) -> str:
    """Return the page, in Markdown: preprocessing, thresholds, what the export changed, and both ways to run it."""
    return "\n".join(
        [
            f"# {card.model}, {precision}, for {about.runtime}",
            "",
            "This folder is a bundle of Bonaface: a detector of face presentation attacks. With Bonaface, files are "
            "read, faces found and crops cut as in training:",
            "",
            "```python",
            "import bonaface",
            "",
            'checker = bonaface.load(".")  # this folder',
            'print(checker("selfie.jpg"))',
            "```",
            "",
            "Without it, everything of this page has to be done in the same way, or scores are others:",
            "",
            *_preprocessing(card),
            "",
            "```python",
            example_text(card, about).rstrip("\n"),
            "```",
            "",
            "## Thresholds",
            "",
            *_thresholds(card),
            "",
            "## What the export changed",
            "",
            *_changes(parity, precision),
            "",
        ]
    )


def _preprocessing(card: BundleCard) -> list[str]:
    face, size = card.face, card.input_size
    crops = [
        f"   - `{view}`: {_crop(spec, size, face.context)}"
        for view, spec in zip(card.views, card.crop_specs, strict=True)
    ]
    shape = f"(B, {len(card.views)}, 3, {size}, {size})" if len(card.views) > 1 else f"(B, 3, {size}, {size})"
    shares = [
        f"5. `shares`, (B, {len(card.views)}) float32: the share of each crop, 0 to 1, that lies outside the picture "
        "and was filled with its mirror image."
    ]
    return [
        "1. Turn the picture upright (Exif) and take it as 8-bit RGB.",
        f"2. Find the face: RetinaFace (MobileNet-0.25) at {face.longer_side} pixels for the longer side, score at "
        f"least {face.min_score:g}, box at least {face.min_side:g} pixels wide.",
        f"3. Cut and resize to {size} x {size} with Pillow's `BILINEAR` and `box=`, which is antialiased:",
        *crops,
        f"4. Divide by 255, take away the mean {_numbers(card.mean)}, divide by {_numbers(card.std)} (R, G, B); "
        f"`images` is {shape} float32.",
        *(shares if len(card.views) > 1 else []),
    ]


def _crop(spec: CropSpec, size: int, context: float) -> str:
    """Return in words how the crop `spec` of `size` pixels is cut."""
    points = ", ".join(f"({x:.2f}, {y:.2f})" for x, y in template(spec.scale) * size)
    return _CROPS[spec.kind].format(
        size=size,
        scale=spec.scale,
        context=context,
        longest=LONGEST,
        points=points,
        beyond=_BEYOND.format(context=context),
    )


def _thresholds(card: BundleCard) -> list[str]:
    rows = [
        f"| `{output}` | {point} | {values.thresholds[output].frame!r} | {values.thresholds[output].video!r} |"
        for point, values in card.operating_points.items()
        for output in card.outputs
    ]
    sources: dict[ThresholdSource, list[str]] = {}
    for point, values in card.operating_points.items():
        sources.setdefault(values.source, []).append(f"`{point}`")
    return [
        "A score lies in [0, 1]; from the threshold on it is bona fide. A video's score is the mean of its frames' "
        "scores.",
        "",
        "| output | operating point | picture | video |",
        "| :--- | :--- | ---: | ---: |",
        *rows,
        "",
        f"`{card.default_point}` decides where no other is asked for, as in the example. "
        + " ".join(f"{' and '.join(points)}: set on {_counts(source)}." for source, points in sources.items())
        + " Other cameras and places need others: `bonaface calibrate`.",
    ]


def _counts(source: ThresholdSource) -> str:
    return (
        f"{source.bona_fide} bona fide presentations and {source.attacks} attacks of {source.subjects} subjects "
        f"({protocols_of(source)})"
    )


def _changes(parity: Parity | None, precision: Precision) -> list[str]:
    if parity is None:
        return [
            "Scores of random pictures agree with those of the network in training to 0.0001. Errors were not compared."
        ]
    rows = [
        f"| `{output.output}` | {point.point} | {point.changed.errors} | {_both(point.apcer)} | {_both(point.bpcer)} |"
        for output in parity.outputs
        for point in output.points
    ]
    moved = "; ".join(
        f"`{output.output}` moves by {output.mean:.5f} in the mean and {output.largest:.5f} at most"
        for output in parity.outputs
    )
    return [
        f"On {parity.crops} crops of {parity.store}, on the machine that exported it, {precision} against the network "
        f"as it was trained: {moved}.",
        "",
        "| output | operating point | decisions changed | APCER before, after | BPCER before, after |",
        "| :--- | :--- | ---: | ---: | ---: |",
        *rows,
    ]


def _both(rates: tuple[Rate, Rate]) -> str:
    if not rates[0].total:
        return "no such crop"
    before, after = (f"{rate.errors}/{rate.total}" for rate in rates)
    return f"{before}, {after}"


def _numbers(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"
