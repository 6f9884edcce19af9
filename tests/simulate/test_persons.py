import json
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bonaface.core.errors import ModelFileError
from bonaface.core.files import sha256
from bonaface.simulate.persons import FRAME, LIMIT, open_model, read_model
from bonaface.simulate.seeds import stream

FOLDER = Path(str(files("bonaface.simulate")))


def everyone(count: int = 55, seed: int = 0) -> NDArray[np.float32]:
    return np.stack([open_model().draw(seed, number) for number in range(1, count + 1)])


def apart(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))


def test_the_model_is_small_and_is_what_its_card_says() -> None:
    card = json.loads((FOLDER / "persons.json").read_text())
    assert (FOLDER / "persons.npz").stat().st_size <= 8 * 2**20
    assert sha256(FOLDER / "persons.npz") == card["sha256"]
    assert open_model().count == card["modes"]
    assert all(source["licence"] == "CC BY 4.0" and source["doi"] for source in card["sources"])


def test_no_portrait_is_in_it() -> None:
    # 142 portraits went in: nothing in the file is as many as they, and the largest part are the modes
    with np.load(FOLDER / "persons.npz", allow_pickle=False) as arrays:
        assert all(len(array) not in (142, 284) for array in arrays.values() if array.ndim)


def test_an_altered_model_is_refused(tmp_path: Path) -> None:
    for name in ("persons.npz", "persons.json"):
        shutil.copy(FOLDER / name, tmp_path)
    read_model(tmp_path)
    with (tmp_path / "persons.npz").open("r+b") as file:
        file.seek(1000)
        file.write(b"\0\1\2")
    with pytest.raises(ModelFileError, match="its card says"):
        read_model(tmp_path)
    (tmp_path / "persons.npz").unlink()
    with pytest.raises(ModelFileError, match="missing"):
        read_model(tmp_path)


def test_persons_are_as_different_as_the_originals() -> None:
    card = json.loads((FOLDER / "persons.json").read_text())["apart"]
    between = apart(everyone(), everyone())
    pairs = between[np.triu_indices(55, 1)]
    assert np.median(pairs) > 0.9 * card["pairs"][1]
    assert np.percentile(pairs, 5) > 0.9 * card["pairs"][0]
    np.fill_diagonal(between, np.inf)
    # nobody has a closer double than the two originals that are most alike
    assert between.min() > card["nearest"][0]
    assert np.median(between.min(1)) > 0.9 * card["nearest"][1]


def test_coefficients_are_normal_within_the_limit() -> None:
    drawn = everyone(300)
    assert np.abs(drawn).max() <= LIMIT
    assert drawn.mean() == pytest.approx(0, abs=0.02)
    assert drawn.std() == pytest.approx(0.95, abs=0.03)


def test_a_person_does_not_depend_on_the_others() -> None:
    assert (everyone(3)[2] == everyone(9)[2]).all()
    assert (everyone(3)[2] != everyone(3, seed=1)[2]).any()


def test_faces_are_skin_and_landmarks() -> None:
    model = open_model()
    tones = []
    for number in range(1, 13):
        face = model.face(model.draw(0, number), stream(0, number))
        assert face.skin.shape == (3, FRAME.height, FRAME.width)
        assert 0.0 <= face.skin.min() <= face.skin.max() <= 1.0
        assert face.shape.shape == (189, 2)
        eyes, mouth, chin = face.shape[:2, 1].mean(), face.shape[90, 1], face.shape[129, 1]
        assert eyes + 60 < mouth < chin - 20
        cheek = face.skin[:, 290:310, 140:160].mean((1, 2))
        assert cheek[0] > cheek[1] > 0.8 * cheek[2]
        tones.append(cheek[1])
    assert np.ptp(tones) > 0.15


def test_a_smile_lifts_the_corners_of_the_mouth() -> None:
    model = open_model()
    coefficients = model.draw(0, 1)
    neutral, smiling = (model.face(coefficients, stream(0, "pores"), smile) for smile in (0.0, 1.0))
    moved = smiling.shape - neutral.shape
    assert moved[87, 1] < -2  # up
    assert moved[93, 1] < -2
    assert moved[87, 0] < -2 < 2 < moved[93, 0]  # apart
    assert np.abs(moved[[0, 1]]).max() < 2


def test_skin_has_detail_that_the_modes_leave_out() -> None:
    model = open_model()
    coefficients = model.draw(0, 1)
    one, other = (model.face(coefficients, stream(0, name)).skin for name in ("a", "b"))
    assert 0.001 < (one - other)[:, 250:350, 140:270].std() < 0.03
