import numpy as np
from numpy.typing import NDArray

from bonaface.face.detect import Detector
from bonaface.simulate.figure import EYES, HEIGHT, WIDTH, person_portrait
from bonaface.simulate.light import mix, to_picture
from bonaface.simulate.portrait import Portrait


def picture_of(portrait: Portrait) -> NDArray[np.uint8]:
    return to_picture(mix(np.full_like(portrait.light, 0.3), portrait.light, portrait.alpha))


def test_a_portrait_is_light_with_an_outline(persons: list[Portrait]) -> None:
    for portrait in persons:
        assert portrait.light.shape == (3, HEIGHT, WIDTH)
        assert portrait.light.dtype == portrait.alpha.dtype == portrait.relief.dtype == np.float32
        assert 0.0 <= portrait.alpha.min() <= portrait.alpha.max() <= 1.0
        assert abs(portrait.eyes - EYES) < 0.2 * EYES
        # nothing at the picture's upper corners, the body at its lower edge, the face where the landmarks are
        assert portrait.alpha[:200, :100].max() == 0.0
        assert portrait.alpha[-1, WIDTH // 2] > 0.99
        x, y = np.rint(portrait.landmarks).astype(int).T
        assert portrait.alpha[y, x].min() > 0.99


def test_retinaface_finds_the_landmarks(persons: list[Portrait]) -> None:
    for portrait in persons:
        (face, *others) = Detector(threads=1).detect(picture_of(portrait))
        assert not others
        off = np.hypot(*(np.array(face.landmarks) - portrait.landmarks).T) / portrait.eyes
        assert off[[0, 1, 3, 4]].max() < 0.12
        assert off[2] < 0.22


def test_a_person_is_the_same_at_every_call(persons: list[Portrait]) -> None:
    again = person_portrait(0, 1)
    assert (again.light == persons[0].light).all()
    assert (again.alpha == persons[0].alpha).all()


def test_another_outfit_keeps_the_face(persons: list[Portrait]) -> None:
    other = person_portrait(0, 1, outfit=2)
    x, y = np.rint(persons[0].landmarks[2]).astype(int)
    box = np.s_[:, y - 60 : y + 60, x - 50 : x + 50]
    assert (other.light[box] == persons[0].light[box]).all()
    assert np.abs(other.light - persons[0].light)[:, -100:].mean() > 0.01


def test_the_relief_is_highest_at_the_nose(persons: list[Portrait]) -> None:
    for portrait in persons:
        x, y = np.rint(portrait.landmarks).astype(int).T
        relief = portrait.relief[y, x]
        assert relief[2] == relief.max()
        assert relief[2] - relief[:2].mean() > 0.1 * portrait.eyes
