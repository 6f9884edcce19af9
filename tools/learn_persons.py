"""Learn the synthetic-person model that the package ships from two folders of portraits with landmarks.

    python tools/learn_persons.py PORTRAITS [--out src/bonaface/simulate/persons.npz]

PORTRAITS holds `neutral_front/` and `smiling_front/` (Face Research Lab London Set, DeBruine & Jones 2017, CC BY 4.0,
doi 10.6084/m9.figshare.5047666) and `canada/` (Young Adult White Faces, DeBruine & Jones 2017, CC BY 4.0,
doi 10.6084/m9.figshare.4220517), with 189 landmarks a portrait in `landmarks.json`.

The model is an active appearance model (Cootes, Edwards & Taylor, PAMI 23, 2001): shape and shape-free texture
under one set of coefficients, so that a jaw, a skin and a hair colour that belong together are drawn together.
Every portrait is brought to the mean shape by a thin-plate spline, its backdrop, hair and clothes are taken
away (what lies under them is filled from the skin around), and it goes in a second time mirrored. What is
written is the mean, the leading modes, and the spread of what the modes leave out; no portrait and no
portrait's coefficients.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from bonaface.core.files import sha256, whole_file, write_json
from bonaface.simulate.light import Way, blur, picture_of, planes_of, resize
from bonaface.simulate.persons import FRAME, TEXTURE
from bonaface.simulate.warp import Spline, project, sample, similarity

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

FACE = [*range(134, 145), 120, 121, 122, 123, 124, *range(133, 124, -1), 119, 118, 117, 116, 115]
INNER = [71, 72, 73, 74, 75, 78, 79, 80, 81, 82, 113, *range(133, 124, -1), 110]
BROWS = ([71, 72, 73, 74, 75, 76, 84, 83], [82, 81, 80, 79, 78, 77, 85, 86])
CHIN = 129
BACKDROP = 0.75  # the sRGB code to which a portrait's backdrop is set: the exposure and white they share
SOURCES = [
    {
        "name": "Face Research Lab London Set (Version 5)",
        "authors": "DeBruine, L., & Jones, B. (2017)",
        "doi": "10.6084/m9.figshare.5047666",
        "licence": "CC BY 4.0",
    },
    {
        "name": "Young Adult White Faces with Manipulated Versions (Version 1)",
        "authors": "DeBruine, L., & Jones, B. (2017)",
        "doi": "10.6084/m9.figshare.4220517",
        "licence": "CC BY 4.0",
    },
]


@dataclass(frozen=True)
class Studied:
    """What is taken from one portrait, in the mean shape's frame."""

    skin: Floats  # (H, W, 3) sRGB in [0, 1], everything but skin filled in
    outline: Floats  # (H / 8, W / 8): signed distance to the outline of head and hair, px, positive inside
    hair: Floats  # (3,) sRGB


class PortraitFrame:
    """The mean shape and the regions of its picture."""

    def __init__(self, shapes: NDArray[np.float64]) -> None:
        mean = shapes[0]
        for _ in range(5):
            mean = np.stack([project(similarity(s, mean), s) for s in shapes]).mean(0)
        centre, eyes = mean[:2].mean(0), float(np.hypot(*(mean[1] - mean[0])))
        mean = (mean - centre) * FRAME.eyes / eyes + [FRAME.width / 2 - 0.5, FRAME.eye_row]
        self.pairs = self._mirror_pairs(mean)
        self.mean = (mean + self.mirrored(mean)) / 2
        self.y, self.x = np.mgrid[0 : FRAME.height, 0 : FRAME.width].astype(np.float32)
        self.face, self.inner = self.polygon(FACE), self.polygon(INNER, 2)
        self.chin = float(self.mean[CHIN, 1])

    @staticmethod
    def _mirror_pairs(mean: NDArray[np.float64]) -> NDArray[np.intp]:
        flipped = mean * [-1, 1] + [2 * mean[:, 0].mean(), 0]
        pairs: NDArray[np.intp] = linear_sum_assignment(((mean[:, None] - flipped[None]) ** 2).sum(-1))[1]
        if not (pairs[pairs] == np.arange(len(pairs))).all():
            raise ValueError("the landmarks have no mirror pairs")
        return pairs

    def mirrored(self, shape: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        return shape[self.pairs] * [-1, 1] + [FRAME.width - 1, 0]

    def polygon(self, points: list[int], grow: int = 0) -> Mask:
        image = Image.new("L", (FRAME.width, FRAME.height))
        ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in self.mean[points]], fill=1)
        mask = np.asarray(image) > 0
        return ndimage.binary_dilation(mask, iterations=grow) if grow else mask

    def straighten(self, path: Path, shape: NDArray[np.float64]) -> Floats:
        """Warp the portrait at `path` to the mean shape, (H, W, 3) sRGB in [0, 1]."""
        image = planes_of(np.asarray(Image.open(path).convert("RGB"))).astype(np.float32) / 255
        matrix = similarity(shape, self.mean)
        scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
        ring = FRAME.ring()
        spline = Spline(
            np.r_[self.mean, ring], np.r_[shape, project(np.linalg.inv(matrix), ring)], stiffness=50.0
        )
        sharp = blur(image, 0.45 * float(np.sqrt(max(1 / scale**2 - 1, 0.0))))
        return picture_of(sample(sharp, spline.map((FRAME.width, FRAME.height))))


def matte(image: Floats, frame: PortraitFrame) -> tuple[Floats, Floats]:
    """Return how far each pixel (H, W) in [0, 1] is from a plain backdrop, fitted with a quadric, and the backdrop."""
    u, v = frame.x / FRAME.width - 0.5, frame.y / FRAME.height - 0.5
    basis = np.stack([np.ones_like(u), u, v, u * u, v * v, u * v], -1)
    margin = ((frame.x < 50) | (frame.x > FRAME.width - 50) | (frame.y < 30)) & (frame.y < FRAME.height * 0.6)
    chosen, backdrop = margin, image
    for turn in range(6):
        fit, *_ = np.linalg.lstsq(basis[chosen], image[chosen], rcond=None)
        backdrop = basis @ fit
        error = np.abs(image - backdrop).max(-1)
        limit = 3 * float(np.median(error[chosen])) + 0.01
        chosen = (margin if turn < 3 else frame.y < FRAME.height * 0.7) & (error < limit)
    alpha = np.clip((np.sqrt(((image - backdrop) ** 2).sum(-1)) - 0.05) / 0.12, 0, 1)
    parts, _ = ndimage.label(ndimage.binary_closing(alpha > 0.4))
    person = parts == parts[int(FRAME.eye_row), FRAME.width // 2]
    alpha *= ndimage.binary_dilation(person, iterations=3)
    solid = ndimage.binary_erosion(ndimage.binary_fill_holes(alpha > 0.5) & frame.face)
    return np.maximum(alpha, ndimage.gaussian_filter(solid.astype(np.float32), 1)), backdrop


def skin_mask(image: Floats, alpha: Floats, frame: PortraitFrame) -> Floats:
    """Return where the picture shows skin, eyes, brows, lips: (H, W) in [0, 1]."""
    typical = np.median(image[frame.inner], 0)
    tint = np.log((image + 0.03) / (image.sum(-1, keepdims=True) + 0.09))
    apart = tint - np.log((typical + 0.03) / (typical.sum() + 0.09))
    lighter = np.log(image.mean(-1) + 0.03) - np.log(typical.mean() + 0.03)
    likeness = np.exp(-(apart**2).sum(-1) / (2 * 0.12**2)) * np.exp(-((lighter / 0.45) ** 2) / 2)
    skin = ndimage.gaussian_filter((likeness > 0.4).astype(np.float32), 1.5) > 0.6
    neck = (frame.y > frame.chin - 8) & (np.abs(frame.x - FRAME.width / 2) < 95)
    sure = frame.face & skin & (alpha > 0.9) | neck & ~frame.face & ndimage.binary_erosion(skin, iterations=2)
    forehead = frame.y < frame.mean[[73, 74, 79, 80], 1].min() + 14
    features = frame.inner & ~forehead | frame.polygon(BROWS[0], 3) | frame.polygon(BROWS[1], 3)
    backdrop_near = ndimage.binary_dilation((alpha < 0.8) & ~frame.polygon(INNER, 0), iterations=2)
    chosen = (sure | features) & ~backdrop_near
    weight: Floats = np.clip(ndimage.gaussian_filter(chosen.astype(np.float32), 1.0) * 1.6 - 0.6, 0, 1)
    return weight


def fill(image: Floats, weight: Floats) -> Floats:
    """Return `image` where `weight` is 1, and a smooth continuation elsewhere (push-pull, Gortler et al. 1996)."""
    pyramid = [(image * weight[..., None], weight)]
    for _ in range(8):
        colour, known = pyramid[-1]
        pyramid.append(
            (
                ndimage.gaussian_filter(colour, (1, 1, 0))[::2, ::2],
                ndimage.gaussian_filter(known, 1)[::2, ::2],
            )
        )
    colour, known = pyramid.pop()
    filled: Floats = colour / (known[..., None] + 1e-6)
    for colour, known in reversed(pyramid):
        rest = 1 - np.clip(known, 0, 1)[..., None]
        filled = (colour + _resized(filled, known.shape[::-1]) * rest) / np.maximum(
            known[..., None] + rest, 1e-6
        )
    return filled


def _resized(image: Floats, size: tuple[int, int], way: Way = Way.BILINEAR) -> Floats:
    return picture_of(resize(planes_of(image), size, way))


def study(image: Floats, frame: PortraitFrame) -> Studied:
    """Take skin, outline and hair colour from one straightened portrait."""
    alpha, backdrop = matte(image, frame)
    level = np.median(backdrop[: FRAME.height // 3].reshape(-1, 3), 0)
    image = (image * (BACKDROP / level)).astype(np.float32)
    skin = skin_mask(image, alpha, frame)
    inside = alpha > 0.5
    below = int(frame.chin) - 25  # from here on shoulders and collars may be in the way
    inside = np.where(frame.y < below, inside, inside[below][None])
    outline = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    outline = np.clip(outline, -40, 40).reshape(FRAME.height // 8, 8, FRAME.width // 8, 8).mean((1, 3))
    hair = (alpha > 0.9) & ~frame.face & (frame.y < frame.chin - 60) & (skin < 0.2)
    colour = np.median(image[hair], 0) if hair.sum() > 300 else np.full(3, 0.1)
    return Studied(fill(image, skin), outline.astype(np.float32), colour.astype(np.float32))


def settle_colour(studied: list[Studied], reference: int, frame: PortraitFrame) -> list[Studied]:
    """Give the portraits from number `reference` on the tint of the light skins before it.

    The second set's backdrop is not grey, so its white is unknown; a quarter of its spread of tints is kept.
    """
    typical = np.stack([np.median(one.skin[frame.inner], 0) for one in studied])
    tint = np.log(typical[:, [0, 2]] / typical[:, [1]])
    goal = tint[:reference][typical[:reference, 1] > 0.45].mean(0)
    centre = tint[reference:].mean(0)
    settled = studied[:reference]
    for number in range(reference, len(studied)):
        red, blue = np.exp(goal + (tint[number] - centre) * 0.25 - tint[number])
        gain = np.array([red, 1.0, blue], np.float32)
        one = studied[number]
        settled.append(Studied(one.skin * gain, one.outline, one.hair * gain))
    return settled


def split_texture(skin: Floats) -> tuple[Floats, Floats]:
    """Return the texture's window of skin as luma (h, w) and colour differences (2, h / 4, w / 4), codes 0 to 255."""
    window = (
        skin[TEXTURE.top : TEXTURE.top + TEXTURE.height, TEXTURE.left : TEXTURE.left + TEXTURE.width] * 255
    )
    luma = window @ np.array([0.299, 0.587, 0.114], np.float32)
    difference = np.stack([window[..., 0] - luma, window[..., 2] - luma])
    return luma, resize(difference, (TEXTURE.width // 4, TEXTURE.height // 4), Way.BOX)


@dataclass(frozen=True)
class Blocks:
    """The parts of one appearance vector, each flattened and weighted; `cut` undoes both."""

    weights: tuple[float, ...]
    shapes: tuple[tuple[int, ...], ...]

    def join(self, parts: list[Floats]) -> Floats:
        return np.concatenate([p.ravel() * w for p, w in zip(parts, self.weights, strict=True)])

    def cut(self, rows: Floats) -> list[Floats]:
        sizes = np.cumsum([int(np.prod(shape)) for shape in self.shapes])[:-1]
        pieces = np.split(rows, sizes, axis=1)
        return [
            (piece / weight).reshape(len(rows), *shape)
            for piece, weight, shape in zip(pieces, self.weights, self.shapes, strict=True)
        ]


def appearance(
    shape: NDArray[np.floating[Any]], one: Studied, frame: PortraitFrame, mirror: bool
) -> list[Floats]:
    """Return shape (189, 2), luma, colour difference, outline, hair (3,) of a portrait or of its mirror image."""
    skin, outline = one.skin, one.outline
    if mirror:
        shape, skin, outline = frame.mirrored(shape), skin[:, ::-1], outline[:, ::-1]
    luma, difference = split_texture(np.clip(skin, 0, 1.1))
    return [(shape - frame.mean).astype(np.float32), luma, difference, outline, one.hair]


def flow(first: Floats, second: Floats, levels: int = 4) -> Floats:
    """Return the flow (2, H, W) from `first` (H, W) to `second`, in pixels, coarse to fine (Lucas & Kanade)."""
    moved = np.zeros((2, *(s >> levels for s in first.shape)), np.float32)
    for level in range(levels, -1, -1):
        size = (first.shape[1] >> level, first.shape[0] >> level)
        a, b = resize(first, size, Way.BOX), resize(second, size, Way.BOX)
        moved = resize(moved, size) * np.float32(2 if level < levels else 1)
        grid = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1]))).astype(np.float32)
        for _ in range(4):
            seen = sample(b, grid + moved)
            gy, gx = np.gradient(seen)
            terms = [gx * gx, gx * gy, gy * gy, gx * (a - seen), gy * (a - seen)]
            xx, xy, yy, xt, yt = (ndimage.gaussian_filter(t, 5) for t in terms)
            determinant = (xx + 1e-4) * (yy + 1e-4) - xy * xy
            moved[0] += np.clip(((yy + 1e-4) * xt - xy * yt) / determinant, -1, 1)
            moved[1] += np.clip(((xx + 1e-4) * yt - xy * xt) / determinant, -1, 1)
            moved = ndimage.gaussian_filter(moved, (0, 2, 2))
    return moved


def learn_smile(
    portraits: Path, names: list[str], shapes: NDArray[np.float64], frame: PortraitFrame
) -> tuple[Floats, Floats]:
    """Return the median displacement (189, 2) of landmarks and change (h, w) of luma from neutral to smile."""
    displaced, changed = [], []
    grid = np.stack([frame.x, frame.y])
    for name, shape in zip(names, shapes, strict=True):
        smiling = portraits / "smiling_front" / Path(name).name.replace("_03", "_08")
        if not smiling.exists():
            continue
        neutral = frame.straighten(portraits / name, shape).mean(-1)
        smile = frame.straighten(smiling, shape).mean(-1)
        moved = flow(neutral, smile)
        at = np.rint(frame.mean).astype(int)
        displaced.append(moved[:, at[:, 1], at[:, 0]].T)
        changed.append(ndimage.gaussian_filter(sample(smile, grid + moved) - neutral, 2))
    # What the whole head did between the two pictures is no expression: take the similarity out.
    still = []
    for one in displaced:
        matrix = similarity(frame.mean + one, frame.mean)
        still.append(project(matrix, frame.mean + one) - frame.mean)
    median = np.median(still, 0)
    median = (median + median[frame.pairs] * [-1, 1]) / 2
    change = np.median(changed, 0)
    return median.astype(np.float32), ((change + change[:, ::-1]) / 2).astype(np.float32)


def modes(rows: Floats, count: int) -> tuple[Floats, Floats, NDArray[np.float64]]:
    """Return the mean, the leading principal modes (count, D) scaled to one standard deviation, and all variances."""
    mean = rows.mean(0)
    centred = rows - mean
    values, vectors = np.linalg.eigh(centred @ centred.T / len(rows))
    order = np.argsort(values)[::-1]
    scaled = (vectors[:, order[:count]].T @ centred) / np.sqrt(len(rows))
    return mean, scaled.astype(np.float32), values[order]


def quantised(values: Floats, step: float) -> tuple[NDArray[np.int8], Floats]:
    """Return `values` (K, ...) as whole steps, and each mode's step: `step`, or more where a mode would not fit."""
    top = np.abs(values).reshape(len(values), -1).max(1)
    steps = np.maximum(step, top / 127).astype(np.float32)
    return np.rint(values / steps.reshape(-1, *[1] * (values.ndim - 1))).astype(np.int8), steps


def apart(coefficients: Floats) -> dict[str, list[float]]:
    """Return how far the originals are from each other, in coefficients, as the limit for synthetic persons.

    pairs: the 5th, 50th and 95th percentile over all pairs. nearest: the least and the median distance to the nearest
    other. Distances, from which no face can be made.
    """
    distance = np.sqrt(((coefficients[:, None] - coefficients[None]) ** 2).sum(-1))
    pairs = distance[np.triu_indices(len(distance), 1)]
    np.fill_diagonal(distance, np.inf)
    nearest = np.percentile(distance.min(1), [0, 50])
    return {
        "pairs": np.percentile(pairs, [5, 50, 95]).round(3).tolist(),
        "nearest": nearest.round(3).tolist(),
    }


def main(
    portraits: Annotated[Path, typer.Argument(help="folder with neutral_front, smiling_front and canada")],
    out: Annotated[Path, typer.Option(help="where the model goes")] = Path(
        "src/bonaface/simulate/persons.npz"
    ),
    count: Annotated[int, typer.Option(help="modes kept")] = 110,
    study_out: Annotated[
        Path | None,
        typer.Option(help="where to keep the coefficients of the portraits and of their mirror images"),
    ] = None,
) -> None:
    """Learn the model and write it with its card (persons.json: checksum, sources, licences)."""
    names, shapes = [], []
    for folder in ("neutral_front", "canada"):
        marks = json.loads((portraits / folder / "landmarks.json").read_text())
        for name in sorted(marks):
            names.append(f"{folder}/{name}")
            shapes.append(np.array(marks[name], float))
    every = np.stack(shapes)
    frame = PortraitFrame(every)
    typer.echo(f"{len(names)} portraits, straightening")
    studied = [study(frame.straighten(portraits / n, s), frame) for n, s in zip(names, every, strict=True)]
    studied = settle_colour(studied, sum(n.startswith("neutral") for n in names), frame)
    aligned = [project(similarity(s, frame.mean), s) for s in every]
    parts = [appearance(s, o, frame, m) for m in (False, True) for s, o in zip(aligned, studied, strict=True)]
    spread = [float(np.sqrt(np.stack([p[b] for p in parts]).var(0).sum())) for b in range(5)]
    shares = (1.0, 1.3, 0.7, 0.5, 0.3)
    blocks = Blocks(
        tuple(share / s for share, s in zip(shares, spread, strict=True)), tuple(p.shape for p in parts[0])
    )
    rows = np.stack([blocks.join(p) for p in parts])
    mean, kept, variances = modes(rows, count)
    typer.echo(f"{count} modes keep {variances[:count].sum() / variances.sum():.3f} of the variance")
    mean_parts = [p[0] for p in blocks.cut(mean[None])]
    mode_parts = blocks.cut(kept)
    coefficients = (rows - mean) @ kept.T / (kept**2).sum(1)
    left = np.stack([p[1] for p in parts]) - mean_parts[1] - np.tensordot(coefficients, mode_parts[1], 1)
    grain = resize(np.sqrt((left**2).mean(0)), (TEXTURE.width // 4, TEXTURE.height // 4), Way.BOX)
    typer.echo("the smile")
    smile, change = learn_smile(portraits, names, every, frame)
    luma_change = split_texture(np.repeat(change[..., None], 3, -1))[0]
    (luma, luma_steps), (tint, tint_steps) = quantised(mode_parts[1], 0.12), quantised(mode_parts[2], 0.06)
    with whole_file(out) as part, part.open("wb") as file:
        np.savez_compressed(
            file,
            mean_shape=frame.mean.astype(np.float32) + mean_parts[0],
            mean_luma=mean_parts[1].astype(np.float16),
            mean_tint=mean_parts[2].astype(np.float16),
            mean_outline=mean_parts[3].astype(np.float16),
            mean_hair=mean_parts[4].astype(np.float32),
            shape=mode_parts[0].astype(np.float16),
            luma=luma,
            luma_steps=luma_steps,
            tint=tint,
            tint_steps=tint_steps,
            outline=mode_parts[3].astype(np.float16),
            hair=mode_parts[4].astype(np.float32),
            grain=grain.astype(np.float16),
            smile_shape=smile.astype(np.float16),
            smile_luma=luma_change.astype(np.float16),
            pairs=frame.pairs.astype(np.uint8),
        )
    originals = coefficients[: len(names)].astype(np.float32)
    card = {"sha256": sha256(out), "modes": count, "portraits": len(names), "apart": apart(originals)}
    write_json(out.with_suffix(".json"), {**card, "sources": SOURCES})
    if study_out is not None:
        np.save(study_out, coefficients.astype(np.float32))
    typer.echo(f"{out}: {out.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    typer.run(main)
