"""A few synthetic persons, made once: half a second each."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bonaface.simulate.camera import PHONES, Shot
from bonaface.simulate.figure import person_portrait
from bonaface.simulate.flat import Position
from bonaface.simulate.portrait import Portrait
from bonaface.simulate.scene import lighting
from bonaface.simulate.seeds import stream
from bonaface.simulate.studio import Photo, Stage, Turn, bona_fide, shoot
from bonaface.testing.portrait import drawn_portrait


@pytest.fixture(scope="session")
def persons() -> list[Portrait]:
    return [person_portrait(0, number) for number in (1, 2, 3)]


@pytest.fixture
def stage() -> Stage:
    """Return a plain grey room, 256 x 256, under a white light from the front."""
    return Stage(np.full((3, 256, 256), 0.5, np.float32), lighting(6500, 0, 0, 0.5, 1.0, 0.0))


@pytest.fixture(scope="session")
def photo(persons: list[Portrait]) -> Photo:
    """Return a photograph of the first person, 256 x 256, the eyes 52 pixels apart."""
    stage = Stage(np.full((3, 256, 256), 0.5, np.float32), lighting(6500, 0, 0, 0.5, 1.0, 0.0))
    framed = bona_fide(persons[0], Position(128, 105, 52), stage, Turn())
    return shoot(framed, PHONES[0], Shot(), stream(0, "photo"))


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Make a folder with four drawn portraits, a picture without a face and a file that is not a picture."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(drawn_portrait(256, number)).save(folder / f"{number}.png")
    Image.new("RGB", (256, 256), (90, 120, 90)).save(folder / "nobody.png")
    (folder / "broken.jpg").write_text("no picture")
    return folder
