"""The ways to put a photograph of a person before a camera: printed, worn, on a screen.

An attack starts from a picture that a camera has taken (the attacker's own), so that what the second camera
sees has been through two. The sheet or screen is made once; it can then be held in many ways, frame after
frame.
"""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from bonaface.simulate.camera import View
from bonaface.simulate.display import Display, Screen, reflection, show_picture, viewed
from bonaface.simulate.flat import Held, Hold, Position, draw_opposite, eye_holes, face_oval, hold
from bonaface.simulate.light import Light, Plane, blur, coloured, mix, resize, size_of, smooth_step, unit
from bonaface.simulate.printer import Print, Printer, print_picture
from bonaface.simulate.props import Grip, in_front, torso
from bonaface.simulate.scene import Lighting
from bonaface.simulate.seeds import between
from bonaface.simulate.studio import Framed, Photo, Stage
from bonaface.simulate.warp import Points, sample

_MIRRORED = 0.04  # share of light that a smooth surface of a refractive index of 1.5 mirrors (Fresnel)
_FINE = 1.05  # instrument pixels per camera pixel, so that the camera and not the sheet limits the sharpness


@dataclass(frozen=True)
class Sheet:
    """A print with the face's landmarks (5, 2) on it, in its pixels."""

    print: Print
    landmarks: Points
    grip: Grip

    @property
    def eyes(self) -> float:
        """Return the distance between the pupils in pixels of the sheet."""
        return float(np.hypot(*(self.landmarks[1] - self.landmarks[0])))


@dataclass(frozen=True)
class Panel:
    """A screen that shows a face, with its landmarks (5, 2) in the screen picture's pixels."""

    screen: Screen
    landmarks: Points
    grip: Grip

    @property
    def eyes(self) -> float:
        """Return the distance between the pupils in pixels of the screen's picture."""
        return float(np.hypot(*(self.landmarks[1] - self.landmarks[0])))


def print_sheet(
    photo: Photo,
    printer: Printer,
    position: Position,
    size: tuple[int, int],
    grip: Grip,
    rng: np.random.Generator,
) -> Sheet:
    """Print `photo` as `grip` wants it, at the scale at which it will be seen: at `position` in a picture of `size`."""
    scaled = _seen(photo, position, size, grip)
    margin = round(grip.margin * scaled.eyes)
    picture = np.pad(scaled.picture, ((margin, margin), (margin, margin), (0, 0)), constant_values=255)
    width_mm = grip.eyes_mm / scaled.eyes * picture.shape[1]
    return Sheet(print_picture(picture, printer, width_mm, rng), scaled.landmarks + margin, grip)


def show_panel(
    photo: Photo, display: Display, position: Position, size: tuple[int, int], grip: Grip
) -> Panel:
    """Show `photo` on a display, to be seen at `position` in a picture of `size`."""
    scaled = _seen(photo, position, size, grip)
    screen = show_picture(scaled.picture, display, grip.eyes_mm / scaled.eyes * scaled.picture.shape[1])
    grown = screen.light.shape[2] / scaled.picture.shape[1]
    return Panel(screen, (scaled.landmarks + 0.5) * grown - 0.5, grip)


def printed(sheet: Sheet, pose: Hold, position: Position, stage: Stage, rng: np.random.Generator) -> Framed:
    """Return `sheet` held so that the face on it comes to `position`; `rng` chooses the holder and the hands."""
    held = hold(stage.size, size_of(sheet.print.reflectance), sheet.landmarks[:2], position, pose)
    paper = _paper(sheet.print, held, pose, stage.lighting, position)
    scene = torso(stage.background(), position, stage.lighting, sheet.grip, rng)
    scene = mix(_shadowed(scene, held.alpha, stage.lighting, position), paper, held.alpha)
    mm = position.eyes / sheet.grip.eyes_mm
    covered = in_front(scene, held, position, mm, stage.lighting, sheet.grip, rng)
    waves = sheet.print.waves(held.where, paper * (held.alpha * covered.free))
    return Framed(View(covered.light, waves), held.found(sheet.landmarks))


def worn(sheet: Sheet, wearer: Framed, stage: Stage, holes: bool, rng: np.random.Generator) -> Framed:
    """Return `sheet` cut out along the face and worn by `wearer`, with or without `holes` for the eyes."""
    position = _over_face(wearer.landmarks, rng)
    # Bent around the head: the radius of a face, more for stiff paper.
    yaw, pitch, bend = float(rng.normal(0, 0.05)), float(rng.normal(0, 0.05)), between(rng, 0.25, 0.55)
    pose = Hold(yaw, pitch, bend, crease=0.004, opposite=draw_opposite(rng))
    held = hold(stage.size, size_of(sheet.print.reflectance), sheet.landmarks[:2], position, pose)
    alpha = held.alpha * face_oval(held.where, sheet.landmarks[:2].mean(0), sheet.eyes, rng)
    if holes:
        alpha *= 1.0 - eye_holes(held.where, sheet.landmarks[:2], rng)
    paper = _paper(sheet.print, held, pose, stage.lighting, position)
    light = mix(_shadowed(wearer.view.light, alpha, stage.lighting, position), paper, alpha)
    return Framed(View(light, sheet.print.waves(held.where, paper * alpha)), held.found(sheet.landmarks))


def shown(panel: Panel, pose: Hold, position: Position, stage: Stage, rng: np.random.Generator) -> Framed:
    """Return `panel` held or standing so that the face on it comes to `position`; `rng` chooses hands and
    reflections.
    """
    display = panel.screen.display
    held = hold(stage.size, size_of(panel.screen.light), panel.landmarks[:2], position, pose)
    light = viewed(sample(panel.screen.light, held.where), display, rng)
    glass = light + reflection(stage.size, display, stage.background(), rng)
    width = panel.screen.light.shape[2] * position.eyes / panel.eyes
    body, alpha = _device(held, display, stage.lighting, width)
    scene = torso(stage.background(), position, stage.lighting, panel.grip, rng)
    scene = mix(_shadowed(scene, alpha, stage.lighting, position), body, alpha)
    scene = mix(scene, glass, held.alpha)
    mm = position.eyes / panel.grip.eyes_mm
    covered = in_front(scene, replace(held, alpha=alpha), position, mm, stage.lighting, panel.grip, rng)
    waves = panel.screen.waves(held.where, light * (held.alpha * covered.free))
    return Framed(View(covered.light, waves), held.found(panel.landmarks))


def _over_face(landmarks: Points, rng: np.random.Generator) -> Position:
    """Return where the eyes of a mask lie on a face: not quite on the wearer's."""
    gap = landmarks[1] - landmarks[0]
    apart = float(np.hypot(*gap))
    x, y = landmarks[:2].mean(0) + rng.normal(0, 0.05, 2) * apart
    roll = float(np.arctan2(gap[1], gap[0])) + float(rng.normal(0, 0.04))
    return Position(float(x), float(y), apart * between(rng, 0.98, 1.15), roll)


def _seen(photo: Photo, position: Position, size: tuple[int, int], grip: Grip) -> Photo:
    """Return the part of the photograph that is shown and can be in the picture, at the picture's scale."""
    beyond = (position.x, position.y, size[0] - position.x, size[1] - position.y)
    # 1.5 times the reach plus one eye distance, for what a turn or a bend may bring into the picture.
    reach = [1.5 * side / position.eyes + 1.0 for side in beyond]
    crop = reach if grip.crop is None else [min(pair) for pair in zip(reach, grip.crop, strict=True)]
    x, y = photo.landmarks[:2].mean(0)
    height, width = photo.picture.shape[:2]
    left, top = max(int(x - crop[0] * photo.eyes), 0), max(int(y - crop[1] * photo.eyes), 0)
    right, bottom = min(int(x + crop[2] * photo.eyes), width), min(int(y + crop[3] * photo.eyes), height)
    shown = Photo(photo.picture[top:bottom, left:right], photo.landmarks - [left, top])
    return _scaled(shown, position.eyes * _FINE / photo.eyes)


def _scaled(photo: Photo, scale: float) -> Photo:
    height, width = photo.picture.shape[:2]
    size = (max(round(width * scale), 8), max(round(height * scale), 8))
    ratio = np.array([size[0] / width, size[1] / height])
    picture = np.asarray(Image.fromarray(photo.picture).resize(size, Image.Resampling.BILINEAR))
    return Photo(picture, (photo.landmarks + 0.5) * ratio - 0.5)


def _paper(sheet: Print, held: Held, pose: Hold, lighting: Lighting, position: Position) -> Light:
    """Return the light (3, H, W) from a held print: its colours in the room's light, and what its surface mirrors.

    The surroundings are mirrored out of focus, as an even veil over the blacks; the main light as a highlight.
    """
    reflectance = sample(sheet.reflectance, held.where)
    if pose.torn > 0.0:
        core = smooth_step(0.05 * position.eyes, 0.01 * position.eyes, held.near)
        reflectance = mix(reflectance, np.full_like(reflectance, 0.8), core)
    light = reflectance * lighting.on(held.normals)
    wall = lighting.on(unit(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32)))
    light += np.float32(_MIRRORED * pose.opposite) * wall
    gloss = np.float32(0.9 * sheet.printer.gloss)
    if gloss > 0.05:
        light += coloured(
            _highlight(held.normals, lighting, 40.0 + 300.0 * sheet.printer.gloss**2), gloss * lighting.colour
        )
    return light


def _highlight(normals: Light, lighting: Lighting, power: float) -> Plane:
    """Return the highlight (H, W) of the main light, after Blinn (SIGGRAPH 1977)."""
    width, height = size_of(normals)
    x = (np.arange(0, width, 2, dtype=np.float32)[None, :] - width / 2) / np.float32(1.2 * width)
    y = (np.arange(0, height, 2, dtype=np.float32)[:, None] - height / 2) / np.float32(1.2 * width)
    hx, hy, hz = lighting.direction[0] - x, lighting.direction[1] - y, lighting.direction[2] + np.float32(1.0)
    nx, ny, nz = normals[:, ::2, ::2]
    facing = (nx * hx + ny * hy + nz * hz) / np.sqrt(hx * hx + hy * hy + hz * hz)
    # The highlight is soft, so half the size is enough.
    return resize(np.maximum(facing, 0.0) ** np.float32(power), (width, height))


def _shadowed(scene: Light, cover: Plane, lighting: Lighting, position: Position) -> Light:
    """Return the scene with the shadow of a thing that covers `cover` (H, W)."""
    # The shadow is soft, so a quarter of the size is enough.
    width, height = size_of(scene)
    reach = 0.35 * position.eyes / 4
    dx, dy = round(float(-lighting.direction[0] * reach)), round(float(-lighting.direction[1] * reach))
    shade = blur(resize(cover, (max(width // 4, 1), max(height // 4, 1))), 0.22 * position.eyes / 4)
    return scene * resize(1.0 - np.float32(0.35) * np.roll(shade, (dy, dx), (0, 1)), (width, height))


def _device(held: Held, display: Display, lighting: Lighting, width: float) -> tuple[Light, Plane]:
    """Return the body around a screen: light (3, H, W) and coverage (H, W)."""
    border = display.border * width
    body = np.clip(held.near + np.float32(border + 0.5), 0.0, 1.0)
    edge = smooth_step(-border, -0.75 * border, held.near)
    tone = np.float32(display.bezel) * (np.float32(1.2) - np.float32(0.6) * edge)
    return lighting.on(held.normals) * tone, body
