import numpy as np
import pytest

from bonaface.simulate.flat import Hold, Position, draw_hold, draw_opposite, eye_holes, face_oval, hold
from bonaface.simulate.seeds import stream
from bonaface.simulate.warp import project

SIZE, SHEET = (200, 240), (150, 180)
EYES = np.array([[55.0, 70.0], [95.0, 72.0]])
MARKS = np.array([[55.0, 70.0], [95.0, 72.0], [75.0, 95.0], [60.0, 115.0], [90.0, 115.0]])
HOLDS = {
    "flat": Hold(),
    "turned": Hold(0.4, -0.3),
    "bent": Hold(0.1, 0.1, bend=0.3),
    "bent down": Hold(0.0, 0.1, bend=-0.25, axis=1.5),
    "creased": Hold(0.2, 0.2, crease=0.05, seed=3),
}


def test_flat_and_straight_is_a_scaling() -> None:
    held = hold(SIZE, SHEET, EYES, Position(100, 100, 80), Hold())
    middle = EYES.mean(0)
    points = np.array([[0.0, 0.0], [149.0, 179.0], [75.0, 71.0]])
    scale = 80 / np.hypot(40, 2)
    assert project(held.matrix, points) == pytest.approx((points - middle) * scale + [100, 100])


@pytest.mark.parametrize("how", HOLDS.values(), ids=HOLDS)
def test_the_eyes_come_to_the_position(how: Hold) -> None:
    held = hold(SIZE, SHEET, EYES, Position(104, 98, 60, 0.1), how)
    found = held.found(EYES)
    assert found.mean(0) == pytest.approx([104, 98], abs=6)
    assert np.hypot(*(found[1] - found[0])) == pytest.approx(60, rel=0.25)


@pytest.mark.parametrize("how", HOLDS.values(), ids=HOLDS)
def test_found_agrees_with_the_map(how: Hold) -> None:
    held = hold(SIZE, SHEET, EYES, Position(104, 98, 60), how)
    for mark, (x, y) in zip(MARKS, held.found(MARKS), strict=True):
        read = held.where[:, round(y), round(x)]
        assert read == pytest.approx(mark, abs=1.2)


def test_a_bend_moves_the_edges_and_not_the_middle() -> None:
    flat, bent = (hold(SIZE, SHEET, EYES, Position(100, 100, 50), Hold(bend=b)) for b in (0.0, 0.3))
    assert np.abs(bent.where - flat.where)[:, 100, 100].max() < 0.1
    assert np.abs(bent.where - flat.where)[0, 100, 10] > 2.0
    # curved paper shows less of itself across: its edge comes nearer
    assert bent.alpha[100].sum() < flat.alpha[100].sum() - 2


def test_normals_turn_with_the_sheet() -> None:
    ahead, turned, bent = (
        hold(SIZE, SHEET, EYES, Position(100, 100, 50), h).normals
        for h in (Hold(), Hold(0.5), Hold(bend=0.3))
    )
    assert ahead[:, 50, 50] == pytest.approx([0, 0, 1], abs=1e-6)
    assert abs(turned[0, 50, 50]) == pytest.approx(np.sin(0.5), abs=1e-3)
    assert bent[0, 100, 30] * bent[0, 100, 170] < 0
    assert (bent**2).sum(0) == pytest.approx(1.0, abs=1e-5)


def test_coverage_ends_at_the_edge() -> None:
    held = hold(SIZE, SHEET, EYES, Position(100, 100, 40), Hold())
    u, v = held.where
    well_inside = (u > 2) & (u < 147) & (v > 2) & (v < 177)
    well_outside = (u < -3) | (u > 152) | (v < -3) | (v > 182)
    assert held.alpha[well_inside].min() == 1.0
    assert held.alpha[well_outside].max() == 0.0


def test_a_torn_edge_is_ragged() -> None:
    clean, torn = (hold(SIZE, SHEET, EYES, Position(100, 100, 40), Hold(torn=t, seed=5)) for t in (0.0, 0.3))
    assert torn.alpha.sum() < 0.97 * clean.alpha.sum()
    ends = torn.alpha.shape[1] - (torn.alpha[60:160, ::-1] > 0.5).argmax(1)
    assert ends.std() > 1.5


def test_no_hold_turns_the_sheet_behind_the_lens() -> None:
    for number in range(80):
        rng = stream(0, "hold", number)
        held = hold(
            SIZE, (400, 500), EYES * 2.5, Position(100, 100, 90), draw_hold(rng, stiff=bool(number % 2))
        )
        assert np.isfinite(held.where).all()
        # paper may be turned away but never seen from behind
        du, dv = (
            held.where[:, 100, 101] - held.where[:, 100, 100],
            held.where[:, 101, 100] - held.where[:, 100, 100],
        )
        assert du[0] * dv[1] - du[1] * dv[0] > 0


def test_stiff_things_do_not_bend() -> None:
    assert all(draw_hold(stream(0, n), stiff=True).bend == 0 for n in range(20))
    assert any(abs(draw_hold(stream(0, n), stiff=False).bend) > 0.1 for n in range(20))


def test_opposite_the_paper_is_mostly_a_room_that_is_darker_than_a_white_wall() -> None:
    drawn = np.array([draw_opposite(stream(0, "opposite", n)) for n in range(500)])
    assert 0.03 <= drawn.min() <= np.median(drawn) < 0.2
    assert np.mean(drawn > 0.5) == pytest.approx(0.05, abs=0.03)
    assert 1.5 < drawn.max() <= 2.0


def test_the_mask_covers_the_face_and_its_holes_the_eyes() -> None:
    held = hold(SIZE, SHEET, EYES, Position(100, 90, 50), Hold())
    oval = face_oval(held.where, EYES.mean(0), 40.0, stream(0, "oval"))
    holes = eye_holes(held.where, EYES, stream(0, "holes"))
    for x, y in held.found(MARKS):
        assert oval[round(y), round(x)] == 1.0
    assert oval[5, 5] == oval[230, 190] == 0.0
    (x0, y0), (x1, y1), (x2, y2) = held.found(MARKS)[:3]
    assert holes[round(y0), round(x0)] == holes[round(y1), round(x1)] == 1.0
    assert holes[round(y2), round(x2)] == 0.0
