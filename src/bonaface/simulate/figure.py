"""A synthetic person from the waist up: face, hair, neck, clothes and sometimes glasses, as a `Portrait`.

Everything on the head is put together in the mean shape's frame and then bent to the person's own shape, so that
hair and ears move with the landmarks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bonaface.simulate.dress import draw_glasses, draw_outfit, garment, wear_glasses
from bonaface.simulate.hair import comb, draw_style, upsample
from bonaface.simulate.light import Light, Plane, Way, blur, coloured, mix, resize, smooth_step, srgb_decode
from bonaface.simulate.persons import FRAME, PersonFace, open_model
from bonaface.simulate.portrait import Portrait, face_relief
from bonaface.simulate.seeds import chance, stream
from bonaface.simulate.warp import Points, Spline, sample

SCALE = 1.25  # canvas pixels for a pixel of the mean shape's frame
WIDTH, HEIGHT, EYE_ROW = 880, 900, 300.0
EYES = FRAME.eyes * SCALE

_FACE = [*range(134, 145), 120, 121, 122, 123, 124, *range(133, 124, -1), 119, 118, 117, 116, 115]
_RIGHT_EYE, _LEFT_EYE, _NOSE, _MOUTH = 0, 1, (54, 60), (87, 93)


def person_portrait(seed: int, number: int, outfit: int = 0, smile: float = 0.0) -> Portrait:
    """Return person `number` under `seed`, in outfit `outfit`, with a smile from 0 to 1; the same bytes at every
    call.
    """
    model = open_model()
    face = model.face(model.draw(seed, number), stream(seed, "person", number, "pores"), smile)
    head, alpha, relief = _head(face, seed, number)
    light, alpha = _dressed(head, alpha, face, seed, number, outfit)
    return Portrait(light, alpha, _landmarks(face.shape), relief, f"person {number}")


def _to_canvas(points: Points) -> Points:
    return (points - [FRAME.width / 2 - 0.5, FRAME.eye_row]) * SCALE + [WIDTH / 2 - 0.5, EYE_ROW]


def _landmarks(shape: Points) -> Points:
    nose = shape[list(_NOSE)].mean(0)
    return _to_canvas(
        np.stack([shape[_RIGHT_EYE], shape[_LEFT_EYE], nose, shape[_MOUTH[0]], shape[_MOUTH[1]]])
    )


def _head(face: PersonFace, seed: int, number: int) -> tuple[Light, Plane, Plane]:
    """Return head and neck on the canvas: light (3, H, W), coverage and relief."""
    rng = stream(seed, "person", number, "hair")
    size = (round(FRAME.width * SCALE), round(FRAME.height * SCALE))
    mean = open_model().mean_shape * SCALE
    bare = _polygon(mean[_FACE], size)
    neck = _neck(mean, size)
    skin = srgb_decode(resize(face.skin, size, Way.BICUBIC)).astype(np.float32)
    hair_colour = srgb_decode(face.hair.astype(np.float64)).astype(np.float32)
    style = draw_style(rng)
    skull = _skull(size)
    outline = np.maximum(upsample(face.outline, SCALE), skull) if style.cover == 1.0 else skull
    hair = comb(outline, bare, neck, hair_colour, style, rng)
    roots = 0.45 * blur(hair.front, 0.07 * EYES) * bare
    skin *= 1.0 - coloured(roots, 1.0 - 0.6 * hair_colour / hair_colour.max())
    skin *= 1.0 - 0.5 * (1.0 - bare) * _turned_away(neck)
    body = np.maximum(np.maximum(bare, neck), smooth_step(-1.0, 1.0, skull * SCALE - 3.0))
    light = mix(mix(hair.colour * 0.6, skin, body), hair.colour, hair.front)
    alpha = np.maximum(body, hair.behind)
    stack = np.concatenate([light, alpha[None]])
    where = _bend(face.shape)
    bent = sample(stack, where)
    beyond = (where[0] < 1) | (where[0] > size[0] - 2) | (where[1] < 1)
    bent[3][beyond & (where[1] < size[1] - 2)] = 0.0
    # The relief is smooth, so half the size is enough.
    x = (where[0, ::2, ::2] - np.float32(size[0] / 2 - 0.5)) / np.float32(EYES)
    y = (where[1, ::2, ::2] - np.float32(FRAME.eye_row * SCALE)) / np.float32(EYES)
    relief = resize(face_relief(x, y), (WIDTH, HEIGHT)) * np.float32(EYES)
    return bent[:3], bent[3], relief


def _skull(size: tuple[int, int]) -> Plane:
    """Return the signed distance (H, W) to the skull's outline above the ears, in frame pixels, positive inside."""
    x = (np.arange(size[0], dtype=np.float32)[None, :] - (size[0] - 1) / 2) / np.float32(EYES)
    y = (np.arange(size[1], dtype=np.float32)[:, None] - FRAME.eye_row * SCALE) / np.float32(EYES)
    radius = np.sqrt((x / 1.17) ** 2 + ((y + 0.32) / 1.33) ** 2)
    result: Plane = (1.0 - radius) * np.float32(1.2 * FRAME.eyes) * smooth_step(
        0.4, 0.1, y
    ) - 40.0 * smooth_step(0.1, 0.4, y)
    return result


def _turned_away(neck: Plane) -> Plane:
    """Return how far the neck's cylindrical surface is turned from the camera, 0 to 1."""
    half = np.maximum(neck.sum(1, keepdims=True) / 2, 1.0)
    x = np.abs(np.arange(neck.shape[1], dtype=np.float32)[None, :] - (neck.shape[1] - 1) / 2)
    result: Plane = 1.0 - np.sqrt(np.clip(1.0 - (x / half) ** 2, 0.0, 1.0))
    return result


def _polygon(points: Points, size: tuple[int, int]) -> Plane:
    image = Image.new("L", size)
    ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in points], fill=255)
    return blur(np.asarray(image).astype(np.float32) / 255, 1.0)


def _neck(mean: Points, size: tuple[int, int]) -> Plane:
    """Return the neck, widening into the shoulders below, (H, W) in [0, 1]."""
    (left, top), (right, _) = mean[145], mean[157]
    bottom = size[1] + 8.0
    points = [[left, top - 60], [left, top], [left - 4, top + 70], [left - 60, top + 120], [-9, bottom]]
    mirrored = [[right + (left - x), y] for x, y in reversed(points)]
    return _polygon(np.array(points + mirrored), size)


def _bend(shape: Points) -> NDArray[np.floating[Any]]:
    """Return the map (2, H, W) from the canvas to the mean shape's frame at `SCALE`."""
    ring = FRAME.ring()
    spline = Spline(
        np.r_[_to_canvas(shape), _to_canvas(ring)],
        np.r_[open_model().mean_shape, ring] * SCALE,
        stiffness=200.0,
    )
    return spline.map((WIDTH, HEIGHT))


def _dressed(
    head: Light, alpha: Plane, face: PersonFace, seed: int, number: int, outfit: int
) -> tuple[Light, Plane]:
    shape = _to_canvas(face.shape)
    wears = draw_outfit(stream(seed, "person", number, "outfit", outfit))
    eyes = float(np.hypot(*(shape[1] - shape[0])))
    neck = float(abs(shape[157, 0] - shape[145, 0])) / 2 / eyes
    chin = (float(shape[:2, 0].mean()), float(shape[129, 1]))
    cloth, cover = garment(chin, eyes, neck, wears, (WIDTH, HEIGHT))
    light = mix(head, cloth, cover)
    rng = stream(seed, "person", number, "glasses")
    if chance(rng, 0.28):
        light = wear_glasses(light, shape, draw_glasses(rng))
    inside = smooth_step(0.02, 0.98, alpha)
    return light.astype(np.float32), np.maximum(inside, cover).astype(np.float32)
