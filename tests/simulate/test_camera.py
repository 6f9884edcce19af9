from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bonaface.simulate.camera import (
    PHONES,
    Camera,
    Shot,
    View,
    Wave,
    develop,
    draw_camera,
    draw_shot,
    expose,
    in_focus,
    photograph,
    retouched,
    through_lens,
    transfer,
)
from bonaface.simulate.seeds import stream

PLAIN = Camera(
    "plain",
    lens=0.3,
    fill=1.0,
    fringe=0.0,
    vignette=0.0,
    denoise=0.0,
    sharpen=0.0,
    contrast=0.0,
    saturation=1.0,
    white=0.0,
)


def grey(level: float, side: int = 128) -> View:
    return View(np.full((3, side, side), level, np.float32))


def grating(period: float, side: int = 256, depth: float = 0.3) -> View:
    """Return light of 0.5 with a vertical grating of `period` pixels on it."""
    x = np.arange(side, dtype=np.float32)[None, :] * np.ones((side, 1), np.float32)
    wave = Wave(x / np.float32(period), np.full((3, side, side), depth, np.float32))
    return View(np.full((3, side, side), 0.5, np.float32), (wave,))


def strongest(plane: NDArray[np.float32]) -> tuple[float, float]:
    """Return the frequency in cycles per pixel and the amplitude of the strongest line across."""
    row = plane.mean(0) - plane.mean()
    spectrum = np.abs(np.fft.rfft(row)) / len(row) * 2
    return float(np.fft.rfftfreq(len(row))[spectrum.argmax()]), float(spectrum.max())


def test_noise_is_shot_and_read_noise() -> None:
    # EMVA 1288: the variance is a straight line over the signal, 1 / full well steep, read noise at its foot
    camera = replace(PLAIN, full_well=1000.0, read=8.0)
    variances, means = [], []
    for step in (-2.0, -1.0, 0.0, 1.0):
        raw, _ = expose(grey(0.5, 256).light, camera, Shot(exposure=step), stream(0, "noise", str(step)))
        variances.append(raw.var())
        means.append(raw.mean())
    steepness, foot = np.polyfit(means, variances, 1)
    assert steepness == pytest.approx(1 / 1000, rel=0.1)
    assert foot == pytest.approx((8 / 1000) ** 2, rel=0.5)


def test_gain_makes_noise() -> None:
    def noise(gain: float) -> Any:
        return expose(grey(0.5).light, PLAIN, Shot(gain=gain), stream(0, "gain"))[0].std()

    assert noise(8.0) == pytest.approx(np.sqrt(8.0) * noise(1.0), rel=0.15)


@pytest.mark.parametrize("level", [0.02, 0.5, 5.0])
def test_exposure_is_automatic(level: float) -> None:
    assert expose(grey(level).light, PLAIN, Shot(), stream(0))[0].mean() == pytest.approx(0.20, rel=0.05)


def test_a_camera_that_meters_the_whole_picture_leaves_a_face_before_a_window_dark() -> None:
    light = np.full((3, 128, 128), 3.0, np.float32)
    light[:, 32:96, 38:90] = 1.0
    view, middle = light, np.s_[48:80, 50:78]
    by_face, by_all = (
        expose(view, replace(PLAIN, metering=m), Shot(), stream(0))[0][middle].mean() for m in (1.0, 0.0)
    )
    assert by_face == pytest.approx(0.20, rel=0.05)
    assert by_all < 0.45 * by_face


def test_a_missed_exposure_is_off_by_more_than_accidents_make_it() -> None:
    errors = {
        missed: [abs(draw_shot(stream(0, "shot", i), missed=missed).exposure) for i in range(300)]
        for missed in (0.0, 0.5)
    }
    assert np.mean(np.array(errors[0.0]) > 1.0) < 0.02
    assert 0.15 < np.mean(np.array(errors[0.5]) > 1.0) < 0.4


def test_one_stop_doubles_the_light() -> None:
    one, two = (expose(grey(0.5).light, PLAIN, Shot(exposure=e), stream(0))[0].mean() for e in (0.0, 1.0))
    assert two / one == pytest.approx(2.0, rel=0.03)


def test_the_raw_is_of_whole_digital_numbers_and_saturates() -> None:
    raw, _ = expose(grey(0.5).light, PLAIN, Shot(exposure=4.0), stream(0))
    assert raw.max() == 1.0
    assert np.abs(raw * 1023 - np.rint(raw * 1023)).max() < 1e-3


def test_a_coarse_grating_is_seen_as_it_is() -> None:
    frequency, amplitude = strongest(through_lens(grating(8.0), PLAIN, Shot(), 0.5)[1])
    assert frequency == pytest.approx(1 / 8, abs=0.004)
    # the pixel's aperture takes a sinc of it, and a lens of 0.15 px next to nothing
    assert amplitude == pytest.approx(0.3 * np.sinc(1 / 8), rel=0.05)


def test_a_sensor_that_skips_rows_and_columns_sees_more_moire() -> None:
    whole, skipping = (
        strongest(through_lens(grating(1.06), replace(PLAIN, fill=f), Shot(), 0.5)[1])[1] for f in (1.0, 0.4)
    )
    assert skipping == pytest.approx(whole * np.sinc(0.4 / 1.06) / np.sinc(1 / 1.06), rel=0.05)
    assert skipping > 5 * whole


@pytest.mark.parametrize("period", [1.05, 0.95, 1.5, 0.7])
def test_a_grating_too_fine_for_the_sensor_folds_back(period: float) -> None:
    frequency, _ = strongest(through_lens(grating(period), PLAIN, Shot(), 0.5)[1])
    alias = abs(1 / period - round(1 / period))
    assert frequency == pytest.approx(alias, abs=0.004)


def test_defocus_and_shake_remove_moire() -> None:
    sharp = strongest(through_lens(grating(1.06), PLAIN, Shot(), 0.5)[1])[1]
    soft = strongest(through_lens(grating(1.06), PLAIN, Shot(defocus=1.5), 0.5)[1])[1]
    shaken = strongest(through_lens(grating(1.06), PLAIN, Shot(motion=(3.0, 0.0)), 0.5)[1])[1]
    along = strongest(through_lens(grating(1.06), PLAIN, Shot(motion=(0.0, 3.0)), 0.5)[1])[1]
    assert soft < 0.35 * sharp
    assert shaken < 0.35 * sharp
    assert along > 0.9 * sharp


def test_moire_changes_with_the_distance() -> None:
    # the same screen from two per cent farther away: another beat
    first, second = (strongest(through_lens(grating(p), PLAIN, Shot(), 0.5)[1])[0] for p in (1.06, 1.04))
    assert first - second == pytest.approx(1 / 1.04 * (1.06 / 1.04 - 1), rel=0.4)


def test_what_is_blurred_as_pixels_and_as_a_wave_is_the_same() -> None:
    # a grating that the pixels can show, both ways: the wave has the aperture's sinc in addition
    shot = Shot(defocus=1.8, motion=(1.5, 1.0))
    view = grating(6.0)
    x = np.arange(256, dtype=np.float32)
    drawn = view.light + 0.3 * np.cos(2 * np.pi * x / 6.0).astype(np.float32)
    as_wave = strongest(through_lens(view, PLAIN, shot, 0.5)[1][:, 20:-20])[1]
    as_pixels = strongest(through_lens(View(drawn), PLAIN, shot, 0.5)[1][:, 20:-20])[1]
    assert as_wave == pytest.approx(as_pixels * np.sinc(1 / 6), rel=0.06)


def test_disc_transfer_function_agrees_with_a_sampled_disc() -> None:
    radius, side = 3.0, 257
    y, x = np.mgrid[:side, :side] - side // 2
    # the disc by its share of each pixel, 8 x 8 samples
    fine = (np.arange(8) + 0.5) / 8 - 0.5
    disc = np.mean([(np.hypot(x + a, y + b) <= radius) for a in fine for b in fine], 0)
    wanted = np.abs(np.fft.rfft(np.fft.ifftshift(disc / disc.sum()).sum(0)))[:60]
    f = (np.arange(60) / side).astype(np.float32)
    found = transfer(f, np.zeros_like(f), 0.0, Shot(defocus=radius)) * np.sinc(f)
    assert np.abs(np.abs(found) - wanted).max() < 0.02


def test_a_lens_that_cannot_focus_blurs_what_is_nearer_or_farther_than_it_is_sharp_at() -> None:
    fixed, focusing, shot = replace(PLAIN, fixed=0.8), PLAIN, Shot(defocus=0.3)
    # at half the distance the radius is the camera's own, at a third twice that; apart from the shot's own error
    assert in_focus(shot, fixed, 2.0, 512).defocus == pytest.approx((0.3**2 + 0.8**2) ** 0.5)
    assert in_focus(shot, fixed, 3.0, 512).defocus == pytest.approx((0.3**2 + 1.6**2) ** 0.5)
    assert in_focus(shot, fixed, 0.75, 512).defocus == pytest.approx((0.3**2 + 0.2**2) ** 0.5)
    assert in_focus(shot, fixed, 1.0, 512) == shot
    assert in_focus(shot, focusing, 4.0, 512) == shot
    assert in_focus(Shot(), fixed, 40.0, 512).defocus == 2.5  # no further


@pytest.mark.parametrize(("width", "resolution"), [(512, 1.0), (256, 1.0), (1024, 1.0), (512, 0.5)])
def test_what_is_out_of_focus_is_so_by_the_same_share_of_the_picture(width: int, resolution: float) -> None:
    """The edge of a dark half, from 10 to 90 %, is the same share of a small picture as of a large one."""
    light = np.full((3, width, width), 0.05, np.float32)
    light[:, :, width // 2 :] = 0.25
    camera = replace(PLAIN, fixed=2.0, lens=0.05, full_well=1e7, read=0.0, resolution=resolution)
    picture = develop(View(light), camera, in_focus(Shot(), camera, 2.0, width), stream(0, "edge"))
    row = picture[width // 4 : -width // 4, :, 1].mean(0)
    low, high = row[width // 8], row[-width // 8]
    step = (row - low) / (high - low)
    middle = step[width // 4 : -width // 4]
    edge = np.interp(0.9, middle, np.arange(len(middle))) - np.interp(0.1, middle, np.arange(len(middle)))
    assert edge * 512 / width == pytest.approx(2.9, abs=0.7)


def test_front_and_web_cameras_mostly_have_a_fixed_focus() -> None:
    drawn = [draw_camera(stream(0, "camera", n)) for n in range(400)]
    share = {
        kind: np.mean([camera.fixed > 0 for camera in drawn if camera.name == kind])
        for kind in ("phone", "web camera", "still camera")
    }
    assert share["phone"] == pytest.approx(0.7, abs=0.1)
    assert share["web camera"] == pytest.approx(0.8, abs=0.1)
    assert share["still camera"] == 0
    assert all(0.3 <= camera.fixed <= 1.3 for camera in drawn if camera.fixed)


def test_vignette_darkens_the_corner() -> None:
    light = through_lens(grey(1.0), replace(PLAIN, vignette=0.3), Shot(), 1.0)[1]
    assert light[64, 64] == pytest.approx(1.0, abs=0.01)
    assert light[0, 0] == pytest.approx(0.7, abs=0.01)


def test_fringes_shift_red_against_blue() -> None:
    x = np.arange(128, dtype=np.float32)
    edge = (1 / (1 + np.exp(-(x - 108) / 2))).astype(np.float32)
    light = np.broadcast_to(edge, (3, 128, 128)).copy()
    seen = through_lens(View(light), replace(PLAIN, fringe=2.0), Shot(), 1.0)
    middle = [float(np.interp(0.5, plane[64], x)) for plane in seen]
    assert middle[0] < middle[1] - 0.2 < middle[2] - 0.4


def test_white_balance_removes_the_lights_colour() -> None:
    tinted = grey(0.4).light * np.array([1.6, 1.0, 0.5], np.float32)[:, None, None]

    def cast(white: float) -> Any:
        picture = develop(View(tinted), replace(PLAIN, white=white), Shot(), stream(0))
        red, _, blue = picture.mean((0, 1))
        return red / blue

    assert cast(0.0) > 1.6
    assert cast(1.0) == pytest.approx(1.0, abs=0.03)


def test_noise_reduction_smooths_and_keeps_edges() -> None:
    view = grey(0.3, 128)
    view.light[:, :, 64:] = 0.6
    pictures = [
        develop(view, replace(PLAIN, full_well=400.0, denoise=d), Shot(), stream(0)).astype(float)
        for d in (0.0, 2.0)
    ]
    rough, smooth = (p[16:-16, 80:112, 1].std() for p in pictures)
    assert smooth < 0.75 * rough
    steps = [p[:, 70:].mean() - p[:, :58].mean() for p in pictures]
    assert steps[1] == pytest.approx(steps[0], rel=0.05)


def test_sharpening_overshoots_at_an_edge() -> None:
    view = grey(0.2, 64)
    view.light[:, :, 32:] = 0.5
    clean = replace(PLAIN, full_well=1e7, read=0.0)
    soft, sharp = (
        develop(view, replace(clean, sharpen=s), Shot(), stream(0))[:, :, 1].mean(0) for s in (0.0, 1.5)
    )
    assert np.ptp(sharp) > np.ptp(soft) + 6
    assert sharp[16] == pytest.approx(soft[16], abs=1.5)


def halves(noise: float) -> NDArray[np.float32]:
    """Return light of 0.1 on the left and 0.4, two stops more, on the right, with fine noise in stops."""
    stops = np.where(np.arange(256) < 128, 0.0, 2.0) + np.random.default_rng(0).normal(0, noise, (256, 256))
    return np.stack([0.1 * np.exp2(stops)] * 3).astype(np.float32)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_levelled_light_brings_halves_nearer_and_leaves_their_detail(share: float) -> None:
    before, after = (np.log2(light[1]) for light in (halves(0.03), retouched(halves(0.03), share, 0.0)))
    apart = [stops[:, 192:].mean() - stops[:, :64].mean() for stops in (before, after)]
    assert apart == pytest.approx([2.0, 2.0 * (1 - share)], rel=0.05)
    assert after[:, :64].std() == pytest.approx(before[:, :64].std(), rel=0.1)


def test_smoothing_takes_fine_detail_and_leaves_edges() -> None:
    before, after = (np.log2(light[1]) for light in (halves(0.03), retouched(halves(0.03), 0.0, 0.8)))
    assert after[:, :64].std() < 0.45 * before[:, :64].std()
    step = [stops[:, 129:133].mean() - stops[:, 123:127].mean() for stops in (before, after)]
    assert step[1] == pytest.approx(step[0], rel=0.05)


def test_software_changes_brightness_and_no_hue() -> None:
    light = halves(0.1) * np.array([1.0, 0.6, 0.3], np.float32)[:, None, None]
    after = retouched(light, 0.5, 0.8)
    np.testing.assert_allclose(after[1] / after[0], 0.6, rtol=1e-4)
    assert (after != light).any()


def test_a_camera_of_few_pixels_gives_the_full_size_back() -> None:
    picture = photograph(grey(0.5, 100), replace(PLAIN, resolution=0.5), Shot(), stream(0))
    assert picture.shape == (100, 100, 3)
    assert picture.dtype == np.uint8


def test_pictures_of_odd_sides() -> None:
    assert photograph(View(np.full((3, 37, 51), 0.5, np.float32)), PLAIN, Shot(), stream(0)).shape == (
        37,
        51,
        3,
    )


def test_the_same_stream_takes_the_same_picture() -> None:
    one, two, other = (photograph(grating(1.1, 64), PHONES[2], Shot(), stream(0, k)) for k in ("a", "a", "b"))
    assert (one == two).all()
    assert (one != other).any()


def test_the_phones_differ() -> None:
    rng = np.random.default_rng(0)
    view = View(rng.random((3, 96, 96)).astype(np.float32))
    pictures = [photograph(view, phone, Shot(), stream(0)) for phone in PHONES]
    assert len({picture.tobytes() for picture in pictures}) == 6


def test_drawn_cameras_cover_all_kinds() -> None:
    cameras = [draw_camera(stream(0, "camera", i)) for i in range(300)]
    kinds = [camera.name for camera in cameras]
    assert {kinds.count(kind) > 15 for kind in ("phone", "web camera", "still camera")} == {True}
    assert min(c.quality for c in cameras) < 55 < 90 < max(c.quality for c in cameras)
    assert not any(camera.levelled or camera.smoothed for camera in cameras)
    assert max(draw_shot(stream(0, "shot", i), 1.0).gain for i in range(100)) > 6


def test_software_changes_some_cameras_and_nothing_else_of_them() -> None:
    plain, cameras = (
        [draw_camera(stream(0, "camera", i), software) for i in range(300)] for software in (False, True)
    )
    for share in ([c.levelled for c in cameras], [c.smoothed for c in cameras]):
        assert 60 < np.count_nonzero(share) < 150
    assert [replace(camera, levelled=0.0, smoothed=0.0) for camera in cameras] == plain
