from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bonaface.core.errors import InputError
from bonaface.face.detect import Detector
from bonaface.simulate.light import to_picture
from bonaface.simulate.portrait import face_relief, list_portraits, portrait_of, read_portrait
from bonaface.testing.portrait import drawn_portrait

MARKS = np.array([[200.0, 200.0], [312.0, 200.0], [256.0, 262.0], [215.0, 320.0], [297.0, 320.0]])


def save(path: Path, picture: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path


def test_a_photograph_becomes_light_without_an_outline() -> None:
    picture = drawn_portrait(512, 3)
    portrait = portrait_of(picture, MARKS, "three")
    assert portrait.alpha is None
    assert (to_picture(portrait.light) == picture).all()
    assert portrait.eyes == 112
    assert portrait.relief.shape == (512, 512)


def test_a_large_photograph_is_halved() -> None:
    portrait = portrait_of(np.zeros((1024, 1200, 3), np.uint8), MARKS * 2.8)
    assert portrait.light.shape == (3, 512, 600)
    assert portrait.eyes == pytest.approx(156.8)
    # centres of pixels are whole numbers: halving maps x to (x + 0.5) / 2 - 0.5
    assert portrait.landmarks[0] == pytest.approx([(560 + 0.5) / 2 - 0.5] * 2)


def test_the_relief_leans_with_the_face() -> None:
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    leaning = portrait_of(np.zeros((512, 512, 3), np.uint8), (MARKS - 256) @ turn.T + 256)
    nose = np.rint(turn @ (MARKS[2] - 256 + [0, 8]) + 256).astype(int)
    y, x = np.unravel_index(leaning.relief.argmax(), (512, 512))
    assert np.hypot(x - nose[0], y - nose[1]) < 12


def test_the_relief_is_level_beside_the_head_and_highest_at_the_nose() -> None:
    x, y = np.meshgrid(np.linspace(-3, 3, 121), np.linspace(-3, 3, 121))
    relief = face_relief(x, y)
    assert relief.dtype == np.float32
    assert np.abs(relief[:, [0, -1]]).max() == pytest.approx(0, abs=1e-3)
    row, column = np.unravel_index(relief.argmax(), relief.shape)
    assert x[row, column] == pytest.approx(0, abs=0.06)
    assert 0.4 < y[row, column] < 0.8
    assert relief == pytest.approx(relief[:, ::-1])


def test_reading_finds_the_face(tmp_path: Path) -> None:
    path = save(tmp_path / "somebody.png", drawn_portrait(512, 3))
    portrait = read_portrait(path, Detector(threads=1))
    assert portrait.name == "somebody"
    assert 60 < portrait.eyes < 165


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((300, 300, 3), np.uint8), "one face, found: no face"),
        (np.concatenate([drawn_portrait(384, 3)] * 2, 1), "several faces"),
        (
            np.asarray(Image.fromarray(drawn_portrait(512, 3)).rotate(45, fillcolor=(90, 90, 90))),
            "leans by -[45]",
        ),
        (np.asarray(Image.fromarray(drawn_portrait(512, 3)).resize((256, 512))), "from the side"),
    ],
)
def test_rejects_pictures_that_are_not_portraits(
    tmp_path: Path, picture: NDArray[np.uint8], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_portrait(save(tmp_path / "p.png", picture), Detector(threads=1))


@pytest.mark.usefixtures("closed")
def test_a_folder_of_portraits_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.jpg").touch()
    with pytest.raises(PermissionError, match="closed"):
        list_portraits(tmp_path)


def test_pictures_are_listed_in_order_and_other_files_are_not(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "a/1.PNG", "c.webp", "notes.txt", "b/landmarks.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in list_portraits(tmp_path)] == [
        "a/1.PNG",
        "b/2.jpg",
        "c.webp",
    ]
    with pytest.raises(InputError, match="found none"):
        list_portraits(tmp_path / "nothing")
