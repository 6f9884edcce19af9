"""One picture of a bona fide presentation or of an attack, with all its parameters drawn at random.

The camera, the light, the room, the position and size of the face are drawn in the same way for both classes, so that
only the presentation itself differs.
"""

from dataclasses import replace

import numpy as np

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.simulate.attacks import print_sheet, printed, show_panel, shown, worn
from bonaface.simulate.camera import Camera, Shot, draw_camera, draw_shot, in_focus
from bonaface.simulate.display import draw_display
from bonaface.simulate.flat import Position, draw_hold
from bonaface.simulate.light import Picture
from bonaface.simulate.portrait import Portrait
from bonaface.simulate.printer import draw_printer
from bonaface.simulate.props import Grip, draw_grip
from bonaface.simulate.scene import draw_lighting, room
from bonaface.simulate.seeds import between, by_ratio, chance
from bonaface.simulate.studio import Framed, Photo, Stage, Turn, bona_fide, shoot
from bonaface.simulate.warp import Points

# Species: share of the attacks. Paper masks are few and displays many, since what a network learns from simulated masks
# carries over least and from displays most, to real prints as well (benchmarks/transfer.md).
SPECIES = {
    "print-held": 0.30,
    "print-worn": 0.03,
    "print-cut": 0.02,
    "display-monitor": 0.25,
    "display-tablet": 0.20,
    "display-phone": 0.20,
}
MASKS = ("print-worn", "print-cut")
_MISSED = 0.35  # share of the pictures that are exposed for something else than the face
# Share of the pictures that are over-exposed on top of that, and by how many stops: the same for people, paper and
# screens, or clipped whites would tell the class (benchmarks/transfer.md).
_OVEREXPOSED = (0.2, 0.8, 2.6)
_CHOSEN = 0.6  # share of good ones among the photographs that attackers show
_LIFE_MM = 63.0  # distance between the eyes of a person
_EYES_MM = {"print": (13.0, 62.0), "monitor": (40.0, 85.0), "tablet": (28.0, 60.0), "phone": (14.0, 26.0)}


def simulate_bona_fide(
    portrait: Portrait,
    rng: np.random.Generator,
    size: tuple[int, int] = (512, 512),
    software: bool = False,
) -> Photo:
    """Return a bona fide presentation of the person of `portrait`, (H, W, 3) uint8 of `size`; all else is drawn.

    With `software` some pictures have what a phone's adds: levelled light and smoothed skin.
    """
    return shoot(*_taken(portrait, rng, size, software), rng)


def simulate_photo(
    portrait: Portrait,
    rng: np.random.Generator,
    size: tuple[int, int] = (512, 512),
    software: bool = False,
) -> Photo:
    """Return the photograph that an attacker shows of the person of `portrait`: mostly a good one.

    As `simulate_bona_fide`, but for three in five a camera with little noise and no haze, in a steady hand, with an
    exposure that is right: attackers choose. The rest are what they could get.
    """
    framed, camera, shot = _taken(portrait, rng, size, software)
    if chance(rng, _CHOSEN):
        camera = replace(
            camera, resolution=1.0, full_well=max(camera.full_well, 12000.0), read=min(camera.read, 4.0), haze=0.0,
            quality=max(camera.quality, 90),
        )  # fmt: skip
        shot = replace(
            shot, defocus=min(shot.defocus, 0.5), motion=(0.0, 0.0), gain=1.0, exposure=shot.exposure / 3
        )
    return shoot(framed, camera, shot, rng)


def simulate_attack(
    photo: Photo,
    rng: np.random.Generator,
    size: tuple[int, int] = (512, 512),
    species: str = "",
    wearer: Portrait | None = None,
    position: Position | None = None,
    software: bool = False,
) -> Photo:
    """Return an attack with `photo`, a camera's picture, shown by an instrument to a second camera.

    Args:
        photo: of the person attacked; `simulate_photo` makes one, and a crop of a training picture is one.
        rng: everything is drawn from it.
        size: width and height of the result.
        species: one of `SPECIES`; drawn by their shares where it is left out.
        wearer: who wears the mask in ``print-worn`` and ``print-cut``; without one these two are not drawn.
        position: where the face comes to lie; drawn as for bona fide where it is left out.
        software: as for `simulate_bona_fide`; some displays show a player's controls, too.

    Raises:
        UnknownNameError: there is no such species.
        InputError: a mask without a wearer.
    """
    name = species or _draw_species(rng, wearer is not None)
    if name not in SPECIES:
        raise UnknownNameError("species of simulated attack", name, SPECIES)
    stage = draw_stage(size, rng)
    position = position or draw_position(size, rng)
    if name in MASKS:
        if wearer is None:
            raise InputError(f"{name} is a mask: it needs a wearer, another person's portrait")
        grip = Grip(eyes_mm=_LIFE_MM)
        framed = _masked(photo, wearer, position, stage, grip, name == "print-cut", rng)
    elif name == "print-held":
        grip = draw_grip(rng, _EYES_MM["print"], 0.7)
        sheet = print_sheet(photo, draw_printer(rng), position, size, grip, rng)
        framed = printed(sheet, draw_hold(rng, stiff=False), position, stage, rng)
    else:
        kind = name.partition("-")[2]
        grip = replace(draw_grip(rng, _EYES_MM[kind], 0.0 if kind == "monitor" else 0.7), margin=0.0)
        panel = show_panel(photo, draw_display(rng, kind, software), position, size, grip)
        framed = shown(panel, draw_hold(rng, stiff=True), position, stage, rng)
    # A face shown smaller than life has to be nearer in proportion to look as large.
    camera, shot = _camera_and_shot(stage, rng, software, _LIFE_MM / grip.eyes_mm)
    return shoot(framed, camera, shot, rng)


def simulate_attack_crop(
    picture: Picture, landmarks: Points, rng: np.random.Generator, species: str = ""
) -> Picture:
    """Return a training crop as an attack, for augmentation: the same size, the face at the same position.

    Args:
        picture: (H, W, 3) uint8 crop of a bona fide presentation; it stands for the attacker's photograph.
        landmarks: (5, 2) the face's, in the crop's pixels, RetinaFace's order.
        rng: everything is drawn from it.
        species: as for `simulate_attack`; masks are not drawn.

    Raises:
        UnknownNameError: there is no such species.
        InputError: it is a mask's, or the eyes are at one position.
    """
    photo = Photo(picture, np.asarray(landmarks, np.float64))
    if photo.eyes < 2.0:
        raise InputError(
            f"the landmarks of a crop must be of a face, got the eyes {photo.eyes:.1f} pixels apart"
        )
    middle, gap = photo.landmarks[:2].mean(0), photo.landmarks[1] - photo.landmarks[0]
    position = Position(float(middle[0]), float(middle[1]), photo.eyes, float(np.arctan2(gap[1], gap[0])))
    return simulate_attack(
        photo, rng, (picture.shape[1], picture.shape[0]), species, position=position
    ).picture


def draw_stage(size: tuple[int, int], rng: np.random.Generator) -> Stage:
    """Draw any room in any light."""
    return Stage(room(size, rng), draw_lighting(rng))


def draw_position(size: tuple[int, int], rng: np.random.Generator) -> Position:
    """Draw where the face of a person in front of the camera lies, in the same way for both classes.

    From a person at arm's length to a face that all but fills the picture, as selfies and pictures that are cut closer
    have it: a print's or a screen's edges then often lie outside.
    """
    width, height = size
    side = min(width, height)
    return Position(
        width / 2 + float(rng.normal(0, 0.07)) * side,
        0.42 * height + float(rng.normal(0, 0.05)) * side,
        side * by_ratio(rng, 0.11, 0.30),
        float(rng.normal(0, 0.06)),
    )


def draw_turn(rng: np.random.Generator) -> Turn:
    """Draw a few degrees of turn."""
    return Turn(float(rng.normal(0, 0.10)), float(rng.normal(0, 0.07)))


def _taken(
    portrait: Portrait, rng: np.random.Generator, size: tuple[int, int], software: bool
) -> tuple[Framed, Camera, Shot]:
    """Return a drawn person before a camera, the camera, and the settings of the picture."""
    stage = draw_stage(size, rng)
    framed = bona_fide(portrait, draw_position(size, rng), stage, draw_turn(rng))
    return framed, *_camera_and_shot(stage, rng, software)


def _camera_and_shot(
    stage: Stage, rng: np.random.Generator, software: bool, nearness: float = 1.0
) -> tuple[Camera, Shot]:
    """Draw a camera that is focused on a person's usual distance, and a shot of a thing `nearness` times as near."""
    camera = draw_camera(rng, software)
    shot = draw_shot(rng, stage.lighting.dimness, _MISSED)
    share, least, most = _OVEREXPOSED
    if chance(rng, share):
        shot = replace(shot, exposure=between(rng, least, most))
    return camera, in_focus(shot, camera, nearness, stage.size[0])


def _draw_species(rng: np.random.Generator, masks: bool) -> str:
    names = [name for name in SPECIES if masks or name not in MASKS]
    shares = np.array([SPECIES[name] for name in names])
    return names[int(rng.choice(len(names), p=shares / shares.sum()))]


def _masked(
    photo: Photo,
    wearer: Portrait,
    position: Position,
    stage: Stage,
    grip: Grip,
    holes: bool,
    rng: np.random.Generator,
) -> Framed:
    behind = bona_fide(wearer, position, stage, draw_turn(rng))
    sheet = print_sheet(photo, draw_printer(rng), position, stage.size, grip, rng)
    return worn(sheet, behind, stage, holes, rng)
