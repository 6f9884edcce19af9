"""Crops of a face for a network, in two steps that training and `check` share.

`context_crop` cuts a wide square around the face, which the crop store keeps; `cut` takes any smaller crop from it.
Both commands use the same two steps, so a face has the same score in both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonaface.core.errors import InputError
from bonaface.face.align import align, to_crop
from bonaface.face.detect import Box, Face, Landmarks, Point

CONTEXT = 2.0  # a context crop's side over the box's longer side, unless a store says otherwise
MAX_SCALE = 4.0
LONGEST = 1024  # pixels of a context crop's side; a power of two, see `face_crop`

# What a store says that has the set's own boxes.
NO_LANDMARKS = "and the faces of this store have none: prepare it without --boxes, or take another crop"

_EXPECTED = f'crop must be "tight", "native", "square-S", "box-S" or "aligned-S" with 0 < S <= {MAX_SCALE}'

# The triangle filter, widened by the reduction: antialiased without the ringing that Lanczos and bicubic add
# at edges, which is the kind of trace that a printer or a display leaves.
RESAMPLING = Image.Resampling.BILINEAR


@dataclass(frozen=True, slots=True)
class CropSpec:
    """Which part of the picture a network sees.

    ``tight``: the box itself, stretched to the square input (Bi-FPNFAS, fig. 3b); it has no scale but 1.
    ``square``: a square around the face box's centre whose side is `scale` times the box's longer side,
    0 < `scale` <= 4, mirrored where it reaches over the picture's edge.
    ``box``: the box enlarged by `scale` around its centre, or by what the picture holds where that is less, shifted to
    lie inside the picture, and stretched to the square input: no pixel of it is mirrored. Networks such as MiniFASNet
    read such crops (minivision-ai/Silent-Face-Anti-Spoofing, whose own corners are whole pixels).
    ``aligned``: turned and scaled so that the five landmarks lie where `bonaface.face.align.TEMPLATE` has them, and the
    square then enlarged by `scale` around its centre (DeepPixBiS aligns its faces, A-DeepPixBiS does not, sec. IV-E).
    ``native``: as many pixels as the network reads around the box's centre, as they are: nothing is resized.
    What lies outside the context crop is its mirror image in the last two.

    Raises:
        InputError: another kind, or a scale outside its range.
    """

    kind: Literal["tight", "square", "box", "aligned", "native"]
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in ("tight", "square", "box", "aligned", "native"):
            raise InputError(f"{_EXPECTED}, got kind {self.kind!r}")
        if not 0.0 < self.scale <= MAX_SCALE:
            raise InputError(f"a crop's scale must be above 0 and at most {MAX_SCALE}, got {self.scale}")
        if self.kind in ("tight", "native") and self.scale != 1.0:
            raise InputError(f"a {self.kind} crop takes no scale, got {self.scale}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return ``"tight"``, ``"square-1.3"``, ``"box-2.7"``, ``"aligned-1.0"`` as a `CropSpec`; `str` turns it back.

        Raises:
            InputError: `text` is none of them.
        """
        if text in ("tight", "native"):
            return cls(cast(Literal["tight", "native"], text))
        kind, _, number = text.partition("-")
        try:
            scale = float(number)
        except ValueError:
            scale = math.nan
        if kind not in ("square", "box", "aligned") or math.isnan(scale):
            raise InputError(f"{_EXPECTED}, got {text!r}")
        return cls(cast(Literal["square", "box", "aligned"], kind), scale)

    def __str__(self) -> str:
        return self.kind if self.kind in ("tight", "native") else f"{self.kind}-{float(self.scale)!r}"


class Views(NamedTuple):
    """The crops of one face that a network reads: `crops` (V, H, W, 3) uint8 RGB and `shares` (V,) float32, the share
    of each, in [0, 1], that lies outside the picture and was mirrored."""

    crops: NDArray[np.uint8]
    shares: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ContextCrop:
    """A square of a picture around a face, at the picture's own resolution or reduced by `factor`.

    `image` is (S, S, 3) uint8 RGB. All else is in its pixels: `box` (x0, y0, x1, y1), the five `landmarks`,
    `picture`, where the whole picture lies, and `valid`, the part of the square inside it; what is outside is the
    picture's mirror image. `factor` <= 1 is the square's size over its size in the picture.
    """

    image: NDArray[np.uint8]
    box: Box
    landmarks: Landmarks
    valid: Box
    factor: float
    picture: Box

    @property
    def padded(self) -> float:
        """Return the share of the square, in [0, 1], that is mirrored."""
        side = float(self.image.shape[0])
        return _share_outside((0.0, 0.0, side, side), self.valid)


def context_crop(
    picture: NDArray[np.uint8], face: Face, scale: float = CONTEXT, longest: int = LONGEST
) -> ContextCrop:
    """Return the square around `face`'s box in `picture`, which is (H, W, 3) uint8 RGB.

    Its side is max(w, h) * `scale`, rounded to whole pixels, or to whole blocks of pixels where blocks are
    averaged first (from 2.5 times `longest` on). Where it reaches over the picture's edge it is
    filled with the mirror image. A side of more than `longest` pixels is reduced to `longest`, antialiased.

    Raises:
        InputError: the box has no area, is not finite, or lies outside the picture.
    """
    region = _Region.around(face.box, picture.shape[1], picture.shape[0], scale, longest)
    return region.context_crop(face, picture.shape, region.pixels(picture, 0, 0, region.size, region.size))


def face_crop(
    picture: NDArray[np.uint8], face: Face, spec: CropSpec, size: int, context: float = CONTEXT
) -> NDArray[np.uint8]:
    """Return ``cut(context_crop(picture, face, context), spec, size)``, bit for bit, from only the pixels it needs.

    A ``box`` crop that reaches over the context crop, which `cut` refuses, is cut out of the picture itself.

    Raises:
        InputError: the box has no area, is not finite, or lies outside the picture; a square crop is wider than the
            context.
    """
    return _face_crops(picture, face, [spec], size, context)[0]


def face_views(
    picture: NDArray[np.uint8], face: Face, specs: Sequence[CropSpec], size: int, context: float = CONTEXT
) -> Views:
    """Return the crops `specs` of `face`, each as `face_crop` cuts it, with their mirrored shares.

    Raises:
        InputError: as `face_crop`.
    """
    crops = _face_crops(picture, face, specs, size, context)
    return Views(np.stack(crops), view_shares(face, picture.shape[1], picture.shape[0], specs, context))


def _face_crops(
    picture: NDArray[np.uint8], face: Face, specs: Sequence[CropSpec], size: int, context: float
) -> list[NDArray[np.uint8]]:
    """Return every crop as `face_crop` says; the pixels that several of them need are made once."""
    height, width = picture.shape[:2]
    region = _Region.around(face.box, width, height, context, LONGEST)
    square = region.context_crop(face, picture.shape, np.zeros((region.size, region.size, 3), np.uint8))
    boxes = [None if _is_beyond(square, spec) else _crop_box(square, spec) for spec in specs]
    needed = [_reached(box, size, region.size) for box in boxes if box is not None]
    if needed:
        left, top = (min(values) for values in list(zip(*needed, strict=True))[:2])
        right, bottom = (max(values) for values in list(zip(*needed, strict=True))[2:])
        square.image[top:bottom, left:right] = region.pixels(picture, left, top, right, bottom)
    crops = []
    for spec, box in zip(specs, boxes, strict=True):
        if box is None:
            place = _inside(face.box, spec.scale, (0.0, 0.0, width, height))
            crops.append(np.array(Image.fromarray(picture).resize((size, size), RESAMPLING, box=place)))
        else:
            crops.append(cut(square, spec, size))
    return crops


def _is_beyond(square: ContextCrop, spec: CropSpec) -> bool:
    """Return whether `spec` is a ``box`` crop that reaches over `square`."""
    return spec.kind == "box" and not _fits(_wanted(square, spec), square.image.shape[0])


def _reached(box: Box, size: int, side: int) -> tuple[int, int, int, int]:
    """Return the pixels (x0, y0, x1, y1) of a square of `side` that resizing `box` to `size` reads."""
    x0, y0, x1, y1 = box
    reach = max(1.0, (x1 - x0) / size, (y1 - y0) / size)  # of the triangle filter, at most
    left, top = max(0, math.floor(x0 - reach)), max(0, math.floor(y0 - reach))
    return left, top, min(side, math.ceil(x1 + reach)), min(side, math.ceil(y1 + reach))


def view_places(face: Face, width: int, height: int, specs: Sequence[CropSpec]) -> list[Box]:
    """Return where the crops `specs` of `face` lie in a picture of `width` x `height` pixels, which they may leave.

    A crop's corners are not rounded, as `face_crop`'s are to the context's whole pixels: for drawing.
    """
    x0, y0, x1, y1 = face.box
    whole, middle = (0.0, 0.0, float(width), float(height)), ((x0 + x1) / 2, (y0 + y1) / 2)
    places: list[Box] = []
    for spec in specs:
        half = max(x1 - x0, y1 - y0) * spec.scale / 2
        square = (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)
        inside = _inside(face.box, spec.scale, whole) if spec.kind == "box" else square
        places.append(face.box if spec.kind == "tight" else inside)
    return places


def view_shares(
    face: Face, width: int, height: int, specs: Sequence[CropSpec], context: float = CONTEXT
) -> NDArray[np.float32]:
    """Return the mirrored shares (V,) of the crops `specs` of `face` in a picture of `width` x `height` pixels.

    Raises:
        InputError: as `face_crop`.
    """
    region = _Region.around(face.box, width, height, context, LONGEST)
    nothing = np.broadcast_to(np.uint8(0), (region.size, region.size, 3))  # takes no memory
    return _shares(region.context_crop(face, (height, width), nothing), specs)


@dataclass(frozen=True, slots=True)
class _Region:
    """Where a context crop lies in its picture: `side` pixels from (`left`, `top`) on, made into `size` pixels."""

    left: int
    top: int
    side: int
    size: int

    @classmethod
    def around(cls, box: Box, width: int, height: int, scale: float, longest: int) -> Self:
        x0, y0, x1, y1 = box
        if not (max(x0, 0.0) < min(x1, width) and max(y0, 0.0) < min(y1, height) and math.isfinite(sum(box))):
            raise InputError(
                f"a face's box must be (x0, y0, x1, y1) with an area inside the {width} x {height} picture, "
                f"got {box}"
            )
        side = max(1, round(max(x1 - x0, y1 - y0) * scale))
        if side > longest:
            block = _block(side, longest)
            side = block * round(side / block)
        left, top = round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2)
        return cls(left, top, side, min(side, longest))

    def context_crop(self, face: Face, shape: tuple[int, ...], image: NDArray[np.uint8]) -> ContextCrop:
        """Return the context crop of `face` in a picture of `shape`, with `image` for its pixels."""
        factor = self.size / self.side

        def moved(point: Point) -> Point:
            return (point[0] - self.left) * factor, (point[1] - self.top) * factor

        x0, y0, x1, y1 = face.box
        right_eye, left_eye, nose, right_mouth, left_mouth = map(moved, face.landmarks)
        return ContextCrop(
            image=image,
            box=(*moved((x0, y0)), *moved((x1, y1))),
            landmarks=(right_eye, left_eye, nose, right_mouth, left_mouth),
            valid=(
                *moved((max(self.left, 0), max(self.top, 0))),
                *moved((min(self.left + self.side, shape[1]), min(self.top + self.side, shape[0]))),
            ),
            factor=factor,
            picture=(*moved((0, 0)), *moved((shape[1], shape[0]))),
        )

    def pixels(self, picture: NDArray[np.uint8], x0: int, y0: int, x1: int, y1: int) -> NDArray[np.uint8]:
        """Return columns `x0` to `x1` and rows `y0` to `y1` of the context crop's image.

        They are the same bytes whatever is asked for beside them: blocks are averaged in whole numbers, and with a
        `size` that is a power of two every coordinate of the resize is exact, in the float32 of Pillow's box too.
        """
        if self.size == self.side:
            return _window(picture, self.top + y0, self.left + x0, y1 - y0, x1 - x0)
        # Averaging whole blocks first, where that leaves enough to filter, takes half the time.
        block = _block(self.side, self.size)
        blocks = self.side // block
        box = tuple(end * blocks / self.size for end in (x0, y0, x1, y1))  # in blocks
        reach = math.ceil(blocks / self.size) + 1
        u0, v0 = (max(0, math.floor(begin) - reach) for begin in box[:2])
        u1, v1 = (min(blocks, math.ceil(end) + reach) for end in box[2:])
        top, left = self.top + v0 * block, self.left + u0 * block
        part = _window(picture, top, left, (v1 - v0) * block, (u1 - u0) * block)
        # One direction after the other: Pillow's own choice of the first would depend on what is asked for.
        image = Image.fromarray(part).reduce(block)
        wide = image.resize((x1 - x0, image.height), RESAMPLING, (box[0] - u0, 0, box[2] - u0, image.height))
        return np.array(wide.resize((x1 - x0, y1 - y0), RESAMPLING, (0, box[1] - v0, x1 - x0, box[3] - v0)))


def _block(side: int, size: int) -> int:
    """Return how many pixels are averaged before `side` is resized to `size`: at least 1.25 times `size` remain."""
    return max(1, int(side / size / 1.25))


def cut(square: ContextCrop, spec: CropSpec, size: int) -> NDArray[np.uint8]:
    """Return the crop `spec` out of `square`, resized with antialiasing: (`size`, `size`, 3) uint8.

    The crop's corners fall between pixels where they must; nothing is rounded before the resize.

    Raises:
        InputError: the crop reaches over `square`, or takes landmarks that are not known.
    """
    if spec.kind == "native":
        left, top = _native_corner(square, size)
        return _window(square.image, top, left, size, size)
    if spec.kind == "aligned":
        landmarks = np.array(square.landmarks)
        if not np.isfinite(landmarks).all():
            raise InputError(f"the crop {spec} lies by a face's landmarks, {NO_LANDMARKS}")
        return align(square.image, landmarks, spec.scale, size)
    x0, y0, x1, y1 = _crop_box(square, spec)
    left, top, right, bottom = 0, 0, *square.image.shape[:2]
    if spec.kind == "box":  # whose border takes in nothing of what is mirrored beyond
        left, top = math.floor(square.valid[0]), math.floor(square.valid[1])
        right, bottom = math.ceil(square.valid[2]), math.ceil(square.valid[3])
    image = Image.fromarray(square.image[top:bottom, left:right])
    box = (max(x0 - left, 0.0), max(y0 - top, 0.0), min(x1, right) - left, min(y1, bottom) - top)
    return np.array(image.resize((size, size), RESAMPLING, box=box))


def cut_views(square: ContextCrop, specs: Sequence[CropSpec], size: int) -> Views:
    """Return the crops `specs` out of `square`, each as `cut` makes it, with their mirrored shares.

    Raises:
        InputError: a crop reaches over `square`.
    """
    return Views(np.stack([cut(square, spec, size) for spec in specs]), _shares(square, specs))


def crop_landmarks(square: ContextCrop, spec: CropSpec, size: int) -> NDArray[np.float32]:
    """Return the five landmarks in pixels of ``cut(square, spec, size)``: (5, 2) float32, x and y.

    Raises:
        InputError: `square` is smaller than the crop.
    """
    if spec.kind == "native":
        return (np.array(square.landmarks) - _native_corner(square, size)).astype(np.float32)
    if spec.kind == "aligned":
        return to_crop(np.array(square.landmarks), spec.scale, size)
    x0, y0, x1, y1 = _crop_box(square, spec)
    points = (np.array(square.landmarks) - (x0, y0)) * (size / (x1 - x0), size / (y1 - y0))
    return points.astype(np.float32)


def padded_share(square: ContextCrop, spec: CropSpec) -> float:
    """Return the share, in [0, 1], of the crop `spec` that lies outside the picture and was mirrored.

    Of an aligned or native crop it is that of the square of the same scale around the face's box.

    Raises:
        InputError: the crop reaches over `square`.
    """
    wanted = _wanted(square, spec) if spec.kind in ("aligned", "native") else _crop_box(square, spec)
    return _share_outside(wanted, square.valid)


def _shares(square: ContextCrop, specs: Sequence[CropSpec]) -> NDArray[np.float32]:
    # A box crop lies inside the picture, if not always inside the square.
    return np.array([0.0 if spec.kind == "box" else padded_share(square, spec) for spec in specs], np.float32)


def _crop_box(square: ContextCrop, spec: CropSpec) -> Box:
    """Return the crop (x0, y0, x1, y1) in `square`'s pixels."""
    side = square.image.shape[0]
    if spec.kind in ("aligned", "native"):  # which may read any of it
        return 0.0, 0.0, float(side), float(side)
    x0, y0, x1, y1 = crop = _wanted(square, spec)
    if not _fits(crop, side):
        raise InputError(
            f"the crop {spec} reaches over the context of {side} pixels that is kept around this face; prepare the "
            f"data with a wider one (bonaface prepare --context S, at most {MAX_SCALE:g}) or choose a smaller crop"
        )
    # The square's corners were rounded to whole pixels: a crop as wide as the square may reach a pixel over.
    return max(x0, 0.0), max(y0, 0.0), min(x1, float(side)), min(y1, float(side))


def _wanted(square: ContextCrop, spec: CropSpec) -> Box:
    """Return where the crop lies in `square`'s pixels, if they reach so far."""
    if spec.kind == "box":
        return _inside(square.box, spec.scale, square.picture)
    x0, y0, x1, y1 = square.box
    if spec.kind in ("square", "aligned", "native"):
        half = max(x1 - x0, y1 - y0) * spec.scale / 2
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        x0, y0, x1, y1 = x - half, y - half, x + half, y + half
    return x0, y0, x1, y1


def _fits(crop: Box, side: int) -> bool:
    return min(crop[:2]) >= -1.0 and max(crop[2:]) <= side + 1.0


def _native_corner(square: ContextCrop, size: int) -> tuple[int, int]:
    """Return the left and upper border of `size` whole pixels around the face's box."""
    x0, y0, x1, y1 = square.box
    return round((x0 + x1 - size) / 2), round((y0 + y1 - size) / 2)


def _inside(box: Box, scale: float, picture: Box) -> Box:
    """Return `box` enlarged by `scale`, or by what `picture` holds where that is less, and shifted inside it."""
    (x0, y0, x1, y1), (left, top, right, bottom) = box, picture
    scale = min(scale, (right - left) / (x1 - x0), (bottom - top) / (y1 - y0))
    width, height = scale * (x1 - x0), scale * (y1 - y0)
    x = max(left, min((x0 + x1 - width) / 2, right - width))
    y = max(top, min((y0 + y1 - height) / 2, bottom - height))
    return x, y, min(x + width, right), min(y + height, bottom)


def _window(picture: NDArray[np.uint8], top: int, left: int, rows: int, columns: int) -> NDArray[np.uint8]:
    """Return `rows` x `columns` pixels of `picture` from row `top` and column `left` on, mirrored over its border."""
    height, width = picture.shape[:2]
    inside = picture[max(top, 0) : max(top + rows, 0), max(left, 0) : max(left + columns, 0)]
    over = (
        (max(-top, 0), max(top + rows - height, 0)),
        (max(-left, 0), max(left + columns - width, 0)),
    )
    if max(over[0]) <= inside.shape[0] and max(over[1]) <= inside.shape[1]:
        # Whole runs of pixels are copied: four times as fast as picking each by its number.
        return np.pad(inside, (*over, (0, 0)), "symmetric")
    return np.ascontiguousarray(picture[_mirrored(top, rows, height)][:, _mirrored(left, columns, width)])


def _mirrored(start: int, count: int, length: int) -> NDArray[np.intp]:
    """Return which of `length` rows stand at `start` ... `start` + `count`, with the border mirrored repeatedly."""
    position = np.arange(start, start + count) % (2 * length)
    return np.where(position < length, position, 2 * length - 1 - position)


def _share_outside(box: Box, valid: Box) -> float:
    width = min(box[2], valid[2]) - max(box[0], valid[0])
    height = min(box[3], valid[3]) - max(box[1], valid[1])
    inside = max(width, 0.0) * max(height, 0.0)
    return 1.0 - inside / ((box[2] - box[0]) * (box[3] - box[1]))
