import numpy as np
import pytest

from bonaface.simulate.hands import SKINS, Capsule, draw_skin, flesh, hand
from bonaface.simulate.scene import lighting
from bonaface.simulate.seeds import stream

FRONT = lighting(6500, 0, 0, 0.5, 1.0, 0.0)


def test_a_capsule_covers_what_is_near_its_axis() -> None:
    patch = flesh((100, 80), [Capsule(20, 40, 70, 40, 10, 10)], SKINS[0], FRONT, stream(0))
    cover = np.zeros((80, 100), np.float32)
    cover[patch.rows, patch.columns] = patch.alpha
    assert cover[40, 45] == cover[33, 45] == cover[40, 12] == 1.0
    assert cover[40, 8] == cover[52, 45] == cover[28, 45] == 0.0
    assert cover.sum() == pytest.approx(50 * 20 + np.pi * 100, rel=0.05)


def test_flesh_has_its_skins_colour_and_is_round() -> None:
    patch = flesh((100, 80), [Capsule(20, 40, 70, 40, 15, 15)], SKINS[2], FRONT, stream(0))
    middle = patch.light[:, 40 - patch.rows.start, 45 - patch.columns.start]
    assert middle / middle[0] == pytest.approx(SKINS[2] / SKINS[2][0], rel=0.02)
    assert middle == pytest.approx(SKINS[2], rel=0.2)
    side = patch.light[:, 27 - patch.rows.start, 45 - patch.columns.start]
    assert side[1] < 0.9 * middle[1]


def test_what_is_outside_the_picture_is_not_drawn() -> None:
    assert flesh((100, 80), [Capsule(-90, 0, -60, 0, 10, 10)], SKINS[0], FRONT, stream(0)) is None


def test_a_patch_goes_behind_what_hides_it() -> None:
    patch = flesh((60, 60), [Capsule(30, 30, 30, 31, 20, 20)], SKINS[0], FRONT, stream(0))
    scene, hidden = np.zeros((3, 60, 60), np.float32), np.zeros((60, 60), np.float32)
    hidden[:, 30:] = 1.0
    patch.over(scene, hidden)
    assert scene[0, 30, 20] > 0.3
    assert not scene[:, :, 30:].any()


@pytest.mark.parametrize("room", [100.0, 30.0, -20.0])
def test_a_thumb_reaches_no_further_than_room(room: float) -> None:
    for number in range(20):
        _, _, thumb = hand((0.0, 0.0), 0.0, 2.0, room, stream(0, number))
        assert max(c.x1 for c in thumb) <= room + 1e-6


def test_the_arm_leads_away() -> None:
    arm, back, _ = hand((0.0, 0.0), 0.0, 2.0, 60.0, stream(0))
    assert arm[0].x1 < arm[0].x0 < 0
    assert len(back) == 5


def test_skins_reach_from_light_to_dark() -> None:
    skins = np.array([draw_skin(stream(0, n)) for n in range(100)])
    assert skins[:, 1].max() > 0.33
    assert skins[:, 1].min() < 0.08
    assert (skins[:, 0] > skins[:, 2]).all()
