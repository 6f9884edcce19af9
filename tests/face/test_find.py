from typing import Any

import pytest

from bonaface.core.errors import InputError
from bonaface.core.records import Response
from bonaface.face.detect import Face
from bonaface.face.find import FacePolicy, find_face


def face(width: float, height: float, x: float = 0.0) -> Face:
    return Face((x, 10.0, x + width, 10.0 + height), ((0.0, 0.0),) * 5, 0.99)


def test_no_face_is_a_response() -> None:
    assert find_face([], FacePolicy()) is Response.NO_FACE


def test_the_largest_face_wins_whatever_the_order() -> None:
    large, small = face(100, 120), face(30, 40, x=300)
    assert find_face([small, large], FacePolicy()) is large
    assert find_face([large, small], FacePolicy()) is large


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(30, 47.9, Response.FACE_TOO_SMALL), (30, 48, None), (48, 20, None)],
)
def test_the_longer_side_decides_what_is_too_small(
    width: int, height: float, expected: Response | None
) -> None:
    found = find_face([face(width, height)], FacePolicy(min_side=48))
    assert found is expected if expected else isinstance(found, Face)


@pytest.mark.parametrize(("share", "several"), [(0.59, False), (0.6, True), (1.0, True)])
def test_a_second_face_of_similar_area_makes_several(share: float, several: bool) -> None:
    faces = [face(100, 100), face(100, 100 * share, x=200), face(5, 5, x=400)]
    assert (find_face(faces, FacePolicy(similar=0.6)) is Response.SEVERAL_FACES) == several


def test_two_faces_that_are_both_too_small_are_too_small() -> None:
    assert find_face([face(20, 20), face(20, 20, x=50)], FacePolicy()) is Response.FACE_TOO_SMALL


def test_people_behind_the_user_do_not_make_several() -> None:
    crowd = [face(40, 50, x=200.0 + 60 * i) for i in range(8)]
    user = face(120, 150)
    assert find_face([*crowd, user], FacePolicy()) is user


@pytest.mark.parametrize(
    "values", [{"min_side": 0}, {"min_side": float("nan")}, {"similar": 0}, {"similar": 1.01}]
)
def test_a_policy_out_of_range_is_refused(values: dict[Any, Any]) -> None:
    with pytest.raises(InputError, match=r"must be|at least"):
        FacePolicy(**values)
