from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bonaface.simulate.light import srgb_decode, to_light
from bonaface.simulate.printer import PRINTERS, Printer, _diffused, draw_printer, print_picture
from bonaface.simulate.seeds import stream
from bonaface.simulate.warp import projective_map

EVEN = Printer("even", fibre=0.0, banding=0.0, gain=0.0, white=(0.9, 0.9, 0.9))


def level(code: int, side: int = 64) -> NDArray[np.uint8]:
    return np.full((side, side, 3), code, np.uint8)


def test_white_prints_as_bare_paper() -> None:
    sheet = print_picture(level(255), replace(EVEN, white=(0.9, 0.8, 0.7)), 100.0, stream(0))
    assert sheet.reflectance.mean((1, 2)) == pytest.approx([0.9, 0.8, 0.7], rel=0.01)
    assert sheet.reflectance.dtype == np.float32


def test_printed_black_reflects_light() -> None:
    dark = print_picture(level(0), EVEN, 100.0, stream(0)).reflectance.mean()
    assert 0.005 < dark < 0.06


def test_greys_come_near_what_was_wanted() -> None:
    tones = [40, 90, 140, 190, 230]
    printed = [print_picture(level(tone), EVEN, 100.0, stream(0)).reflectance for tone in tones]
    for tone, sheet in zip(tones, printed, strict=True):
        wanted = 0.9 * (0.03 + 0.97 * float(srgb_decode(np.array(tone / 255))))
        red, green, blue = sheet.mean((1, 2))
        assert green == pytest.approx(wanted, rel=0.25), tone
        assert max(red, green, blue) / min(red, green, blue) < 1.35


def test_the_gamut_is_smaller_than_the_screens() -> None:
    wanted = np.zeros((32, 32, 3), np.uint8)
    wanted[..., 1] = 255
    red, green, blue = print_picture(wanted, EVEN, 50.0, stream(0)).reflectance.mean((1, 2))
    assert green < 0.75
    assert red > 0.02
    assert green > 2 * red
    assert green > 2 * blue


def test_dot_gain_darkens_the_middle_and_not_the_ends() -> None:
    def tone(code: int, gain: float) -> Any:
        return print_picture(level(code), replace(EVEN, gain=gain), 100.0, stream(0)).reflectance.mean()

    assert tone(140, 0.2) < 0.85 * tone(140, 0.0)
    assert tone(255, 0.2) == pytest.approx(tone(255, 0.0), rel=0.01)


@pytest.mark.parametrize("dots", [1, 4, 9])
def test_error_diffusion_keeps_the_mean_and_sets_whole_dots(dots: int) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    inked = _diffused(np.stack([ramp] * 4), dots)
    places = inked.astype(float) * dots / 255
    assert np.abs(places - np.rint(places)).max() < 0.51 * dots / 255 + 1e-9
    for left in (16, 100, 200):
        assert inked[0, :, left : left + 32].mean() == pytest.approx(ramp[:, left : left + 32].mean(), abs=4)
    assert len(np.unique(inked)) == dots + 1


def test_fewer_dots_are_grainier() -> None:
    coarse, fine = (
        print_picture(level(150, 128), replace(EVEN, dots=dots), 60.0, stream(0)).reflectance[1].std()
        for dots in (60, 200)
    )
    assert coarse > 2 * fine > 0


def test_banding_is_visible() -> None:
    sheet = print_picture(
        level(120, 128), replace(EVEN, banding=0.03, dots=5000), 150.0, stream(0)
    ).reflectance[1]
    assert sheet.mean(1).std() > 5 * sheet.mean(0).std()


def test_paper_has_a_grain() -> None:
    sheet = print_picture(level(255, 128), replace(EVEN, fibre=0.02), 100.0, stream(0)).reflectance[1]
    assert sheet.std() / sheet.mean() == pytest.approx(0.02, rel=0.2)


def test_a_screen_has_waves_only_where_it_can_be_seen() -> None:
    picture = level(128)
    near = print_picture(picture, replace(EVEN, screen=60.0), 12.0, stream(0))  # 0.19 mm a pixel
    light = np.full((3, 64, 64), 0.4, np.float32)
    where = projective_map(np.eye(3), (64, 64))
    waves = near.waves(where, light)
    assert waves
    # 60 lines an inch at 12 / 64 mm a pixel
    fx, fy = waves[0].frequency()
    assert np.hypot(fx, fy) == pytest.approx(12 / 64 * 60 / 25.4, rel=1e-3)
    far = print_picture(picture, replace(EVEN, screen=150.0), 60.0, stream(0))
    assert far.waves(where, light) == ()
    assert print_picture(picture, EVEN, 12.0, stream(0)).waves(where, light) == ()


def test_dots_absorb_their_inks_complement() -> None:
    picture = level(128)
    picture[..., 0] = 60  # much cyan
    sheet = print_picture(picture, replace(EVEN, screen=50.0, grey=0.0), 12.0, stream(0))
    light = np.full((3, 64, 64), 0.4, np.float32)
    cyan = sheet.waves(projective_map(np.eye(3), (64, 64)), light)[0]
    red, green, _ = np.abs(cyan.envelope).mean((1, 2))
    assert red > 1.3 * green


def test_the_same_stream_prints_the_same_sheet() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (48, 40, 3), dtype=np.uint8)
    for printer in (*PRINTERS, draw_printer(stream(0, "printer"))):
        one, two = (print_picture(picture, printer, 60.0, stream(0)).reflectance for _ in range(2))
        assert (one == two).all()
        assert one.shape == (3, 48, 40)
        assert 0.0 <= one.min() <= one.max() <= 1.1


def test_thin_ink_is_paler_and_leaves_white_alone() -> None:
    red = np.asarray([[[200, 60, 50]]], np.uint8).repeat(32, 0).repeat(32, 1)
    spread, black = {}, {}
    for density in (1.0, 0.7):
        printer = replace(EVEN, density=density)
        np.testing.assert_allclose(
            print_picture(level(255), printer, 100.0, stream(0)).reflectance, 0.9, atol=0.02
        )
        colour = print_picture(red, printer, 100.0, stream(0)).reflectance.mean((1, 2))
        spread[density] = colour[0] - colour[2]
        black[density] = print_picture(level(0), printer, 100.0, stream(0)).reflectance.mean()
    assert spread[0.7] < 0.95 * spread[1.0]
    assert black[1.0] < 0.05 < 0.1 < black[0.7]


def test_photo_paper_is_darker_in_the_black_and_greys_stay_where_they_were() -> None:
    plain, photo = (replace(EVEN, inks=inks) for inks in ("dye", "photo"))
    tones = {
        inks: [print_picture(level(code), printer, 100.0, stream(0)).reflectance.mean() for code in (0, 140)]
        for inks, printer in (("dye", plain), ("photo", photo))
    }
    assert tones["photo"][0] < 0.01 < 0.02 < tones["dye"][0]  # densities of 2 and 1.6
    assert tones["photo"][1] == pytest.approx(tones["dye"][1], rel=0.15)


def test_drawn_printers_have_photo_paper_which_is_smooth_and_never_screened() -> None:
    drawn = [draw_printer(stream(0, "printer", n)) for n in range(300)]
    photo = [printer for printer in drawn if printer.inks == "photo"]
    assert len(photo) / len(drawn) == pytest.approx(0.4, abs=0.08)
    assert all(printer.screen == 0 and printer.gloss >= 0.4 and printer.fibre <= 0.004 for printer in photo)
    assert any(printer.screen for printer in drawn)
    # what the driver's table leaves of the dot gain is small, on either side
    assert -0.06 < min(printer.gain for printer in drawn) < 0 < max(printer.gain for printer in drawn) < 0.13


def test_prints_keep_the_tones_of_what_is_printed() -> None:
    """Between paper white and the printer's black the driver keeps the tones."""
    drawn = [draw_printer(stream(0, "printer", n)) for n in range(60)]
    full = [printer for printer in drawn if printer.density == min(printer.weak) == 1.0]
    for code in (90, 140, 200):
        wanted = float(srgb_decode(np.array(code / 255)))

        def share(printer: Printer, code: int = code, wanted: float = wanted) -> float:
            found = print_picture(level(code), printer, 100.0, stream(0)).reflectance.mean()
            return float(found) / (wanted * sum(printer.white) / 3)

        assert np.median([share(printer) for printer in full]) == pytest.approx(1.0, abs=0.15), code
        assert [share(printer) for printer in PRINTERS] == pytest.approx([1.0, 1.0], abs=0.2), code


def test_drawn_paper_is_mostly_blue_with_brighteners() -> None:
    tones = [printer.white[2] - printer.white[0] for printer in (draw_printer(stream(n)) for n in range(200))]
    assert min(tones) < 0.0
    assert np.mean(np.array(tones) > 0.0) > 0.6


def test_colours_follow_the_picture() -> None:
    picture = np.asarray([[[200, 60, 50]]], np.uint8).repeat(32, 0).repeat(32, 1)
    red, green, blue = print_picture(picture, EVEN, 100.0, stream(0)).reflectance.mean((1, 2))
    wanted = to_light(picture)[:, 0, 0]
    assert red > 2 * green
    assert red == pytest.approx(0.9 * wanted[0], rel=0.35)
    assert abs(green - blue) < 0.1
