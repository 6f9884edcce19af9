from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bonaface.simulate.display import (
    DISPLAYS,
    Controls,
    Display,
    draw_display,
    reflection,
    show_picture,
    viewed,
    with_controls,
)
from bonaface.simulate.seeds import stream
from bonaface.simulate.warp import projective_map

PLAIN = Display("plain", white=(1.0, 1.0, 1.0), brightness=1.0, black=0.01, gamma=2.2)


def shown(code: int, display: Display) -> NDArray[np.float32]:
    return show_picture(np.full((16, 16, 3), code, np.uint8), display, 40.0).light


def test_black_level_and_white_are_the_displays() -> None:
    assert shown(0, PLAIN) == pytest.approx(0.01)
    assert shown(255, replace(PLAIN, brightness=1.7)) == pytest.approx(1.7, rel=1e-4)


def test_tones_follow_gamma() -> None:
    assert shown(128, PLAIN) == pytest.approx(0.01 + 0.99 * (128 / 255) ** 2.2, rel=1e-4)


def test_white_has_its_colour() -> None:
    assert shown(255, replace(PLAIN, white=(0.9, 1.0, 1.2)))[:, 0, 0] == pytest.approx([0.9, 1.0, 1.2])


def test_a_vivid_panel_is_more_saturated_and_as_bright() -> None:
    picture = np.full((8, 8, 3), (180, 120, 100), np.uint8)
    dull, vivid = (show_picture(picture, replace(PLAIN, vivid=v), 40.0).light[:, 0, 0] for v in (1.0, 1.4))
    assert vivid[0] / vivid[2] > 1.3 * dull[0] / dull[2]
    luma = np.array([0.2126, 0.7152, 0.0722])
    assert vivid @ luma == pytest.approx(dull @ luma, rel=1e-4)


def test_a_coarse_panel_has_few_pixels() -> None:
    picture = np.zeros((200, 100, 3), np.uint8)
    coarse = show_picture(picture, replace(PLAIN, dots=25.4), 50.0)
    assert coarse.light.shape == (3, 100, 50)
    assert coarse.ratio == 1.0
    fine = show_picture(picture, replace(PLAIN, dots=254.0), 50.0)
    assert fine.light.shape == (3, 200, 100)
    assert fine.ratio == 5.0


def test_the_sub_pixels_repeat_with_the_panels_pixels() -> None:
    screen = show_picture(
        np.zeros((64, 64, 3), np.uint8), replace(PLAIN, dots=254.0), 12.8
    )  # 128 panel pixels
    where = projective_map(
        np.diag([0.4, 0.4, 1.0]), (64, 64)
    )  # seen from nearer: 0.8 panel pixels a camera pixel
    waves = screen.waves(where, np.ones((3, 64, 64), np.float32))
    assert {tuple(np.round(wave.frequency(), 3)) for wave in waves} >= {(0.8, 0.0), (0.0, 0.8)}


def test_a_rolling_shutter_reads_the_pulses_row_by_row() -> None:
    light = np.ones((3, 96, 32), np.float32)
    seen = viewed(light, replace(PLAIN, pulse=0.2), stream(0))
    assert seen.std(1).min() > 0.05
    assert seen.std(2).max() == pytest.approx(0, abs=1e-6)
    assert seen.mean() == pytest.approx(1.0, abs=0.08)
    assert (viewed(light, PLAIN, stream(0)) == light).all()


def test_a_tn_panels_dark_tones_change_from_top_to_bottom() -> None:
    light = np.full((3, 64, 8), 0.1, np.float32)
    seen = viewed(light, replace(PLAIN, shift=0.2), stream(0))[1, :, 0]
    assert seen[-1] - seen[0] > 0.03
    white = viewed(np.ones((3, 64, 8), np.float32), replace(PLAIN, shift=0.2), stream(0))
    assert white == pytest.approx(1.0)


def test_glass_mirrors_the_room() -> None:
    room = np.zeros((3, 64, 64), np.float32)
    room[:, :, :32] = 2.0
    seen = reflection((64, 64), replace(PLAIN, mirror=0.05), room, stream(1))
    assert seen.shape == (3, 64, 64)
    # left and right are exchanged, and a twentieth comes back
    assert seen[0, 60, -8:].mean() > seen[0, 60, :8].mean() + 0.05
    assert reflection((64, 64), replace(PLAIN, mirror=0.0), room, stream(1)).max() == 0.0


@pytest.mark.parametrize("kind", ["monitor", "tablet", "phone"])
def test_drawn_devices_are_of_their_kind(kind: str) -> None:
    displays = [draw_display(stream(0, "display", i), kind, software=True) for i in range(60)]
    assert {display.kind for display in displays} == {kind}
    assert 3 < sum(display.controls is not None for display in displays) < 30
    plain = [draw_display(stream(0, "display", i), kind) for i in range(60)]
    assert plain == [replace(display, controls=None) for display in displays]
    assert any(display.layout == "pentile" for display in displays) == (kind == "phone")
    assert all(0.3 < display.brightness < 3.1 for display in (*displays, *DISPLAYS))


GREY = np.full((200, 100, 3), 120, np.uint8)


def changed(controls: Controls) -> NDArray[np.bool_]:
    """Return which pixels (H, W) of a grey picture the controls change."""
    return (with_controls(GREY, controls) != GREY).any(2)


def test_controls_lie_where_they_are_said_to() -> None:
    button = changed(Controls(button=0.1))
    assert button.sum() == pytest.approx(np.pi * 10**2, rel=0.12)
    assert [int(np.mean(where)) for where in np.nonzero(button)] == pytest.approx([100, 50], abs=1)
    assert set(np.nonzero(changed(Controls(bar=0.1)))[0]) == set(range(180, 200))
    assert set(np.nonzero(changed(Controls(title=0.05)))[0]) == set(range(11))
    assert not changed(Controls()).any()


def test_the_line_of_time_is_coloured_as_far_as_it_was_played() -> None:
    red = [
        (with_controls(GREY, Controls(bar=0.1, played=p, colour=(255, 0, 0))) == (255, 0, 0)).all(2).any(0)
        for p in (0.25, 0.75)
    ]
    assert [int(np.flatnonzero(r).max()) for r in red] == pytest.approx([6 + 22, 6 + 66], abs=4)


def test_a_display_shows_its_controls() -> None:
    plain, covered = (
        show_picture(GREY, replace(PLAIN, controls=c), 40.0).light for c in (None, Controls(button=0.2))
    )
    assert plain[:, 100, 50] == pytest.approx(shown(120, PLAIN)[:, 0, 0])
    assert (covered[:, 100, 50] > plain[:, 100, 50]).all()  # white on a darkened disc
    assert (covered[:, 100, 33] < plain[:, 100, 33]).all()
