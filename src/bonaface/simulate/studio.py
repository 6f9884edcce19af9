"""The chain put together: a person before a camera, and every way to put a photograph of that person there instead.

A *view* is what a camera is pointed at, with the landmarks of the face in it; `shoot` takes the picture. An attack starts
from a picture that a camera has taken (the attacker's own), so its pixels have been through two cameras.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonaface.simulate.camera import Camera, Shot, View, Wave, photograph
from bonaface.simulate.display import Display, reflection, show_picture, viewed
from bonaface.simulate.flat import Held, Hold, Place, eye_holes, face_oval, hold
from bonaface.simulate.light import Light, Picture, Plane, blur, mix, smooth_step
from bonaface.simulate.portrait import Portrait
from bonaface.simulate.printer import Print, Printer, print_picture
from bonaface.simulate.props import Grip, draw_grip, in_front, torso
from bonaface.simulate.scene import Lighting
from bonaface.simulate.seeds import between, chance
from bonaface.simulate.warp import Map, Points, project, sample, similarity

_FINE = 1.25  # instrument pixels for one of the camera's: enough that the camera, not the sheet, sets the sharpness


@dataclass(frozen=True)
class Stage:
    """Where a picture is taken: the room's light (H, W, 3), which gives the picture's size, and the lighting."""

    room: Light
    lighting: Lighting

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures taken here."""
        return self.room.shape[1], self.room.shape[0]

    def background(self) -> Light:
        """The room as lit, (H, W, 3)."""
        light = self.lighting
        return self.room * ((light.ambient + light.colour * 0.6) * np.float32(light.behind))


@dataclass(frozen=True)
class Framed:
    """A view with the face's five landmarks in it (5, 2), in RetinaFace's order."""

    view: View
    landmarks: Points


@dataclass(frozen=True)
class Photo:
    """A picture (H, W, 3) uint8 and the landmarks (5, 2) of the face in it."""

    picture: Picture
    landmarks: Points

    @property
    def eyes(self) -> float:
        """The distance between the pupils, pixels."""
        return float(np.hypot(*(self.landmarks[1] - self.landmarks[0])))


def shoot(framed: Framed, camera: Camera, shot: Shot, rng: np.random.Generator) -> Photo:
    """Take the picture."""
    return Photo(photograph(framed.view, camera, shot, rng), framed.landmarks)


@dataclass(frozen=True)
class Turn:
    """How the head is turned against the camera, radians: yaw to the person's left, pitch upwards."""

    yaw: float = 0.0
    pitch: float = 0.0


def bona_fide(portrait: Portrait, place: Place, stage: Stage, turn: Turn = Turn()) -> Framed:
    """A person at `place` before the camera.

    A portrait with an outline of its own stands before the stage's room; one with a background brings it along, mirrored
    where the picture reaches over its edge.
    """
    while portrait.eyes / place.eyes > 1.6:
        portrait = portrait.halved
    where, landmarks = _facing(portrait, place, stage.size, turn)
    light = sample(portrait.light, where)
    relief = sample(portrait.relief, where) * np.float32(place.eyes / portrait.eyes)
    dy, dx = np.gradient(blur(relief, 0.02 * place.eyes))
    normals = np.stack([-dx, -dy, np.ones_like(dx)], -1)
    normals /= np.sqrt((normals**2).sum(-1, keepdims=True))
    light *= stage.lighting.relit(normals)
    if portrait.alpha is not None:
        light = mix(stage.background(), light, sample(portrait.alpha, where))
    return Framed(View(light), landmarks)


def _facing(portrait: Portrait, place: Place, size: tuple[int, int], turn: Turn) -> tuple[Map, Points]:
    """The map from the picture to the portrait, and the landmarks in the picture."""
    middle = portrait.landmarks[:2].mean(0)
    lean = float(np.arctan2(*(portrait.landmarks[1] - portrait.landmarks[0])[::-1]))
    half = portrait.eyes / 2 * np.array([np.cos(lean), np.sin(lean)])
    target = np.array([place.x, place.y])
    reach = place.eyes / 2 * np.array([np.cos(place.roll), np.sin(place.roll)])
    matrix = similarity(np.stack([middle - half, middle + half]), np.stack([target - reach, target + reach]))
    width, height = size
    back = np.linalg.inv(matrix).astype(np.float32)
    x = np.arange(width, dtype=np.float32)[None, :]
    y = np.arange(height, dtype=np.float32)[:, None]
    where = np.stack([back[0, 0] * x + back[0, 1] * y + back[0, 2], back[1, 0] * x + back[1, 1] * y + back[1, 2]], -1)
    marks = portrait.landmarks.astype(np.float64)
    if turn.yaw or turn.pitch:
        # What stands out moves against what lies back: parallax of the relief, good for a few degrees.
        shift = np.array([np.tan(turn.yaw), -np.tan(turn.pitch)])
        where -= sample(portrait.relief, where)[..., None] * shift.astype(np.float32)
        lifted = sample(portrait.relief, marks[None].astype(np.float32))[0]
        marks = marks + lifted[:, None] * shift
    if portrait.alpha is None:
        _mirror(where, portrait.light.shape[1], portrait.light.shape[0])
    return where, project(matrix, marks)


def _mirror(where: Map, width: int, height: int) -> None:
    for axis, length in ((0, width), (1, height)):
        reach = np.float32(length - 1)
        folded = np.mod(where[..., axis], 2 * reach)
        np.minimum(folded, 2 * reach - folded, out=where[..., axis])


# The attacks -----------------------------------------------------------------------------------------------------------


def printed(
    photo: Photo, printer: Printer, how: Hold, place: Place, stage: Stage, grip: Grip, rng: np.random.Generator
) -> Framed:
    """A print of `photo`, held so that the face in it comes to `place`."""
    sheet, eyes, marks = _sheet(photo, printer, place, grip, rng)
    held = hold(stage.size, _size(sheet.reflectance), eyes, place, how)
    light = _paper(sheet, held, how, stage.lighting, place)
    scene = torso(stage.background(), place, stage.lighting, grip, rng)
    scene = mix(_shadowed(scene, held, stage.lighting, place), light, held.alpha)
    covering = in_front(scene, held, place, _mm(sheet, place, eyes), stage.lighting, grip, rng)
    waves = _dots(sheet, held, light, covering.free)
    return Framed(View(covering.light, waves), held.found(marks))


def masked(
    photo: Photo, printer: Printer, wearer: Framed, stage: Stage, holes: bool, grip: Grip, rng: np.random.Generator
) -> Framed:
    """A print of `photo` cut out along the face and worn by `wearer`, with or without holes for the eyes."""
    eyes = wearer.landmarks[:2]
    apart = float(np.hypot(*(eyes[1] - eyes[0])))
    roll = float(np.arctan2(*(eyes[1] - eyes[0])[::-1]))
    shift = rng.normal(0, 0.05, 2) * apart
    x, y = eyes.mean(0) + shift
    place = Place(float(x), float(y), apart * between(rng, 0.98, 1.15), roll + float(rng.normal(0, 0.04)))
    sheet, own, marks = _sheet(photo, printer, place, replace(grip, margin=0.0, crop=None), rng)
    # Round the head: the radius of a cheek, a little more where the paper is stiff.
    how = Hold(float(rng.normal(0, 0.05)), float(rng.normal(0, 0.05)), between(rng, 0.25, 0.55), 0.0, 0.004, 0.0, 1)
    held = hold(stage.size, _size(sheet.reflectance), own, place, how)
    alpha = held.alpha * face_oval(held.where, own.mean(0), float(np.hypot(*(own[1] - own[0]))), rng)
    if holes:
        alpha = alpha * (1.0 - eye_holes(held.where, own, rng))
    worn = replace(held, alpha=alpha)
    light = _paper(sheet, worn, how, stage.lighting, place)
    scene = mix(_shadowed(wearer.view.light, worn, stage.lighting, place), light, alpha)
    return Framed(View(scene, _dots(sheet, worn, light, np.ones_like(alpha))), held.found(marks))


def shown(
    photo: Photo, display: Display, how: Hold, place: Place, stage: Stage, grip: Grip, rng: np.random.Generator
) -> Framed:
    """`photo` on a display, held or standing so that the face in it comes to `place`."""
    photo = _cropped(photo, grip.crop)
    scaled = _scaled(photo, place.eyes * _FINE / photo.eyes)
    width_mm = grip.eyes_mm / scaled.eyes * scaled.picture.shape[1]
    screen = show_picture(scaled.picture, display, width_mm)
    grown = screen.light.shape[1] / scaled.picture.shape[1]
    marks = (scaled.landmarks + 0.5) * grown - 0.5
    held = hold(stage.size, _size(screen.light), marks[:2], place, how)
    panel = viewed(sample(screen.light, held.where), display, rng)
    panel = panel + reflection(stage.size, display, stage.background(), rng)
    device, body = _device(held, display, stage.lighting, _size(screen.light)[0] * place.eyes / (scaled.eyes * grown))
    scene = torso(stage.background(), place, stage.lighting, grip, rng)
    scene = mix(_shadowed(scene, replace(held, alpha=body), stage.lighting, place), device, body)
    scene = mix(scene, panel, held.alpha)
    covering = in_front(scene, replace(held, near=held.near, alpha=body), place, place.eyes / grip.eyes_mm, stage.lighting, grip, rng)
    light = panel * (held.alpha * covering.free)[..., None]
    return Framed(View(covering.light, screen.waves(held.where, light)), held.found(marks))


def _size(light: Light) -> tuple[int, int]:
    return light.shape[1], light.shape[0]


def _cropped(photo: Photo, crop: tuple[float, float, float, float] | None) -> Photo:
    """The photograph cut to (left, top, right, bottom) distances between the eyes from their middle, where it has more."""
    if crop is None:
        return photo
    x, y = photo.landmarks[:2].mean(0)
    height, width = photo.picture.shape[:2]
    left, top = max(int(x - crop[0] * photo.eyes), 0), max(int(y - crop[1] * photo.eyes), 0)
    right, bottom = min(int(x + crop[2] * photo.eyes), width), min(int(y + crop[3] * photo.eyes), height)
    return Photo(photo.picture[top:bottom, left:right], photo.landmarks - [left, top])


def _scaled(photo: Photo, scale: float) -> Photo:
    height, width = photo.picture.shape[:2]
    size = (max(round(width * scale), 8), max(round(height * scale), 8))
    ratio = np.array([size[0] / width, size[1] / height])
    picture = np.asarray(Image.fromarray(photo.picture).resize(size, Image.Resampling.BICUBIC))
    return Photo(picture, (photo.landmarks + 0.5) * ratio - 0.5)


def _sheet(
    photo: Photo, printer: Printer, place: Place, grip: Grip, rng: np.random.Generator
) -> tuple[Print, Points, Points]:
    """The print at the scale at which it will be seen, with its white margin: it, the eyes and all landmarks on it."""
    scaled = _scaled(_cropped(photo, grip.crop), place.eyes * _FINE / photo.eyes)
    margin = round(grip.margin * scaled.eyes)
    picture = np.pad(scaled.picture, ((margin, margin), (margin, margin), (0, 0)), constant_values=255)
    width_mm = grip.eyes_mm / scaled.eyes * picture.shape[1]
    marks = scaled.landmarks + margin
    return print_picture(picture, printer, width_mm, rng), marks[:2], marks


def _mm(sheet: Print, place: Place, eyes: Points) -> float:
    """Picture pixels for a millimetre on the sheet."""
    return place.eyes / (float(np.hypot(*(eyes[1] - eyes[0]))) * sheet.pitch)


def _paper(sheet: Print, held: Held, how: Hold, lighting: Lighting, place: Place) -> Light:
    """The light (H, W, 3) from a held print: its colours under the room's light, and the light that its gloss mirrors."""
    reflectance = sample(sheet.reflectance, held.where)
    if how.torn > 0.0:
        core = smooth_step(0.05 * place.eyes, 0.01 * place.eyes, held.near)
        reflectance = mix(reflectance, np.full_like(reflectance, 0.8), core)
    light = reflectance * lighting.on(held.normals)
    if sheet.printer.gloss > 0.05:
        light += (np.float32(0.9 * sheet.printer.gloss) * _mirrored(held.normals, lighting))[..., None] * lighting.colour
    return light


def _mirrored(normals: Light, lighting: Lighting) -> Plane:
    """The highlight (H, W) of the main light, after Blinn (SIGGRAPH 1977); it lies where the paper happens to turn."""
    height, width = normals.shape[:2]
    x = (np.arange(width, dtype=np.float32)[None, :] - width / 2) / np.float32(1.2 * width)
    y = (np.arange(height, dtype=np.float32)[:, None] - height / 2) / np.float32(1.2 * width)
    hx, hy, hz = lighting.direction[0] - x, lighting.direction[1] - y, lighting.direction[2] + np.float32(1.0)
    norm = np.sqrt(hx * hx + hy * hy + hz * hz)
    facing = (normals[..., 0] * hx + normals[..., 1] * hy + normals[..., 2] * hz) / norm
    return np.maximum(facing, 0.0) ** np.float32(60.0)


def _shadowed(scene: Light, held: Held, lighting: Lighting, place: Place) -> Light:
    """The shadow that the held thing throws on what is behind it."""
    reach = 0.35 * place.eyes
    dx, dy = -lighting.direction[0] * reach, -lighting.direction[1] * reach
    shade = np.roll(blur(held.alpha, 0.22 * place.eyes), (round(float(dy)), round(float(dx))), (0, 1))
    return scene * (1.0 - 0.35 * shade)[..., None]


def _dots(sheet: Print, held: Held, light: Light, free: Plane) -> tuple[Wave, ...]:
    if sheet.printer.screen == 0.0:
        return ()
    coverage = sample(sheet.coverage.astype(np.float32) / 255, held.where)
    return sheet.waves(held.where, light * (held.alpha * free)[..., None], coverage)


def _device(held: Held, display: Display, lighting: Lighting, width: float) -> tuple[Light, Plane]:
    """The body around a screen: light (H, W, 3) and coverage (H, W)."""
    border = display.border * width
    body = np.clip(held.near + border + 0.5, 0.0, 1.0).astype(np.float32)
    edge = smooth_step(-border, -0.75 * border, held.near)
    light = lighting.on(held.normals) * (np.float32(display.bezel) * (0.6 + 0.6 * (1 - edge)))[..., None]
    return light.astype(np.float32), body
