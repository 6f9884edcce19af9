from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bonaface.simulate.attacks import Sheet, print_sheet, printed, show_panel, shown, worn
from bonaface.simulate.camera import PHONES, Shot
from bonaface.simulate.display import DISPLAYS
from bonaface.simulate.flat import Hold, Position
from bonaface.simulate.light import luma
from bonaface.simulate.portrait import Portrait
from bonaface.simulate.printer import PRINTERS, Printer
from bonaface.simulate.props import Grip
from bonaface.simulate.scene import lighting
from bonaface.simulate.seeds import stream
from bonaface.simulate.studio import Photo, Stage, Turn, bona_fide, shoot

PLACE = Position(128, 105, 50)
SIZE = (256, 256)


MATT = replace(PRINTERS[0], gloss=0.0)


def sheet_of(
    photo: Photo, grip: Grip | None = None, printer: Printer = MATT, position: Position = PLACE
) -> Sheet:
    return print_sheet(photo, printer, position, SIZE, grip or Grip(), stream(0, "print"))


def test_a_print_shows_the_photograph_at_its_position(photo: Photo, stage: Stage) -> None:
    framed = printed(sheet_of(photo), Hold(), PLACE, stage, stream(0))
    assert framed.landmarks[:2].mean(0) == pytest.approx([128, 105], abs=1)
    ours, theirs = luma(framed.view.light)[60:180, 80:176], photo.picture[60:180, 80:176, 1].astype(float)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.8


def test_a_screen_shows_the_photograph_at_its_position(photo: Photo, stage: Stage) -> None:
    panel = show_panel(photo, replace(DISPLAYS[1], mirror=0.0), PLACE, SIZE, Grip())
    framed = shown(panel, Hold(), PLACE, stage, stream(0))
    assert framed.landmarks[:2].mean(0) == pytest.approx([128, 105], abs=1)
    ours, theirs = luma(framed.view.light)[60:180, 80:176], photo.picture[60:180, 80:176, 1].astype(float)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.8


def test_the_landmarks_go_with_the_thing(photo: Photo, stage: Stage) -> None:
    for how in (Hold(0.3, -0.2), Hold(bend=0.25), Hold(0.1, 0.1, crease=0.03, seed=2)):
        framed = printed(sheet_of(photo), how, PLACE, stage, stream(0))
        mouth = framed.landmarks[3:].mean(0) - framed.landmarks[:2].mean(0)
        original = photo.landmarks[3:].mean(0) - photo.landmarks[:2].mean(0)
        assert mouth[1] == pytest.approx(original[1] * 50 / photo.eyes, rel=0.25)


def test_a_cropped_print_ends_in_the_picture_and_has_a_margin(photo: Photo, stage: Stage) -> None:
    red = Stage(np.stack([np.full((256, 256), v, np.float32) for v in (0.9, 0.0, 0.0)]), stage.lighting)
    crop = Grip(crop=(1.5, 1.5, 1.5, 2.0), margin=0.2)
    light = printed(sheet_of(photo, crop), Hold(), PLACE, red, stream(0)).view.light
    assert light[1, 105, 20] == pytest.approx(0, abs=1e-6)
    margin = light[:, 105, round(128 - 1.6 * 50)]
    assert margin[1] > 0.6
    assert printed(sheet_of(photo), Hold(), PLACE, red, stream(0)).view.light[1, 105, 20] > 0.01


def test_only_what_can_be_seen_is_printed(photo: Photo) -> None:
    near = sheet_of(photo, position=Position(128, 105, 200))
    assert max(near.print.reflectance.shape[1:]) < 1.05 * 200 * (1.5 * 256 / 200 + 2.5)
    whole = sheet_of(photo)
    assert whole.print.reflectance.shape[2] == pytest.approx(256 * 50 / photo.eyes * 1.05, abs=3)


def test_flat_paper_is_lit_evenly_and_a_face_is_not(photo: Photo, persons: list[Portrait]) -> None:
    side = Stage(np.full((3, 256, 256), 0.5, np.float32), lighting(6500, 70, 0, 0.2, 1.0, 0.0))
    front = Stage(side.room, lighting(6500, 0, 0, 0.2, 1.0, 0.0))

    def change(make: Callable[..., Any]) -> Any:
        lit = [luma(make(stage).view.light) for stage in (side, front)]
        ratio = lit[0] / lit[1]
        return ratio[128:140, 96:108].mean() / ratio[128:140, 148:160].mean()

    assert change(lambda s: printed(sheet_of(photo), Hold(), PLACE, s, stream(0))) == pytest.approx(
        1.0, abs=0.01
    )
    assert change(lambda s: bona_fide(persons[0], PLACE, s, Turn())) < 0.75


def test_paper_mirrors_its_surroundings_evenly(photo: Photo, stage: Stage) -> None:
    # Fresnel at a refractive index of 1.5: ((1.5 - 1) / (1.5 + 1)) ** 2 = 4 % of a wall lit as the paper is
    dark, bright = (
        printed(sheet_of(photo), Hold(opposite=o), PLACE, stage, stream(0)).view.light[:, 80:140, 90:160]
        for o in (0.0, 3.0)
    )
    wall = stage.lighting.on(np.array([0.0, 0.0, 1.0], np.float32)[:, None, None])
    assert bright - dark == pytest.approx(np.broadcast_to(0.04 * 3.0 * wall, dark.shape), rel=1e-3)


def test_gloss_shines_where_the_paper_turns_to_the_light(photo: Photo) -> None:
    stage = Stage(np.full((3, 256, 256), 0.5, np.float32), lighting(6500, 20, 20, 0.3, 1.0, 0.0))
    how = Hold(0.18, 0.18)
    glossy, matt = (
        printed(
            sheet_of(photo, printer=replace(PRINTERS[0], gloss=g)), how, PLACE, stage, stream(0)
        ).view.light.max()
        for g in (0.9, 0.0)
    )
    assert glossy > matt + 0.3


def test_a_device_has_a_frame(photo: Photo, stage: Stage) -> None:
    dark = replace(DISPLAYS[1], bezel=0.02, border=0.1, mirror=0.0)
    panel = show_panel(photo, dark, PLACE, SIZE, Grip(crop=(1.3, 1.4, 1.3, 2.0)))
    light = shown(panel, Hold(), PLACE, stage, stream(0)).view.light
    beside = luma(light)[105, round(128 - 1.38 * 50)]
    assert beside < 0.05
    assert luma(light)[105, 10] > 0.1


def test_a_screen_glows_in_a_dark_room_and_a_print_does_not(photo: Photo) -> None:
    dark = Stage(np.full((3, 256, 256), 0.5, np.float32), lighting(6500, 0, 0, 0.5, 1.0, 0.0))
    dim = Stage(
        dark.room,
        replace(dark.lighting, colour=dark.lighting.colour * 0.01, ambient=dark.lighting.ambient * 0.01),
    )
    panel = show_panel(photo, DISPLAYS[1], PLACE, SIZE, Grip())
    for make, share in (
        (lambda s: printed(sheet_of(photo), Hold(), PLACE, s, stream(0)), 0.01),
        (lambda s: shown(panel, Hold(), PLACE, s, stream(0)), 1.0),
    ):
        bright, faint = (luma(make(s).view.light)[90:140, 100:156].mean() for s in (dark, dim))
        assert faint / bright == pytest.approx(share, rel=0.1)


def test_a_screen_close_by_has_waves_and_a_print_of_dots_too(photo: Photo, stage: Stage) -> None:
    close = Grip(eyes_mm=12.0)
    panel = show_panel(photo, replace(DISPLAYS[0], dots=110.0), PLACE, SIZE, close)
    assert len(shown(panel, Hold(), PLACE, stage, stream(0)).view.waves) >= 2
    coarse = sheet_of(photo, close, replace(PRINTERS[1], screen=60.0))
    assert len(printed(coarse, Hold(), PLACE, stage, stream(0)).view.waves) >= 4
    assert (
        printed(sheet_of(photo, Grip(eyes_mm=60.0), PRINTERS[1]), Hold(), PLACE, stage, stream(0)).view.waves
        == ()
    )


def test_moire_reaches_the_picture_and_is_removed_by_defocus(photo: Photo, stage: Stage) -> None:
    """A panel whose pixels are nearly the camera's gives coloured bands, which a lens out of focus removes."""
    grip = Grip(eyes_mm=50 * 1.06 * 25.4 / 110)  # 1.06 panel pixels for one of the camera's
    grey = replace(photo, picture=np.full_like(photo.picture, 160))
    panel = show_panel(
        grey, replace(DISPLAYS[0], dots=110.0, pulse=0.0, shift=0.0, mirror=0.0), PLACE, SIZE, grip
    )
    framed = shown(panel, Hold(), PLACE, stage, stream(0))
    camera = replace(PHONES[0], lens=0.3, fill=0.4, denoise=0.0, full_well=1e6, read=0.0)

    def bands(shot: Shot) -> tuple[float, float]:
        picture = shoot(framed, camera, shot, stream(0)).picture[80:180, 80:180].astype(float)
        across = (picture[..., 0] - picture[..., 2]).mean(0)
        spectrum = np.abs(np.fft.rfft(across - across.mean()))
        return float(np.fft.rfftfreq(100)[spectrum.argmax()]), float(np.ptp(across))

    frequency, strength = bands(Shot())
    assert frequency == pytest.approx(0.06, abs=0.012)
    assert strength > 15
    assert bands(Shot(defocus=2.0))[1] < 0.3 * strength


def test_a_mask_covers_the_wearers_face_and_not_the_hair(
    photo: Photo, persons: list[Portrait], stage: Stage
) -> None:
    wearer = bona_fide(persons[1], PLACE, stage, Turn())
    framed = worn(sheet_of(photo), wearer, stage, False, stream(0, "mask"))
    changed = np.abs(framed.view.light - wearer.view.light).sum(0)
    x, y = np.rint(wearer.landmarks).astype(int).T
    assert changed[y, x].min() > 0.005
    assert changed[:, :40].max() < 0.05
    assert np.abs(framed.landmarks - wearer.landmarks).max() < 0.45 * 50


def test_eye_holes_show_the_wearers_eyes(photo: Photo, persons: list[Portrait], stage: Stage) -> None:
    wearer = bona_fide(persons[1], PLACE, stage, Turn())
    closed, cut = (worn(sheet_of(photo), wearer, stage, holes, stream(0, "mask")) for holes in (False, True))
    (x0, y0), (x1, y1) = np.rint(cut.landmarks[:2]).astype(int)
    for x, y in ((x0, y0), (x1, y1)):
        through = np.abs(cut.view.light - wearer.view.light)[:, y, x].max()
        over = np.abs(closed.view.light - wearer.view.light)[:, y, x].max()
        assert through < 0.5 * over + 0.05  # the paper's shadow lies on them


def test_the_same_stream_makes_the_same_attack(photo: Photo, stage: Stage) -> None:
    grip = Grip(hands=2, body=True, margin=0.1)
    one, two, other = (
        printed(sheet_of(photo, grip), Hold(0.1, bend=0.1, seed=4), PLACE, stage, stream(0, k)).view.light
        for k in "aab"
    )
    assert (one == two).all()
    assert (one != other).any()
    assert one.dtype == np.float32
