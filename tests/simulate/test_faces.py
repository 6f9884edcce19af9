import json
import os
from pathlib import Path

import pytest
from PIL import Image

from bonaface.core.errors import InputError
from bonaface.simulate import faces as module
from bonaface.simulate.faces import find_faces
from bonaface.simulate.portrait import read_portrait
from bonaface.testing.portrait import drawn_portrait


def test_faces_are_chosen_by_the_seed_and_those_without_one_left_out(faces: Path) -> None:
    chosen = find_faces([faces], 4, 0)
    assert sorted(path.name for path in chosen) == ["0.png", "1.png", "2.png", "3.png"]
    assert find_faces([faces], 2, 0) == chosen[:2]
    assert {find_faces([faces], 4, seed) for seed in range(4)} != {chosen}
    with pytest.raises(InputError, match=r"5 persons need .* of 6 pictures only 4 are that: .*--persons"):
        find_faces([faces], 5, 0)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the names of the pictures that are opened."""
    names: list[str] = []

    def reading(path: Path, detector: object) -> object:
        names.append(path.name)
        return read_portrait(path, detector)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "read_portrait", reading)
    return names


def test_known_pictures_are_not_looked_at_again(faces: Path, tmp_path: Path, looked: list[str]) -> None:
    seen = tmp_path / "set" / "faces.json"
    chosen = find_faces([faces], 4, 0, seen=seen)
    first = len(looked)
    assert 4 <= first <= 6
    assert find_faces([faces], 4, 0, seen=seen) == chosen
    assert len(looked) == first
    # another seed asks for others too, which come to those that are known
    with pytest.raises(InputError, match="of 6 pictures only 4 are that"):
        find_faces([faces], 5, 1, seen=seen)
    assert sorted(looked) == ["0.png", "1.png", "2.png", "3.png", "broken.jpg", "nobody.png"]


def test_a_picture_that_has_changed_is_looked_at_again(
    faces: Path, tmp_path: Path, looked: list[str]
) -> None:
    seen = tmp_path / "faces.json"
    with pytest.raises(InputError, match="only 4"):
        find_faces([faces], 5, 0, seen=seen)
    Image.fromarray(drawn_portrait(256, 9)).save(faces / "nobody.png")
    os.utime(faces / "2.png", ns=(0, 0))
    looked.clear()
    assert faces / "nobody.png" in find_faces([faces], 5, 0, seen=seen)
    assert sorted(looked) == ["2.png", "nobody.png"]


def test_portraits_found_before_a_stop_are_kept(
    faces: Path, tmp_path: Path, looked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH", 1)
    seen = tmp_path / "faces.json"

    def stop(done: int, _: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_faces([faces], 4, 0, 1, stop, seen)
    before = list(looked)
    looked.clear()
    find_faces([faces], 4, 0, 1, seen=seen)
    assert set(looked) & set(before[:-1]) == set()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '{"version": 0}',
        '{"version": 1, "pictures": 3}',
        '{"version": 1, "pictures": {"a": 1}}',
    ],
)
def test_a_damaged_file_of_known_faces_is_ignored(text: str, faces: Path, tmp_path: Path) -> None:
    (tmp_path / "faces.json").write_text(text)
    chosen = find_faces([faces], 2, 0, seen=tmp_path / "faces.json")
    assert chosen == find_faces([faces], 2, 0)
    assert len(json.loads((tmp_path / "faces.json").read_text())["pictures"]) >= 2


def test_a_file_of_known_faces_of_another_version_is_ignored(
    faces: Path, tmp_path: Path, looked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "faces.json"
    find_faces([faces], 2, 0, seen=seen)
    before = sorted(looked)
    looked.clear()
    monkeypatch.setattr(module, "_VERSION", 99)
    find_faces([faces], 2, 0, seen=seen)
    assert sorted(looked) == before


def test_a_file_that_is_found_twice_is_one_person(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(faces, target_is_directory=True)
    chosen = find_faces([faces, tmp_path / "link", faces], 4, 0)
    assert len({path.resolve() for path in chosen}) == 4
    with pytest.raises(InputError, match=r"5 persons need .* of 6 pictures only 4 are that"):
        find_faces([faces, faces], 5, 0)
