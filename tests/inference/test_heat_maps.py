from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bonaface.core.errors import InputError
from bonaface.core.records import Decision, Response
from bonaface.drawing.heat_map import PixelMap
from bonaface.inference.heat_maps import heat_map_path, refuse_clashes, save_heat_map
from bonaface.inference.verdict import Preview, Verdict

NAMES = [
    "a.jpg", "faces/a.jpg", "faces/b/a.jpg", "-", "https://host/x.jpg?size=3&a=b", "s3://bucket/a/b.jpg", "Zoë/張.jpg",
    "x" * 300 + ".jpg", "y" * 300 + ".jpg", "照" * 80 + ".jpg", "龍" * 85, "ab" + "照" * 84,
    "é" * 124 + ".jpg", "x" * 255, "a:b.jpg", "a*b.jpg", "\udcff.jpg", "\n.jpg", "../../etc/passwd",
]  # fmt: skip


def scored(name: str) -> Verdict:
    drawn = Preview.of(np.zeros((9, 9, 3), np.uint8), 9).with_maps([PixelMap("map", np.eye(2), (0, 0, 9, 9))])
    return Verdict(name, Decision.ATTACK, 0.1, 0.5, preview=drawn)


@pytest.mark.parametrize("name", NAMES)
def test_a_heat_map_lies_in_the_folder_whatever_the_name(name: str, tmp_path: Path) -> None:
    path = heat_map_path(tmp_path, name)
    assert ".." not in path.parts
    assert path.is_relative_to(tmp_path)
    assert save_heat_map(scored(name), tmp_path)
    with Image.open(path) as image:
        assert image.format == "PNG"


def test_names_stay_apart_and_can_be_read() -> None:
    assert len({heat_map_path(Path("out"), name) for name in NAMES}) == len(NAMES)
    assert heat_map_path(Path("out"), "faces/a.jpg") == Path("out/faces/a.jpg.png")
    assert heat_map_path(Path("out"), "/abs/a.jpg") == Path("out/abs/a.jpg.png")
    assert heat_map_path(Path("out"), "照" * 80 + ".jpg").name.startswith("照" * 80 + "-")
    refuse_clashes(Path("out"), NAMES)
    with pytest.raises(
        InputError, match=r"heat maps of a/b\.jpg and /a/b\.jpg would both be out/a/b\.jpg\.png"
    ):
        refuse_clashes(Path("out"), ["a/b.jpg", "c.jpg", "/a/b.jpg"])


def test_without_a_map_nothing_is_written(tmp_path: Path) -> None:
    missed = Verdict("b.jpg", Decision.NO_RESPONSE, None, 0.5, Response.NO_FACE, "no face")
    assert not save_heat_map(missed, tmp_path / "one.png")
    assert list(tmp_path.iterdir()) == []
    assert save_heat_map(scored("a.jpg"), tmp_path / "one.png")
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]
